"""Selects how many channels, and which channels, each layer keeps."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from .channel_groups import Coupled

LEAST = 1 / 8
"""When all layers are ranked together, no layer loses more than the remaining fraction of this part: one starved layer
starves all.
"""


def widths(scores: Mapping[str, Tensor], ratio: float, together: bool, multiple: int) -> dict[str, int]:
    """Number of channels (per block) that every set keeps when the fraction `ratio`, 0 to 1, of them is removed.

    `together` ranks the channels of all sets in one list; otherwise each set loses the same fraction. Widths are
    rounded to the nearest multiple of `multiple`, at least one multiple and at most the present number.
    """
    threshold = torch.quantile(torch.cat(list(scores.values())), ratio) if together else None
    return {name: _width(own, ratio, threshold, multiple) for name, own in scores.items()}


def _width(own: Tensor, ratio: float, threshold: Tensor | None, multiple: int) -> int:
    above = len(own) * (1 - ratio) if threshold is None else float((own >= threshold).sum())
    ranking = above if threshold is None else max(above, LEAST * len(own))
    return min(len(own), max(multiple, round(ranking / multiple) * multiple))


def kept(one: Coupled, scores: Tensor, width: int) -> list[int]:
    """The `width` most important channels of each block of a set, ascending."""
    best = torch.argsort(scores, descending=True, stable=True)[:width].sort().values.tolist()
    part = one.channels // one.blocks
    return [block * part + channel for block in range(one.blocks) for channel in best]
