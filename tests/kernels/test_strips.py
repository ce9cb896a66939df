"""Convolution and pooling by strips: every byte as the two operations one after the other, on every kind of core."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pool_graphs
import pytest
from graphs import random_inputs
from harness import Runner, assert_equal, compile_device, compile_host
from hypothesis import given, settings
from hypothesis import strategies as st

from mcuquant.arithmetic import interpreter
from mcuquant.boards.core import CORES
from mcuquant.codegen.lower import lower
from mcuquant.codegen.program import Program
from mcuquant.ir import Graph, Level
from mcuquant.ir.ops import ConvPool, MaxPool2D, Padding
from mcuquant.ir.verify import verify
from mcuquant.kernels import VARIANTS, Variant
from mcuquant.kernels.strips import strips_of
from mcuquant.planner import plan

NAMES = list(pool_graphs.GENERATORS)
BY_ROWS = {variant.name for variant in VARIANTS if variant.by_rows}


def cases(core: str, names: list[str], seed: int, most: int) -> list[tuple[Graph, Variant]]:
    """Graphs, each with some of the variants that take it on the core, at most so many."""
    found = []
    for name in names:
        graph = pool_graphs.made(name, seed)
        taking = pool_graphs.by_strips(graph, CORES[core])
        rng = np.random.default_rng(seed)
        found += [(graph, taking[i]) for i in sorted(rng.permutation(len(taking))[:most])]
    return found


def programs(core: str, found: list[tuple[Graph, Variant]]) -> tuple[Program, ...]:
    return tuple(
        lower(plan(graph, CORES[core], only=lambda _, v, wanted=variant: v is wanted), name=f"m{i}")
        for i, (graph, variant) in enumerate(found)
    )


def check(runner: Runner, found: list[tuple[Graph, Variant]]) -> None:
    jobs = [(i, random_inputs(np.random.default_rng((i, k)), g)) for i, (g, _) in enumerate(found) for k in range(3)]
    for (i, sample), outcome in zip(jobs, runner.run_all(jobs), strict=True):
        assert_equal(f"{found[i][1].name} {found[i][1].note}", found[i][0], outcome, sample)


def on_host(core: str, names: list[str], seed: int, most: int, directory: Path) -> None:
    found = cases(core, names, seed, most)
    check(compile_host([graph for graph, _ in found], programs(core, found), directory), found)


def on_device(core: str, names: list[str], seed: int, most: int, directory: Path) -> None:
    found = cases(core, names, seed, most)
    check(compile_device([graph for graph, _ in found], programs(core, found), directory, core), found)


@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m55"])
def test_under_the_sanitizers(core: str, tmp_path: Path) -> None:
    on_host(core, NAMES[:: 2 if core == "cortex-m4" else 4], 1, 1, tmp_path)


@pytest.mark.emulator
@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m55"])
def test_on_an_emulated_core(core: str, tmp_path: Path) -> None:
    on_device(core, NAMES[:: 1 if core == "cortex-m4" else 3], 2, 1, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m55"])
@pytest.mark.parametrize("seed", range(100, 103))
def test_more_under_the_sanitizers(core: str, seed: int, tmp_path: Path) -> None:
    on_host(core, NAMES, seed, 4, tmp_path)


@pytest.mark.slow
@pytest.mark.emulator
@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m55"])
@pytest.mark.parametrize("seed", range(200, 203))
def test_more_on_an_emulated_core(core: str, seed: int, tmp_path: Path) -> None:
    on_device(core, NAMES, seed, 4, tmp_path)


def test_every_kernel_that_takes_rows_is_met() -> None:
    """By the graphs of the slow tests."""
    cores = [CORES[name] for name in ("cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m55")]
    graphs = [pool_graphs.made(name, seed) for name in NAMES for seed in range(100, 103)]
    assert {v.name for graph in graphs for core in cores for v in pool_graphs.by_strips(graph, core)} == BY_ROWS


@pytest.mark.parametrize("name", NAMES)
def test_what_both_mean_is_what_each_means_in_turn(name: str) -> None:
    rng = np.random.default_rng((5, NAMES.index(name)))
    plain, joined = pool_graphs.GENERATORS[name](rng), pool_graphs.made(name, 5)
    verify(joined, Level.LOWERABLE)
    assert [type(op) for op in joined.ops] == [ConvPool]
    x = random_inputs(rng, plain)
    assert interpreter.run(joined, x)[0].tobytes() == interpreter.run(plain, x)[0].tobytes()


@settings(deadline=None, max_examples=200)
@given(
    st.integers(1, 5), st.integers(1, 5), st.integers(0, 4), st.integers(0, 4), st.integers(1, 30), st.integers(1, 5)
)
def test_every_row_that_a_pooling_reads_is_in_the_strip_of_its_output(
    window: int, stride: int, top: int, bottom: int, height: int, rows: int
) -> None:
    top, bottom = min(top, window - 1), min(bottom, window - 1)
    pooled = (height + top + bottom - window) // stride + 1
    if pooled < 1 or (pooled - 1) * stride - top >= height:
        return
    padding = Padding(top=top, bottom=bottom)
    pool = MaxPool2D(inputs=(0,), outputs=(1,), window=(window, 1), stride=(stride, 1), padding=padding)
    found = strips_of(pool, height, pooled, rows)
    ends = [strip.pooled for strip in found]
    assert ends == [*range(rows, pooled, rows), pooled]
    for begin, strip in zip([0, *ends], found, strict=False):
        read = {oy * stride - top + k for oy in range(begin, strip.pooled) for k in range(window)} & set(range(height))
        assert (min(read), max(read)) == (strip.first, strip.first + strip.rows - 1)
