"""Requantization in two instructions: equal to TFLite's on every sum, or refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcuquant.fixedpoint import Multiplier, requantize
from mcuquant.ir import Array
from mcuquant.kernels.requantize import TwoInstructions, two_instructions

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
