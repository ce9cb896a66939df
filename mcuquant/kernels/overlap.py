"""How far a kernel's output may run into its input: the safe lead, from which bytes are read last and written when.

A kernel writes its output front to back, in blocks. While it writes the bytes up to `written` (exclusive), it has done
with all input bytes before `needed`. With the input `lead` bytes after the output, output byte j lies on input byte
j - lead; that byte must be done with: written - 1 - lead < needed for every block. So lead = max(written - needed).
"""

from __future__ import annotations

import numpy as np

from ..ir import Array, Tensor
from ..ops import Conv2D, DepthwiseConv2D, Pool
from .base import Site

FREE = -(1 << 30)
"""No constraint: the input is done with before the first write."""


def lead(written: Array, needed: Array, input_bytes: int) -> int:
    """From the two columns above, one row a block, in the order of writing."""
    alive = needed < input_bytes
    return int((written - needed)[alive].max()) if alive.any() else FREE


def elementwise(site: Site) -> tuple[int | None, ...]:
    """One element read, one written, in order: inputs as many as outputs may be overwritten where they stand."""
    y = site.out
    return tuple(_one_by_one(x, y) if x.elements == y.elements else None for x in site.ins)


def _one_by_one(x: Tensor, y: Tensor) -> int:
    i = np.arange(1, y.elements + 1)
    return lead(i * (y.dtype.bits // 8), i * (x.dtype.bits // 8), x.nbytes)


def rows(site: Site, buffered: bool) -> tuple[int]:
    """Rows of the last axis, each read whole (into scratch or registers: `buffered`) before its outputs are written."""
    x, y = site.ins[0], site.out
    count = x.elements // x.shape[-1]
    row = np.arange(1, count + 1)
    done = row if buffered else row - 1
    return (lead(row * (y.nbytes // count), done * (x.nbytes // count), x.nbytes),)


def windows(site: Site, buffered: bool, block: int = 1) -> tuple[int]:
    """Windows sliding over an image, `block` output pixels of a row at a time.

    `buffered`: the windows of a block are copied before any output of the block is written; else they are read until
    its last output.
    """
    op = site.op
    assert isinstance(op, Conv2D | DepthwiseConv2D | Pool)
    x, y = site.ins[0], site.out
    (batch, in_h, in_w, _), (_, out_h, out_w, _) = x.shape, y.shape
    starts = np.arange(0, out_w, block)
    ends = np.minimum(starts + block, out_w)
    sample, oy = (a.reshape(-1, 1) for a in np.divmod(np.arange(batch * out_h), out_h))
    written = ((sample * out_h + oy) * out_w + ends) * (y.nbytes // (batch * out_h * out_w))
    first = np.maximum(oy * op.stride[0] - op.padding.top, 0)
    following = np.maximum((oy + 1) * op.stride[0] - op.padding.top, 0)
    ox = ends if buffered else starts
    column = np.maximum(ox * op.stride[1] - op.padding.left, 0)
    in_row = np.minimum(first * in_w + column, following * in_w)
    needed = np.where(ox >= out_w, following * in_w, in_row)
    last = (oy == out_h - 1) & (ox >= out_w)
    pixels = np.where(last, in_h * in_w, np.minimum(needed, in_h * in_w)) + sample * in_h * in_w
    return (lead(written, pixels * (x.nbytes // (batch * in_h * in_w)), x.nbytes),)
