"""Selects variants and arena together.

A ceiling for the arena allows each operation the options whose own footprint is below it. Lower ceilings allow fewer;
the lowest is the one where some operation has only its smallest option. Under each ceiling, flash decreases step by
step from the fastest selection (`ledger.descent`), and the best of these selections is placed. If the arena is larger
than the ceiling, because steps need their tensors in different places, scratch near its end is traded for cycles. The
best placed selection is the plan.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..boards.core import Core
from ..ir import Graph
from ..kernels import Site
from .arena import Layout, Plan
from .goal import Goal
from .ledger import Ledger, Selection, descent
from .objective import Objective
from .options import Filter, Option, first, options
from .state_layout import has_step

_MOST_CEILINGS = 24
"""Limit of the number of ceilings, evenly spread. Few networks have more, and each costs a placement."""
_MOST_TRADES = 12
"""Limit of the number of trades of scratch for a smaller arena under one ceiling."""
_MOST_WORK = 100_000
"""Budget of trades, as placements times the square of the number of buffers: about a second."""
_MOST_TENSORS = 400
"""Largest number of buffers for the search; a placement's work grows with its square. Larger networks get the first
kernels that apply, placed once.
"""
_ARENA_WEIGHT, _CYCLES_WEIGHT = 10, 5
"""Weights of `balanced` in percent of flash, for one percent of RAM and of cycles (docs/planner.md)."""

_FIRMWARE_RAM_BYTES = 4096
"""RAM in bytes of a firmware in addition to the arena (stack, buffers of the serial line), rounded. `balanced` weighs
the sum, so that a percent of a small arena counts little.
"""

Rank = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Candidates:
    """The options for a plan of one graph, with its plan for speed."""

    layout: Layout
    options: Mapping[int, tuple[Option, ...]]
    footprints: Mapping[Option, int]
    """Footprint in bytes of each option: the lower limit of the arena of any plan that contains it."""
    ceilings: Sequence[int]
    """Ceilings in bytes of the arena, the lowest first."""
    quickest: Plan

    def cycles(self, op_index: int) -> int:
        """Cycles of the fastest option of an operation."""
        return self.options[op_index][0].cost.cycles

    def best(self, goal: Goal, quickest_cycles: int) -> Plan:
        """The best plan. If all plans exceed the goal's limits, the result exceeds them too.

        `quickest_cycles` is the reference of the cycle limit.
        """
        if goal.objective is Objective.SPEED or not self.ceilings:
            return self.quickest
        judge = _Judge(goal, goal.objective, quickest_cycles)
        search = _Search(self.layout, self.options, self.footprints, judge)
        return replace(search.better(search.best(self.ceilings), self.quickest), quickest_cycles=quickest_cycles)


def candidates(graph: Graph, core: Core, goal: Goal, only: Filter) -> Candidates:
    """All options of every operation with their costs. For a network that is too large, the first option of each."""
    layout = Layout.of(graph, core)
    if sum(not t.is_constant for t in graph.tensors.values()) > _MOST_TENSORS:
        return Candidates(layout, {}, {}, (), _first(graph, core, layout, only))
    by_op = {i: options(Site(graph, op, core), only) for i, op in enumerate(graph.ops) if has_step(graph, op)}
    footprints = {option: layout.footprint(i, option) for i, some in by_op.items() for option in some}
    lowest = max((min(footprints[option] for option in some) for some in by_op.values()), default=0)
    ceilings = _spread(sorted({nbytes for nbytes in footprints.values() if nbytes >= lowest} or {0}))
    search = _Search(layout, by_op, footprints, _Judge(goal, Objective.SPEED, 0))
    return Candidates(layout, by_op, footprints, ceilings, search.best(ceilings[::-1]))


def rank(plan: Plan, goal: Goal, quickest_cycles: int) -> Rank:
    """Rank of a plan; the best is the lowest."""
    return _Judge(goal, goal.objective, quickest_cycles).rank(plan.arena_bytes, plan.cycles, plan.network_flash_bytes)


def _first(graph: Graph, core: Core, layout: Layout, only: Filter) -> Plan:
    """The first kernels that apply, placed once."""
    picked = {i: first(Site(graph, op, core), only) for i, op in enumerate(graph.ops) if has_step(graph, op)}
    return layout.arrange(Ledger(False, picked).selection(), {i: (o,) for i, o in picked.items()}, 0)


def _spread(heights: Sequence[int]) -> list[int]:
    """All values, or evenly spread ones that include the ends."""
    last, count = len(heights) - 1, min(len(heights), _MOST_CEILINGS)
    return [heights[i * last // max(1, count - 1)] for i in range(count)]


@dataclass(frozen=True, slots=True)
class _Judge:
    """Rank of selections, the best lowest: by limits, the board's limits, the cycle limit, then the objective."""

    goal: Goal
    objective: Objective
    quickest: int

    @property
    def is_shared(self) -> bool:
        return self.objective is Objective.SIZE

    @property
    def most_cycles(self) -> float:
        return self.quickest * self.objective.slower if self.quickest else math.inf

    def rank(self, arena: int, cycles: int, flash: int) -> Rank:
        slow = max(0.0, cycles - self.most_cycles)
        must = (self.goal.limits.excess(arena, flash), self.goal.board_limits.excess(arena, flash), slow)
        match self.objective:
            case Objective.SPEED:
                return (*must, cycles, arena, flash)
            case Objective.BALANCED:
                ram = _FIRMWARE_RAM_BYTES + arena
                return (*must, ram**_ARENA_WEIGHT * cycles**_CYCLES_WEIGHT * flash, arena, cycles)
            case Objective.SIZE:
                return (*must, flash, arena, cycles)

    def is_done(self, selection: Selection) -> bool:
        """Whether less flash cannot improve the rank."""
        fits = not (
            self.goal.limits.excess(0, selection.network_flash_bytes)
            + self.goal.board_limits.excess(0, selection.network_flash_bytes)
        )
        return fits and (self.objective is Objective.SPEED or selection.cycles > self.most_cycles)


@dataclass(frozen=True, slots=True)
class _Search:
    layout: Layout
    options: Mapping[int, tuple[Option, ...]]
    floors: Mapping[Option, int]
    """Footprint of each option in bytes: the lower limit of the arena of any plan that contains it."""
    judge: _Judge
    placed: set[tuple[int, ...]] = field(default_factory=set)

    def better(self, plan: Plan, other: Plan) -> Plan:
        """The better of the plan and the plan with another selection, which the descent may miss."""
        same = Ledger(self.judge.is_shared, {s.op_index: s.option for s in other.steps}).selection()
        return min(plan, self.layout.arrange(same, self.options, other.arena_bytes), key=self._rank)

    def best(self, heights: Sequence[int]) -> Plan:
        """Tries ceilings as long as one could improve on the best plan."""
        best: tuple[Rank, Plan] | None = None
        for height in heights:
            promise, selection = self._promised(height)
            if (best is not None and best[0] <= promise) or self._is_known(selection):
                continue
            plan = self._traded(self._arranged(selection), height)
            best = min(best or (self._rank(plan), plan), (self._rank(plan), plan), key=lambda b: b[0])
        assert best is not None
        return best[1]

    def _rank(self, plan: Plan) -> Rank:
        return self.judge.rank(plan.arena_bytes, plan.cycles, plan.network_flash_bytes)

    def _promised(self, height: int) -> tuple[Rank, Selection]:
        """The best selection under a ceiling, assuming an arena of its largest footprint."""
        below = {i: [o for o in some if self.floors[o] <= height] for i, some in self.options.items()}
        return min(((self._promise(s), s) for s in self._selections(below)), key=lambda p: p[0])

    def _promise(self, selection: Selection) -> Rank:
        return self.judge.rank(self._floor(selection), selection.cycles, selection.network_flash_bytes)

    def _floor(self, selection: Selection) -> int:
        return max((self.floors[option] for _, option in selection.options), default=0)

    def _arranged(self, selection: Selection) -> Plan:
        return self.layout.arrange(selection, self.options, self._floor(selection))

    def _selections(self, below: Mapping[int, Sequence[Option]]) -> Iterator[Selection]:
        for selection in descent(below, self.judge.is_shared, self.judge.most_cycles):
            yield selection
            if self.judge.is_done(selection):
                return

    def _is_known(self, selection: Selection) -> bool:
        key = tuple(id(option) for _, option in selection.options)
        known = key in self.placed
        self.placed.add(key)
        return known

    def _traded(self, plan: Plan, height: int) -> Plan:
        """Reduces scratch of the steps at the end of the arena as long as that improves the plan."""
        for _ in range(_MOST_TRADES):
            if plan.arena_bytes <= height:
                break
            better = self._best_trade(plan)
            if better is plan:
                break
            plan = better
        return plan

    def _best_trade(self, plan: Plan) -> Plan:
        """A better plan, or the plan itself. Only selections whose lower limit could improve on the best are placed."""
        best = plan
        for selection in self._trades(plan):
            if len(self.placed) * self.layout.size**2 > _MOST_WORK:
                break
            if self._promise(selection) < self._rank(best) and not self._is_known(selection):
                best = min(best, self._arranged(selection), key=self._rank)
        return best

    def _trades(self, plan: Plan) -> Iterator[Selection]:
        """Selections with the next smaller scratch, and with the smallest, of each step that reaches the end of the
        arena.
        """
        selected = {s.op_index: s.option for s in plan.steps}
        for step in plan.steps:
            if step.op_index in plan.end_steps:
                less = _undominated(o for o in step.options if o.cost.scratch_bytes < step.scratch_bytes)
                for option in dict.fromkeys([*less[:1], *less[-1:]]):
                    yield Ledger(self.judge.is_shared, {**selected, step.op_index: option}).selection()


def _undominated(some: Iterable[Option]) -> list[Option]:
    """Options in order of falling scratch, without those that need more scratch and more cycles than another."""
    front: list[Option] = []
    for option in sorted(some, key=lambda o: (o.cost.cycles, o.cost.scratch_bytes)):
        if not front or option.cost.scratch_bytes < front[-1].cost.scratch_bytes:
            front.append(option)
    return front
