"""Placing buffers, and that a planned arena never loses a byte that is still to be read."""

from __future__ import annotations

from itertools import combinations

import graphs
import more_graphs
import numpy as np
import pytest
from graphs import random_inputs, random_network
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_replay import replay

from mcuquant.arithmetic import interpreter
from mcuquant.boards.core import CORES
from mcuquant.ir import Graph
from mcuquant.ir.ops import Reshape
from mcuquant.planner import ARENA_ALIGNMENT, plan
from mcuquant.planner.allocator import Buffer, Offsets, Overlap, align, lower_bound, peak, place

GENERATORS = graphs.GENERATORS | more_graphs.GENERATORS
SEEDS = st.integers(0, 10_000)


@st.composite
def buffers(draw: st.DrawFn) -> list[Buffer]:
    spans = draw(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 5), st.integers(1, 300)), max_size=14))
    alignments = draw(st.lists(st.sampled_from([4, 8, 16]), min_size=len(spans), max_size=len(spans)))
    rows = zip(spans, alignments, strict=True)
    return [Buffer(f"b{i}", nbytes, start, start + length, a) for i, ((start, length, nbytes), a) in enumerate(rows)]


@st.composite
def chains(draw: st.DrawFn) -> tuple[list[Buffer], list[Overlap]]:
    """Buffers, and overlaps between those that end where another begins."""
    made = draw(buffers())
    pairs = [(a, b) for a in made for b in made if a is not b and a.end == b.start and a.start < b.start]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    return made, [Overlap(a.key, b.key, draw(st.integers(-400, 400)), draw(st.booleans())) for a, b in chosen]


def _disjoint(a: Buffer, b: Buffer, at: Offsets) -> bool:
    return at[a.key] + a.nbytes <= at[b.key] or at[b.key] + b.nbytes <= at[a.key]


@settings(deadline=None, max_examples=200)
@given(buffers())
def test_buffers_alive_together_share_no_byte(made: list[Buffer]) -> None:
    at = place(made)
    assert all(_disjoint(a, b, at) for a, b in combinations(made, 2) if a.meets(b))
    assert all(at[b.key] >= 0 and at[b.key] % b.alignment == 0 for b in made)
    assert lower_bound(made) <= peak(made, at) <= sum(align(b.nbytes, b.alignment) + b.alignment for b in made)


@settings(deadline=None, max_examples=200)
@given(chains())
def test_overlaps_are_kept(made: tuple[list[Buffer], list[Overlap]]) -> None:
    """Buffers that share bytes have an overlap, and the reader begins as far after the writer as it says."""
    all_buffers, overlaps = made
    at = place(all_buffers, overlaps)
    allowed = {(overlap.reader, overlap.writer): overlap for overlap in overlaps}
    for a, b in combinations(all_buffers, 2):
        if a.meets(b) and not _disjoint(a, b, at):
            overlap = allowed.get((a.key, b.key)) or allowed[b.key, a.key]
            distance = at[overlap.reader] - at[overlap.writer]
            assert distance == overlap.nbytes if overlap.is_exact else distance >= overlap.nbytes
    assert all(at[b.key] >= 0 and at[b.key] % b.alignment == 0 for b in all_buffers)


@settings(deadline=None, max_examples=50)
@given(chains())
def test_placing_is_repeatable(made: tuple[list[Buffer], list[Overlap]]) -> None:
    assert place(*made) == place(*made)


def test_a_chain_of_equal_buffers_needs_two_places() -> None:
    made = [Buffer(f"b{i}", 100, i, i + 1) for i in range(6)]
    assert peak(made, place(made)) == lower_bound(made) == 200


@pytest.mark.parametrize("is_exact", [False, True])
def test_a_chain_in_place_needs_one(is_exact: bool) -> None:
    made = [Buffer(f"b{i}", 100, i, i + 1) for i in range(6)]
    overlaps = [Overlap(f"b{i}", f"b{i + 1}", 0, is_exact) for i in range(5)]
    assert peak(made, place(made, overlaps)) == 100


def check_replay(graph: Graph, cpu: str, seed: int) -> None:
    planned = plan(graph, CORES[cpu])
    inputs = random_inputs(np.random.default_rng(seed), graph)
    found, expected = replay(graph, planned, inputs), interpreter.run(graph, inputs)
    assert [y.tobytes() for y in found] == [y.tobytes() for y in expected]


@pytest.mark.parametrize("cpu", ["cortex-m0plus", "cortex-m4", "cortex-m55"])
@settings(deadline=None, max_examples=20)
@given(seed=SEEDS)
def test_nothing_alive_is_overwritten(cpu: str, seed: int) -> None:
    check_replay(random_network(np.random.default_rng(seed)), cpu, seed)


@pytest.mark.parametrize("name", GENERATORS)
def test_nothing_alive_is_overwritten_in_one_layer(name: str) -> None:
    check_replay(GENERATORS[name](np.random.default_rng(3)), "cortex-m4", 3)


@settings(deadline=None, max_examples=20)
@given(seed=SEEDS)
def test_the_plan_is_whole(seed: int) -> None:
    """Every operation but reshapes has a step; every tensor lies inside the arena, aligned as its elements need."""
    graph = random_network(np.random.default_rng(seed))
    planned = plan(graph, CORES["cortex-m0plus"])
    graph = planned.graph
    assert [s.op_index for s in planned.steps] == [i for i, op in enumerate(graph.ops) if not isinstance(op, Reshape)]
    assert planned.arena_bytes % ARENA_ALIGNMENT == 0
    kept = {i for op in graph.ops for i in (*op.inputs, *op.outputs)} | set(graph.inputs)
    for i, t in graph.tensors.items():
        if i in kept and not t.is_constant:
            offset = planned.offsets[i]
            assert offset % max(4, t.dtype.bits // 8) == 0
            assert 0 <= offset <= planned.arena_bytes - t.nbytes
