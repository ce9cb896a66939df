"""The plan of a network by rows: where the row part ends, and the kernels and places of both parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..boards.core import Core
from ..ir import Graph
from ..passes.row_schedule import RowFed, cuts, row_fed
from . import plan
from .arena import Layout, Plan
from .goal import Goal

_MOST_CUTS = 4
"""Number of cuts that are planned: those whose tensors need the least memory."""


@dataclass(frozen=True, slots=True)
class RowPlan:
    fed: RowFed
    plan: Plan


def plan_rows(graph: Graph, core: Core, goal: Goal | None = None) -> RowPlan:
    """The plan with the smallest arena of all cuts.

    Raises UnsupportedOpError if the network cannot be fed by rows, BudgetError if no plan is within the limits.
    """
    return min(_plans(graph, core, goal), key=lambda p: (p.plan.arena_bytes, p.plan.cycles))


def _plans(graph: Graph, core: Core, goal: Goal | None) -> Iterator[RowPlan]:
    """Plans of the most promising cuts."""
    splits = [row_fed(graph, cut) for cut in cuts(graph)]
    for fed in sorted(splits, key=lambda fed: _least_bytes(fed.graph, core))[:_MOST_CUTS]:
        yield RowPlan(fed, plan(fed.graph, core, goal))


def _least_bytes(graph: Graph, core: Core) -> int:
    """Bytes that the tensors alone need at some step."""
    buffers = Layout.of(graph, core).tensors
    return max(sum(b.bytes_at(step) for b in buffers) for step in range(-1, len(graph.ops) + 1))
