"""The safe distance by which a kernel's output may overlap its input.

A kernel writes its output front to back, in blocks. While it writes the bytes up to `written` (exclusive), it no longer
needs the input bytes before `needed`. If the input begins `lead` bytes after the output, output byte j overwrites input
byte j - lead, which must not be needed any more: written - 1 - lead < needed for every block. So lead = max(written -
needed).
"""

from __future__ import annotations

import numpy as np

from ...ir import Array, Tensor
from ...ir.ops import Conv2D, DepthwiseConv2D, Pool
from ..variant import Site

FREE = -(1 << 30)
"""No constraint: the input is not needed after the first write."""


def lead(written: Array, needed: Array, input_bytes: int) -> int:
    """The lead from these two columns, with one row per block, in the order of writing."""
    alive = needed < input_bytes
    return int((written - needed)[alive].max()) if alive.any() else FREE


def elementwise(site: Site) -> tuple[int | None, ...]:
    """One element read, one written, in order: an input of equal size may be overwritten in place."""
    y = site.out
    return tuple(_one_by_one(x, y) if x.elements == y.elements else None for x in site.ins)


def _one_by_one(x: Tensor, y: Tensor) -> int:
    i = np.arange(1, y.elements + 1)
    return lead(i * (y.dtype.bits // 8), i * (x.dtype.bits // 8), x.nbytes)


def rows(site: Site, count: int, buffered: bool) -> tuple[int]:
    """`count` rows, each read as a whole (into scratch or registers: `buffered`) before its outputs are written."""
    x, y = site.ins[0], site.out
    row = np.arange(1, count + 1)
    done = row if buffered else row - 1
    return (lead(row * (y.nbytes // count), done * (x.nbytes // count), x.nbytes),)


def windows(site: Site, buffered: bool, block: int = 1) -> tuple[int]:
    """Windows sliding over an image, `block` output pixels at a time, in memory order.

    `buffered`: the windows of a block are copied before any output of the block is written; else they are read until
    its last output.
    """
    x, y = site.ins[0], site.out
    pixels = y.elements // y.shape[3]
    starts = np.arange(0, pixels, block)
    ends = np.minimum(starts + block, pixels)
    needed = np.append(_first_needed(site), x.elements // x.shape[3])
    in_pixel, out_pixel = (t.shape[3] * t.dtype.bits // 8 for t in (x, y))
    return (lead(ends * out_pixel, needed[ends if buffered else starts] * in_pixel, x.nbytes),)


def tiles(site: Site, size: tuple[int, int], block: int) -> tuple[int]:
    """Tiles of `size` (height, width) outputs, `block` at a time: their inputs are copied, then the outputs are
    written.
    """
    x, y = site.ins[0], site.out
    batch, out_h, out_w, channels = y.shape
    down, across = (-(-n // step) for n, step in zip((out_h, out_w), size, strict=True))
    sample, row, column = np.indices((batch, down, across)).reshape(3, -1)
    bottom, right = np.minimum((row + 1) * size[0], out_h), np.minimum((column + 1) * size[1], out_w)
    written = np.maximum.accumulate(((sample * out_h + bottom - 1) * out_w + right) * channels)
    corners = _first_needed(site).reshape(batch, out_h, out_w)[sample, row * size[0], column * size[1]]
    needed = np.append(np.minimum.accumulate(corners[::-1])[::-1], x.elements // x.shape[3])
    # Blocks restart with each sample.
    first = np.arange(down * across) % block == 0
    ends = np.append(np.flatnonzero(np.tile(first, batch)), len(row))[1:]
    return (lead(written[ends - 1], needed[ends] * x.shape[3], x.nbytes),)


def _first_needed(site: Site) -> Array:
    """For each output pixel, the first input pixel that it or any later one reads."""
    op = site.op
    assert isinstance(op, Conv2D | DepthwiseConv2D | Pool)
    (batch, in_h, in_w, _), (_, out_h, out_w, _) = site.ins[0].shape, site.out.shape
    sample, oy, ox = np.indices((batch, out_h, out_w)).reshape(3, -1)
    row = np.maximum(oy * op.stride[0] - op.padding.top, 0)
    column = np.maximum(ox * op.stride[1] - op.padding.left, 0)
    starts = (sample * in_h + row) * in_w + column
    return np.asarray(np.minimum.accumulate(starts[::-1])[::-1])
