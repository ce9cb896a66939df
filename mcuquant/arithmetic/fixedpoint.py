"""Fixed-point arithmetic of the TensorFlow Lite Micro reference kernels, over numpy arrays.

Every function accepts and returns int64 arrays (or ints) that hold 32-bit values; where the C code wraps around, these
functions wrap too. This module defines the rounding of the whole project: a real factor is a 31-bit mantissa and a
power of two, products are rounded to nearest with ties up, right shifts to nearest with ties away from zero.

Sources: B. Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference"
(CVPR 2018), section 2.2, and the definitions in gemmlowp and TFLite of the functions named below.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
Ints = IntArray | int

INT32_MIN, INT32_MAX = -(1 << 31), (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class Multiplier:
    """A positive real factor, m * 2^(shift - 31); a positive shift is to the left. m is 0 or in [2^30, 2^31 - 1]."""

    m: int
    shift: int

    @property
    def real(self) -> float:
        return math.ldexp(self.m, self.shift - 31)


@functools.lru_cache(maxsize=1 << 17)
def quantize_multiplier(real: float) -> Multiplier:
    """Nearest `Multiplier` to a non-negative factor; below 2^-32 it is zero. TFLite's QuantizeMultiplier."""
    if real == 0:
        return Multiplier(0, 0)
    fraction, shift = math.frexp(real)
    mantissa = round_half_away(math.ldexp(fraction, 31))
    if mantissa == 1 << 31:
        mantissa, shift = mantissa // 2, shift + 1
    return Multiplier(mantissa, shift) if shift >= -31 else Multiplier(0, 0)


def round_half_away(x: float) -> int:
    """Nearest integer, ties away from zero: C's round()."""
    whole = math.floor(abs(x))
    return int(math.copysign(whole + (abs(x) - whole >= 0.5), x))


def wrap32(x: Ints) -> IntArray:
    """The low 32 bits as a signed number, as a conversion to int32_t."""
    return as_int64(x).astype(np.int32).astype(np.int64)


def rounding_doubling_high_mul(a: Ints, b: Ints) -> IntArray:
    """round(a * b / 2^31), ties up, saturated: gemmlowp's SaturatingRoundingDoublingHighMul."""
    product = np.asarray(a, np.int64) * np.asarray(b, np.int64)
    return as_int64(np.minimum((product + (1 << 30)) >> 31, INT32_MAX))


def rounding_shift_right(x: Ints, n: Ints) -> IntArray:
    """x / 2^n to nearest, ties away from zero, 0 <= n <= 31: gemmlowp's RoundingDivideByPOT."""
    x = as_int64(x)
    mask = (np.int64(1) << np.asarray(n, np.int64)) - 1
    return (x >> n) + ((x & mask) > (mask >> 1) + (x < 0))


def requantize(acc: Ints, m: Ints, shift: Ints) -> IntArray:
    """acc * m * 2^(shift - 31) with both roundings; TFLite's MultiplyByQuantizedMultiplier for int32.

    `m` and `shift` are scalars or arrays that broadcast against `acc` (channels last); -31 <= shift <= 30.
    """
    shift = np.asarray(shift, np.int64)
    scaled = wrap32(np.asarray(acc, np.int64) << np.maximum(shift, 0))
    return rounding_shift_right(rounding_doubling_high_mul(scaled, m), np.maximum(-shift, 0))


def requantize64(acc: Ints, m: Ints, shift: Ints) -> IntArray:
    """The form for 64-bit accumulators (int16 layers): m is cut to 16 bits, one rounding, ties up.

    |acc| < 2^47 and -31 <= shift < 8, as TFLite's MultiplyByQuantizedMultiplier for int64 demands.
    """
    m = np.asarray(m, np.int64)
    reduced = np.where(m < 0x7FFF0000, (m + (1 << 15)) >> 16, 0x7FFF)
    total = 15 - np.asarray(shift, np.int64)
    return wrap32((np.asarray(acc, np.int64) * reduced + (np.int64(1) << (total - 1))) >> total)


def divide_rounding(total: Ints, count: Ints) -> IntArray:
    """total / count to nearest, ties away from zero, as average pooling rounds: (total +- count/2) / count cut to 0."""
    total = np.asarray(total, np.int64)
    magnitude = (np.abs(total) + np.asarray(count, np.int64) // 2) // count
    return np.where(total < 0, -magnitude, magnitude)


def multiply_by_pot(x: Ints, exponent: int) -> IntArray:
    """x * 2^exponent: saturated to the left, rounded to the right; gemmlowp's SaturatingRoundingMultiplyByPOT."""
    if exponent < 0:
        return rounding_shift_right(x, -exponent)
    return as_int64(np.clip(as_int64(x) << exponent, INT32_MIN, INT32_MAX))


_EXP_MINUS_EIGHTH = 1895147668  # exp(-1/8), Q0.31
_THIRD = 715827883  # 1/3, Q0.31
# exp(-2^k) in Q0.31, k = -2..4.
_EXP_MINUS_POWER = {-2: 1672461947, -1: 1302514674, 0: 790015084, 1: 290630308, 2: 39332535, 3: 720401, 4: 242}


def _exp_on_last_quarter(a: IntArray) -> IntArray:
    """exp(a) for a in [-1/4, 0), Q0.31: Taylor's polynomial of degree 4 around -1/8."""
    mul = rounding_doubling_high_mul
    x = a + (1 << 28)
    x2 = mul(x, x)
    x3, x4 = mul(x2, x), mul(x2, x2)
    tail = rounding_shift_right(mul(rounding_shift_right(x4, 2) + x3, _THIRD) + x2, 1)
    return _EXP_MINUS_EIGHTH + mul(_EXP_MINUS_EIGHTH, x + tail)


def exp_on_negative_values(a: Ints, integer_bits: int) -> IntArray:
    """exp(a) as Q0.31 for a <= 0 with `integer_bits` (at most 5) integer bits; gemmlowp's function of that name."""
    a = np.asarray(a, np.int64)
    fraction_bits = 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    last = (a & (quarter - 1)) - quarter
    result = _exp_on_last_quarter(multiply_by_pot(last, integer_bits))
    remainder = last - a
    for exponent, factor in _EXP_MINUS_POWER.items():
        if exponent < integer_bits:
            bit = remainder & (1 << (fraction_bits + exponent))
            result = np.where(bit != 0, rounding_doubling_high_mul(result, factor), result)
    return np.where(a == 0, INT32_MAX, result)


def _two_over_one_plus(a: IntArray) -> IntArray:
    """2 / (1 + a) as Q2.29 for a in [0, 1], Q0.31: three Newton-Raphson steps."""
    mul = rounding_doubling_high_mul
    total = a + INT32_MAX
    half_denominator = (total + 1) >> 1  # total >= 0: rounds half up
    x = 1515870810 + mul(half_denominator, -1010580540)  # 48/17 - 32/17 * d, Q2.29
    for _ in range(3):
        x = x + multiply_by_pot(mul(x, (1 << 29) - mul(half_denominator, x)), 2)
    return x


def reciprocal_one_plus(a: Ints) -> IntArray:
    """1 / (1 + a) for a in [0, 1], both Q0.31; gemmlowp's one_over_one_plus_x_for_x_in_0_1."""
    return multiply_by_pot(_two_over_one_plus(np.asarray(a, np.int64)), 1)


def logistic(a: Ints) -> IntArray:
    """1 / (1 + exp(-a)) as Q0.31, a in Q4.27; gemmlowp's logistic."""
    a = np.asarray(a, np.int64)
    positive = reciprocal_one_plus(exp_on_negative_values(-np.abs(a), 4))
    result = np.where(a > 0, positive, INT32_MAX - positive)
    return np.where(a == 0, 1 << 30, result)


def tanh(a: Ints) -> IntArray:
    """tanh(a) as Q0.31, a in Q4.27; gemmlowp's tanh."""
    a = np.asarray(a, np.int64)
    x = exp_on_negative_values(-np.abs(a), 5)  # Q4.27 read as Q5.26: exp(-2|a|)
    magnitude = multiply_by_pot(_two_over_one_plus(x) - (1 << 29), 2)
    return np.where(a == 0, 0, np.where(a < 0, -magnitude, magnitude))


def reciprocal(x: Ints, integer_bits: int) -> tuple[IntArray, IntArray]:
    """1 / x for x > 0 with `integer_bits` integer bits: (Q0.31 mantissa, right shift that completes it).

    TFLite's GetReciprocal: x is shifted up until its top bit is set, 1 + a with a in [0, 1) is inverted.
    """
    x = as_int64(x)
    headroom = leading_zeros32(x)
    fraction = (x << headroom) - (1 << 31)
    return reciprocal_one_plus(fraction), integer_bits - headroom


_HALF_SQRT_2 = 1518500250  # sqrt(2) / 2, Q0.31
_INVERSE_SQRT_STEPS = 5


def inverse_sqrt(x: int) -> tuple[int, int]:
    """1 / sqrt(x) for an integer x from 1 as (mantissa, left shift); TFLite's GetInvSqrtQuantizedMultiplierExp."""
    if x <= 1:
        return INT32_MAX, 0
    shift = 11
    while x >= 1 << 29:
        x, shift = x // 4, shift + 1
    pairs = (int(leading_zeros32(x)) - 1) // 2 - 1
    x, shift = x << 2 * pairs, shift - pairs
    mul, half = rounding_doubling_high_mul, rounding_shift_right(x >> 1, 1)
    root: Ints = 1 << 28  # 1 as Q3.28
    for _ in range(_INVERSE_SQRT_STEPS):
        cube = multiply_by_pot(mul(mul(root, root), root), 6)
        root = multiply_by_pot(mul((1 << 28) + (1 << 27), root) - mul(half, cube), 3)
    mantissa = int(mul(root, _HALF_SQRT_2))
    return (mantissa << -shift, 0) if shift < 0 else (mantissa, -shift)


def leading_zeros32(x: Ints) -> IntArray:
    """Number of leading zeros of a number in [1, 2^32) as 32 bits."""
    _, bits = np.frexp(np.asarray(x, np.float64))
    return 32 - np.asarray(bits, np.int64)


_SQRT_HALF, _FOURTH_ROOT_OF_HALF, _LOG_2 = 1518500250, 1805811301, 1488522236  # Q0.31
_LOG_QUARTER = 1 << 23  # 1/4, Q6.25
_LOG_POLYNOMIAL = (117049297, 127690142, 1057819769, 638450708)  # TFLite's alpha_n, alpha_d, alpha_i, alpha_f


def log_from_one(x: Ints, integer_bits: int) -> IntArray:
    """log(x) as Q5.26 for x >= 1; TFLite's log_x_for_x_greater_than_or_equal_to_1.

    x times a power of two, or that times sqrt(1/2), lies between sqrt(1/2) and 1 / sqrt(2) of a fourth root of 1/2.
    """
    x, mul = as_int64(x), rounding_doubling_high_mul
    headroom = leading_zeros32(x) - 1
    r_a = np.minimum(mul(x << headroom, _SQRT_HALF) << 1, INT32_MAX)
    power_a = ((integer_bits - 1 - headroom) << 25) + _LOG_QUARTER
    headroom_b = leading_zeros32(mul(x, _SQRT_HALF)) - 1
    r_b = np.minimum(x << headroom_b, INT32_MAX)
    power_b = ((integer_bits - headroom_b) << 25) - _LOG_QUARTER
    r, power = np.minimum(r_a, r_b), np.maximum(power_a, power_b)
    alpha_n, alpha_d, alpha_i, alpha_f = _LOG_POLYNOMIAL
    q = 2 * (r - _FOURTH_ROOT_OF_HALF)
    square = mul(q, q)
    numerator = mul(q, r) + mul(mul(q, square), alpha_n)
    half_sum = (r + _FOURTH_ROOT_OF_HALF + 1) >> 1
    denominator = mul(half_sum, alpha_i + q + mul(alpha_d, square)) + mul(alpha_f, q)
    quotient = mul(rounding_shift_right(numerator, 6), reciprocal_one_plus(denominator))
    return multiply_by_pot(mul(power, _LOG_2) + quotient, 1)


def leading_sign_bits32(x: Ints) -> IntArray:
    """The largest left shift that keeps the value of a 32-bit number; TFLite's CountLeadingSignBits."""
    x = as_int64(x)
    return leading_zeros32(np.where(x < 0, -2 * x - 1, 2 * x + 1))


def as_int64(x: Any) -> IntArray:
    """Any integers as an int64 array, which holds intermediate values without overflow."""
    return np.asarray(x, np.int64)
