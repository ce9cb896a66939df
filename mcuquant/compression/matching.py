"""Hint training: layers learn the outputs of the teacher's layers with the same names.

A. Romero et al., "FitNets: Hints for Thin Deep Nets" (ICLR 2015), without the regressor: compared layers have equal
widths. If the student has fewer positions (see `strides`), the teacher's values at the same positions count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ..errors import CalibrationError, ModelError

Seen = Mapping[str, Tensor]
"""Layer -> its output in the last run of the network."""


@contextmanager
def watched(net: nn.Module, layers: Sequence[str]) -> Iterator[Seen]:
    """Records the outputs of these layers. Raises ModelError for an unknown name."""
    modules, outputs = dict(net.named_modules()), dict[str, Tensor]()

    def note(name: str) -> object:
        return lambda _layer, _inputs, output: outputs.__setitem__(name, output)

    for name in layers:
        if name not in modules:
            raise ModelError(f"layer {name!r} is not one of the network's: {', '.join(filter(None, modules))}")
    handles = [modules[name].register_forward_hook(note(name)) for name in layers]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def distance(own: Seen, taught: Seen) -> Tensor:
    """Sum over layers of the mean squared difference, in units of the variance of the teacher's output; 0 without
    layers.

    Raises CalibrationError if a layer of the student has another width than the teacher's, or if its positions are not
    every second, third, ... position of the teacher.
    """
    return sum((_distance(name, own[name], taught[name]) for name in own), torch.zeros(()))


def _distance(name: str, own: Tensor, taught: Tensor) -> Tensor:
    goal = taught[(slice(None), slice(None), *map(_every, own.shape[2:], taught.shape[2:]))]
    if own.shape != goal.shape:
        gives, goals = list(own.shape[1:]), list(taught.shape[1:])
        raise CalibrationError(
            f"layer {name!r} cannot be matched: it gives {gives}, the teacher's {goals}; "
            "expected as many channels, and every position or every n-th"
        )
    return nn.functional.mse_loss(own, goal) / goal.var().clamp(min=1e-12)


def _every(few: int, many: int) -> slice:
    """`few` of `many` positions, in equal steps from the first, as a longer stride leaves them."""
    return slice(None, None, -(-many // few))
