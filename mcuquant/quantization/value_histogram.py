"""The observed values of a tensor: a histogram of constant size for any number of samples.

The width of a bin is a power of two and zero is an edge between two bins, so that two histograms of different width add
exactly: pairs of the finer one's bins become one of the coarser one's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..ir import Array

_HALF = 2048
"""Number of bins on each side of zero. The extreme is in the outer half: a bin is at most 1/1024 of it wide."""

_FINEST = -1074


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Bin i of `counts` holds the values in [(i - 2048), (i - 2047)) * 2^exponent, except exact zeros."""

    exponent: int
    counts: Array
    """4096 numbers of values."""
    zeros: int
    """Number of values that are exactly zero: every scale represents them without error."""
    low: float
    high: float
    """Smallest and largest value, including zero."""

    @classmethod
    def of(cls, values: Array) -> Histogram:
        """`values` of any shape, finite."""
        low, high = float(values.min(initial=0.0)), float(values.max(initial=0.0))
        exponent = _exponent(max(-low, high))
        index = np.floor(np.ldexp(values.ravel().astype(np.float64), -exponent)).astype(np.intp) + _HALF
        counts = np.bincount(index, minlength=2 * _HALF)
        zeros = values.size - int(np.count_nonzero(values))
        counts[_HALF] -= zeros
        return cls(exponent, counts, zeros, low, high)

    def __add__(self, other: Histogram) -> Histogram:
        exponent = max(self.exponent, other.exponent)
        counts = self.coarser(exponent) + other.coarser(exponent)
        low, high = min(self.low, other.low), max(self.high, other.high)
        return Histogram(exponent, counts, self.zeros + other.zeros, low, high)

    def coarser(self, exponent: int) -> Array:
        """The counts in bins 2^exponent wide."""
        counts = self.counts
        for _ in range(min(exponent - self.exponent, _HALF.bit_length())):
            pairs = counts.reshape(-1, 2).sum(axis=1)
            counts = np.pad(pairs, _HALF // 2)
        return counts

    @property
    def edges(self) -> Array:
        """4097 bounds of the bins, ascending."""
        return np.ldexp(np.arange(-_HALF, _HALF + 1, dtype=np.float64), self.exponent)


def _exponent(largest: float) -> int:
    """log2 of the bin width for which `largest` is in the outer half; the finest width if all values are 0."""
    return math.frexp(largest)[1] - (_HALF.bit_length() - 1) if largest else _FINEST
