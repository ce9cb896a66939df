"""The importance of a channel: one number, comparable between layers because each layer's mean is 1.

    l1          sum of |w|                       H. Li et al., "Pruning Filters for Efficient ConvNets" (ICLR 2017)
    l2          sum of w^2                       the same, by the Euclidean norm
    batch-norm  |gamma|                          Z. Liu et al., "Network Slimming" (ICCV 2017)
    taylor      sum of |w * dL/dw|               P. Molchanov et al., "Importance Estimation" (CVPR 2019)
    loss        |sum of w * dL/dw|               first-order change of the loss when the whole channel is 0

w are the weights that leave or enter the channel in every coupled layer; each layer's sum has equal weight. L is the
loss of a batch. The two measures that need it are means over batches.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
import torch_pruning as tp
from torch import Tensor, nn

from ..errors import CalibrationError, ModelError
from .channel_groups import Coupled

Batch = tuple[Tensor, Tensor]
"""(inputs, targets of the loss)."""
Loss = Callable[[Tensor, Tensor], Tensor]


class Importance(enum.StrEnum):
    L1 = "l1"
    L2 = "l2"
    BATCH_NORM = "batch-norm"
    TAYLOR = "taylor"
    LOSS = "loss"

    @property
    def needs_samples(self) -> bool:
        return self in (Importance.TAYLOR, Importance.LOSS)


def scores(
    net: nn.Module,
    sets: Sequence[Coupled],
    importance: Importance,
    batches: Iterable[Batch] = (),
    loss: Loss = nn.functional.cross_entropy,
) -> dict[str, Tensor]:
    """Importances of every set that the measure applies to: name -> (channels / blocks,) float32.

    Channels of a grouped convolution's blocks are ranked together, position by position. `sets` must be those of `net`.
    Raises CalibrationError without the samples that a measure needs, ModelError if it applies to no layer.
    """
    measure = _measure(importance)
    if importance.needs_samples:
        values = _mean_over(net, sets, measure, list(batches), loss, importance)
    else:
        values = _scored(sets, measure)
    if not values:
        raise ModelError(f"importance {importance.value!r} judges no layer of this network; 'l2' judges any")
    return values


def _measure(importance: Importance) -> Any:
    match importance:
        case Importance.L1:
            return tp.importance.GroupMagnitudeImportance(p=1)
        case Importance.L2:
            return tp.importance.GroupMagnitudeImportance(p=2)
        case Importance.BATCH_NORM:
            return tp.importance.BNScaleImportance()
        case Importance.TAYLOR:
            return tp.importance.GroupTaylorImportance()
        case Importance.LOSS:
            return tp.importance.GroupTaylorImportance(multivariable=True)


def _scored(sets: Sequence[Coupled], measure: Any) -> dict[str, Tensor]:
    raw = {one.name: (measure(one.group), one.blocks) for one in sets}
    return {name: scores.view(blocks, -1).mean(dim=0) for name, (scores, blocks) in raw.items() if scores is not None}


def _mean_over(
    net: nn.Module, sets: Sequence[Coupled], measure: Any, batches: Sequence[Batch], loss: Loss, importance: Importance
) -> dict[str, Tensor]:
    if not batches:
        raise CalibrationError(f"importance {importance.value!r} needs training samples, found none; 'l2' needs none")
    training = net.training
    net.eval()
    parts = [_after_gradients(net, sets, measure, batch, loss) for batch in batches]
    net.zero_grad()
    net.train(training)
    return {name: torch.stack([part[name] for part in parts]).mean(dim=0) for name in parts[0]}


def _after_gradients(
    net: nn.Module, sets: Sequence[Coupled], measure: Any, batch: Batch, loss: Loss
) -> Mapping[str, Tensor]:
    net.zero_grad()
    loss(net(batch[0]), batch[1]).backward()  # type: ignore[no-untyped-call]
    return _scored(sets, measure)
