"""A network with memory as firmware: what its commands say, and that board, host and interpreter agree on streams."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import state_graphs
from click.testing import CliRunner
from stream_graphs import valid_network

import mcuquant as mq
from mcuquant.arithmetic import interpreter
from mcuquant.cli.app import main
from mcuquant.ir import Array, Graph
from mcuquant.ir.metrics import total_macs
from mcuquant.project.project import Project


@pytest.fixture(scope="module")
def graph() -> Graph:
    return state_graphs.stream(np.random.default_rng(3))


@pytest.fixture(scope="module")
def project(graph: Graph, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return mq.compile(graph, "qemu-mps2-an386", tmp_path_factory.mktemp("state") / "net")


@pytest.fixture(scope="module")
def x(graph: Graph) -> Array:
    return np.random.default_rng(0).integers(-128, 128, (6, *graph[graph.inputs[0]].shape[1:])).astype(np.int8)


def streamed(graph: Graph, x: Array) -> Array:
    state = interpreter.reset_state(graph)
    return np.concatenate([interpreter.run(graph, [x[i : i + 1]], state)[0] for i in range(len(x))])


def told(*arguments: object) -> str:
    done = CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


def ran(project: Project, x: Array, folder: Path, *options: str) -> Array:
    np.save(folder / "x.npy", x)
    told("run", project.directory, "--inputs", folder / "x.npy", "--outputs", folder / "y.npy", *options)
    return np.load(folder / "y.npy")  # type: ignore[no-any-return]


def test_the_manifest_counts_state_beside_the_arena(graph: Graph, project: Project) -> None:
    assert project.manifest["state_bytes"] == project.state_bytes >= sum(t.nbytes for t in graph.states)


@pytest.mark.emulator
@pytest.mark.parametrize("where", [[], ["--host"]])
def test_run_keeps_the_state_from_sample_to_sample(
    graph: Graph, project: Project, x: Array, where: list[str], tmp_path: Path
) -> None:
    assert np.array_equal(ran(project, x, tmp_path, *where), streamed(graph, x))
    each = np.concatenate([streamed(graph, x[i : i + 1]) for i in range(len(x))])
    assert np.array_equal(ran(project, x, tmp_path, "--reset-each", *where), each)


@pytest.mark.emulator
def test_layers_are_compared_over_a_stream(graph: Graph, project: Project) -> None:
    told_text = told("validate", project.directory, "--layers")
    assert "steps on qemu-mps2-an386 equal the interpreter's, over 3 samples." in told_text
    assert f"The state ({project.state_bytes:,} bytes) lived on from sample to sample." in told_text


@pytest.mark.emulator
def test_the_board_goes_on_until_it_is_reset(graph: Graph, project: Project, x: Array) -> None:
    expected = streamed(graph, x)
    with project.connect() as dut:
        assert dut.info.state_bytes == project.state_bytes
        first, second = dut.run(x[:2]), dut.run(x[2:])
        assert np.array_equal(np.concatenate([first, second]), expected)
        assert "The state is reset before each inference that is timed" in str(dut.bench())
        dut.reset_state()
        assert np.array_equal(dut.run(x), expected)


def test_compile_makes_a_stream_of_a_network_of_windows(tmp_path: Path) -> None:
    window = valid_network()
    mq.save(window, tmp_path / "valid.mq")
    said = told("compile", tmp_path / "valid.mq", "--stream", 1, "--hop", 2, "--no-build", "-o", tmp_path / "net")
    assert "A stream of 2 new rows at a time" in said
    assert "once 12 rows have come; before, zeros stand for those that are missing." in said
    project = Project.open(tmp_path / "net")
    macs = {"macs_of_window": total_macs(window)}
    assert project.manifest["stream"] == {"axis": 1, "hop": 2, "warm_up_rows": 12, **macs}
    x = np.random.default_rng(0).integers(-128, 128, (8, 2, 1, 4)).astype(np.int8)
    rows = np.concatenate([np.full((12, 1, 4), window[window.inputs[0]].zero_point, np.int8), *x])
    windows = [rows[2 * i + 2 : 2 * i + 14][None] for i in range(8)]
    expected = np.concatenate([interpreter.run(window, [w])[0] for w in windows])
    assert np.array_equal(project.run_host(x)[0], expected)


def test_a_hop_without_a_stream_is_wrong_usage(tmp_path: Path) -> None:
    mq.save(valid_network(), tmp_path / "valid.mq")
    done = CliRunner().invoke(main, ["compile", str(tmp_path / "valid.mq"), "--hop", "2", "-o", str(tmp_path / "net")])
    assert done.exit_code == 2
    assert "--hop is the number of new rows of a stream: add --stream AXIS" in done.output


def test_a_hop_of_0_is_no_hop_of_1(tmp_path: Path) -> None:
    mq.save(valid_network(), tmp_path / "valid.mq")
    arguments = ["compile", str(tmp_path / "valid.mq"), "--stream", "1", "--hop", "0", "-o", str(tmp_path / "net")]
    done = CliRunner().invoke(main, arguments)
    assert (done.exit_code, done.stderr) == (1, "Error: valid: 0 new rows of 12 at a time; expected 1 to 11\n")
