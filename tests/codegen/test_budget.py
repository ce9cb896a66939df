"""What is planned anew when a network turns out larger than was estimated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from fast_graphs import dense
from nets import Net

from mcuquant.boards.board import load_board
from mcuquant.codegen.budget import check_built, within_flash
from mcuquant.errors import BudgetError
from mcuquant.flow import to_program
from mcuquant.planner import Goal, Limits

LIMIT = 1000
ASKED = Goal(limits=Limits(64, LIMIT))


def builds(*sizes: tuple[int, int]) -> tuple[Callable[[Goal], Goal], list[Goal]]:
    """A build whose results are estimated and take so many bytes, one after the other; and the goals it was given.

    Without any left, no plan is within the goal's limits.
    """
    net = Net(np.random.default_rng(1))
    plan, program = to_program(net.graph(dense(net, net.input((1, 8)), 4), name="net"), load_board("qemu-mps2-an386"))
    goals: list[Goal] = []

    def built(wanted: Goal) -> Goal:
        goals.append(wanted)
        if len(goals) > len(sizes):
            raise BudgetError("no plan is within its limits")
        estimate, network = sizes[len(goals) - 1]
        check_built(program, replace(plan, network_flash_bytes=estimate), network, LIMIT)
        return wanted

    return built, goals


def limits(goals: list[Goal]) -> list[int | None]:
    assert all(replace(goal, limits=ASKED.limits) == ASKED and goal.limits.arena_bytes == 64 for goal in goals)
    return [goal.limits.network_flash_bytes for goal in goals]


def test_what_fits_at_once_is_not_planned_again() -> None:
    built, goals = builds((990, LIMIT))
    assert within_flash(built, ASKED) is ASKED
    assert limits(goals) == [LIMIT]


def test_the_estimate_must_become_smaller_by_what_is_too_much() -> None:
    built, goals = builds((950, 1100), (840, 1010), (700, 900))
    assert within_flash(built, ASKED).limits == Limits(64, 830)
    assert limits(goals) == [LIMIT, 850, 830]


def refusal(*sizes: tuple[int, int]) -> tuple[str, int]:
    """The sentence, and after how many plans."""
    built, goals = builds(*sizes)
    with pytest.raises(BudgetError) as caught:
        within_flash(built, ASKED)
    return str(caught.value), len(goals)


def too_large(network: int) -> str:
    return (
        f"net: the network takes {network:,} bytes of flash as built, {network - LIMIT:,} more than the 1,000 allowed; "
        "optimize for size, or allow more"
    )


def test_three_plans_are_enough_and_the_smallest_is_named() -> None:
    assert refusal((950, 1100), (840, 1020), (810, 1050), (0, 0)) == (too_large(1020), 3)


def test_where_no_other_plan_is_within_its_limits_what_was_built_is_said() -> None:
    assert refusal((950, 1100)) == (too_large(1100), 2)


def test_no_stricter_limit_is_below_zero() -> None:
    built, goals = builds((50, 1100), (0, 500))
    within_flash(built, ASKED)
    assert limits(goals) == [LIMIT, 0]


def test_a_first_plan_above_its_limits_is_refused_as_it_is() -> None:
    assert refusal() == ("no plan is within its limits", 1)
