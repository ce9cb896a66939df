"""Modelled cycles of the plain kernels without weights: by elements, rows and outputs.

The constants were fitted to counts of random layers: `python -m benchmarks.estimates` compares them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from ...ir import Array
from ..variant import Cycles, Site
from . import moving_estimates

STEP = moving_estimates.STEP
_MOVED, _MOVED_INDEX = 2.0, 3.7
"""Cycles of an element of reductions along axes of one element: it is only copied, or its index is 0."""
_UNROLLED = 3
"""Elements per output of a reduction whose loop GCC unrolls."""
_SINGLE = 0.5
"""Share of the cycles of a row if a row has one element."""


def by_core(cycles: Cycles, scalar: float = 1.0, mve: float = 1.0) -> Cycles:
    """`cycles` are those of Cortex-M4. Cores without SMLAD take `scalar` times as many; `mve` times as many are
    instructions of Cortex-M55.
    """

    def scaled(site: Site) -> int:
        factor = mve if site.core.mve else 1.0 if site.core.dsp else scalar
        return round(factor * cycles(site))

    return scaled


def each(element: float, fixed: float = 0.0) -> Cycles:
    """Cycles for each element of the output."""
    return lambda site: STEP + round(element * site.out.elements + fixed)


def broadcast(element: float, row: float, axes: Callable[[Site], Sequence[tuple[int, ...]]]) -> Cycles:
    """Cycles for each element, and for each row of the last axis that both inputs share."""

    def cycles(site: Site) -> int:
        rows = math.prod(axis[0] for axis in axes(site)[:-1])
        return STEP + round(element * site.out.elements + row * rows)

    return cycles


def reduced(element: float, output: float) -> Cycles:
    """Cycles for each element of the input, and for each output."""

    def cycles(site: Site) -> int:
        x, y = site.ins[0].elements, site.out.elements
        if x == y:
            return STEP + round(_MOVED * x)
        if x <= _UNROLLED * y:
            return STEP + round(element / 2 * x + output / 2 * y)
        return STEP + round(element * x + output * y)

    return cycles


def rows(element: float, row: float) -> Cycles:
    """Cycles for each element, and for each row of the last axis."""

    def cycles(site: Site) -> int:
        depth = site.ins[0].shape[-1]
        each_row = (element * depth + row) * (_SINGLE if depth == 1 else 1)
        return STEP + round(site.ins[0].elements // depth * each_row)

    return cycles


def argmax(contiguous: float, strided: float, axis: Callable[[Site], int]) -> Cycles:
    """Cycles for each element, adjacent or strided."""

    def cycles(site: Site) -> int:
        x = site.ins[0]
        inner = math.prod(x.shape[axis(site) + 1 :])
        if 1 < x.shape[axis(site)] <= _UNROLLED:
            return STEP + round(contiguous / 2 * x.elements)
        element = _MOVED_INDEX if x.shape[axis(site)] == 1 else contiguous if inner == 1 else strided
        return STEP + round(element * x.elements)

    return cycles


def resize_nearest(site: Site, pixel_bytes: int, rows: Array, columns: Array) -> int:
    """A memcpy for each pixel, from rows and columns of the input; GCC copies single bytes inline."""
    batch, _, in_w, _ = site.ins[0].shape
    pixels = math.prod(site.out.shape[:3])
    if pixel_bytes < 4:
        return STEP + round(pixels * (8.2 if pixel_bytes == 1 else 35 + 11 * pixel_bytes))
    x = (rows[:, None].astype(np.int64) * in_w + columns).ravel() * pixel_bytes % 4
    y = np.arange(x.size) * pixel_bytes % 4
    return STEP + round(batch * moving_estimates.memcpy(pixel_bytes, x, y, site.core) + 7 * pixels)


def resize_bilinear(element: float, pixel: float) -> Cycles:
    return lambda site: STEP + round(element * site.out.elements + pixel * math.prod(site.out.shape[:3]))


concat_rescale = by_core(each(59, 60), 1.25, 0.9)
"""Every element is rescaled."""
