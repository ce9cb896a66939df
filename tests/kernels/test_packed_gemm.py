"""Layers whose packed or pruned weights are unpacked into matrix products equal the interpreter in every byte."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import build_device, build_host, check_random, preferred
from variants_under_test import M4, PACKED

from mcuquant.planner import plan

NAMES = PACKED.names
made = PACKED.graph
SEED = 9


def test_half_of_them_under_the_sanitizers(tmp_path: Path) -> None:
    names = NAMES[::2]
    check_random(names, build_host([made(name, SEED) for name in names], tmp_path, M4, names), 4)


@pytest.mark.emulator
def test_on_an_emulated_core(tmp_path: Path) -> None:
    check_random(NAMES, build_device([made(name, 1) for name in NAMES], tmp_path, "cortex-m4", NAMES), 3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 104))
def test_more_under_the_sanitizers(seed: int, tmp_path: Path) -> None:
    check_random(NAMES, build_host([made(name, seed) for name in NAMES], tmp_path, M4, NAMES), 4)


@pytest.mark.slow
@pytest.mark.emulator
@pytest.mark.parametrize(("cpu", "seed"), [*(("cortex-m4", seed) for seed in range(200, 212)), ("cortex-m55", 300)])
def test_more_on_emulated_cores(cpu: str, seed: int, tmp_path: Path) -> None:
    check_random(NAMES, build_device([made(name, seed) for name in NAMES], tmp_path, cpu, NAMES), 6)


@pytest.mark.parametrize("name", NAMES)
def test_few_graphs_are_left_to_other_kernels(name: str) -> None:
    """At most one in four, which would be tested in vain; and the variant it is named after is among the rest."""
    planned = [plan(made(name, seed), M4, only=preferred(name)) for seed in range(16)]
    steps = [step.variant for one in planned for step in one.steps]
    assert len([v for v in steps if v.name.startswith(name.partition("_gemm")[0].split()[0])]) >= 12
    assert any(name.startswith(f"{v.name.removesuffix('_s8')} {v.note}".strip()) for v in steps)
