"""Requantization in two instructions, where it is proven to give what TFLite's two roundings give.

TFLite's y = clamp(requantize(acc, m, -e) + y_zero, -128, 127) is a staircase over acc: T(v) is the least sum that gives
v or more. A kernel whose accumulator holds 256 * acc + start computes instead

    SSAT8(SMMULR(256 * acc + start, factor) >> shift)

one rounding, another staircase. Neither ever falls, so they are equal on low..high if and only if the second one
reaches every v at T(v) and not at T(v) - 1. That makes two bounds on `start` for every v, and an exact answer for each
`factor`. Where y_zero is -128, as after a ReLU, nearly every channel has a solution near m * 2^(shift - 7 - e); where
sums of both signs give outputs inside the range, almost none: TFLite rounds halves away from zero. A shift of 8 does
for sums of up to 2^17 or so; longer ones want 12, and e of at least 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..fixedpoint import Multiplier, requantize
from ..ir import Array

SUM_BITS = 8
"""The accumulator holds 2^SUM_BITS times the sum."""
_VALUES = np.arange(-127, 128, dtype=np.int64)
_TRIES = 32
"""Factors to each side of the first one. More solve no more layers of the MLPerf Tiny networks."""
_AT_ONCE = 1024
"""Channels that are solved together: each takes some 20 KB while it is."""
_UNBOUNDED = 1 << 60
_HOPELESS = 1 << SUM_BITS
"""Bounds of `start` so far apart as another sum are never brought together by another factor."""
_SLOPES = 10
"""Candidates for the factor differ by so little that the largest sum moves by 2^-_SLOPES of its unit."""


@dataclass(frozen=True, slots=True, eq=False)
class TwoInstructions:
    """One entry a channel: SSAT8(SMMULR(256 * acc + start, factor) >> shift) is the output."""

    factor: Array
    start: Array
    shift: int


def two_instructions(
    multipliers: Sequence[Multiplier], y_zero: int, low: Array, high: Array, shift: int = 8
) -> TwoInstructions | None:
    """Constants for all channels, exact for every sum from low to high (one entry a channel), or None.

    The output's clamp must be int8's whole range.
    """
    if not all(shift - 7 <= -m.shift <= 31 and m.m > 0 for m in multipliers) or not _fits(low, high):
        return None
    parts: list[TwoInstructions] = []
    for i in range(0, len(multipliers), _AT_ONCE):
        some = slice(i, i + _AT_ONCE)
        part = _solved(multipliers[some], y_zero, low[some], high[some], shift)
        if part is None:
            return None
        parts.append(part)
    return TwoInstructions(np.concatenate([p.factor for p in parts]), np.concatenate([p.start for p in parts]), shift)


def _solved(
    multipliers: Sequence[Multiplier], y_zero: int, low: Array, high: Array, shift: int
) -> TwoInstructions | None:
    m = np.array([m.m for m in multipliers], np.int64)[:, None]
    exponent = np.array([m.shift for m in multipliers], np.int64)[:, None]
    low, high = low.astype(np.int64)[:, None], high.astype(np.int64)[:, None]
    reached = _least_sums(m, exponent, y_zero, low, high)
    found = TwoInstructions(np.zeros(len(m), np.int64), np.zeros(len(m), np.int64), shift)
    base = m >> (7 - shift - exponent)
    step = _step(base, reached, low, high)
    open_ = np.arange(len(m))
    for k in sorted(range(-_TRIES, _TRIES + 1), key=abs):
        factor = base[open_] + k * step[open_]
        least, most = _starts(factor, shift, reached[open_], low[open_], high[open_])
        if k == 0 and (least - most > _HOPELESS).any():
            return None
        solved = (least <= most) & (factor[:, 0] > 0) & (factor[:, 0] < 1 << 31)
        found.factor[open_[solved]] = factor[solved, 0]
        found.start[open_[solved]] = _between(least[solved], most[solved])
        open_ = open_[~solved]
        if not open_.size:
            return found if _fits(low[:, 0], high[:, 0], found.start) else None
    return None


def _step(base: Array, reached: Array, low: Array, high: Array) -> Array:
    """How far apart candidates for the factor are: less, the further from 0 the sums at which the output changes."""
    furthest = np.where((low < reached) & (reached <= high), np.abs(reached), 1).max(axis=1, keepdims=True)
    return np.asarray(np.maximum((base >> _SLOPES) // furthest, 1))


def _fits(low: Array, high: Array, start: Array | int = 0) -> bool:
    """256 times the sum and `start` stay within 32 bits."""
    limit = (1 << 31) - 1
    lowest, highest = (low.astype(np.int64) << SUM_BITS) + start, (high.astype(np.int64) << SUM_BITS) + start
    return bool((lowest >= -limit).all() and (highest <= limit).all())


def _least_sums(m: Array, exponent: Array, y_zero: int, low: Array, high: Array) -> Array:
    """The least sum from `low` on that TFLite gives v or more, for every v of _VALUES; `high` + 1 where none does."""
    below = np.broadcast_to(low - 1, (len(m), _VALUES.size))
    above = np.broadcast_to(high + 1, below.shape)
    while (above - below > 1).any():
        middle = (below + above) // 2
        reaches = requantize(middle, m, exponent) + y_zero >= _VALUES
        above, below = np.where(reaches, middle, above), np.where(reaches, below, middle)
    return np.asarray(above)


def _starts(factor: Array, shift: int, reached: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """Bounds of `start`: SMMULR(256 * acc + start, factor) >> shift is v or more exactly from `reached` on."""
    needed = -((-((_VALUES << (32 + shift)) - (1 << 31))) // np.maximum(factor, 1))
    least = needed - (reached << SUM_BITS)
    most = least + (1 << SUM_BITS) - 1
    return (
        np.where(reached <= high, least, -_UNBOUNDED).max(axis=1),
        np.where(reached > low, most, _UNBOUNDED).min(axis=1),
    )


def _between(least: Array, most: Array) -> Array:
    """In the middle, or at the only bound."""
    middle = (least + most) // 2
    return np.where(least == -_UNBOUNDED, most, np.where(most == _UNBOUNDED, least, middle))
