"""Fixed-point arithmetic against exact arithmetic on integers and fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mcuquant.arithmetic import fixedpoint as fx
from mcuquant.arithmetic.parameters import curves

INT32 = st.integers(-(2**31), 2**31 - 1)
MANTISSA = st.integers(2**30, 2**31 - 1)
exactly = settings(deadline=None, max_examples=300)


def nearest(x: Fraction, ties: str) -> int:
    """The nearest integer; a tie goes up or away from zero."""
    if ties == "up" or x > 0:
        return math.floor(x + Fraction(1, 2))
    return math.ceil(x - Fraction(1, 2))


def signed32(x: int) -> int:
    return (x + 2**31) % 2**32 - 2**31


@exactly
@given(st.floats(2**-31, 2**30))
@example(1.0)
@example(0.5 - 2**-40)
@example(1 - 2**-53)
def test_a_multiplier_is_the_nearest_with_31_bits(real: float) -> None:
    q = fx.quantize_multiplier(real)
    assert 2**30 <= q.m <= 2**31 - 1
    assert abs(Fraction(real) - Fraction(q.m) * Fraction(2) ** (q.shift - 31)) <= Fraction(2) ** (q.shift - 32)


@pytest.mark.parametrize(("real", "expected"), [(0.0, (0, 0)), (2.0**-33, (0, 0)), (2.0**-32, (1 << 30, -31))])
def test_tiny_factors_are_zero(real: float, expected: tuple[int, int]) -> None:
    assert fx.quantize_multiplier(real) == fx.Multiplier(*expected)


def test_a_mantissa_that_rounds_up_to_one_moves_the_shift() -> None:
    assert fx.quantize_multiplier(1 - 2**-40) == fx.Multiplier(1 << 30, 1)
    assert fx.quantize_multiplier(1 - 2**-40).real == 1.0


@exactly
@given(st.floats(-(2.0**40), 2.0**40))
@example(0.49999999999999994)
@example(-2.5)
def test_halves_go_away_from_zero(x: float) -> None:
    assert fx.round_half_away(x) == nearest(Fraction(x), "away")


@exactly
@given(INT32, INT32)
@example(-(2**31), -(2**31))
@example(1, 1 << 30)
@example(-1, 1 << 30)
def test_high_mul_rounds_to_nearest_with_ties_up_and_saturates(a: int, b: int) -> None:
    expected = min(nearest(Fraction(a * b, 2**31), "up"), 2**31 - 1)
    assert int(fx.rounding_doubling_high_mul(a, b)) == expected


@exactly
@given(INT32, st.integers(0, 31))
@example(-(2**31), 31)
@example(-3, 1)
@example(3, 1)
def test_right_shift_rounds_ties_away_from_zero(x: int, n: int) -> None:
    assert int(fx.rounding_shift_right(x, n)) == nearest(Fraction(x, 2**n), "away")


@exactly
@given(INT32, MANTISSA, st.integers(-31, 30))
def test_requantize_rounds_twice_and_wraps_what_it_shifts_left(acc: int, m: int, shift: int) -> None:
    scaled = signed32(acc << max(shift, 0))
    product = min(nearest(Fraction(scaled * m, 2**31), "up"), 2**31 - 1)
    assert int(fx.requantize(acc, m, shift)) == nearest(Fraction(product, 2 ** max(-shift, 0)), "away")


def test_requantize_takes_a_multiplier_for_each_channel() -> None:
    acc = np.arange(-6, 6).reshape(2, 2, 3) * 1000
    m, shift = np.array([1 << 30, 1 << 30, 3 << 29]), np.array([0, 2, -3])
    each = [fx.requantize(acc[..., c], int(m[c]), int(shift[c])) for c in range(3)]
    assert np.array_equal(fx.requantize(acc, m, shift), np.stack(each, axis=-1))


@exactly
@given(st.integers(-(2**46), 2**46), MANTISSA, st.integers(-31, 7))
@example(1, 0x7FFFFFFF, 0)
@example(3, 0x7FFF0000, -1)
def test_requantize64_cuts_the_mantissa_and_rounds_once_with_ties_up(acc: int, m: int, shift: int) -> None:
    reduced = min((m + (1 << 15)) >> 16, 0x7FFF)
    expected = nearest(Fraction(acc * reduced) * Fraction(2) ** (shift - 15), "up")
    assert int(fx.requantize64(acc, m, shift)) == signed32(expected)


@exactly
@given(st.integers(-(2**31), 2**31), st.integers(1, 5000))
@example(-3, 2)
@example(3, 2)
def test_averages_round_ties_away_from_zero(total: int, count: int) -> None:
    assert int(fx.divide_rounding(total, count)) == nearest(Fraction(total, count), "away")


@exactly
@given(INT32, st.integers(-31, 31))
def test_powers_of_two_saturate_to_the_left(x: int, exponent: int) -> None:
    exact = Fraction(x) * Fraction(2) ** exponent
    assert int(fx.multiply_by_pot(x, exponent)) == max(-(2**31), min(2**31 - 1, nearest(exact, "away")))


@exactly
@given(st.integers(-(2**31), 0), st.integers(0, 5))
@example(0, 5)
@example(-(2**31), 5)
def test_exponential_is_right_to_a_millionth(a: int, integer_bits: int) -> None:
    real = math.exp(a / 2 ** (31 - integer_bits))
    assert abs(int(fx.exp_on_negative_values(a, integer_bits)) / 2**31 - real) < 1e-6


@exactly
@given(INT32)
@example(0)
def test_logistic_and_tanh_are_right_to_a_millionth(a: int) -> None:
    x = a / 2**27
    assert abs(int(fx.logistic(a)) / 2**31 - 1 / (1 + math.exp(-x))) < 1e-6
    assert abs(int(fx.tanh(a)) / 2**31 - math.tanh(x)) < 1e-6


@exactly
@given(st.integers(1, 2**31 - 1), st.integers(0, 31))
def test_reciprocal_is_right_to_a_ten_millionth(x: int, integer_bits: int) -> None:
    mantissa, shift = (int(v) for v in fx.reciprocal(x, integer_bits))
    inverse = Fraction(mantissa, 2**31) / Fraction(2) ** shift * Fraction(x, 2 ** (31 - integer_bits))
    assert abs(inverse - 1) < Fraction(1, 10**7)


@exactly
@given(st.integers(1, 2**32 - 1))
@example(2**31)
@example(2**32 - 1)
def test_leading_zeros(x: int) -> None:
    assert int(fx.leading_zeros32(x)) == 32 - x.bit_length()


@exactly
@given(st.integers(-(2**62), 2**62))
def test_wrapping_keeps_the_low_32_bits(x: int) -> None:
    assert int(fx.wrap32(x)) == signed32(x)


def test_curves_follow_the_functions_they_sample() -> None:
    sigmoid = np.array(curves.SIGMOID) / 65536
    assert np.abs(sigmoid - 1 / (1 + np.exp(-np.arange(256) / 24))).max() < 3e-5
    exp = np.array(curves.EXP) / 32768
    assert np.abs(exp - np.exp(np.linspace(-10, 0, 513))).max() < 5e-5
    inverse = np.array(curves.RECIPROCAL) / 32768
    assert np.abs(inverse - 1 / (1 + np.linspace(0, 1, 513))).max() < 5e-5
