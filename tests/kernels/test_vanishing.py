"""Steps that only move elements are called: compilers took some of them for functions without effect."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from harness import ARM, PLAIN, Command, Runner, build_device, check_random, compile_host, lowered
from moves import every_move

from mcuquant.ir import Graph

GCC: Command = ("gcc", "-O2")


def _host(graphs: Sequence[Graph], directory: Path) -> Runner:
    programs = tuple(lowered(graph, i, PLAIN) for i, graph in enumerate(graphs))
    return compile_host(graphs, programs, directory, GCC)


def test_moves_equal_the_interpreter_on_the_host(tmp_path: Path) -> None:
    """Optimised, and so without the sanitizers, under which no step ever vanished."""
    names, graphs = every_move()
    check_random(names, _host(graphs, tmp_path), 2)


@pytest.mark.emulator
@pytest.mark.parametrize("cpu", ARM)
def test_moves_equal_the_interpreter_on_each_core(cpu: str, tmp_path: Path) -> None:
    names, graphs = every_move()
    check_random(names, build_device(graphs, tmp_path, cpu), 2)
