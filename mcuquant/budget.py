"""Does it fit? Said before anything is compiled, and with what is to blame."""

from __future__ import annotations

from .board import Board
from .errors import BudgetError
from .ir import Graph
from .objective import DEFAULT, Objective
from .plan import Goal, Limits, Plan, most_alive
from .program import Program

_APPLICATION_RAM, _APPLICATION_FLASH = 1100, 20_000
"""About what the firmware around a network takes, besides its stack and a copy of the inputs."""


def goal(
    graph: Graph, board: Board, optimize: str = DEFAULT, max_ram: int | None = None, max_flash: int | None = None
) -> Goal:
    """What the plan for a board is to reach. BudgetError for an objective that is none."""
    if optimize not in list(Objective):
        raise BudgetError(f"cannot optimize for {optimize!r}: expected {', '.join(Objective)}")
    inputs = sum(graph[i].nbytes for i in graph.inputs)
    room = Limits(
        max(0, board.ram.bytes - board.stack_bytes - inputs - _APPLICATION_RAM),
        max(0, board.flash.bytes - _APPLICATION_FLASH),
    )
    return Goal(Objective(optimize), Limits(max_ram, max_flash), room)


def check_fits(graph: Graph, plan: Plan, program: Program, board: Board) -> None:
    """BudgetError when arena or constants alone are larger than the board's memories."""
    if plan.arena_bytes <= board.ram.bytes < plan.arena_bytes + program.unpacked_bytes:
        raise BudgetError(
            f"{program.title} does not fit {board.name}: its unpacked weights take {program.unpacked_bytes:,} bytes of "
            f"RAM beside an arena of {plan.arena_bytes:,}, and there are {board.ram.bytes:,}; leave them as they are"
        )
    if plan.arena_bytes > board.ram.bytes:
        raise BudgetError(
            f"{program.title} does not fit {board.name}: its arena takes {plan.arena_bytes:,} bytes of RAM, "
            f"{plan.arena_bytes - board.ram.bytes:,} more than the {board.ram.bytes:,} there are; "
            f"{most_alive(graph, plan)}"
        )
    if program.constant_bytes > board.flash.bytes:
        raise BudgetError(
            f"{program.title} does not fit {board.name}: its constants take {program.constant_bytes:,} bytes of flash, "
            f"{program.constant_bytes - board.flash.bytes:,} more than the {board.flash.bytes:,} there are; "
            f"{_largest(program)}"
        )


def _largest(program: Program) -> str:
    arrays = sorted(program.arrays, key=lambda a: -a.nbytes)[:3]
    return "the largest: " + ", ".join(f"{a.name} {a.nbytes:,} bytes" for a in arrays)
