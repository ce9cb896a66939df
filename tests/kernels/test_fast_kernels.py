"""The variants for cores with DSP instructions equal the interpreter in every byte.

The same C as a portable program under the sanitizers, and as Cortex-M4 and Cortex-M55 code under QEMU.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from graphs import random_network
from harness import PLAIN, build_device, build_host, check_random, preferred
from variants_under_test import FAST, M4

from mcuquant.planner import plan

NAMES = FAST.names
made = FAST.graph
GROUPS = 2
SEED = 5


@pytest.mark.parametrize("index", range(GROUPS))
def test_under_the_sanitizers(index: int, tmp_path: Path) -> None:
    names = NAMES[index::GROUPS]
    check_random(names, build_host([made(name, SEED) for name in names], tmp_path, M4, names), 4)


@pytest.mark.emulator
@pytest.mark.parametrize(("cpu", "seed"), [("cortex-m4", 1), ("cortex-m4", 2), ("cortex-m55", 3)])
def test_on_emulated_cores(cpu: str, seed: int, tmp_path: Path) -> None:
    """In two programs: flash does not hold one of all graphs."""
    for index in range(GROUPS):
        names = NAMES[index::GROUPS]
        (tmp_path / str(index)).mkdir()
        check_random(names, build_device([made(name, seed) for name in names], tmp_path / str(index), cpu, names), 3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 104))
def test_more_under_the_sanitizers(seed: int, tmp_path: Path) -> None:
    check_random(NAMES, build_host([made(name, seed) for name in NAMES], tmp_path, M4, NAMES), 4)


@pytest.mark.slow
@pytest.mark.emulator
@pytest.mark.parametrize("seed", range(200, 220))
def test_more_on_an_emulated_core(seed: int, tmp_path: Path) -> None:
    for index in range(GROUPS):
        names = NAMES[index::GROUPS]
        (tmp_path / str(index)).mkdir()
        graphs = [made(name, seed) for name in names]
        check_random(names, build_device(graphs, tmp_path / str(index), "cortex-m4", names), 6)


def test_networks_under_the_sanitizers(tmp_path: Path) -> None:
    networks = [random_network(np.random.default_rng(seed)) for seed in range(20, 26)]
    check_random([f"network {i}" for i in range(6)], build_host(networks, tmp_path, M4), 2)


FOR_THESE_CORES = [name for name in NAMES if not name.startswith("transpose")]
"""Transpositions by words are compared here too, and every core has them."""


@pytest.mark.parametrize("name", FOR_THESE_CORES)
def test_few_graphs_are_left_to_the_plain_kernels(name: str) -> None:
    """At most one in four, which would be tested in vain; and the variant it is named after is among the rest."""
    graphs = [made(name, seed) for seed in range(12)]
    chosen = [[step.variant.name for step in plan(graph, M4, only=preferred(name)).steps] for graph in graphs]
    plain = [[step.variant.name for step in plan(graph, PLAIN, only=preferred()).steps] for graph in graphs]
    fast = [
        a for fasts, plains in zip(chosen, plain, strict=True) for a, b in zip(fasts, plains, strict=True) if a != b
    ]
    assert len(fast) >= 0.75 * sum(map(len, chosen))
    assert any(name.startswith(variant.removesuffix("_s8")) for variant in fast)
