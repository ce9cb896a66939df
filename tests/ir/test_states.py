"""What is kept between inferences, in the graph: its rules, its file, and what passes leave of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import state_graphs

from mcuquant.arithmetic import interpreter
from mcuquant.errors import GraphError
from mcuquant.ir import Graph, Level, QParams, Role, Update, serialize
from mcuquant.ir.verify import verify
from mcuquant.passes import run_passes
from mcuquant.passes.shrink import shrink


@pytest.fixture
def graph() -> Graph:
    return state_graphs.deep(np.random.default_rng(0))


def complaint(graph: Graph) -> str:
    with pytest.raises(GraphError) as caught:
        verify(graph, Level.LOWERABLE)
    return str(caught.value)


def test_rules(graph: Graph) -> None:
    x, first, second, moved, y = graph.tensors
    verify(graph, Level.LOWERABLE)
    assert complaint(replace(graph, updates=graph.updates[:1])) == (
        "graph 'deep': tensor 2 ('state_2') is a state and has no update"
    )
    twice = (*graph.updates, Update(first, moved))
    assert complaint(replace(graph, updates=twice)) == "graph 'deep': state 1 is updated 2 times"
    assert complaint(replace(graph, updates=(Update(first, x), Update(second, first)))) == (
        "graph 'deep': tensor 1 ('state_1'), the next value of tensor 2 ('state_2'), has role state, "
        "expected an activation"
    )
    assert complaint(replace(graph, updates=(*graph.updates, Update(moved, y)))) == (
        "graph 'deep': tensor 3 ('activation_3') is updated and has role activation, expected state"
    )
    assert complaint(replace(graph, outputs=(y, first))) == (
        "graph 'deep': output 1 is a state, expected what an operation writes"
    )
    other = {**graph.tensors, moved: replace(graph[moved], q=QParams.of(0.5))}
    assert complaint(replace(graph, tensors=other)).startswith("graph 'deep': tensor 3 ('activation_3') has q QParams(")
    lost = (Update(first, x), Update(second, 9))
    assert (
        complaint(replace(graph, updates=lost)) == "graph 'deep': an update names tensor 9, which is not in the table"
    )


def test_a_file_keeps_states() -> None:
    for name, graph in state_graphs.every().items():
        back = serialize.from_bytes(serialize.to_bytes(graph), "x.mq")
        assert str(back) == str(graph), name
        assert back.updates == graph.updates


def test_state_lives_on_and_begins_anew(graph: Graph) -> None:
    rng = np.random.default_rng(1)
    xs = [rng.integers(-128, 128, (1, 3)).astype(np.int8) for _ in range(3)]
    state = interpreter.reset_state(graph)
    streamed = [interpreter.run(graph, [x], state)[0] for x in xs]
    zero = np.full((1, 3), graph[0].zero_point, np.int8)
    inputs = [zero, zero, *xs]
    first, second = (u.state for u in graph.updates)
    expected = [interpreter.run(graph, [xs[0]], {first: inputs[t + 1], second: inputs[t]})[0] for t in range(3)]
    assert np.array_equal(streamed, expected)
    assert np.array_equal(interpreter.run(graph, [xs[0]])[0], streamed[0])


def test_passes_keep_what_a_state_becomes() -> None:
    for name, graph in state_graphs.every().items():
        tidy = shrink(run_passes(graph))
        assert [tidy[u.state].role for u in tidy.updates] == [Role.STATE] * len(graph.updates), name
        states, rng = [interpreter.reset_state(g) for g in (graph, tidy)], np.random.default_rng(5)
        for _ in range(4):
            t = graph[graph.inputs[0]]
            x = rng.integers(*t.dtype.range(), t.shape).astype(t.dtype.numpy)
            before, after = (interpreter.run(g, [x], s) for g, s in zip((graph, tidy), states, strict=True))
            assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True)), name
