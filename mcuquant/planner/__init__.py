"""Graph → Plan: the kernel variant of every operation, and where every activation and scratch lies in the arena."""

from __future__ import annotations

from dataclasses import replace

from ..boards.core import Core
from ..errors import BudgetError
from ..ir import Graph
from ..ir.names import clip
from .arena import ARENA_ALIGNMENT, Plan, Step, live_at, storage
from .goal import Goal, Limits
from .objective import Objective
from .options import Filter, Option, every, options
from .pairs import joined
from .plan_search import search

__all__ = [
    "ARENA_ALIGNMENT",
    "Filter",
    "Goal",
    "Limits",
    "Objective",
    "Option",
    "Plan",
    "Step",
    "live_at",
    "most_alive",
    "options",
    "plan",
    "storage",
]

_NAME = 40
"""Characters of a tensor's name in a sentence."""


def plan(graph: Graph, core: Core, goal: Goal | None = None, only: Filter = every) -> Plan:
    """Choose a variant for every operation and place everything; `only` leaves variants out.

    UnsupportedOpError names what no kernel takes. BudgetError says by how much nothing is within the goal's limits.
    """
    wanted = goal or Goal()
    found = joined(graph, core, wanted, only, search(graph, core, wanted, only))
    _check(found, wanted.limits)
    return replace(found, goal=wanted)


def _check(found: Plan, limits: Limits) -> None:
    ram, flash = limits.ram_bytes, limits.flash_bytes
    if not limits.excess(found.arena_bytes, found.flash_bytes):
        return
    over = []
    if ram is not None and found.arena_bytes > ram:
        over.append(
            f"an arena of {found.arena_bytes:,} bytes, {found.arena_bytes - ram:,} more than the {ram:,} allowed "
            f"({most_alive(found)})"
        )
    if flash is not None and found.flash_bytes > flash:
        over.append(
            f"{found.flash_bytes:,} bytes of flash, {found.flash_bytes - flash:,} more than the {flash:,} allowed "
            f"({_heaviest(found)})"
        )
    raise BudgetError(f"{found.graph.name}: the kernels that come nearest to the limits take {' and '.join(over)}")


def most_alive(found: Plan) -> str:
    """What is alive where the arena is fullest."""
    graph = found.graph
    step = max(found.peak_step, 0)
    tensors = [graph[t] for t in live_at(graph, step)][:3]
    names = ", ".join(f"{clip(t.name, _NAME) or f'tensor {t.id}'} {list(t.shape)} {t.nbytes:,} bytes" for t in tensors)
    return f"most is alive at operation {step}, {graph.ops[step].kind}: {names}"


def _heaviest(found: Plan) -> str:
    graph = found.graph
    step = max(found.steps, key=lambda s: s.cost.constant_bytes)
    y = graph.out(graph.ops[step.op_index])
    name = f" {clip(y.name, _NAME)}" if y.name else ""
    return f"most are the {step.cost.constant_bytes:,} of operation {step.op_index}, {step.option.variant.name}{name}"
