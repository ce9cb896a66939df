"""Convolutions joined with the pooling behind them, where that makes a plan better.

It saves memory, for the image between the two never exists whole, and takes a little more time and code. So it is tried
where memory is what a plan is about, or where the limits are not kept without.
"""

from __future__ import annotations

from collections.abc import Callable

from ..boards.core import Core
from ..ir import Graph, Level
from ..ir.ops import ConvPool
from ..ir.verify import verify
from ..kernels import Site, variants_of
from ..passes.fuse_pool import fuse_pool
from .arena import Plan, live_at
from .goal import Goal
from .objective import Objective
from .options import Filter
from .plan_search import rank, search

_MOST_PAIRS = 8
"""In a network for which this is tried: those that have more pool nothing to speak of."""


def joined(graph: Graph, core: Core, goal: Goal, only: Filter, plain: Plan) -> Plan:
    """The best of `plain`, all pairs joined, and only those joined that are too wide for the arena so reached."""
    if goal.objective is not Objective.BALANCED and not _excess(plain, goal):
        return plain
    fused = fuse_pool(graph, _is_computed(graph, core, only))
    if fused is graph or sum(isinstance(op, ConvPool) for op in fused.ops) > _MOST_PAIRS:
        return plain

    def planned(network: Graph) -> Plan:
        return search(verify(network, Level.LOWERABLE), core, goal, only, plain.quickest_cycles)

    plans = [plain, planned(fused)]
    wide = fuse_pool(graph, lambda op: op in fused.ops and _is_wide(graph, op, plans[1].arena_bytes))
    if graph.ops != wide.ops != fused.ops:
        plans.append(planned(wide))
    return min(plans, key=lambda plan: rank(plan, goal, plain.quickest_cycles))


def _excess(plan: Plan, goal: Goal) -> int:
    sizes = plan.arena_bytes, plan.flash_bytes
    return goal.limits.excess(*sizes) + goal.room.excess(*sizes)


def _is_computed(graph: Graph, core: Core, only: Filter) -> Callable[[ConvPool], bool]:
    """Whether there is a kernel."""

    def is_computed(op: ConvPool) -> bool:
        site = Site(graph, op, core)
        return any(variant.applies(site) and only(site, variant) for variant in variants_of(op))

    return is_computed


def _is_wide(graph: Graph, op: ConvPool, arena_bytes: int) -> bool:
    """One of the two, by itself, keeps more alive than fits."""
    alive = (live_at(graph, graph.ops.index(part)) for part in (op.conv, op.pool))
    return any(sum(graph[i].nbytes for i in tensors) > arena_bytes for tensors in alive)
