"""Where a plan joins convolutions with their pooling, what that brings, and that all which is told of it is right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from graphs import random_inputs, random_network
from harness import assert_equal, compile_host
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_replay import replay
from pool_graphs import classic

from mcuquant import flow
from mcuquant.arithmetic import interpreter
from mcuquant.boards.board import load_board
from mcuquant.boards.core import CORES
from mcuquant.cli import main
from mcuquant.codegen.lower import lower
from mcuquant.errors import GraphError
from mcuquant.ir import Graph, Level
from mcuquant.ir.ops import Conv2D, ConvPool, MaxPool2D
from mcuquant.ir.verify import verify
from mcuquant.passes.fuse_pool import fuse_pool
from mcuquant.planner import Goal, Limits, Plan, plan
from mcuquant.planner.objective import Objective
from mcuquant.planner.options import every
from mcuquant.planner.plan_search import candidates
from mcuquant.reporting.describe import describe
from mcuquant.reporting.details import details_of
from mcuquant.testing.differ import Oracle

M4 = CORES["cortex-m4"]
BOARD = load_board("qemu-mps2-an386")


def network(*outputs: int) -> Graph:
    return classic(np.random.default_rng(1), outputs=outputs or (16, 32))


def separate(graph: Graph) -> Plan:
    """The plan without joined pairs."""
    goal = Goal(Objective.BALANCED)
    choice = candidates(graph, M4, goal, every)
    return choice.best(goal, choice.quickest.cycles)


def kinds(found: Plan) -> list[str]:
    return [found.graph.ops[step.op_index].kind for step in found.steps]


def test_a_classic_network_takes_less_than_half_the_arena() -> None:
    graph = network()
    plain, found = separate(graph), plan(graph, M4, Goal(Objective.BALANCED))
    speed = plan(graph, M4)
    assert kinds(found) == ["Conv2D+MaxPool2D", "Conv2D+MaxPool2D", "FullyConnected"]
    assert found.arena_bytes < 0.45 * plain.arena_bytes
    assert speed.cycles < found.cycles <= 1.25 * speed.cycles


def test_speed_joins_nothing_unless_memory_is_short() -> None:
    graph = network()
    speed = plan(graph, M4)
    assert kinds(speed) == ["Conv2D", "MaxPool2D", "Conv2D", "MaxPool2D", "FullyConnected"]
    for objective in Objective:
        found = plan(graph, M4, Goal(objective, Limits(arena_bytes=6000)))
        assert found.arena_bytes <= 6000
        assert "Conv2D+MaxPool2D" in kinds(found)
    roomy = plan(graph, M4, Goal(Objective.SPEED, board_limits=Limits(arena_bytes=10_000)))
    assert roomy.arena_bytes <= 10_000
    assert roomy.cycles < plan(graph, M4, Goal(Objective.SPEED, Limits(arena_bytes=6000))).cycles


def test_speed_joins_what_is_faster_joined() -> None:
    """Rows that the pooling leaves out are not computed."""
    graph = random_network(np.random.default_rng(124))
    speed, balanced = plan(graph, M4), plan(graph, M4, Goal(Objective.BALANCED))
    assert kinds(speed)[0] == "DepthwiseConv2D+AvgPool2D"
    assert speed.cycles <= balanced.cycles


def test_pairs_that_fit_below_the_arena_stay_two_steps() -> None:
    """The third image is small, whatever is done with it."""
    found = plan(network(16, 8, 8), M4, Goal(Objective.SPEED, Limits(arena_bytes=6000)))
    assert kinds(found)[0] == "Conv2D+MaxPool2D"
    assert kinds(found)[-3:] == ["Conv2D", "MaxPool2D", "FullyConnected"]


def test_a_network_of_many_pairs_is_planned_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcuquant.planner.pairs._MOST_PAIRS", 1)
    assert not any("+" in kind for kind in kinds(plan(network(), M4, Goal(Objective.BALANCED))))


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10_000), st.integers(5, 30))
def test_nothing_alive_is_overwritten(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    graph = classic(rng, size, tuple(int(n) for n in rng.integers(1, 12, 2)))
    found, inputs = plan(graph, M4, Goal(Objective.BALANCED)), random_inputs(rng, graph)
    assert [y.tobytes() for y in replay(graph, found, inputs)] == [y.tobytes() for y in interpreter.run(graph, inputs)]


@pytest.mark.parametrize("objective", Objective)
def test_the_program_equals_the_interpreter(objective: Objective, tmp_path: Path) -> None:
    """Of the network as it came, whose pooled images it does not have; kernels of other steps are shared."""
    graphs = [network(4, 4), network()]
    limits = [Limits(arena_bytes=3000), Limits(arena_bytes=6000)]
    plans = [plan(graph, M4, Goal(objective, some)) for graph, some in zip(graphs, limits, strict=True)]
    assert all("Conv2D+MaxPool2D" in kinds(found) for found in plans)
    programs = tuple(lower(found, f"m{i}") for i, found in enumerate(plans))
    runner = compile_host(graphs, programs, tmp_path)
    for i, graph in enumerate(graphs):
        sample = random_inputs(np.random.default_rng(i), graph)
        assert_equal(f"network {i}", graph, runner.run(i, sample)[0], sample)


def test_what_is_told_of_it() -> None:
    """`inspect` and the report speak of the layers of the network, and of steps."""
    graph = network()
    facts = describe(graph, BOARD)
    assert [layer["op"] for layer in facts["layers"]] == [op.kind for op in graph.ops]
    assert [(row["layer"], row["op"]) for row in facts["kernels"]] == [
        (1, "Conv2D+MaxPool2D"),
        (3, "Conv2D+MaxPool2D"),
        (4, "FullyConnected"),
    ]
    found = plan(graph, M4, Goal(Objective.BALANCED))
    details = details_of(graph, found, source=graph)
    assert [place.name for place in details.places if place.kind == "activation"] == [
        graph.out(graph.ops[i]).name for i in (1, 3)
    ]
    assert [(w.step, w.op, w.source is not None) for w in details.weights] == [
        (0, "Conv2D+MaxPool2D", True),
        (1, "Conv2D+MaxPool2D", True),
        (2, "FullyConnected", True),
    ]
    pair = found.graph.ops[0]
    text = f"  %{pair.output} = Conv2D+MaxPool2D(conv=(%{pair.inner[0]} = Conv2D(stride="
    assert str(found.graph).splitlines()[-3].startswith(text)


def test_a_pair_whose_parts_are_not_joined_is_refused() -> None:
    graph = fuse_pool(network(), lambda _: True)
    pair = graph.ops[0]
    assert isinstance(pair, ConvPool)
    assert verify(graph, Level.LOWERABLE) is graph
    other = ConvPool(inputs=pair.inputs, outputs=pair.outputs, conv=pair.conv, pool=graph.ops[1].pool)  # type: ignore[attr-defined]
    with pytest.raises(GraphError) as caught:
        verify(graph.with_(ops=(other, *graph.ops[1:])), Level.LOWERABLE)
    found, expected = (pair.inputs, other.pool.inputs, pair.outputs), (pair.inputs, pair.inner, other.pool.outputs)
    assert str(caught.value) == (
        f"graph 'classic': operation 0 (Conv2D+MaxPool2D): its tensors are {found}, "
        f"expected {expected} as its two parts have them"
    )


@pytest.mark.emulator
def test_a_compiled_project(tmp_path: Path) -> None:
    """The board's answers and steps, layer by layer; model.tflite has the two operations."""
    graph, folder = network(), tmp_path / "net"
    project = flow.compile(graph, output=folder)
    assert [layer["op"] for layer in project.manifest["layers"]][:1] == ["Conv2D+MaxPool2D"]
    again = flow.network_of(folder)
    assert [type(op) for op in again.ops[:2]] == [Conv2D, MaxPool2D]
    assert Oracle.of(project).tensors == tuple(again.ops[i].output for i in (1, 3, 4))
    result = CliRunner().invoke(main, ["validate", str(folder), "--layers"])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(
        "All 3 steps on qemu-mps2-an386 equal the interpreter's, over 3 samples.\n"
        "2 of them are a convolution joined with its pooling: the board never holds the whole tensor between the two.\n"
    )
