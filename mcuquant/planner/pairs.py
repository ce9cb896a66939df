"""Convolutions joined with the pooling that follows, if that improves the plan.

It saves memory, because the image between the two never exists as a whole. Usually it costs a little time and code;
rows that the pooling skips are not computed at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

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
from .plan_search import Candidates, candidates, rank

_MOST_PAIRS = 8
"""Limit of the number of convolutions with pools in a network that is searched: with more, pools matter little."""


def best_plan(graph: Graph, core: Core, goal: Goal, only: Filter) -> Plan:
    """The best plan of four graphs: no pair joined, all pairs, the faster pairs, and the pairs that need most memory.

    For other objectives than speed, the cycle limit refers to the fastest plan of all graphs.
    """
    separate = candidates(graph, core, goal, only)
    fused = fuse_pool(graph, _is_computed(graph, core, only)) if separate.ceilings else graph
    if fused is graph or sum(isinstance(op, ConvPool) for op in fused.ops) > _MOST_PAIRS:
        return separate.best(goal, separate.quickest.cycles)

    def joined(network: Graph) -> Candidates:
        return candidates(verify(network, Level.LOWERABLE), core, goal, only)

    graphs = [separate, joined(fused)]
    faster = fuse_pool(graph, lambda op: op in fused.ops and _is_faster(graph, op, *graphs))
    if graph.ops != faster.ops != fused.ops:
        graphs.append(joined(faster))
    quickest = min(
        (g.quickest for g in graphs), key=lambda plan: rank(plan, replace(goal, objective=Objective.SPEED), 0)
    )
    plans = [g.best(goal, quickest.cycles) for g in graphs]
    if goal.objective is Objective.SPEED and not _excess(separate.quickest, goal):
        return quickest
    wide = fuse_pool(graph, lambda op: op in fused.ops and _is_wide(graph, op, plans[1].arena_bytes))
    if wide.ops not in (graph.ops, fused.ops, faster.ops):
        plans.append(joined(wide).best(goal, quickest.cycles))
    return min(plans, key=lambda plan: rank(plan, goal, quickest.cycles))


def _is_faster(graph: Graph, op: ConvPool, separate: Candidates, together: Candidates) -> bool:
    """Whether the joined operation takes fewer cycles than its two parts."""
    parts = sum(separate.cycles(graph.ops.index(part)) for part in (op.conv, op.pool))
    return together.cycles(together.layout.graph.ops.index(op)) < parts


def _excess(plan: Plan, goal: Goal) -> int:
    sizes = plan.arena_bytes, plan.network_flash_bytes
    return goal.limits.excess(*sizes) + goal.board_limits.excess(*sizes)


def _is_computed(graph: Graph, core: Core, only: Filter) -> Callable[[ConvPool], bool]:
    """Whether there is a kernel."""

    def is_computed(op: ConvPool) -> bool:
        site = Site(graph, op, core)
        return any(variant.applies(site) and only(site, variant) for variant in variants_of(op))

    return is_computed


def _is_wide(graph: Graph, op: ConvPool, arena_bytes: int) -> bool:
    """Whether one of the two alone needs more memory than the limit."""
    alive = (live_at(graph, graph.ops.index(part)) for part in (op.conv, op.pool))
    return any(sum(graph[i].nbytes for i in tensors) > arena_bytes for tensors in alive)
