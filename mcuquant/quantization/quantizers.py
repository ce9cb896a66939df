"""Quantizers of weights: a small family with one interface; each member is a formula with a cost on the device.

A quantizer converts the weights w of one output channel to integers y of `bits` bits, and y back to w' = (y - o) / s:

    linear          y = floor(w*s + o)                 rounds down
    nearest         y = round(w*s + o)                 "approximate": half the worst-case error
    double-linear   y = floor(w*s1 + o1)*s2 + o2       two levels: a small integer for each channel under one scale

o is the zero point: 0 for the plain forms, which are symmetric (1/s = largest |w| / largest integer), and an integer
per channel for the asymmetric ones (1/s = (max - min) / (2^bits - 1)). The power-of-two forms use the next coarser 1/s
= 2^k. The two levels have o1 = 1/2, which rounds to nearest, and o2 = 0. Sources: B. Jacob et al. (CVPR 2018) for
nearest; S. Jain et al., "Trained Uniform Quantization" (2019) for powers of two; S. Dai et al., "VS-Quant" (MLSys 2021)
for two levels.

At 8 bits nothing is clipped. With fewer bits, each channel's scale is the one of `CLIPS` with the smallest squared
error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..errors import CalibrationError
from ..ir import Array, QParams

BITS = (8, 4, 2)
MOST_MULTIPLIER = 255
"""Largest channel multiplier of the double linear form: an unsigned byte."""
CLIPS = np.linspace(1.0, 0.2, 33)
"""Fractions of a channel's range to try as the clipping limit below 8 bits."""
_MOST_SUM = 1 << 30
"""Limit of sums of all products of two levels: half of int32."""
_MOST_INPUT = 255
"""Largest difference of an int8 input and its zero point."""

Snap = Callable[[Array, int], Array]
"""(scales (C,), levels) rounded up to the nearest ones that the form can express; see `Grid.levels`."""


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """The grid of a layer: real = scales[c] * (stored - zeros[c]), stored in low..high."""

    bits: int
    scales: Array
    """(C,) float64, all positive: float32 values, or small multiples of one."""
    zeros: Array
    """(C,) int64; 0 if the quantizer is symmetric."""
    low: int
    high: int
    levels: int
    """Largest channel multiplier, 1 to 255, for which no sum of products overflows; used by the two-level form."""

    @property
    def reach(self) -> int:
        """Largest |stored - zero| of any stored value."""
        return int(np.maximum(self.high - self.zeros, self.zeros - self.low).max())

    def real(self, stored: Array) -> Array:
        """(C, n) float64 of stored (C, n)."""
        return np.asarray((stored - self.zeros[:, None]) * self.scales[:, None], np.float64)


@dataclass(frozen=True, slots=True)
class Quantizer:
    """One member of the family. Weights are (C, n) float64: a row for each output channel."""

    name: str
    formula: str
    device: str
    """Cost or saving on the device, in words."""
    rounding: Callable[[Array], Array]
    asymmetric: bool
    snap: Snap

    def qparams(self, grid: Grid, axis: int) -> QParams:
        """Quantization parameters of weights on `grid`, whose channels are along `axis`."""
        zeros = grid.zeros if self.asymmetric else ()
        if self.snap is not two_levels:
            return QParams.of(grid.scales, axis=axis, zero_points=zeros)
        unit = _unit(grid.scales, grid.levels)
        return QParams.of(unit, axis=axis, zero_points=zeros, multipliers=np.rint(grid.scales / unit))

    def fit(self, w: Array, bits: int) -> Grid:
        """The grid of each channel's weights. A channel of zeros has scale 0, which `raised` changes."""
        clips = CLIPS[:1] if bits == BITS[0] else CLIPS
        grids = [self.clipped(w, bits, clip) for clip in clips]
        errors = np.array([np.square(self.meaning(g, w) - w).sum(axis=1) for g in grids])
        best = errors.argmin(axis=0)
        scales, zeros = (np.array([getattr(g, f) for g in grids]) for f in ("scales", "zeros"))
        rows = np.arange(len(w))
        return self._snapped(grids[0], scales[best, rows], zeros[best, rows])

    def raised(self, grid: Grid, floor: Array) -> Grid:
        """`grid` with all scales at least `floor` (C,)."""
        scales = np.maximum(grid.scales, floor)
        moved = np.rint(grid.low + (grid.zeros - grid.low) * grid.scales / scales)
        return self._snapped(grid, scales, moved if self.asymmetric else grid.zeros)

    def stored(self, grid: Grid, w: Array) -> Array:
        """(C, n) int64 on the grid."""
        scales = np.where(grid.scales > 0, grid.scales, 1.0)[:, None]
        y = self.rounding(w / scales + grid.zeros[:, None])
        return np.clip(y, grid.low, grid.high).astype(np.int64)

    def meaning(self, grid: Grid, w: Array) -> Array:
        """The real values of stored weights."""
        return grid.real(self.stored(grid, w))

    def clipped(self, w: Array, bits: int, clip: float) -> Grid:
        """The grid that covers the part `clip` of each channel's range."""
        low, high = limits(bits, self.asymmetric)
        levels = max(1, min(MOST_MULTIPLIER, _MOST_SUM // (w.shape[1] * (high - low) * _MOST_INPUT)))
        least, most = (clip * f(w, axis=1, initial=0.0) for f in (np.min, np.max))
        if not self.asymmetric:
            scales = self.snap(np.maximum(most, -least) / (1 << (bits - 1) if bits == 2 else high), levels)
            return Grid(bits, scales, np.zeros(len(w), np.int64), low, high, levels)
        scales = self.snap((most - least) / (high - low), levels)
        zeros = np.clip(np.rint(low - least / np.where(scales > 0, scales, 1.0)), low, high)
        return Grid(bits, scales, zeros.astype(np.int64), low, high, levels)

    def _snapped(self, like: Grid, scales: Array, zeros: Array) -> Grid:
        exact = self.snap(scales, like.levels)
        exact = exact if self.snap is two_levels else exact.astype(np.float32).astype(np.float64)
        return replace(like, scales=exact, zeros=np.clip(zeros, like.low, like.high).astype(np.int64))


def limits(bits: int, asymmetric: bool = False) -> tuple[int, int]:
    """(lowest, highest) integer. Symmetric forms exclude the lowest one, as TFLite does, except at 2 bits, where it is
    a quarter of all values.
    """
    half = 1 << (bits - 1)
    return (-half if asymmetric or bits == 2 else 1 - half), half - 1


def as_is(scales: Array, levels: int) -> Array:
    return scales


def power_of_two(scales: Array, levels: int) -> Array:
    """The power of two at or above each value; 0 stays 0."""
    positive = np.where(scales > 0, scales, 1.0)
    return np.where(scales > 0, np.exp2(np.ceil(np.log2(positive))), 0.0)


def two_levels(scales: Array, levels: int) -> Array:
    """Integer multiples, 1 to `levels`, of one float32 scale: that of the coarsest channel over `levels`."""
    unit = _unit(scales, levels)
    return unit * np.clip(np.ceil(scales / unit * (1 - 1e-6)), 1, levels) if unit else scales


def _unit(scales: Array, levels: int) -> float:
    return float(np.float32(scales.max(initial=0.0) / levels))


def half_up(y: Array) -> Array:
    """floor(y + 1/2): the double linear form with o1 = 1/2."""
    return np.asarray(np.floor(y + 0.5))


def _floor(y: Array) -> Array:
    return np.asarray(np.floor(y))


def _nearest(y: Array) -> Array:
    return np.asarray(np.rint(y))


_PLAIN = "a 32-bit multiplier and a shift for each channel"
_ZEROS = "that, and a zero point of 8 bits for each channel"
_SHIFTS = "the same multiplier for all channels, a shift for each"
_TWO_LEVELS = "a multiplier of 8 bits for each channel, one of 32 bits for the layer"

_ALL = (
    Quantizer("nearest", "y = round(w*s)", _PLAIN, _nearest, False, as_is),
    Quantizer("nearest-asymmetric", "y = round(w*s + o)", _ZEROS, _nearest, True, as_is),
    Quantizer("nearest-power-of-two", "y = round(w*2^-k)", _SHIFTS, _nearest, False, power_of_two),
    Quantizer("linear", "y = floor(w*s)", _PLAIN, _floor, False, as_is),
    Quantizer("linear-asymmetric", "y = floor(w*s + o)", _ZEROS, _floor, True, as_is),
    Quantizer("linear-power-of-two", "y = floor(w*2^-k)", _SHIFTS, _floor, False, power_of_two),
    Quantizer("double-linear", "y = floor(w*s1 + 1/2)*s2", _TWO_LEVELS, half_up, False, two_levels),
)
QUANTIZERS: Mapping[str, Quantizer] = {q.name: q for q in _ALL}
DEFAULT = "nearest"


def quantizer(name: str) -> Quantizer:
    """The member with this name. Raises CalibrationError with all names."""
    if name not in QUANTIZERS:
        raise CalibrationError(f"quantizer {name!r} is not known, expected one of: {', '.join(QUANTIZERS)}")
    return QUANTIZERS[name]
