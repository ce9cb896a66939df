"""Structured pruning: removes whole channels until the compiler's plan of the remaining network meets the targets."""

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
"""Channel multiples to try by default: some kernels are faster for multiples of 4."""
_HALVINGS = 7
_MOST = 0.98
"""The largest fraction of a layer's channels that a search removes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruning:
    """The goal of pruning and its method. Exactly one of `targets`, `ratio` and `widths` is set."""

    targets: tuple[Target, ...] = ()
    ratio: float | None = None
    """Fraction of all channels to remove, 0 to 1."""
    widths: Mapping[str, int] = field(default_factory=dict)
    """Layer -> number of channels to keep. Other layers keep all channels."""
    importance: Importance = Importance.L2
    together: bool = True
    """Rank the channels of all layers in one list. Otherwise every layer loses the same fraction."""
    multiple: int | None = None
    """Channel counts become multiples of it. None: try 4 and 1, and use the one that keeps more importance within the
    targets.
    """
    steps: int = 1
    """Number of cuts. 1 is one-shot pruning; with more, channels are ranked again after each fine-tuning."""
    keep: tuple[str, ...] = ()
    """Layers whose output channels stay."""
    reinitialize: bool = False
    """After the last cut, keep only the shape and start with random weights (see `reinitialized`)."""

    def __post_init__(self) -> None:
        check_one({"targets": self.targets, "a ratio": self.ratio is not None, "widths": self.widths})
        if self.ratio is not None and not 0 < self.ratio < 1:
            raise CalibrationError(f"the pruning ratio must be between 0 and 1, found {self.ratio}")


def check_one(alternatives: Mapping[str, object]) -> None:
    """Raises CalibrationError unless exactly one goal is set."""
    names = [name for name, value in alternatives.items() if value]
    if len(names) != 1:
        *most, last = alternatives
        raise CalibrationError(
            f"pruning takes one of {', '.join(most)} and {last}, found {' and '.join(names) or 'none of them'}"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Pruned:
    net: nn.Module
    """The pruned copy. The network given to `prune` does not change."""
    widths: Mapping[str, tuple[int, int]]
    """Layer -> channels before and after, for all layers that could be cut."""
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
    """Remove channels of a trained network until every target is met on `board`.

    `example` is an input batch of one. `batches` and `loss` serve the importances that need gradients. `fine_tune`
    trains the given network in place after every step. Raises BudgetError if the thinnest network still misses a
    target.
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
    """Raises BudgetError if the thinnest network misses a target. Sizes do not depend on training."""
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
    """Sum of the importances of the channels that stay, over all layers."""


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    """Candidate networks of one pruning step."""

    net: nn.Module
    example: Tensor
    board: Board
    together: bool
    sets: Mapping[str, Coupled]
    scores: Mapping[str, Tensor]
    costs: dict[tuple[int, ...], Cost] = field(default_factory=dict)
    """Costs by width, in the order of `scores`."""

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
        """The widths at the fraction `part` of the way to `goal_widths`, in equal factors. Raises CalibrationError if a
        layer has fewer channels than its goal.
        """
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
        """The smallest cut that meets all targets, by bisection; None if the largest cut misses one."""

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
    """The cut of one step on the way from `start`, in equal factors, to the targets."""
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
    """The target at the fraction `part`, 0 to 1, of the way. A target that `start` meets already applies from the
    beginning.
    """
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
    """Cost after pruning as a fraction of the cost before, per metric."""
    before, after = asdict(pruned.before), asdict(pruned.after)
    return {key: after[key] / before[key] if before[key] else 1.0 for key in before}


def batches_of(x: Tensor, y: Tensor, size: int = 64, most: int = 16) -> list[Batch]:
    """The first `most` batches of samples, for `prune`."""
    pairs = zip(torch.split(x, size), torch.split(y, size), strict=True)
    return [pair for _, pair in zip(range(most), pairs, strict=False)]
