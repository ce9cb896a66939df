"""Integer arithmetic of a node's scores: decimal numbers, averages, error sums. Each has its C in firmware/decide."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from ..errors import ModelError
from ..ir import Array, Tensor

AVERAGE_BITS = 15
"""Fraction bits of the weight of the newest score."""
_MOST_SHIFT = 62
_PRODUCT_BITS = 30
"""Bits of one scaled difference of an input and an output, in a 32-bit integer."""
_ERROR_BITS = {1: 13, 2: 15}
"""Bits of a difference, by the bytes of the wider type: with squares of 13-bit values, 64 of them fit 32 bits."""
_DIGITS_MAX = 9
_LEAST_MULTIPLIER = 8
"""Smallest multiplier of an error sum: a smaller one would change a tensor's scale by more than 6 %."""


@dataclass(frozen=True, slots=True)
class DecimalScale:
    """An integer as a decimal: floor((value * multiplier + offset) / 2^shift) units of 10^-digits. See mq_decimal.h."""

    multiplier: int
    shift: int
    offset: int
    digits: int

    def __call__(self, value: int) -> Decimal:
        units = (value * self.multiplier + self.offset) >> self.shift
        return Decimal(f"{units}e-{self.digits}") if self.digits else Decimal(units)

    def real(self, values: Array) -> Array:
        """The same without rounding, for values that are not integers."""
        result: Array = ((values * self.multiplier + self.offset) / 2.0**self.shift - 0.5) / 10.0**self.digits
        return result


def decimal_scale(scale: float, offset: float, resolution: float, what: str) -> DecimalScale:
    """real = value * scale + offset, with the digits that `resolution`, a real value, needs: 0 to 9.

    The value is below 2^31. Raises ModelError if the numbers exceed 60 bits.
    """
    digits = min(_DIGITS_MAX, max(0, math.ceil(-math.log10(resolution))))
    slope, rest = scale * 10.0**digits, offset * 10.0**digits + 0.5
    shift = min(_MOST_SHIFT, _PRODUCT_BITS - math.frexp(slope)[1], 61 - math.frexp(rest)[1])
    if shift < 0:
        raise ModelError(f"{what}: one stored step is {scale:g} and the offset {offset:g}: expected less than 10^9")
    return DecimalScale(round(slope * 2.0**shift), shift, round(rest * 2.0**shift), digits)


def averages(values: Iterable[int], weight: int) -> list[int]:
    """Exponential moving averages, rounded down, starting with the first value. `weight` is in units of 2^-15. See
    mq_average.h.
    """
    state: int | None = None
    results = []
    for value in values:
        newest = value << 16
        state = newest if state is None else state + ((newest - state) * weight >> AVERAGE_BITS)
        results.append(state >> 16)
    return results


def average_weight(smooth: float) -> int:
    """The weight of the newest score, 0 to 1, in units of 2^-15."""
    if not 0 < smooth <= 1:
        raise ModelError(f"a smoothing of {smooth:g} is not valid: expected the weight of the newest score, up to 1")
    return max(1, round(smooth * (1 << AVERAGE_BITS)))


@dataclass(frozen=True, slots=True)
class ErrorSum:
    """Mean squared or absolute difference of stored inputs x and outputs y, as an integer. See mq_error_sum.h.

    e = (x * x_multiplier - y * y_multiplier + offset) >> shift; the score is the sum of e^2, or |e|, over all elements,
    shifted right by `sum_shift`; `unit` is the real mean that one step of the score stands for.
    """

    x_multiplier: int
    y_multiplier: int
    offset: int
    shift: int
    is_squared: bool
    block: int
    """Number of elements whose sum fits 32 bits."""
    sum_shift: int
    elements: int
    unit: float

    def __call__(self, x: Array, y: Array) -> list[int]:
        """Scores of N rows: x and y are (N, elements) stored values."""
        wide = x.astype(np.int64) * self.x_multiplier - y.astype(np.int64) * self.y_multiplier
        e = (wide + self.offset) >> self.shift
        total = (e * e if self.is_squared else np.abs(e)).sum(axis=1)
        return [int(n) for n in total >> self.sum_shift]


def error_sum(x: Tensor, y: Tensor, elements: int, is_squared: bool) -> ErrorSum:
    """The parameters for tensors of any scales and zero points. Raises ModelError if the scales are too far apart."""
    x_range, y_range = (high - low for low, high in (x.dtype.range(), y.dtype.range()))
    real = 2 * (x_range * x.scale + y_range * y.scale)
    factor = 2.0**_PRODUCT_BITS / real
    x_multiplier, y_multiplier = round(x.scale * factor), round(y.scale * factor)
    for multiplier in (x_multiplier, y_multiplier):
        if multiplier < _LEAST_MULTIPLIER:
            raise ModelError(
                f"the scales of input ({x.scale:g}) and output ({y.scale:g}) are too far apart to compare the two; "
                "calibrate with data of both"
            )
    most = x_multiplier * x_range + y_multiplier * y_range
    bits = _ERROR_BITS[max(t.dtype.numpy.itemsize for t in (x, y))]
    shift = max(1, most.bit_length() - bits)
    largest = (most >> shift) + 1
    term = largest * largest if is_squared else largest
    sum_shift = max(0, (elements * term).bit_length() - 31)
    step = 2.0**shift / factor
    return ErrorSum(
        x_multiplier=x_multiplier,
        y_multiplier=y_multiplier,
        offset=y_multiplier * y.zero_point - x_multiplier * x.zero_point + (1 << shift - 1),
        shift=shift,
        is_squared=is_squared,
        block=(2**32 - 1) // term,
        sum_shift=sum_shift,
        elements=elements,
        unit=2.0**sum_shift * (step * step if is_squared else step) / elements,
    )
