"""Graph → Plan: the kernel variant of every operation, and the place of every activation and scratch in the arena."""

from __future__ import annotations

from dataclasses import replace

from ..boards.core import Core
from ..errors import BudgetError, GraphError
from ..ir import Graph
from ..ir.names import clip
from ..ir.ops import Reshape
from ..passes.running_sums import with_running_sums
from .arena import ARENA_ALIGNMENT, Plan, Step, live_at, storage
from .goal import Goal, Limits
from .objective import Objective
from .options import Filter, Option, every, options
from .pairs import best_plan
from .products import with_products
from .state_layout import Move, has_step, state_layout, with_lines

__all__ = [
    "ARENA_ALIGNMENT",
    "Filter",
    "Goal",
    "Limits",
    "Move",
    "Objective",
    "Option",
    "Plan",
    "Step",
    "has_step",
    "live_at",
    "most_alive",
    "options",
    "plan",
    "prepared",
    "state_layout",
    "storage",
]

_NAME = 40
"""Number of characters of a tensor's name in a message."""


def plan(graph: Graph, core: Core, goal: Goal | None = None, only: Filter = every) -> Plan:
    """Select a variant for every operation and place all buffers. `only` restricts the variants.

    Raises UnsupportedOpError with the operations that no kernel supports, BudgetError with the excess over the limits.
    """
    for op in graph.ops:
        if isinstance(op, Reshape) and graph[op.inputs[0]].is_constant:
            raise GraphError(f"{graph.name}: tensor {op.output} is a view of a constant; run the passes first")
    goal = goal or Goal()
    graph = prepared(graph)
    best = best_plan(graph, core, goal, only)
    if _excess(best, goal.limits):
        best = _unlimited(graph, core, goal, only) or best
    _check(best, goal.limits)
    return replace(best, goal=goal)


def prepared(graph: Graph) -> Graph:
    """The graph that is planned: some operations replaced by equal, faster ones, or by ones that only plans have."""
    return with_products(with_lines(with_running_sums(graph)))


def _unlimited(graph: Graph, core: Core, goal: Goal, only: Filter) -> Plan | None:
    """A plan from a search without limits that is within them, its own objective first. The search with limits can miss
    it.
    """
    for objective in sorted(Objective, key=lambda o: o is not goal.objective):
        candidate = best_plan(graph, core, Goal(objective), only)
        if not _excess(candidate, goal.limits):
            return candidate
    return None


def _excess(candidate: Plan, limits: Limits) -> int:
    return limits.excess(candidate.arena_bytes, candidate.network_flash_bytes)


def _check(best: Plan, limits: Limits) -> None:
    ram, flash = limits.arena_bytes, limits.network_flash_bytes
    if not _excess(best, limits):
        return
    over = []
    if ram is not None and best.arena_bytes > ram:
        over.append(
            f"an arena of {best.arena_bytes:,} bytes, {best.arena_bytes - ram:,} more than the {ram:,} allowed "
            f"({most_alive(best)})"
        )
    if flash is not None and best.network_flash_bytes > flash:
        over.append(
            f"{best.network_flash_bytes:,} bytes of flash, {best.network_flash_bytes - flash:,} more than the "
            f"{flash:,} allowed ({_heaviest(best)})"
        )
    raise BudgetError(f"{best.graph.name}: the kernels that come nearest to the limits take {' and '.join(over)}")


def most_alive(best: Plan) -> str:
    """Describes the buffers alive at the step with the largest arena."""
    graph = best.graph
    step = max(best.peak_step, 0)
    tensors = [graph[t] for t in live_at(graph, step)][:3]
    names = ", ".join(f"{clip(t.name, _NAME) or f'tensor {t.id}'} {list(t.shape)} {t.nbytes:,} bytes" for t in tensors)
    return f"most is alive at operation {step}, {graph.ops[step].kind}: {names}"


def _heaviest(best: Plan) -> str:
    graph = best.graph
    step = max(best.steps, key=lambda s: s.cost.constant_bytes)
    y = graph.out(graph.ops[step.op_index])
    name = f" {clip(y.name, _NAME)}" if y.name else ""
    return f"most are the {step.cost.constant_bytes:,} of operation {step.op_index}, {step.option.variant.name}{name}"
