"""Modelled Cortex-M4 cycles of the kernels with weights: the execution counts of each part times its cycles.

The constants were fitted to counts of the cycle model, layer by layer, over MLPerf Tiny's networks. `pixels` include
all images of a batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...ir import Array
from ...ir.ops import Conv2D, DepthwiseConv2D
from ..variant import CALL

if TYPE_CHECKING:
    from ..variant import Site

TWICE = 24
"""Additional cycles for six outputs with two roundings: four instructions each instead of none."""


def taps_inside(site: Site) -> int:
    """Pairs of an output pixel and a tap of its window outside the padding, over all pixels."""
    return int(site.out.shape[0] * _along(site, 1).sum() * _along(site, 2).sum())


def windows_inside(site: Site) -> int:
    """Number of output pixels whose windows contain no padding."""
    down, across = _along(site, 1), _along(site, 2)
    return int(site.out.shape[0] * down.all(axis=1).sum() * across.all(axis=1).sum())


def rows_inside(site: Site) -> int:
    """Pairs of an output pixel and a row of its window inside the image, over all pixels."""
    return int(site.out.shape[0] * _along(site, 1).sum() * site.out.shape[2])


def _along(site: Site, axis: int) -> Array:
    """(outputs, taps) along an axis of the image: whether the tap is inside it."""
    op = site.op
    assert isinstance(op, Conv2D | DepthwiseConv2D)
    outputs, taps, size = site.out.shape[axis], site.ins[1].shape[axis], site.ins[0].shape[axis]
    before = (op.padding.top, op.padding.left)[axis - 1]
    at = np.arange(outputs)[:, None] * op.stride[axis - 1] - before + np.arange(taps) * op.dilation[axis - 1]
    return np.asarray((at >= 0) & (at < size))


def conv2d(site: Site) -> int:
    """Plain C: a loop over outputs, taps and channels."""
    w, outputs = site.ins[1].shape, site.out.elements
    taps = taps_inside(site) * w[0]
    return CALL + 9 * taps * w[3] + 14 * taps + 53 * outputs


def depthwise(site: Site) -> int:
    return CALL + 11 * taps_inside(site) * site.out.shape[3] + 60 * site.out.elements


def fully_connected(site: Site) -> int:
    return CALL + 9 * site.out.elements * site.ins[1].shape[1] + 40 * site.out.elements


def gemm(site: Site, constants: int, is_pointwise: bool) -> int:
    """mq_gemm.h: 25 cycles for four inputs of six outputs, and expanding pixels once."""
    outputs, k_h, k_w, channels = site.ins[1].shape
    words = -(-k_h * k_w * channels // 4)
    pixels = site.out.elements // outputs
    pair = 39 + 25 * words + 6 * ((words - 1) // 8) + (TWICE if constants > 1 else 0)
    inner = -(-pixels // 3) * -(-outputs // 2) * pair
    if is_pointwise and channels % 4 == 0:
        return CALL + inner + pixels * (30 + 6 * words)
    return CALL + inner + pixels * _gather(site, 6 if channels % 4 == 0 else 10)


def _gather(site: Site, of_word: int) -> int:
    """Cycles of one pixel: words are expanded in place; channels that are not whole words are first
    copied tap by tap.
    """
    op, (_, k_h, k_w, channels) = site.op, site.ins[1].shape
    assert isinstance(op, Conv2D)
    taps = k_h * k_w
    words = -(-taps * channels // 4)
    if channels % 4 == 0:
        runs = 45 * taps if op.dilation[1] > 1 and k_w > 1 else max(20 * taps, 36 * k_h)
        return 30 + of_word * words + runs
    return 40 + of_word * words + round(taps * (8 + 7.5 * channels))


def gemm_sums(site: Site) -> int:
    """mq_gemm_sums.h: 27 cycles for four inputs of six outputs, a requantization in C, and a memcpy for each tap."""
    outputs, k_h, k_w, channels = site.ins[1].shape
    words = -(-k_h * k_w * channels // 4)
    pixels, inside = site.out.elements // outputs, taps_inside(site)
    inner = -(-pixels // 3) * -(-outputs // 2) * (331 + 27 * words)
    gather = inside * (42 + 1.7 * channels) + 15 * (pixels * k_h * k_w - inside) + 23 * pixels * words
    return CALL + inner + round(gather)


def conv2d_few_channels(site: Site, constants: int) -> int:
    """mq_conv2d_few_channels.h: 16 cycles for two taps of eight outputs, and gathering both windows."""
    outputs, k_h, k_w, channels = site.ins[1].shape
    taps = k_h * k_w * channels
    pixels = site.out.elements // outputs
    group = 16 * -(-taps // 2) + 60 + (40 if constants > 1 else 0)
    inside = windows_inside(site)
    gather = 36 * pixels + taps * (inside * (3 + 2 / channels) + (pixels - inside) * (15 + 15 / channels))
    return CALL + -(-pixels // 2) * -(-outputs // 4) * group + round(gather)


def depthwise_planes(site: Site, strip: int, bands: int, rounds_twice: bool) -> int:
    """mq_depthwise_planes.h: rows of up to six outputs of a channel, and unpacking its plane."""
    op, (batch, in_h, in_w, channels), (_, out_h, out_w, _) = site.op, site.ins[0].shape, site.out.shape
    assert isinstance(op, DepthwiseConv2D)
    strips, row = -(-out_w // strip), 40 if op.stride[1] == 1 else 52
    rows = out_h * (strips * row + (13 if rounds_twice else 9) * out_w)
    unpack = in_h * (15 * strips + (1.4 if channels % 4 == 0 else 2.9) * in_w)
    rest = 100 * in_h * in_w if channels % 4 else 0
    return CALL + round(batch * (channels * (rows + unpack + 165 * bands) + rest + 300))


def fully_connected_eight(site: Site, is_prepared: bool, rounds_twice: bool) -> int:
    """mq_fully_connected_eight.h: eight outputs at a time."""
    outputs, depth = site.ins[1].shape
    rows, words = site.ins[0].elements // depth, -(-depth // 4)
    group = (38.6 if is_prepared else 40.8) * words + 69 + (37 if rounds_twice else 0)
    prepare = 12 * words if is_prepared else 0
    return CALL + round(rows * (-(-outputs // 8) * group + prepare + 40))
