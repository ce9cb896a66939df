"""Structured pruning: whole channels go, until the compiler's plan of what is left meets the targets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

import torch
from torch import Tensor, nn

from ..boards.board import Board
from ..errors import BudgetError, CalibrationError
from .channel_groups import Coupled, coupled, cut
from .costs import Cost, Target, cost
from .importance import Batch, Importance, Loss, scores
from .reinitialize import reinitialized
from .widths import kept, widths

MULTIPLES = (4, 1)
"""Channel counts tried where none is asked for: kernels that take four channels at a time like the first."""
_HALVINGS = 7
_MOST = 0.98
"""The largest part of its channels that a search takes from a layer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruning:
    """What is to be reached, and how. One of `targets`, `ratio` and `widths`."""

    targets: tuple[Target, ...] = ()
    ratio: float | None = None
    """The part of all channels to cut, 0 to 1, whatever that saves."""
    widths: Mapping[str, int] = field(default_factory=dict)
    """Layer -> channels to keep, whatever that saves; layers not named keep theirs."""
    importance: Importance = Importance.L2
    together: bool = True
    """Rank the channels of all layers in one list; otherwise every layer loses the same part."""
    multiple: int | None = None
    """Channel counts are multiples of it. None: of 4, or any, whichever keeps more that matters under the targets."""
    steps: int = 1
    """1 is one-shot; with more the cut is spread over so many, each ranked again after fine-tuning."""
    keep: tuple[str, ...] = ()
    """Layers whose outputs stay."""
    reinitialize: bool = False
    """After the last cut, before training: keep the shape alone, with random weights (see `reinitialized`)."""

    def __post_init__(self) -> None:
        check_one({"targets": self.targets, "a ratio": self.ratio is not None, "widths": self.widths})
        if self.ratio is not None and not 0 < self.ratio < 1:
            raise CalibrationError(f"the pruning ratio must be between 0 and 1, found {self.ratio}")


def check_one(alternatives: Mapping[str, object]) -> None:
    """CalibrationError unless one of the ways to say how much goes is taken."""
    names = [name for name, value in alternatives.items() if value]
    if len(names) != 1:
        *most, last = alternatives
        raise CalibrationError(
            f"pruning takes one of {', '.join(most)} and {last}, found {' and '.join(names) or 'none of them'}"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Pruned:
    net: nn.Module
    """A copy; the network given is as it was."""
    widths: Mapping[str, tuple[int, int]]
    """Layer -> channels before and after, of all that could be cut."""
    before: Cost
    after: Cost


def prune(
    net: nn.Module,
    example: Tensor,
    board: Board,
    pruning: Pruning,
    batches: Sequence[Batch] = (),
    loss: Loss = nn.functional.cross_entropy,
    fine_tune: Callable[[nn.Module], None] | None = None,
) -> Pruned:
    """Cut channels of a trained network until every target is met on `board`.

    `example` is an input batch of one. `batches` and `loss` are for the importances that need gradients. `fine_tune`
    trains the network it is given, in place, after every step. BudgetError when the thinnest network there is still
    misses a target.
    """
    before = cost(net, example, board)
    names = {c.name: c.channels for c in coupled(net, example, pruning.keep)}
    current = net
    for step in range(1, pruning.steps + 1):
        search = _Search.of(current, example, board, pruning, batches, loss)
        current = search.cut(_choice_of_step(search, pruning, before, step))
        if pruning.reinitialize and step == pruning.steps:
            current = reinitialized(current)
        if fine_tune is not None:
            fine_tune(current)
    layers = {c.name: c.channels for c in coupled(current, example, pruning.keep)}
    return Pruned(
        current,
        {n: (before_width, layers.get(n, 1)) for n, before_width in names.items()},
        before,
        cost(current, example, board),
    )


def check_reachable(net: nn.Module, example: Tensor, board: Board, pruning: Pruning) -> None:
    """BudgetError when the thinnest network there is misses a target: sizes do not depend on how training ends."""
    search = _Search.of(
        net, example, board, replace(pruning, importance=Importance.L2), (), nn.functional.cross_entropy
    )
    thinnest = search.cost(search.choice(_MOST, pruning.multiple or MULTIPLES[-1]))
    for target in pruning.targets:
        if not target.is_met(thinnest):
            raise BudgetError(_missed(target, thinnest, board))


@dataclass(frozen=True, slots=True)
class _Choice:
    widths: Mapping[str, int]
    importance: float
    """Of the channels that are kept, all layers together."""


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    """The networks that one step can end in."""

    net: nn.Module
    example: Tensor
    board: Board
    together: bool
    sets: Mapping[str, Coupled]
    scores: Mapping[str, Tensor]
    costs: dict[tuple[int, ...], Cost] = field(default_factory=dict)
    """Of what was tried, by the widths in the order of `scores`."""

    @classmethod
    def of(
        cls, net: nn.Module, example: Tensor, board: Board, pruning: Pruning, batches: Iterable[Batch], loss: Loss
    ) -> _Search:
        sets = coupled(net, example, pruning.keep)
        ranking = scores(net, sets, pruning.importance, batches, loss)
        return cls(net, example, board, pruning.together, {one.name: one for one in sets}, ranking)

    def choice(self, ratio: float, multiple: int) -> _Choice:
        wide = widths(self.scores, ratio, self.together, multiple)
        return _Choice(wide, sum(float(own.topk(wide[name]).values.sum()) for name, own in self.scores.items()))

    def toward(self, goal_widths: Mapping[str, int], part: float) -> _Choice:
        """`part` of the way, in equal factors, to the widths wanted. CalibrationError where there are not so many."""
        channels = {name: len(own) for name, own in self.scores.items()}
        for name, width in goal_widths.items():
            if not 1 <= width <= channels.get(name, 0):
                raise CalibrationError(_no_width(name, width, channels))
        way = {name: round(channels[name] * (width / channels[name]) ** part) for name, width in goal_widths.items()}
        return _Choice({**channels, **way}, 0.0)

    def cut(self, choice: _Choice) -> nn.Module:
        channels = {n: kept(self.sets[n], self.scores[n], width) for n, width in choice.widths.items()}
        return cut(self.net, self.example, channels)

    def cost(self, choice: _Choice) -> Cost:
        key = tuple(choice.widths.values())
        if key not in self.costs:
            self.costs[key] = cost(self.cut(choice), self.example, self.board)
        return self.costs[key]

    def widest(self, targets: Sequence[Target], multiple: int) -> _Choice | None:
        """The least that must go for all targets to be met, found by halving; None when nothing is little enough."""

        def meets(choice: _Choice) -> bool:
            return all(target.is_met(self.cost(choice)) for target in targets)

        low, high, best = 0.0, _MOST, self.choice(_MOST, multiple)
        if not meets(best):
            return None
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            if meets(widths := self.choice(middle, multiple)):
                high, best = middle, widths
            else:
                low = middle
        return best


def _no_width(name: str, width: int, channels: Mapping[str, int]) -> str:
    layers = ", ".join(f"{name} ({n})" for name, n in channels.items())
    return (
        f"layer {name!r} cannot be left with {width} channels; layers that can be pruned, and their channels: {layers}"
    )


def _choice_of_step(search: _Search, pruning: Pruning, start: Cost, step: int) -> _Choice:
    """What the network becomes in a step of the way from `start`, in equal factors, to the targets."""
    if pruning.widths:
        return search.toward(pruning.widths, 1 / (pruning.steps - step + 1))
    multiples = (pruning.multiple,) if pruning.multiple else MULTIPLES
    if pruning.ratio is not None:
        return search.choice(1 - (1 - pruning.ratio) ** (1 / pruning.steps), multiples[0])
    targets = [_on_the_way(target, start, step / pruning.steps) for target in pruning.targets]
    choices = [c for c in (search.widest(targets, m) for m in multiples) if c is not None]
    if not choices:
        thinnest = search.cost(search.choice(_MOST, multiples[-1]))
        raise BudgetError(_missed(next(t for t in targets if not t.is_met(thinnest)), thinnest, search.board))
    return max(choices, key=lambda choice: choice.importance)


def _on_the_way(target: Target, start: Cost, part: float) -> Target:
    """`part` 0 to 1 of the way there; a target that `start` meets is one from the beginning."""
    before = int(getattr(start, target.metric))
    if before <= target.most or part == 1:
        return target
    return Target(target.metric, int(before * (target.most / before) ** part))


def _missed(target: Target, thinnest: Cost, board: Board) -> str:
    least = asdict(thinnest)[target.metric]
    return (
        f"pruning cannot reach {target} on {board.name}: with as few channels as every layer may have it is still "
        f"{least:,}; aim higher, keep fewer layers, or start from a network with fewer or smaller layers"
    )


def shares(pruned: Pruned) -> Mapping[str, float]:
    """Cost after as a part of cost before, by metric."""
    before, after = asdict(pruned.before), asdict(pruned.after)
    return {key: after[key] / before[key] if before[key] else 1.0 for key in before}


def batches_of(x: Tensor, y: Tensor, size: int = 64, most: int = 16) -> list[Batch]:
    """The first `most` batches of samples, for `prune`."""
    pairs = zip(torch.split(x, size), torch.split(y, size), strict=True)
    return [pair for _, pair in zip(range(most), pairs, strict=False)]
