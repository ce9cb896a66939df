"""Requantization in two instructions: equal to TFLite's on every sum, or refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcuquant.arithmetic.fixedpoint import Multiplier, requantize
from mcuquant.ir import Array
from mcuquant.kernels.shared.requantize import TwoInstructions, two_instructions

MULTIPLIERS = st.builds(Multiplier, st.integers(1 << 30, (1 << 31) - 1), st.integers(-12, -1))


def solve(m: Multiplier, y_zero: int, low: int, high: int, shift: int = 8) -> TwoInstructions | None:
    return two_instructions([m], y_zero, np.array([low]), np.array([high]), shift)


def as_executed(found: TwoInstructions, acc: Array) -> Array:
    """SMMULR, then SSAT #8 of the result shifted right, in exact integers."""
    sums = acc * 256 + found.start[0]
    assert (np.abs(sums) < 1 << 31).all()
    return np.clip(((sums * found.factor[0] + (1 << 31)) >> 32) >> found.shift, -128, 127)


def by_two_roundings(m: Multiplier, y_zero: int, acc: Array) -> Array:
    return np.clip(requantize(acc, m.m, m.shift) + y_zero, -128, 127)


@settings(deadline=None, max_examples=60)
@given(MULTIPLIERS, st.integers(-200_000, 0), st.integers(0, 200_000), st.sampled_from([8, 12]))
def test_exact_after_a_relu(m: Multiplier, low: int, high: int, shift: int) -> None:
    """A channel that is taken is right for every sum."""
    found = solve(m, -128, low, high, shift)
    acc = np.arange(low, high + 1)
    if found is not None:
        np.testing.assert_array_equal(as_executed(found, acc), by_two_roundings(m, -128, acc))


@settings(deadline=None, max_examples=60)
@given(MULTIPLIERS, st.integers(-128, 127), st.integers(-3000, 0), st.integers(0, 3000))
def test_exact_at_any_zero_point(m: Multiplier, y_zero: int, low: int, high: int) -> None:
    found = solve(m, y_zero, low, high)
    acc = np.arange(low, high + 1)
    if found is not None:
        np.testing.assert_array_equal(as_executed(found, acc), by_two_roundings(m, y_zero, acc))


def least_sum(m: Multiplier, y_zero: int, low: int, high: int, v: int) -> int:
    """The first sum, one after the other, that gives v or more."""
    acc = np.arange(low, high + 1)
    reaches = np.flatnonzero(requantize(acc, m.m, m.shift) + y_zero >= v)
    return int(acc[reaches[0]]) if reaches.size else high + 1


def exhaustive(m: Multiplier, y_zero: int, low: int, high: int, shift: int, unit: int) -> tuple[int, int] | None:
    """(factor, start), every factor tried in whole numbers: the first whose bounds meet, and their middle."""
    stairs = {v: least_sum(m, y_zero, low, high, v) for v in range(-127, 128)}
    base = (m.m << (shift + 1)) // (unit << -m.shift)
    furthest = max((abs(t) for t in stairs.values() if low < t <= high), default=1)
    step = max((base >> 10) // furthest, 1)
    for k in sorted(range(-128, 129), key=abs):
        factor = base + k * step
        if not 0 < factor < 1 << 31:
            continue
        needed = {v: -((-((v << (32 + shift)) - (1 << 31))) // factor) - unit * t for v, t in stairs.items()}
        least = max((n for v, n in needed.items() if stairs[v] <= high), default=None)
        most = min((n + unit - 1 for v, n in needed.items() if stairs[v] > low), default=None)
        if least is None or most is None or least <= most:
            start = least if most is None else most if least is None else (least + most) // 2
            fits = start is not None and max(-(unit * low + start), unit * high + start) < 1 << 31
            return (factor, start) if fits and start is not None else None
    return None


SMALL = st.builds(Multiplier, st.integers(1 << 30, (1 << 31) - 1), st.integers(-9, -1))


@settings(deadline=None, max_examples=60)
@given(SMALL, st.sampled_from([-128, -128, 127, 0, 3]), st.integers(0, 400), st.integers(0, 4000), st.booleans())
def test_what_is_found_is_what_trying_every_factor_finds(
    m: Multiplier, y_zero: int, below: int, above: int, is_wide: bool
) -> None:
    for shift, unit in ((12, 256),) if is_wide else ((8, 256), (8, 16)):
        if (m.m << (shift + 1)) // (unit << -m.shift) >= 1 << 31:
            continue  # refused before anything is tried
        found = two_instructions([m], y_zero, np.array([-below]), np.array([above]), shift, unit)
        expected = exhaustive(m, y_zero, -below, above, shift, unit)
        assert expected == (None if found is None else (int(found.factor[0]), int(found.start[0])))


def test_channels_are_solved_as_each_is_alone() -> None:
    rng = np.random.default_rng(3)
    channels = [Multiplier(int(rng.integers(1 << 30, 1 << 31)), int(rng.integers(-9, -1))) for _ in range(9)]
    high = rng.integers(1, 60_000, 9)
    together = two_instructions(channels, -128, -high, high)
    assert together is not None
    for i, m in enumerate(channels):
        alone = solve(m, -128, int(-high[i]), int(high[i]))
        assert alone is not None
        assert (alone.factor[0], alone.start[0]) == (together.factor[i], together.start[i])


@pytest.mark.parametrize(("shift", "least", "most"), [(8, -8, -1), (12, -10, -5)])
def test_channels_after_a_relu_are_taken(shift: int, least: int, most: int) -> None:
    rng = np.random.default_rng(shift)
    for exponent in range(least, most + 1):
        m = [Multiplier(int(m), exponent) for m in rng.integers(1 << 30, 1 << 31, 50)]
        reach = np.full(50, 512 << -exponent)
        assert two_instructions(m, -128, -reach, reach, shift) is not None


def test_a_channel_that_rounds_both_signs_is_refused() -> None:
    """With outputs on both sides of the zero point, halves go away from it: no single staircase does that."""
    m = Multiplier(1_500_000_000, -7)
    assert solve(m, -128, -40_000, 40_000) is not None
    assert solve(m, 0, -40_000, 40_000) is None
    assert two_instructions([m, m], 0, np.array([0, -40_000]), np.array([40_000, 40_000])) is None


@pytest.mark.parametrize("m", [Multiplier(1 << 30, 0), Multiplier(1 << 30, 1), Multiplier(0, 0)])
def test_factors_of_a_half_and_more_are_refused(m: Multiplier) -> None:
    assert solve(m, -128, -100, 100) is None


def test_a_wider_shift_needs_smaller_factors() -> None:
    assert solve(Multiplier(1 << 30, -4), -128, -100, 100, 12) is None
    assert solve(Multiplier(1 << 30, -5), -128, -100, 100, 12) is not None


def test_sums_beyond_32_bits_are_refused() -> None:
    m = Multiplier(1 << 30, -15)
    assert solve(m, -128, 0, (1 << 23) - 300_000) is not None
    assert solve(m, -128, 0, 1 << 23) is None
    assert solve(m, -128, -(1 << 23), 0) is None


def test_an_output_that_is_always_the_same() -> None:
    m = Multiplier(1 << 30, -9)
    for low, high in ((-5000, -4000), (90_000, 95_000), (7, 7)):
        found = solve(m, -128, low, high)
        assert found is not None
        acc = np.arange(low, high + 1)
        np.testing.assert_array_equal(as_executed(found, acc), by_two_roundings(m, -128, acc))
