"""The C of networks by rows: the bytes of the interpreter, on this machine under sanitizers and on emulated cores."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from harness import Runner, check_random, choose, compile_device, compile_host
from row_graphs import network

from mcuquant.boards.core import CORES
from mcuquant.codegen.lower_rows import lower_rows
from mcuquant.codegen.program import Program
from mcuquant.ir import DType, Graph
from mcuquant.passes.row_schedule import cuts, row_fed
from mcuquant.planner import Goal, plan
from mcuquant.planner.objective import Objective
from mcuquant.planner.row_plan import RowPlan, plan_rows

SUMMED = (20, 45)


@cache
def graph_of(seed: int) -> Graph:
    return network(seed, DType.INT16 if seed % 8 == 7 else DType.INT8)


def at_a_cut(seed: int, index: int, cpu: str) -> Program:
    """By the first kernels that apply, or by those of a plan, with the row part ending anywhere."""
    graph, rng = graph_of(seed), np.random.default_rng(seed)
    fed = row_fed(graph, int(rng.choice(cuts(graph))))
    core = CORES[cpu]
    only = {} if seed % 2 else {"only": lambda site, variant: variant is choose(site)}
    return lower_rows(RowPlan(fed, plan(fed.graph, core, Goal(list(Objective)[seed % 3]), **only)), f"m{index}")


def test_the_networks_have_sums_of_rows() -> None:
    """Every kernel that only networks by rows have is compared with the interpreter below."""
    programs = [at_a_cut(seed, 0, "cortex-m4") for seed in SUMMED]
    kernels = {call.kernel for program in programs for call in program.calls}
    assert {"mq_row_sums_s8", "mq_average_of_sums_s8", "mq_mean_of_sums_s8"} <= kernels


def _check(seeds: Sequence[int], runner: Runner) -> None:
    check_random([f"network({seed})" for seed in seeds], runner, 2)


def _programs(seeds: Sequence[int], cpu: str) -> tuple[tuple[Graph, ...], tuple[Program, ...]]:
    return tuple(map(graph_of, seeds)), tuple(at_a_cut(seed, i, cpu) for i, seed in enumerate(seeds))


def test_random_networks_under_the_sanitizers(tmp_path: Path) -> None:
    seeds = (*range(16), *SUMMED, 399)  # 399: the rows of a line move after the result of its last reader is copied
    _check(seeds, compile_host(*_programs(seeds, "cortex-m4"), tmp_path))


@pytest.mark.parametrize("cpu", ["cortex-m0plus", "cortex-m4", "cortex-m55"])
def test_random_networks_on_emulated_cores(cpu: str, tmp_path: Path) -> None:
    seeds = (*range(20, 26), *SUMMED)
    _check(seeds, compile_device(*_programs(seeds, cpu), tmp_path, cpu))


@pytest.mark.slow
@pytest.mark.parametrize("cpu", ["cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m55"])
@pytest.mark.parametrize("first", range(100, 400, 20))
def test_many_networks_on_emulated_cores(cpu: str, first: int, tmp_path: Path) -> None:
    seeds = range(first, first + 20)
    _check(seeds, compile_device(*_programs(seeds, cpu), tmp_path, cpu))


def test_the_plan_of_the_best_cut(tmp_path: Path) -> None:
    graph = graph_of(3)
    planned = plan_rows(graph, CORES["cortex-m4"])
    assert planned.plan.arena_bytes <= plan(graph, CORES["cortex-m4"]).arena_bytes
    check_random(["best"], compile_host([graph], (lower_rows(planned, "m0"),), tmp_path), 2)
