"""Does it fit? Said before anything is compiled, and with what is to blame."""

from __future__ import annotations

from .board import Board
from .errors import BudgetError
from .ir import Graph
from .plan import Plan, live_at
from .program import Program


def check_fits(graph: Graph, plan: Plan, program: Program, board: Board) -> None:
    """BudgetError when arena or constants alone are larger than the board's memories."""
    if plan.arena_bytes > board.ram.bytes:
        raise BudgetError(
            f"{program.title} does not fit {board.name}: its arena takes {plan.arena_bytes:,} bytes of RAM, "
            f"{plan.arena_bytes - board.ram.bytes:,} more than the {board.ram.bytes:,} there are; {_peak(graph, plan)}"
        )
    if program.constant_bytes > board.flash.bytes:
        raise BudgetError(
            f"{program.title} does not fit {board.name}: its constants take {program.constant_bytes:,} bytes of flash, "
            f"{program.constant_bytes - board.flash.bytes:,} more than the {board.flash.bytes:,} there are; "
            f"{_largest(program)}"
        )


def _peak(graph: Graph, plan: Plan) -> str:
    """What is alive where the arena is fullest."""
    step = max(plan.peak_step, 0)
    tensors = [graph[t] for t in live_at(graph, step)][:3]
    names = ", ".join(f"{t.name or f'tensor {t.id}'} {list(t.shape)} {t.nbytes:,} bytes" for t in tensors)
    return f"most is alive at operation {step}, {graph.ops[step].kind}: {names}"


def _largest(program: Program) -> str:
    arrays = sorted(program.arrays, key=lambda a: -a.nbytes)[:3]
    return "the largest: " + ", ".join(f"{a.name} {a.nbytes:,} bytes" for a in arrays)
