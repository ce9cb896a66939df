"""The commands as a person types them: what they print, what they leave behind, how they exit."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_runs import SHAPE, Files, check_fails, check_width, make_files, mcuquant
from click.testing import CliRunner

from mcuquant import flow
from mcuquant.cli import main, quantization_options
from mcuquant.quantization.few_bits import CANDIDATES
from mcuquant.quantization.methods import METHODS
from mcuquant.quantization.quantizers import QUANTIZERS

COMMANDS = (
    "compile",
    "flash",
    "bench",
    "compare",
    "run",
    "validate",
    "inspect",
    "quantizers",
    "report",
    "boards",
    "doctor",
)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return make_files(tmp_path_factory.mktemp("models"))


def test_help_shows_a_first_run_and_the_way_of_an_own_network(golden: Callable[[str, str], None]) -> None:
    result = CliRunner().invoke(main, ["--help"], prog_name="mcuquant", terminal_width=100)
    assert result.exit_code == 0
    check_width(result.stdout)
    golden("help.txt", "".join(f"{line.rstrip()}\n" for line in result.stdout.splitlines()))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    result = mcuquant(command, "--help")
    assert result.exit_code == 0
    check_width(result.stdout)
    assert command == "doctor" or f"Examples:\n    mcuquant {command}" in result.stdout


def test_help_is_quick_because_nothing_heavy_is_imported() -> None:
    code = "import sys; import mcuquant.cli; print(sorted({'torch', 'tflite', 'jinja2'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_version_is_the_packages() -> None:
    assert re.fullmatch(r"mcuquant, version \d+\.\d+\.\d+\n", mcuquant("--version").stdout)


def test_compile_writes_a_project_and_says_what_to_type_next(files: Files, tmp_path: Path) -> None:
    out = tmp_path / "net"
    result = mcuquant("compile", files.pt2, "--calibration", files.calibration, "-o", out, "--no-build")
    assert result.exit_code == 0, result.output
    first, *rest = result.stdout.splitlines()
    assert first == "Sequential: 2 layers, 285 parameters, 672 MACs; for qemu-mps2-an386"
    assert rest[-3:] == [f"Wrote {out}: C project, model.tflite, manifest.json.", "", f"Next: make -C {out}"]
    assert {"Makefile", "src", "model.tflite", "manifest.json", "details.json"} == {p.name for p in out.iterdir()}
    assert [p.name for p in tmp_path.iterdir()] == ["net"]


def test_compile_names_the_c_functions(files: Files, tmp_path: Path) -> None:
    assert mcuquant("compile", files.tflite, "--name", "kws", "-o", tmp_path / "kws", "--no-build").exit_code == 0
    assert "mq_kws_run" in (tmp_path / "kws" / "src" / "mq_kws.h").read_text()


def test_compile_shows_what_each_layer_loses(files: Files, tmp_path: Path) -> None:
    result = mcuquant(
        "compile", files.pt2, "--calibration", files.calibration, "-o", tmp_path / "n", "--no-build", "--snr"
    )
    assert result.exit_code == 0, result.output
    assert re.search(r"^\d +\S+ +Conv2D +1x1x12x4 +[\d.]+ dB +[\d.]+ dB +[\d.]+ dB", result.stdout, re.MULTILINE)
    assert result.stdout.count("<- largest effect") == 1
    assert re.search(r"^# +layer +op +weights +rounding +clipping$", result.stdout, re.MULTILINE)
    assert result.stdout.count("Largest error: ") == 1
    check_width(result.stdout.partition("Sequential:")[0])


def test_compile_takes_a_recipe_for_the_weights(files: Files, tmp_path: Path) -> None:
    recipe = (
        "--weights",
        "double-linear",
        "--weight-bits",
        "4",
        "--adaptive-rounding",
        "--correct-bias",
        "--equalize",
    )
    options = (
        "--calibration",
        files.calibration,
        "-o",
        tmp_path / "n",
        "--no-build",
        "--method",
        "minmax",
        *recipe,
    )
    result = mcuquant("compile", files.pt2, *options)
    assert result.exit_code == 0, result.output
    assert "note: quantization: weights by double-linear, y = floor(w*s1 + 1/2)*s2\n" in result.stdout
    assert " of 4 bits" in (tmp_path / "n" / "src" / "mq_model_weights.h").read_text()


def test_compile_finds_bits_for_a_budget(files: Files, tmp_path: Path) -> None:
    options = ("--calibration", files.calibration, "-o", tmp_path / "n", "--no-build", "--weight-bytes")
    result = mcuquant("compile", files.pt2, *options, 160)
    assert result.exit_code == 0, result.output
    assert "note: quantization: weights take 156 bytes; layers: 1 at 8 bits, 1 at 4 bits\n" in result.stdout
    check_fails(
        mcuquant("compile", files.pt2, *options, 160, "--weight-bits", "4"),
        2,
        "--weight-bytes chooses the bits itself: leave --weight-bits out",
    )


def test_the_recipe_offers_what_there_is() -> None:
    assert set(quantization_options.QUANTIZERS) == {"auto", *QUANTIZERS}
    assert set(quantization_options.METHODS) == {"auto", *METHODS}


def test_quantizers_stand_side_by_side(files: Files, tmp_path: Path) -> None:
    x = np.load(files.calibration)["x"]
    np.savez(tmp_path / "t.npz", x=x, y=np.arange(len(x)) % 5)
    options = ("--calibration", files.calibration, "--data", tmp_path / "t.npz", "--bits", 8, "--bits", 2)
    result = mcuquant("quantizers", files.pt2, *options)
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.stdout.splitlines() if " y = " in line]
    assert [row[0] for row in rows] == [*QUANTIZERS] * 2
    firsts = [line.split() for line in result.stdout.splitlines() if line.startswith("auto")]
    assert [row[:2] for row in firsts] == [["auto", "nearest"], ["auto", f"{firsts[1][1]}"]]
    assert firsts[1][1].rstrip(",") in CANDIDATES
    assert firsts[1][2:4] == ["adaptive", "2"]
    assert {row[-1].replace(",", "").isdigit() for row in rows} == {True}
    assert len({" ".join(row[-8:-3]) for row in rows}) > len(QUANTIZERS)
    check_width(result.stdout.partition("Constants")[0])
    assert "Cycles: estimated by the cost model, not measured" in result.stdout
    assert re.search(
        r"^Next: mcuquant compile \S+ --calibration \S+ --weights \S+ --weight-bits [82]$", result.stdout, re.M
    )


def test_quantizers_wants_a_float_network_and_as_many_classes_as_samples(files: Files, tmp_path: Path) -> None:
    check_fails(
        mcuquant("quantizers", files.tflite, "--calibration", files.calibration),
        2,
        f"{files.tflite} is quantized already: its weights are integers",
    )
    np.savez(tmp_path / "t.npz", x=np.load(files.calibration)["x"], y=np.zeros(3))
    check_fails(
        mcuquant("quantizers", files.pt2, "--calibration", files.calibration, "--data", tmp_path / "t.npz"),
        1,
        "there are 40 samples and classes of float64 and shape (3,); expected 40 class numbers, one for each sample",
    )


def test_quantizers_refuses_labels_that_are_no_classes_and_names_the_test_data(files: Files, tmp_path: Path) -> None:
    x, test = np.load(files.calibration)["x"], tmp_path / "t.npz"
    graph = flow.load(files.pt2)
    classes = graph[graph.outputs[0]].elements
    for y, range_ in ((np.arange(40) % classes + 1, f"1 to {classes}"), (np.full(40, -1), "-1 to -1")):
        text = f"labels of the test data are from {range_}, but the network has {classes} outputs: "
        np.savez(test, x=x, y=y)
        result = mcuquant("quantizers", files.pt2, "--calibration", files.calibration, "--data", test)
        assert result.exit_code == 1
        assert result.stderr.startswith(f"Error: {text}")
    np.savez(test, x=x[:0], y=np.zeros(0, int))
    result = mcuquant("quantizers", files.pt2, "--calibration", files.calibration, "--data", test)
    assert result.stderr.startswith("Error: test data 'input' has shape (0, ")


class Sum(torch.nn.Module):
    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return torch.relu(left) + right


def test_compile_takes_calibration_by_the_names_of_inputs_and_bytes(tmp_path: Path) -> None:
    example = (torch.zeros(1, 4), torch.zeros(1, 4))
    torch.export.save(torch.export.export(Sum(), example), tmp_path / "sum.pt2")
    rng = np.random.default_rng(0)
    left, right = (rng.integers(0, 256, (20, 4)).astype(np.uint8) for _ in range(2))
    np.savez(tmp_path / "x.npz", right=right, left=left)
    options = ("--calibration", tmp_path / "x.npz", "--no-build", "--snr", "-o", tmp_path / "net")
    result = mcuquant("compile", tmp_path / "sum.pt2", *options, "--scaling", "1/127.5,-1")
    assert result.exit_code == 0, result.output
    graph = flow.network_of(tmp_path / "net")
    assert [graph[i].scale for i in graph.inputs] == pytest.approx([2 / 255] * 2, rel=0.05)
    np.savez(tmp_path / "x.npz", left=left)
    check_fails(
        mcuquant("compile", tmp_path / "sum.pt2", *options, "--scaling", "1/255"),
        1,
        f"{tmp_path / 'x.npz'} holds no array 'right', it holds 'left'; write it with numpy.savez(file, left=left, "
        "right=right)",
    )
    check_fails(
        mcuquant("compile", tmp_path / "sum.pt2", *options, "--scaling", "half"),
        2,
        "--scaling 'half': expected FACTOR or FACTOR,OFFSET, such as 1/127.5,-1",
    )


def test_compile_wants_calibration_for_a_float_network(files: Files, tmp_path: Path) -> None:
    check_fails(
        mcuquant("compile", files.pt2, "-o", tmp_path / "net"),
        2,
        f"{files.pt2} is a float network: add --calibration X.npz, typical inputs as array x",
    )
    assert list(tmp_path.iterdir()) == []


def test_compile_wants_no_calibration_for_a_quantized_network(files: Files, tmp_path: Path) -> None:
    check_fails(
        mcuquant("compile", files.tflite, "--calibration", files.calibration, "-o", tmp_path / "net"),
        2,
        f"{files.tflite} is already quantized: leave --calibration out",
    )


def test_compile_looks_for_the_board_first(files: Files, tmp_path: Path) -> None:
    result = mcuquant("compile", files.pt2, "--board", "qemu-mps2-an387", "-o", tmp_path / "net")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: board 'qemu-mps2-an387' is not known")
    assert list(tmp_path.iterdir()) == []


def test_compile_refuses_a_folder_that_is_not_ours(files: Files, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    check_fails(
        mcuquant("compile", files.tflite, "-o", tmp_path),
        1,
        f"{tmp_path} exists and is not a project of mcuquant (no manifest.json in it); "
        "choose another folder with -o, or remove it",
    )
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_compile_takes_the_place_of_an_older_project(files: Files, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert mcuquant("compile", files.tflite, "--name", name, "-o", tmp_path / "n", "--no-build").exit_code == 0
    assert sorted(p.name for p in (tmp_path / "n" / "src").glob("mq_*o.h")) == ["mq_two.h"]
    assert [p.name for p in tmp_path.iterdir()] == ["n"]


@pytest.mark.parametrize("spoil", ["nan", "shape", "empty"])
def test_compile_refuses_calibration_it_cannot_use(files: Files, tmp_path: Path, spoil: str) -> None:
    x = np.zeros((4, *SHAPE), np.float32)
    x = {"nan": np.where(x == 0, np.nan, x), "shape": x[:, :2], "empty": x[:0]}[spoil]
    np.savez(tmp_path / "bad.npz", x=x)
    result = mcuquant("compile", files.pt2, "--calibration", tmp_path / "bad.npz", "-o", tmp_path / "net")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["bad.npz"]


def test_compile_refuses_a_file_that_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.touch()
    check_fails(
        mcuquant("compile", path, "-o", tmp_path / "net"),
        1,
        f"{path}: models end in .pt2 (torch.export.save), .tflite or .mq, found '.onnx'",
    )


def test_inspect_shows_a_model_before_anything_is_built(files: Files) -> None:
    result = mcuquant("inspect", files.pt2)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "Sequential: float, 285 parameters, 672 MACs; for qemu-mps2-an386"
    assert re.search(r"^arena: \d+ B \(planned, as int8\)$", result.stdout, re.MULTILINE)
    assert re.search(r"^constants: [\d,]+ B \(planned, without code, as int8\)$", result.stdout, re.MULTILINE)
    assert lines[-1] == f"Next: mcuquant compile {files.pt2} --calibration X.npz -o build/net"
    check_width("\n".join(lines[:-1]))


def test_inspect_plans_the_same_from_the_float_and_the_int8_network(files: Files) -> None:
    both = [json.loads(mcuquant("inspect", f, "--json", "-").stdout) for f in (files.pt2, files.tflite)]
    sizes = [{k: facts[k] for k in ("parameters", "macs", "arena_bytes", "constant_bytes")} for facts in both]
    assert sizes[0] == sizes[1]


def test_inspect_prints_the_graph(files: Files) -> None:
    assert mcuquant("inspect", files.tflite, "--graph").stdout == f"{flow.load(files.tflite)}\n"


def test_inspect_takes_no_board_for_a_project(files: Files, tmp_path: Path) -> None:
    check_fails(
        mcuquant("inspect", tmp_path, "--board", "qemu-mps2-an386"),
        2,
        f"{tmp_path} was compiled for a board: leave --board out",
    )


def test_a_folder_that_is_no_project_is_refused(tmp_path: Path) -> None:
    check_fails(
        mcuquant("bench", tmp_path),
        1,
        f"{tmp_path} is not a compiled project (no readable manifest.json); "
        f"make one: mcuquant compile MODEL -o {tmp_path}",
    )


def test_run_on_the_host_needs_no_port(files: Files, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros(1))
    check_fails(
        mcuquant("run", tmp_path, "--inputs", tmp_path / "x.npy", "--outputs", "y", "--host", "--port", "p"),
        2,
        "--host runs on this machine: leave --port out",
    )


@pytest.mark.emulator
def test_compile_says_how_much_memory_is_used(files: Files, tmp_path: Path) -> None:
    result = mcuquant("compile", files.tflite, "-o", tmp_path / "net")
    assert re.search(r"^flash +[\d,]+ B +4,194,304 B +\d\.\d %$", result.stdout, re.MULTILINE)
    assert re.search(r"^RAM +[\d,]+ B +4,194,304 B +\d\.\d %$", result.stdout, re.MULTILINE)
    assert re.search(r"^  arena +[\d,]+ B", result.stdout, re.MULTILINE)
    assert f"Next: mcuquant bench {tmp_path}/net\n" in result.stdout
