"""Rounds the weights of one layer, and below 8 bits selects their scales, so that the error of its sums is small.

Adaptive rounding selects between the two integers around each weight (see `statistics`). Below 8 bits the scale of a
channel matters as much: `rounded` takes the clipping with the least error of the sums instead of the least error of the
weights, then alternates rounding and the scale that is optimal for the integers. For integers y and the sums H and B of
`statistics`, the error s^2 y H y' - 2 s y B is least for s = y B / y H y' (least squares).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..ir import Array, Tensor
from .quantizers import BITS, CLIPS, as_is, limits, two_levels
from .statistics import Statistics
from .weight_scales import Fitted, data_of, from_rows, to_rows

_SHRINKAGE = 0.1
"""Weight of a weight's own error, in mean squared inputs. Without it, a layer with more inputs than positions of
samples fits them by chance.
"""
_REFITS = 4
"""Rounds of scales and integers. Most layers do not change after three."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Stored weights of a layer, a row per output channel: real = scales * steps."""

    steps: Array
    """(C, K) stored integers less the zero point."""
    scales: Array
    """(C, 1) float64."""
    zeros: Array
    """(C, 1)."""

    @classmethod
    def of(cls, w: Tensor, axis: int) -> Rows:
        channels = (w.shape[axis], 1)
        zeros = np.reshape(w.qparams.zero_points or (w.qparams.zero_point,), (-1, 1))
        scales = np.reshape(w.qparams.scale, (-1, 1)) * np.reshape(w.qparams.multipliers or (1,), (-1, 1))
        zeros = np.broadcast_to(zeros, channels)
        return cls(to_rows(data_of(w), axis) - zeros, np.broadcast_to(scales, channels), zeros)

    @property
    def real(self) -> Array:
        """(C, K) float64: the real values of stored weights."""
        return np.asarray(self.steps * self.scales)

    def better(self, other: Rows, is_better: Array) -> Rows:
        """The rows of `other` where `is_better` (C,), else these."""
        rows = is_better[:, None]
        pairs = ((self.steps, other.steps), (self.scales, other.scales), (self.zeros, other.zeros))
        return Rows(*(np.where(rows, theirs, ours) for ours, theirs in pairs))


def rounded(exact: Array, w: Tensor, axis: int, stats: Statistics, fitted: Fitted, floor: Array) -> Tensor:
    """The stored weights `w` with a smaller error of the layer's sums, for real weights `exact` (C, K).

    `floor` (C,) is the smallest scale of each channel. At 8 bits, and with scales that are multiples of one, the scales
    do not change.
    """
    rows = Rows.of(w, axis)
    if w.bits == BITS[0]:
        return _stored(w, axis, _descended(rows, exact, w, stats), fitted)
    stats = stats.shrunk(exact, _SHRINKAGE)
    if fitted.quantizer.snap is two_levels:
        return _stored(w, axis, _descended(rows, exact, w, stats), fitted)
    rows = _descended(_clipped(rows, exact, w.bits, stats, fitted, floor), exact, w, stats)
    for _ in range(_REFITS if fitted.quantizer.snap is as_is else 0):
        rows = _descended(_refitted(rows, stats, floor), exact, w, stats)
    return _stored(w, axis, rows, fitted)


def _clipped(rows: Rows, exact: Array, bits: int, stats: Statistics, fitted: Fitted, floor: Array) -> Rows:
    """For each channel, the part of its range whose rounded weights have the least error of sums."""
    quantizer, best = fitted.quantizer, stats.error(rows.real)
    for clip in CLIPS:
        grid = quantizer.raised(quantizer.clipped(exact, bits, clip), floor)
        zeros = grid.zeros[:, None]
        candidate = Rows(quantizer.stored(grid, exact) - zeros, grid.scales[:, None], zeros)
        error = stats.error(candidate.real)
        rows, best = rows.better(candidate, error < best), np.minimum(error, best)
    return rows


def _refitted(rows: Rows, stats: Statistics, floor: Array) -> Rows:
    """The scale of each channel with the least error for its integers, as a float32 value not below `floor`."""
    scales = stats.best_scales(rows.steps)
    usable = np.where(scales > 0, scales, rows.scales[:, 0])
    return replace(rows, scales=np.maximum(usable, floor).astype(np.float32).astype(np.float64)[:, None])


def _descended(rows: Rows, exact: Array, w: Tensor, stats: Statistics) -> Rows:
    """Each integer moved to the better of the two around the real weight."""
    lowest, highest = (bound - rows.zeros for bound in limits(w.bits, asymmetric=bool(w.qparams.zero_points)))
    steps = exact / rows.scales
    low, high = (np.clip(side(steps), lowest, highest) for side in (np.floor, np.ceil))
    low, high = np.minimum(low, rows.steps), np.maximum(high, rows.steps)
    return replace(rows, steps=stats.descended(rows.steps, low, high, rows.scales))


def _stored(w: Tensor, axis: int, rows: Rows, fitted: Fitted) -> Tensor:
    data = from_rows((rows.steps + rows.zeros).astype(np.int8), w, axis)
    if fitted.quantizer.snap is two_levels or w.bits == BITS[0]:
        return replace(w, data=data)
    grid = replace(fitted.grid, scales=rows.scales[:, 0], zeros=rows.zeros[:, 0].astype(np.int64))
    return replace(w, q=fitted.quantizer.qparams(grid, axis), data=data)
