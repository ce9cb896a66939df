"""How many channels each layer keeps, and which."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from .channel_groups import Coupled

LEAST = 1 / 8
"""No layer loses more than the rest of its channels when all are ranked together: one starved layer starves all."""


def widths(scores: Mapping[str, Tensor], ratio: float, together: bool, multiple: int) -> dict[str, int]:
    """Channels (of each part) that every set keeps when the part `ratio`, 0 to 1, of them is to go.

    `together` ranks all sets' channels in one list, so that layers lose as they matter; otherwise each loses the same
    part. Rounded to the nearest multiple of `multiple`, but never to none, nor up to more than there are.
    """
    threshold = torch.quantile(torch.cat(list(scores.values())), ratio) if together else None
    return {name: _width(own, ratio, threshold, multiple) for name, own in scores.items()}


def _width(own: Tensor, ratio: float, threshold: Tensor | None, multiple: int) -> int:
    above = len(own) * (1 - ratio) if threshold is None else float((own >= threshold).sum())
    ranking = above if threshold is None else max(above, LEAST * len(own))
    return min(len(own), max(multiple, round(ranking / multiple) * multiple))


def kept(one: Coupled, scores: Tensor, width: int) -> list[int]:
    """The `width` most important channels of each part of a set, ascending."""
    best = torch.argsort(scores, descending=True, stable=True)[:width].sort().values.tolist()
    part = one.channels // one.blocks
    return [block * part + channel for block in range(one.blocks) for channel in best]
