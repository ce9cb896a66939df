"""Requantization in two instructions, where it is proven to give what TFLite's two roundings give.

TFLite's y = clamp(requantize(acc, m, -e) + y_zero, -128, 127) is a staircase over acc: T(v) is the least sum that gives
v or more. A kernel whose accumulator holds unit * acc + start (unit is 256, most often) computes instead

    SSAT8(SMMULR(unit * acc + start, factor) >> shift)

one rounding, another staircase. Neither ever falls, so they are equal on low..high if and only if the second one
reaches every v at T(v) and not at T(v) - 1. That makes two bounds on `start` for every v, and an exact answer for each
`factor`. Over factors this close together the bounds are straight lines, so the gap between them is convex: where it
grows to both sides, no factor further away closes it. Where y_zero is -128, as after a ReLU, nearly every channel has a
solution near m * 2^(shift + 1 - e) / unit; where sums of both signs give outputs inside the range, almost none: TFLite
rounds halves away from zero. A shift of 8 does for sums of up to 2^17 or so; longer ones want 12, and e of at least 5.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ...arithmetic.fixedpoint import Multiplier
from ...ir import Array

UNIT = 256
"""Default factor of the sum in the accumulator."""
_VALUES = np.arange(-127, 128, dtype=np.int64)
_TRIES = 128
"""Number of factors to each side of the first one. More solve no more layers of the MLPerf Tiny networks."""
_AT_ONCE = 1024
"""Channels that are solved together: each takes about 20 KB of memory meanwhile."""
_CANDIDATES, _FEW = 256, 16
_UNBOUNDED = 1 << 60
_SLOPES = 10
"""Candidates for the factor differ by so little that the largest sum moves by 2^-_SLOPES of its unit."""
_HOPELESS = 4
"""If the gap between bounds of `start` exceeds this fraction of a sum, no factor in reach closes it."""
_RISE_LIMIT = 4
"""Increase of a gap beyond the rounding of integers."""


@dataclass(frozen=True, slots=True, eq=False)
class TwoInstructions:
    """One entry a channel: SSAT8(SMMULR(unit * acc + start, factor) >> shift) is the output."""

    factor: Array
    start: Array
    shift: int


@dataclass(frozen=True, slots=True, eq=False)
class _Stairs:
    """TFLite's outputs over each channel's sums: T(v) of all _VALUES is `reached` (channels, 255); the others are
    columns.
    """

    m: Array
    exponent: Array
    low: Array
    high: Array
    reached: Array

    @property
    def is_inside(self) -> Array:
        """Whether T(v) is a sum at which the output changes."""
        return np.asarray((self.low < self.reached) & (self.reached <= self.high))


def two_instructions(
    multipliers: Sequence[Multiplier], y_zero: int, low: Array, high: Array, shift: int = 8, unit: int = UNIT
) -> TwoInstructions | None:
    """Constants for all channels, exact for every sum from low to high (one entry per channel), or None.

    The output's clamp must be the whole range of int8.
    """
    if not all(1 <= -m.shift <= 31 and m.m > 0 for m in multipliers) or not _fits(unit, low, high):
        return None
    parts: list[TwoInstructions] = []
    for i in range(0, len(multipliers), _AT_ONCE):
        some = slice(i, i + _AT_ONCE)
        ends = (np.ascontiguousarray(end[some], np.int64).tobytes() for end in (low, high))
        part = _solved(tuple(multipliers[some]), y_zero, *ends, shift, unit)
        if part is None:
            return None
        parts.append(part)
    return TwoInstructions(np.concatenate([p.factor for p in parts]), np.concatenate([p.start for p in parts]), shift)


@lru_cache(maxsize=4096)
def _solved(
    multipliers: tuple[Multiplier, ...], y_zero: int, lowest: bytes, highest: bytes, shift: int, unit: int
) -> TwoInstructions | None:
    """Cached: called when a variant is selected, and when it is packed."""
    stairs = _stairs(multipliers, y_zero, lowest, highest)
    m, exponent, low, high = stairs.m, stairs.exponent, stairs.low, stairs.high
    solution = TwoInstructions(np.zeros(len(m), np.int64), np.zeros(len(m), np.int64), shift)
    base = (m << (shift + 1)) // (unit << -exponent)
    if (base >> 31).any():
        return None
    step = _step(base, stairs)
    offsets = _offsets(stairs, unit)
    unsolved, smallest, risen = np.arange(len(m)), np.full(len(m), _UNBOUNDED), np.zeros((len(m), 2), bool)
    for ks in _blocks(len(m)):
        factors = base[unsolved] + ks * step[unsolved]
        least, most = _starts(factors, shift, *(ends[unsolved] for ends in offsets))
        gap = least - most
        if ks[0] == 0 and (gap[:, 0] > unit // _HOPELESS).any():
            return None
        fits = (gap <= 0) & (factors > 0) & (factors < 1 << 31)
        solved, first = fits.any(axis=1), fits.argmax(axis=1)
        at = np.flatnonzero(solved), first[solved]
        solution.factor[unsolved[solved]] = factors[at]
        solution.start[unsolved[solved]] = _between(least[at], most[at])
        smallest[unsolved] = np.minimum(smallest[unsolved], gap.min(axis=1))
        risen[unsolved] |= gap[:, [ks.argmin(), ks.argmax()]] > smallest[unsolved, None] + _RISE_LIMIT
        unsolved = unsolved[~solved]
        if not unsolved.size:
            return solution if _fits(unit, low[:, 0], high[:, 0], solution.start) else None
        if risen[unsolved].all(axis=1).any():
            return None
    return None


def _blocks(channels: int) -> Iterator[Array]:
    """0, 1, -1, 2, ... in blocks that grow to some hundred candidates for all channels together; few channels need
    many.
    """
    order = np.array(sorted(range(-_TRIES, _TRIES + 1), key=abs))
    most = max(1, _CANDIDATES // channels // 2) * 2
    yield order[:1]
    at, size = 1, min(_FEW, most)
    while at < len(order):
        yield order[at : at + size]
        at, size = at + size, min(4 * size, most)


def _step(base: Array, stairs: _Stairs) -> Array:
    """Distance of candidates for the factor: smaller if the output changes at sums further from 0."""
    furthest = np.where(stairs.is_inside, np.abs(stairs.reached), 1).max(axis=1, keepdims=True)
    return np.asarray(np.maximum((base >> _SLOPES) // furthest, 1))


def _fits(unit: int, low: Array, high: Array, start: Array | int = 0) -> bool:
    """Whether `unit` times the sum and `start` stay within 32 bits."""
    limit = (1 << 31) - 1
    lowest, highest = low.astype(np.int64) * unit + start, high.astype(np.int64) * unit + start
    return bool((lowest >= -limit).all() and (highest <= limit).all())


@lru_cache(maxsize=8)
def _stairs(multipliers: tuple[Multiplier, ...], y_zero: int, lowest: bytes, highest: bytes) -> _Stairs:
    """Cached for each unit and shift of a layer's kernels."""
    low, high = (np.frombuffer(end, np.int64)[:, None] for end in (lowest, highest))
    m = np.array([m.m for m in multipliers], np.int64)[:, None]
    exponent = np.array([m.shift for m in multipliers], np.int64)[:, None]
    return _Stairs(m, exponent, low, high, _least_sums(m, exponent, y_zero, low, high))


def _least_sums(m: Array, exponent: Array, y_zero: int, low: Array, high: Array) -> Array:
    """T(v): the smallest sum from `low` for which TFLite gives v or more, for all _VALUES; `high` + 1 if there is none.

    Both roundings are inverted. A quotient by 2^-exponent is v - y_zero or more, with halves away from zero, from v -
    y_zero - 1/2, and for negative ones just above it; the doubling product rounds halves up.
    """
    value = _VALUES - y_zero
    product = np.clip((value << -exponent) - (1 << (-exponent - 1)) + (value <= 0), -1 << 31, 1 << 31)
    least = -(-((product << 31) - (1 << 30)) // m)
    return np.asarray(np.clip(least, low, high + 1))


def _offsets(stairs: _Stairs, unit: int) -> tuple[Array, Array]:
    """Offsets from the smallest `unit` * acc + start that gives v or more, for the smallest and the largest start.

    Infinite if no sum from low to high determines it. Doubles are exact here: all integers are below 2^53.
    """
    offset = (stairs.reached * -unit).astype(np.float64)
    least = np.where(stairs.reached <= stairs.high, offset, -np.inf)
    return least, np.where(stairs.reached > stairs.low, offset + (unit - 1), np.inf)


def _starts(factors: Array, shift: int, least: Array, most: Array) -> tuple[Array, Array]:
    """Bounds of `start`: SMMULR(unit * acc + start, factor) >> shift is v or more exactly from T(v).

    `factors` are some candidates (channels, n), and so are the bounds. With shifts of up to 12 the nearest double is
    less than 2^51 / factor * 2^-53 from a quotient; an integer different from the quotient is at least 1 / factor away,
    so the next integer is the same.
    """
    dividends = ((_VALUES << (32 + shift)) - (1 << 31)).astype(np.float64)
    needed = np.ceil(dividends / np.maximum(factors, 1)[..., None])
    lowest, highest = (needed + least[:, None]).max(axis=2), (needed + most[:, None]).min(axis=2)
    return tuple(np.clip(bound, -_UNBOUNDED, _UNBOUNDED).astype(np.int64) for bound in (lowest, highest))


def _between(least: Array, most: Array) -> Array:
    """The middle, or the only bound."""
    middle = (least + most) // 2
    return np.where(least == -_UNBOUNDED, most, np.where(most == _UNBOUNDED, least, middle))
