"""The path from a graph to firmware on every emulated board, and what happens when a step of it fails."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import graphs
import numpy as np
import pytest
import tflm
import torch
from compressed import two_level

import mcuquant as mq
from mcuquant import flow
from mcuquant.boards.board import Region, load_board
from mcuquant.demo.train import build as demo_network
from mcuquant.errors import BudgetError, GraphError, McuquantError, ModelError, OutputError, ToolError
from mcuquant.firmware_build import build
from mcuquant.ir import Array, Graph
from mcuquant.project.project import Project

BOARDS = ("qemu-mps2-an385", "qemu-mps2-an386", "qemu-mps2-an500", "qemu-mps2-an505", "qemu-mps3-an547")


@pytest.fixture(scope="module")
def demo_graph() -> Graph:
    """The demo's network with weights and running statistics as they come from a generator: int8."""
    torch.manual_seed(5)
    net = demo_network()
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm1d):
                module.running_mean.normal_(0, 0.2)  # type: ignore[union-attr]
                module.running_var.uniform_(0.2, 2)  # type: ignore[union-attr]
    x = np.random.default_rng(1).normal(0, 1, (40, 6, 128)).astype(np.float32)
    return mq.quantize(mq.from_torch(net, torch.zeros(1, 6, 128)), calibration=x)


def stored(graph: Graph, count: int) -> Array:
    rng = np.random.default_rng(2)
    return np.concatenate([graphs.random_inputs(rng, graph)[0] for _ in range(count)])


def conv_graph(seed: int = 3) -> Graph:
    return graphs.GENERATORS["conv2d"](np.random.default_rng(seed))


def message(kind: type[McuquantError], action: object, *args: object, **more: object) -> str:
    with pytest.raises(kind) as caught:
        action(*args, **more)  # type: ignore[operator]
    return str(caught.value)


@pytest.mark.emulator
@pytest.mark.parametrize("board", BOARDS)
def test_the_demo_network_gives_the_same_bytes_everywhere(demo_graph: Graph, board: str, tmp_path: Path) -> None:
    project = mq.compile(demo_graph, board=board, output=tmp_path / "demo")
    x = stored(demo_graph, 6)
    expected = np.concatenate([mq.run(demo_graph, [x[i : i + 1]])[0] for i in range(len(x))])
    assert len(np.unique(expected)) > 10, "a golden without a spread of values proves nothing"
    with project.connect() as dut:
        np.testing.assert_array_equal(dut.run(x), expected)
    np.testing.assert_array_equal(project.run_host(x, sanitize=True)[0], expected)
    model = (project.directory / "model.tflite").read_bytes()
    theirs = np.concatenate([tflm.run(model, [x[i : i + 1]])[0] for i in range(len(x))])
    np.testing.assert_array_equal(theirs, expected)


@pytest.mark.emulator
def test_steps_on_the_board_are_those_of_the_interpreter(demo_graph: Graph, tmp_path: Path) -> None:
    project = mq.compile(demo_graph, output=tmp_path / "demo", shrink=False)
    x = stored(demo_graph, 1)
    values = mq.trace(demo_graph, [x])
    layers = [op for op in demo_graph.ops if op.kind != "Reshape"]
    with project.connect() as dut:
        steps = dut.steps(x)
    assert len(steps) == len(layers)
    for op, found in zip(layers, steps, strict=True):
        np.testing.assert_array_equal(found, values[op.output].reshape(-1))


@pytest.mark.emulator
def test_firmware_of_another_project_is_refused(tmp_path: Path) -> None:
    one = mq.compile(conv_graph(3), output=tmp_path / "one")
    other = mq.compile(conv_graph(4), output=tmp_path / "other")
    shutil.copytree(other.directory / "build", one.directory / "build", dirs_exist_ok=True)
    shutil.copy(other.directory / "firmware.elf", one.directory / "firmware.elf")
    assert message(OutputError, one.connect().__enter__) == (
        f"{one.directory / 'src' / 'board.h'} has changed since the firmware was built; "
        f"build it again: make -B -C {one.directory}"
    )


@pytest.mark.emulator
def test_firmware_older_than_its_sources_is_refused(tmp_path: Path) -> None:
    """Whatever of them changed, and whatever the clock of the files says."""
    project = mq.compile(conv_graph(3), output=tmp_path / "net")
    folder = project.directory
    assert len(project.firmware.digest) == 64
    for name in ("src/mq_model.c", "src/linker.ld", "Makefile"):
        path, times = folder / name, (folder / name).stat()
        text = path.read_text()
        path.write_text(text + "\n")
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert message(OutputError, lambda: project.firmware) == (
            f"{path} has changed since the firmware was built; build it again: make -B -C {folder}"
        )
        path.write_text(text)
    elf = folder / "firmware.elf"
    elf.write_bytes(elf.read_bytes() + b"\0")
    assert message(OutputError, lambda: project.firmware) == (
        f"{elf} is not the result of the last build; build it again: make -B -C {folder}"
    )
    build.make(folder, "-B")
    (folder / "src" / "mq_model.c").write_text((folder / "src" / "mq_model.c").read_text() + "\n")
    build.make(folder)
    assert len(project.firmware.digest) == 64
    shutil.rmtree(folder / "build")
    assert message(OutputError, lambda: project.firmware) == (
        f"{folder} has no record of what its firmware was built from; compile the network again: "
        f"mcuquant compile MODEL -o {folder}"
    )


def test_a_network_too_large_for_the_ram_names_what_is_alive(tmp_path: Path) -> None:
    board = replace(load_board("qemu-mps2-an386"), ram=Region(0x2000_0000, 1024))
    net = torch.nn.Conv2d(3, 8, 3, padding=1)
    x = np.random.default_rng(0).normal(0, 1, (4, 3, 16, 16)).astype(np.float32)
    graph = mq.quantize(mq.from_torch(net, torch.zeros(1, 3, 16, 16)), calibration=x)
    text = message(BudgetError, flow.compile, graph, board, tmp_path / "p")
    assert "does not fit qemu-mps2-an386: its arena takes " in text
    assert "more than the 1,024 there are; most is alive at operation 0, Conv2D: " in text
    assert "[1, 16, 16, 8] 2,048 bytes" in text
    assert not (tmp_path / "p").exists()


def test_a_network_too_large_for_the_flash_names_its_largest_arrays(tmp_path: Path) -> None:
    board = replace(load_board("qemu-mps2-an386"), flash=Region(0, 2048))
    net = torch.nn.Linear(64, 64)
    x = np.random.default_rng(0).normal(0, 1, (4, 64)).astype(np.float32)
    graph = mq.quantize(mq.from_torch(net, torch.zeros(1, 64)), calibration=x)
    text = message(BudgetError, flow.compile, graph, board, tmp_path / "p")
    assert "does not fit qemu-mps2-an386: its constants take " in text
    assert "more than the 2,048 there are; the largest: weights_0 " in text


@pytest.mark.emulator
def test_a_program_too_large_for_the_flash_is_said_by_how_much(tmp_path: Path) -> None:
    board = replace(load_board("qemu-mps2-an386"), flash=Region(0, 4096))
    text = message(BudgetError, flow.compile, conv_graph(), board, tmp_path / "p")
    assert text.startswith("the firmware does not fit: FLASH overflows by ")
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


def test_a_missing_compiler_is_named_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build.shutil, "which", lambda tool: None if tool == build.COMPILER else f"/usr/bin/{tool}")
    assert message(ToolError, flow.compile, conv_graph(), output=tmp_path / "p") == (
        "arm-none-eabi-gcc is not installed; on Debian or Ubuntu: "
        "sudo apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi"
    )
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


@pytest.mark.emulator
def test_a_failed_compile_leaves_the_project_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = mq.compile(conv_graph(), output=tmp_path / "p")
    before = project.firmware.digest

    def fail(*_: object) -> None:
        raise ToolError("make failed")

    monkeypatch.setattr(flow.build, "build", fail)
    message(ToolError, flow.compile, conv_graph(5), output=tmp_path / "p")
    assert Project.open(tmp_path / "p").firmware.digest == before
    assert [p.name for p in tmp_path.iterdir()] == ["p"]


def test_a_float_network_is_not_compiled(tmp_path: Path) -> None:
    graph = graphs.FLOAT_GENERATORS["conv2d"](np.random.default_rng(0))
    text = message(GraphError, flow.compile, graph, output=tmp_path / "p")
    assert "quantize it first with calibration data" in text


@pytest.mark.parametrize("name", ["Net", "1net", "a-b", "", "x" * 33, "a b", "net*/"])
def test_names_that_c_would_not_take_are_refused(name: str, tmp_path: Path) -> None:
    assert message(ModelError, flow.compile, conv_graph(), output=tmp_path / "p", name=name) == (
        f"name {name!r} cannot be used in C: expected a lower-case letter, then up to 31 of a-z, 0-9 and _"
    )


def test_names_of_our_own_functions_are_refused(tmp_path: Path) -> None:
    text = message(ModelError, flow.compile, conv_graph(), output=tmp_path / "p", name="clamp", build_firmware=False)
    assert text.startswith("name 'clamp' is taken: src/")


def test_a_file_in_place_of_the_output_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p").write_text("mine")
    text = message(OutputError, flow.compile, conv_graph(), output=tmp_path / "p", build_firmware=False)
    assert text.startswith(f"{tmp_path / 'p'} exists and is not a project of mcuquant")
    assert (tmp_path / "p").read_text() == "mine"


def test_names_from_a_model_file_do_no_harm(tmp_path: Path) -> None:
    graph = conv_graph()
    evil = '*/ system("rm -rf /"); /* \n\\ "%s" $(SHELL) \u202e'
    tensors = {i: replace(t, name=evil) for i, t in graph.tensors.items()}
    project = mq.compile(replace(graph.with_(tensors=tensors), name=evil), output=tmp_path / "p", build_firmware=False)
    for path in [*project.directory.rglob("*.[ch]"), project.directory / "Makefile"]:
        assert "system(" not in path.read_text()
        assert "$(SHELL" not in path.read_text()
    x = graphs.random_inputs(np.random.default_rng(0), graph)
    np.testing.assert_array_equal(project.run_host(*x)[0], mq.run(graph, x)[0])


def test_what_tflite_cannot_express_is_compiled_without_it(tmp_path: Path) -> None:
    graph = two_level(conv_graph(), np.random.default_rng(0))
    project = mq.compile(graph, output=tmp_path / "net", build_firmware=False)
    assert not (project.directory / "model.tflite").exists()
    (note,) = project.manifest["notes"]
    assert note.startswith("no model.tflite: tensor 1 ('constant_1') has weights with multipliers that make ")
    x = stored(graph, 3)
    expected = np.concatenate([mq.run(graph, [x[i : i + 1]])[0] for i in range(len(x))])
    np.testing.assert_array_equal(project.run_host(x)[0], expected)
