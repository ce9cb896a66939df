"""The commands that run a compiled project, on an emulated board or the host."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from cli_runs import SHAPE, Files, check_fails, check_width, make_files, make_project, mcuquant

from mcuquant import flow
from mcuquant.cli import validate
from mcuquant.errors import CalibrationError
from mcuquant.ir import DType
from mcuquant.project.folder import Port


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return make_files(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def project(files: Files, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tests only read it."""
    return make_project(files, tmp_path_factory.mktemp("compiled") / "net")


@pytest.mark.emulator
def test_bench_shows_every_layer_and_what_the_numbers_are(project: Path, tmp_path: Path) -> None:
    result = mcuquant("bench", project, "--json", tmp_path / "bench.json")
    assert result.exit_code == 0, result.output
    facts = json.loads((tmp_path / "bench.json").read_text())
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["#", "layer", "op", "output", "MACs", unit(facts), "µs", "share"]
    assert [line.split()[2] for line in lines[2:4]] == ["Conv2D", "FullyConnected"]
    assert f"Counted: {facts['counter']}." in lines
    assert f"Time: {facts['latency_source']}." in lines
    assert lines[-1] == f"Next: mcuquant validate {project} --data X.npz"
    check_width("\n".join(lines[:-1]))


@pytest.mark.emulator
def test_bench_projects_what_it_counted(project: Path, tmp_path: Path) -> None:
    path = tmp_path / "net.json"
    result = mcuquant("bench", project, "--as", "nucleo-l4r5zi", "--json", path)
    assert result.exit_code == 0, result.output
    assert "\n\nOne inference, projected onto nucleo-l4r5zi (cortex-m4): " in result.stdout
    check_width(result.stdout.partition("\nNext:")[0])
    found = json.loads(path.read_text())
    assert found["projected"]["cycles"] == found["cycles"]
    assert found["projected"]["latency_us"] == pytest.approx(found["cycles"] * 1.3 / 120, abs=1e-3)


def test_bench_projects_only_what_is_modelled(project: Path) -> None:
    check_fails(
        mcuquant("bench", project, "--as", "pico"),
        1,
        "pico has a cortex-m0plus, whose cycles are not modelled: nothing can be projected onto it; "
        "measure on the board with --port",
    )
    check_fails(
        mcuquant("bench", project, "--as", "nucleo-f446re", "--port", "/dev/ttyACM0"),
        2,
        "--as projects the cycles of an emulated board: leave --port out",
    )


@pytest.mark.emulator
def test_bench_writes_json_that_says_what_it_counted(project: Path) -> None:
    facts = json.loads(mcuquant("bench", project, "--json", "-").stdout)
    wanted = {
        "board",
        "core",
        "digest",
        "counter",
        "latency_us",
        "flash_bytes",
        "ram_bytes",
        "arena_bytes",
        "stack_bytes",
    }
    assert wanted <= set(facts)
    assert (facts["board"], facts["core"], facts["macs"]) == ("qemu-mps2-an386", "cortex-m4", 672)
    assert facts["latency_source"].endswith("at 25 MHz; not a board's time")
    assert [(layer["op"], layer["macs"]) for layer in facts["layers"]] == [("Conv2D", 432), ("FullyConnected", 240)]
    assert all(0 < layer[unit(facts)] < facts[unit(facts)] for layer in facts["layers"])


def unit(facts: Mapping[str, str]) -> str:
    """Cycles where QEMU takes the plugin that models them, instructions elsewhere."""
    found, _, _ = facts["counter"].partition(" ")
    assert found in ("cycles", "instructions")
    return found


@pytest.mark.emulator
def test_the_board_and_the_host_write_the_same_file(project: Path, tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(-128, 128, (9, 1, 12, 3), np.int8)[:, None]
    np.save(tmp_path / "x.npy", x[:, 0])
    for name, more in (("board.npy", ()), ("host.npy", ("--host",))):
        result = mcuquant("run", project, "--inputs", tmp_path / "x.npy", "--outputs", tmp_path / name, *more)
        assert result.exit_code == 0, result.output
        assert result.stdout == f"Wrote {tmp_path / name}: int8 9x5.\n\nNext: mcuquant bench {project}\n"
    board, host = (np.load(tmp_path / name) for name in ("board.npy", "host.npy"))
    assert len(np.unique(board)) > 5
    assert (board.dtype, board.shape) == (np.int8, (9, 5))
    assert np.array_equal(board, host)


@pytest.mark.emulator
def test_run_refuses_inputs_of_another_type(project: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((1, 1, 12, 3), np.float32))
    result = mcuquant("run", project, "--inputs", tmp_path / "x.npy", "--outputs", tmp_path / "y.npy", "--host")
    assert result.exit_code == 1
    assert "takes int8 of shape (N, 1, 12, 3), found float32 of shape (1, 1, 12, 3)" in result.stderr
    assert not (tmp_path / "y.npy").exists()


def labeled(project: Path, files: Files, path: Path) -> None:
    """The calibration data with the classes that the host's C gives, but for the first, which is wrong."""
    (x,) = (np.load(files.calibration)[name] for name in ("x",))
    opened = flow.Project.open(project)
    (y,) = opened.run_host(opened.inputs[0].quantize(x.transpose(0, 2, 1)[:, None]))
    classes = y.argmax(axis=1)
    classes[0] = (classes[0] + 1) % 5
    np.savez(path, x=x, y=classes)


@pytest.mark.emulator
def test_validate_counts_right_answers_and_compares_bytes(project: Path, files: Files, tmp_path: Path) -> None:
    labeled(project, files, tmp_path / "test.npz")
    result = mcuquant("validate", project, "--data", tmp_path / "test.npz")
    assert result.stdout == (
        "Accuracy on qemu-mps2-an386: 97.5 % (39 of 40).\n"
        "All 200 bytes equal those of the same C on this machine.\n"
        f"\nNext: mcuquant bench {project}\n"
    )


@pytest.mark.emulator
def test_validate_writes_the_accuracy_for_the_report(project: Path, files: Files, tmp_path: Path) -> None:
    labeled(project, files, tmp_path / "test.npz")
    result = mcuquant("validate", project, "--data", tmp_path / "test.npz", "--json", "-")
    digest = json.loads((project / "manifest.json").read_text())["firmware"]["digest"]
    assert json.loads(result.stdout) == {
        "accuracy": 0.975,
        "source": "40 samples on qemu-mps2-an386",
        "right": 39,
        "samples": 40,
        "board": "qemu-mps2-an386",
        "digest": digest,
    }
    check_fails(
        mcuquant("validate", project, "--layers", "--json", "-"), 2, "--json writes the accuracy: leave --layers out"
    )


@pytest.mark.emulator
def test_report_measures_an_emulated_board(project: Path, tmp_path: Path) -> None:
    result = mcuquant("report", project, "-o", tmp_path / "net.html")
    assert result.exit_code == 0, result.output
    text = (tmp_path / "net.html").read_text()
    facts = json.loads(mcuquant("bench", project, "--json", "-").stdout)
    assert f"{facts[unit(facts)]:,}" in text
    assert "The firmware was not measured." not in text


@pytest.mark.emulator
def test_validate_wants_a_class_for_each_sample(project: Path, tmp_path: Path) -> None:
    path = tmp_path / "test.npz"
    np.savez(path, x=np.zeros((4, *SHAPE), np.float32), y=np.zeros(3, np.int64))
    check_fails(
        mcuquant("validate", project, "--data", path),
        1,
        f"array 'y' of {path} is int64 of shape (3,); expected 4 class numbers, one for each sample",
    )
    told = f"labels of array 'y' of {path} are from"
    for labels, text in (
        (
            [1, 2, 3, 5],
            f"{told} 1 to 5, but the network has 5 outputs: expected 0 to 4; labels that begin at 1 need 1 subtracted",
        ),
        ([0, 9, 3, 4], f"{told} 0 to 9, but the network has 5 outputs: expected 0 to 4"),
        ([0, -1, 3, 4], f"{told} -1 to 4, but the network has 5 outputs: expected 0 to 4"),
    ):
        np.savez(path, x=np.zeros((4, *SHAPE), np.float32), y=np.array(labels))
        check_fails(mcuquant("validate", project, "--data", path), 1, text)
    np.savez(path, x=np.zeros((0, *SHAPE), np.float32), y=np.zeros(0, np.int64))
    told = f"array 'x' of {path} has shape {(0, *SHAPE)}, which holds no samples; expected at least one"
    check_fails(mcuquant("validate", project, "--data", path), 1, told)


@pytest.mark.emulator
def test_inspect_takes_the_sizes_of_what_was_built(project: Path) -> None:
    facts = json.loads(mcuquant("inspect", project, "--json", "-").stdout)
    assert (facts["flash_bytes_source"], facts["ram_bytes_source"]) == ("firmware.elf", "firmware.elf")
    assert facts["flash_bytes"] > 2000
    assert mcuquant("inspect", project).stdout.endswith(f"\nNext: mcuquant bench {project}\n")


def image_port(*shape: int) -> Port:
    return Port("input", (1, *shape), DType.INT8, 0.5, 3)


def test_validate_takes_images_in_either_order() -> None:
    x = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
    port = image_port(3, 4, 2)
    own = validate.ordered(port, Path("t.npz"), x)
    assert own.shape == (1, 3, 4, 2)
    assert np.array_equal(own, validate.ordered(port, Path("t.npz"), x.transpose(0, 2, 3, 1)))


def test_validate_asks_where_the_order_cannot_be_told() -> None:
    with pytest.raises(CalibrationError) as error:
        validate.ordered(image_port(3, 3, 3), Path("t.npz"), np.zeros((7, 3, 3, 3), np.float32))
    assert str(error.value) == (
        "array 'x' of t.npz has shape (7, 3, 3, 3), which does not determine the order of its axes; "
        "give it as int8, (N, height, width, channels), as in model.tflite"
    )
