"""A network of two inputs and three outputs of different types, through every part of the path."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import layers
import numpy as np
import pytest
import tflm
from click.testing import CliRunner, Result
from nets import Net, random_inputs

import mcuquant as mq
from mcuquant import flow
from mcuquant.arithmetic import interpreter
from mcuquant.boards.board import load_board
from mcuquant.cli import main
from mcuquant.codegen import emit
from mcuquant.device.wire import TensorInfo, seeded_input
from mcuquant.errors import CalibrationError, DeviceError
from mcuquant.firmware_build.build import write
from mcuquant.ir import Array, DType, Graph
from mcuquant.ir.ops import Add
from mcuquant.project.project import Project
from mcuquant.tflite.writer.to_tflite import to_tflite

SAMPLES = 7
OUTPUTS = (DType.INT8, DType.INT16, DType.FLOAT32)


def make() -> Graph:
    net = Net(np.random.default_rng(11))
    image, other = net.input((1, 6, 5, 3)), net.input((1, 6, 5, 4))
    x = layers.conv2d(net, image, outputs=4, pointwise=True)
    scores = layers.fully_connected(net, x, outputs=5)
    y = layers.depthwise(net, other)
    wide = layers.quantize(net, layers.fully_connected(net, y, outputs=6), DType.INT16)
    both = layers.binary(net, layers.fully_connected(net, y, outputs=5), Add, scores)
    return net.graph(scores, wide, layers.dequantize(net, both), name="ends")


def inputs() -> tuple[Array, ...]:
    rng, graph = np.random.default_rng(12), make()
    rows = [random_inputs(rng, graph) for _ in range(SAMPLES)]
    return tuple(np.concatenate(column) for column in zip(*rows, strict=True))


def expected(graph: Graph, arrays: tuple[Array, ...]) -> list[Array]:
    rows = [interpreter.run(graph, [x[i : i + 1] for x in arrays]) for i in range(len(arrays[0]))]
    return [np.concatenate(column) for column in zip(*rows, strict=True)]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return mq.compile(make(), output=tmp_path_factory.mktemp("ends") / "net", name="ends")


def command(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments], prog_name="mcuquant")


def same(found: tuple[Array, ...], right: list[Array]) -> bool:
    return [(y.dtype, y.shape, y.tobytes()) for y in found] == [(y.dtype, y.shape, y.tobytes()) for y in right]


def test_the_interpreter_answers_as_tensorflow_lite_micro() -> None:
    graph, arrays = make(), inputs()
    for i in range(SAMPLES):
        sample = [x[i : i + 1] for x in arrays]
        theirs = tflm.run(to_tflite(graph), sample, 3)
        assert same(tuple(interpreter.run(graph, sample)), theirs)


def test_outputs_are_of_three_types_and_not_constant() -> None:
    right = expected(make(), inputs())
    assert [y.dtype for y in right] == [dtype.numpy for dtype in OUTPUTS]
    assert all(len(np.unique(y, axis=0)) > 1 for y in right)


def test_the_file_that_is_written_says_the_same() -> None:
    graph, arrays = make(), inputs()
    assert same(tuple(expected(flow.from_tflite(to_tflite(graph)), arrays)), expected(graph, arrays))


@pytest.mark.emulator
def test_ports_are_those_of_the_network(project: Project) -> None:
    assert [p.shape for p in project.inputs] == [(1, 6, 5, 3), (1, 6, 5, 4)]
    assert [(p.shape, p.dtype) for p in project.outputs] == [
        ((1, 5), OUTPUTS[0]),
        ((1, 6), OUTPUTS[1]),
        ((1, 5), OUTPUTS[2]),
    ]
    assert Project.open(project.directory).outputs == project.outputs


@pytest.mark.emulator
def test_the_board_and_this_computer_answer_alike(project: Project) -> None:
    arrays = inputs()
    right = expected(make(), arrays)
    assert same(project.run_host(*arrays, sanitize=True), right)
    with project.connect() as dut:
        found = dut.run(*arrays)
        assert isinstance(found, tuple)
        assert same(found, right)


@pytest.mark.emulator
def test_the_dialogue_carries_all_of_them(project: Project) -> None:
    with project.connect() as dut:
        info = dut.info
        assert info.inputs == (TensorInfo("int8", 90), TensorInfo("int8", 120))
        assert info.outputs == (TensorInfo("int8", 5), TensorInfo("int16", 12), TensorInfo("float32", 20))
        data = dut.link.seed(3)
        assert data == seeded_input(3, info.inputs)
        x = [
            np.frombuffer(data[:90], np.int8).reshape(1, 6, 5, 3),
            np.frombuffer(data[90:], np.int8).reshape(1, 6, 5, 4),
        ]
        run = dut.link.run()
        assert run.outputs == tuple(y.tobytes() for y in interpreter.run(make(), x))
        steps = dut.steps(*x)
        assert steps[-1].dtype == np.float32
        assert steps[-1].tobytes() == run.outputs[2]
        with pytest.raises(DeviceError, match=r"takes inputs of \[90, 120\] bytes, found \[90\]"):
            dut.link.load([data[:90]])


@pytest.mark.emulator
def test_bench_measures_it(project: Project) -> None:
    with project.connect() as dut:
        measured = dut.bench()
    assert [row.layer.op for row in measured.layers].count("FullyConnected") == 3
    assert sum(row.count for row in measured.layers) > 0


@pytest.mark.emulator
@pytest.mark.parametrize("where", [(), ("--host",)])
def test_the_command_run_reads_and_writes_them_by_name(
    project: Project, tmp_path: Path, where: tuple[str, ...]
) -> None:
    arrays = inputs()
    np.savez(tmp_path / "x.npz", **{p.name: x for p, x in zip(project.inputs, arrays, strict=True)})
    result = command("run", project.directory, "--inputs", tmp_path / "x.npz", "--outputs", tmp_path / "y.npz", *where)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"Wrote {tmp_path}/y.npz: int8 7x5, int16 7x6, float32 7x5.\n")
    with np.load(tmp_path / "y.npz") as held:
        assert same(tuple(held[p.name] for p in project.outputs), expected(make(), arrays))


@pytest.mark.emulator
def test_the_command_validate_takes_them_by_name(project: Project, tmp_path: Path) -> None:
    """One as stored, one as real numbers; the class is the largest of the first output."""
    arrays = inputs()
    first, second = project.inputs
    classes = expected(make(), arrays)[0].argmax(axis=1)
    classes[0] = (classes[0] + 1) % 5
    held = {first.name: arrays[0], second.name: second.dequantize(arrays[1]), "y": classes}
    np.savez(tmp_path / "test.npz", **held)
    result = command("validate", project.directory, "--data", tmp_path / "test.npz")
    assert result.stdout == (
        "Accuracy on qemu-mps2-an386: 85.7 % (6 of 7).\n"
        "All 259 bytes equal those of the same C on this machine.\n"
        f"\nNext: mcuquant bench {project.directory}\n"
    )
    result = command("validate", project.directory, "--layers", "--data", tmp_path / "test.npz")
    assert result.exit_code == 0, result.output
    del held[second.name]
    np.savez(tmp_path / "less.npz", **held)
    result = command("validate", project.directory, "--data", tmp_path / "less.npz")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {tmp_path}/less.npz holds no array {second.name!r}, it holds ")


@pytest.mark.emulator
def test_what_does_not_fit_together_is_refused(project: Project) -> None:
    first, second = inputs()
    with pytest.raises(CalibrationError) as caught:
        project.run_host(first)
    assert str(caught.value) == "the network has 2 inputs, 1 arrays were given"
    with pytest.raises(CalibrationError) as caught:
        project.run_host(first, second[:2])
    assert str(caught.value) == "the inputs hold different numbers of samples: [2, 7]"


PROGRAM = """
#include <stdio.h>
#include "mq_ends.h"

static _Alignas(MQ_ENDS_ARENA_ALIGNMENT) uint8_t arena[MQ_ENDS_ARENA_BYTES];

int main(void)
{
    if (fread(mq_ends_input(arena, 0), 1, 90, stdin) != 90 || fread(mq_ends_input(arena, 1), 1, 120, stdin) != 120) {
        return 1;
    }
    mq_ends_run(arena);
    fwrite(mq_ends_output(arena, 0), 1, 5, stdout);
    fwrite(mq_ends_output(arena, 1), 2, 6, stdout);
    fwrite(mq_ends_output(arena, 2), 4, 5, stdout);
    return 0;
}
"""


def test_a_program_of_one_s_own_reaches_each_of_them(tmp_path: Path) -> None:
    """The C interface of the generated library."""
    board = load_board("qemu-mps2-an386")
    _, program = flow.to_program(make(), board, "ends")
    write({**emit.emit_library(program, board).files, "src/main.c": PROGRAM}, tmp_path)
    sources = [str(path) for path in (tmp_path / "src").glob("*.c")]
    flags = ["-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Werror", f"-I{tmp_path}/src"]
    subprocess.run(["gcc", *flags, *sources, "-o", tmp_path / "own"], check=True)
    sample = [x[:1] for x in inputs()]
    done = subprocess.run(
        [tmp_path / "own"], input=b"".join(x.tobytes() for x in sample), capture_output=True, check=True
    )
    assert done.stdout == b"".join(y.tobytes() for y in interpreter.run(make(), sample))


def test_inspect_shows_both_inputs(tmp_path: Path) -> None:
    path = tmp_path / "ends.tflite"
    path.write_bytes(to_tflite(make()))
    facts = json.loads(command("inspect", path, "--json", "-").stdout)
    assert [row["layer"] for row in facts["quantization"][:3]] == [None, None, 0]
    assert facts["layers"][-1]["dtype"] == "float32"
