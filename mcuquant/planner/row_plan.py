"""The plan of a network by rows: where the row part ends, and the kernels and places of both parts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from ..boards.core import Core
from ..errors import BudgetError
from ..ir import Graph
from ..passes.row_schedule import RowFed, cuts, row_fed
from . import plan
from .arena import Layout, Plan
from .goal import Goal

_MOST_CUTS = 3
"""Number of cuts that are planned: those whose tensors need the least memory."""


@dataclass(frozen=True, slots=True)
class RowPlan:
    fed: RowFed
    plan: Plan


def plan_rows(graph: Graph, core: Core, goal: Goal | None = None) -> RowPlan:
    """The plan with the smallest arena of all cuts.

    Raises UnsupportedOpError if the network cannot be fed by rows, BudgetError if no plan is within the limits.
    """
    plans: list[RowPlan] = []
    refusals: list[BudgetError] = []
    for fed, least_bytes in _promising(graph, core):
        if least_bytes >= min((p.plan.arena_bytes for p in plans), default=math.inf):
            break
        try:
            plans.append(RowPlan(fed, plan(fed.graph, core, goal)))
        except BudgetError as refusal:
            refusals.append(refusal)
    if not plans:
        raise refusals[0]
    return min(plans, key=lambda p: (p.plan.arena_bytes, p.plan.cycles))


def _promising(graph: Graph, core: Core) -> Iterator[tuple[RowFed, int]]:
    """The cuts whose tensors need the least memory, with its bytes, the best first."""
    splits = [row_fed(graph, cut) for cut in cuts(graph)]
    bounds = [(fed, _least_bytes(fed.graph, core)) for fed in splits]
    return iter(sorted(bounds, key=lambda bound: bound[1])[:_MOST_CUTS])


def _least_bytes(graph: Graph, core: Core) -> int:
    """Bytes that the tensors alone need at some step."""
    buffers = Layout.of(graph, core).tensors
    return max(sum(b.bytes_at(step) for b in buffers) for step in range(-1, len(graph.ops) + 1))
