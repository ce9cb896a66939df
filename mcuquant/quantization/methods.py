"""The range that integers represent, from the observed values: three methods, each (histogram, steps) -> range.

`steps` is the number of intervals between integers, 255 for int8 and 65534 for int16. A range always contains zero.
"""

from __future__ import annotations

import numpy as np

from ..ir import Array
from .value_histogram import Histogram

Range = tuple[float, float]
"""(lowest, highest) real value represented."""

PERCENTILE = 99.99
"""Percentage of all values that the percentile method covers; the rest is cut equally at both ends."""
_CANDIDATES = 64
"""Number of cuts that the MSE method tries on each side of zero, evenly spaced up to the extreme."""


def minmax(histogram: Histogram, steps: int) -> Range:
    """All observed values: nothing is clipped."""
    return histogram.low, histogram.high


def percentile(histogram: Histogram, steps: int) -> Range:
    """The middle `PERCENTILE` per cent of the values, to a whole bin of the histogram outwards."""
    middle = histogram.counts.size // 2
    counts = histogram.counts.astype(np.float64)
    counts[middle] += histogram.zeros
    tail = counts.sum() * (1 - PERCENTILE / 100) / 2
    low_bin = int(np.searchsorted(counts.cumsum(), tail, side="right"))
    high_bin = counts.size - int(np.searchsorted(counts[::-1].cumsum(), tail, side="right"))
    low, high = histogram.edges[min(low_bin, middle)], histogram.edges[max(high_bin, middle)]
    return max(float(low), histogram.low), min(float(high), histogram.high)


def mse(histogram: Histogram, steps: int) -> Range:
    """The range with the smallest expected squared error, by exhaustive search over pairs of cuts.

    A value inside contributes step^2 / 12 (the variance of rounding to a uniform grid: B. Widrow and I. Kollar,
    "Quantization Noise", 2008, chapter 5), one outside the square of its distance to the cut, an exact zero nothing.
    """
    lows, highs = (np.linspace(0, bound, _CANDIDATES + 1) for bound in (histogram.low, histogram.high))
    below, below_cost = _clipped(histogram, -lows, reverse=True)
    above, above_cost = _clipped(histogram, highs, reverse=False)
    step = (highs[None, :] - lows[:, None]) / steps
    inside = histogram.counts.sum() - below[:, None] - above[None, :]
    cost = inside * step**2 / 12 + below_cost[:, None] + above_cost[None, :]
    i, j = np.unravel_index(int(np.argmin(cost)), cost.shape)
    return float(lows[i]), float(highs[j])


def _clipped(histogram: Histogram, cuts: Array, reverse: bool) -> tuple[Array, Array]:
    """For each cut >= 0 on one side of zero: the number of values beyond it, and the sum of their squared distances to
    it.
    """
    half = histogram.counts.size // 2
    counts = histogram.counts[half - 1 :: -1] if reverse else histogram.counts[half:]
    centres = (histogram.edges[half:-1] + histogram.edges[half + 1 :]) / 2
    beyond = np.maximum(centres[None, :] - cuts[:, None], 0)
    return (beyond > 0) @ counts, beyond**2 @ counts


METHODS = {"minmax": minmax, "percentile": percentile, "mse": mse}
