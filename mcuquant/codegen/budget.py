"""Checks before compilation whether a network fits a board, and names the largest consumers if it does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from ..boards.board import Board
from ..errors import BudgetError
from ..ir import Graph
from ..ir.metrics import state_bytes
from ..planner import Goal, Limits, Plan, most_alive
from ..planner.objective import DEFAULT, Objective
from .program import Program

Built = TypeVar("Built")
_APPLICATION_RAM, _APPLICATION_FLASH = 1100, 20_000
"""Approximate bytes of the firmware around a network, without its stack and a copy of the inputs."""

_MOST_PLANS = 3
"""Number of further builds if the flash of the first one exceeds its estimate and the limit."""


def goal(
    graph: Graph, board: Board, optimize: str = DEFAULT, max_ram: int | None = None, max_flash: int | None = None
) -> Goal:
    """The goal of the plan for a board. Raises BudgetError for an unknown objective."""
    if optimize not in list(Objective):
        raise BudgetError(f"cannot optimize for {optimize!r}: expected {', '.join(Objective)}")
    inputs = sum(graph[i].nbytes for i in graph.inputs)
    beside = inputs + state_bytes(graph) + _APPLICATION_RAM
    board_limits = Limits(
        max(0, board.ram.bytes - board.stack_bytes - beside),
        max(0, board.flash.bytes - _APPLICATION_FLASH),
    )
    return Goal(Objective(optimize), Limits(max_ram, max_flash), board_limits)


def check_fits(graph: Graph, plan: Plan, program: Program, board: Board) -> None:
    """Raises BudgetError if the arena or the constants alone exceed the memories of the board."""
    if plan.arena_bytes <= board.ram.bytes < plan.arena_bytes + program.unpacked_bytes:
        raise BudgetError(
            f"{program.title} does not fit {board.name}: its unpacked weights take {program.unpacked_bytes:,} bytes of "
            f"RAM beside an arena of {plan.arena_bytes:,}, and there are {board.ram.bytes:,}; leave them as they are"
        )
    if plan.arena_bytes <= board.ram.bytes < plan.arena_bytes + program.state_bytes:
        raise BudgetError(
            f"{program.title} does not fit {board.name}: its states take {program.state_bytes:,} bytes of RAM beside "
            f"an arena of {plan.arena_bytes:,}, and there are {board.ram.bytes:,}"
        )
    if plan.arena_bytes > board.ram.bytes:
        raise BudgetError(
            f"{program.title} does not fit {board.name}: its arena takes {plan.arena_bytes:,} bytes of RAM, "
            f"{plan.arena_bytes - board.ram.bytes:,} more than the {board.ram.bytes:,} there are; "
            f"{most_alive(plan)}"
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


def within_flash(built: Callable[[Goal], Built], initial_goal: Goal) -> Built:
    """The result of `built` for the goal, or for a stricter goal if more flash was needed than estimated.

    Each attempt lowers the limit of the estimate by the excess of the built network. Raises BudgetError with the excess
    of the smallest network.
    """
    current = initial_goal
    refusals: list[_LargerError] = []
    for _ in range(_MOST_PLANS):
        try:
            return built(current)
        except _LargerError as larger:
            refusals.append(larger)
            current = replace(initial_goal, limits=replace(initial_goal.limits, network_flash_bytes=larger.next_limit))
        except BudgetError:
            if not refusals:
                raise
            break
    raise min(refusals, key=lambda larger: larger.excess_bytes)


def check_built(program: Program, plan: Plan, network_bytes: int, limit_bytes: int | None) -> None:
    """Raises BudgetError if the built network, `network_bytes`, exceeds its limit."""
    if limit_bytes is not None and network_bytes > limit_bytes:
        raise _LargerError(program, network_bytes - limit_bytes, limit_bytes, plan.network_flash_bytes)


class _LargerError(BudgetError):
    """The exception for `excess_bytes`. A network whose estimate is `next_limit` may fit."""

    def __init__(self, program: Program, excess_bytes: int, limit_bytes: int, estimate_bytes: int) -> None:
        self.excess_bytes = excess_bytes
        self.next_limit = max(0, estimate_bytes - excess_bytes)
        super().__init__(
            f"{program.title}: the network takes {limit_bytes + excess_bytes:,} bytes of flash as built, "
            f"{excess_bytes:,} more than the {limit_bytes:,} allowed; optimize for size, or allow more"
        )
