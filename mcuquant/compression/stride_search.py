"""Selects convolutions for longer strides: the smallest change of the outputs for the saved cost, one doubling at a
time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from ..boards.board import Board
from ..errors import BudgetError, ModelError
from .costs import Cost, Target, cost
from .matching import distance
from .strides import Convolution, strided
from .training import answers

Strides = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class _Choice:
    strides: Strides
    cost: Cost
    moved: float
    """Mean squared change of the outputs, in units of their variance, without training."""

    def excess(self, targets: Sequence[Target]) -> float:
        """The logarithm of the factor by which the worst target is missed; 0 if all are met."""
        return max(0.0, *(math.log(getattr(self.cost, t.metric) / t.most) for t in targets))

    def price(self, before: _Choice, targets: Sequence[Target]) -> float:
        """Change of the outputs per saved cost. Savings beyond the targets do not count."""
        return (self.moved - before.moved) / (before.excess(targets) - self.excess(targets))


def strides_for(net: nn.Module, x: Tensor, board: Board, targets: Sequence[Target]) -> Strides:
    """Convolution -> stride, for all convolutions that must change so that all targets are met on `board`; see
    `strides.strided`.

    `x` (N, ...) are samples for the outputs. Each round doubles one stride in one direction: the one that changes the
    outputs least for its saving. Finally, doublings that later ones made unnecessary are undone. Of all candidates that
    meet the targets, the one that changes the outputs least is returned. Raises BudgetError if no longer stride reduces
    the cost.
    """
    search = _Search(net, x, board, answers(net, x))
    now = _Choice({}, cost(net, x[:1], board), 0.0)
    done = [now]
    while now.excess(targets) > 0:
        better = [c for c in search.doubled(now) if c.excess(targets) < now.excess(targets)]
        if not better:
            raise BudgetError(_missed(now, targets, board))
        now = min(better, key=partial(_Choice.price, before=now, targets=targets))
        done += better
    while nearer := [c for c in search.halved(now) if c.excess(targets) == 0 and c.moved < now.moved]:
        now = min(nearer, key=lambda choice: choice.moved)
        done.append(now)
    return min((c for c in done if c.excess(targets) == 0), key=lambda choice: choice.moved).strides


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    net: nn.Module
    x: Tensor
    board: Board
    before: Tensor
    """The outputs of the unchanged network for `x`."""

    def doubled(self, now: _Choice) -> Iterator[_Choice]:
        """Candidates with one stride doubled in one direction that the network supports."""
        for name, had in self._had().items():
            for stride in _in_one_direction(now.strides.get(name, had), lambda s, _: 2 * s, had):
                yield from self._choice({**now.strides, name: stride})

    def halved(self, now: _Choice) -> Iterator[_Choice]:
        """Candidates with one doubling undone."""
        for name, had in self._had().items():
            for stride in _in_one_direction(now.strides.get(name, had), lambda s, h: max(s // 2, h), had):
                changed = {**now.strides, name: stride}
                yield from self._choice({n: s for n, s in changed.items() if s != self._had()[n]})

    def _had(self) -> Strides:
        return {n: tuple(layer.stride) for n, layer in self.net.named_modules() if isinstance(layer, Convolution)}

    def _choice(self, strides: Strides) -> Iterator[_Choice]:
        try:
            result = strided(self.net, self.x[:1], strides)
        except ModelError:  # later layers need every position
            return
        moved = distance({"": answers(result, self.x)}, {"": self.before})
        yield _Choice(strides, cost(result, self.x[:1], self.board), float(moved))


def _in_one_direction(
    stride: tuple[int, ...], change: Callable[[int, int], int], had: tuple[int, ...]
) -> Iterator[tuple[int, ...]]:
    """The strides with one number changed."""
    for axis, (own, first) in enumerate(zip(stride, had, strict=True)):
        if (new := change(own, first)) != own:
            yield (*stride[:axis], new, *stride[axis + 1 :])


def _missed(now: _Choice, targets: Sequence[Target], board: Board) -> str:
    target = next(t for t in targets if not t.is_met(now.cost))
    return (
        f"longer strides cannot reach {target} on {board.name}: where no other convolution can take longer steps and "
        f"save by it, it is still {getattr(now.cost, target.metric):,}; aim higher, or prune channels as well"
    )
