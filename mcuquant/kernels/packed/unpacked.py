"""Convolutions and fully connected layers that unpack the weights of an output once for several uses.

firmware/kernels/packed/mq_conv2d_unpacked.h on any core, mq_conv2d_blocks.h on cores with SMLAD.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...ir import Array, DType
from ...ir.metrics import macs
from ...ir.ops import Conv2D, FullyConnected
from ..dsp.gemm import PIXELS
from ..dsp.gemm_sums import folded_bias
from ..shared import overlap
from ..shared.conv_fields import conv2d_fields
from ..shared.packing import index_bits, is_packed, planes
from ..shared.scratch_blocks import scratch_budget
from ..shared.weighted_layer import bias, check, conv_params, output_fields, requantize_blobs, weights
from ..variant import (
    CALL,
    Arg,
    Blob,
    In,
    Out,
    Record,
    Scratch,
    Site,
    Struct,
    Value,
    Variant,
    has_integer_values,
)

_SHARE, _LEAST_BYTES = 0.25, 2048
"""Scratch that is always permitted: a share of the widest activations, and a number of bytes."""


def takes(site: Site) -> bool:
    """int8 without groups, with packed weights, zero points or multipliers."""
    x, w = site.ins[:2]
    typed = x.dtype is site.out.dtype is DType.INT8 and w.is_constant and (is_packed(site) or has_integer_values(site))
    return typed and (isinstance(site.op, FullyConnected) or w.shape[3] == x.shape[3])


def _takes_plain(site: Site) -> bool:
    """Integers are unpacked to 16 bits."""
    return takes(site) and int(np.abs(site.ins[1].integer_values).max(initial=0)) < 1 << 15


def _takes_blocks(site: Site) -> bool:
    return site.core.dsp and takes(site)


def record(site: Site, ordered: Callable[[Array], Array] | None = None) -> Record:
    """`mq_unpack_t`; its rows of stored values may be `ordered` before they are packed in planes."""
    w, q = site.ins[1], site.ins[1].q
    assert w.data is not None
    assert q is not None
    bits, palette = index_bits(w), w.palette
    up = 1 << (bits - 1) if palette is None and bits < 8 else 0
    values = (w.data.astype(np.int64) + up if palette is None else palette.indices).reshape(w.shape[0], -1)
    values = values if ordered is None else ordered(values)
    zeros = np.array(q.zero_points or (q.zero_point,), np.int16) + np.int16(up)
    fields: dict[str, int | Blob] = {
        "planes": Blob("weights", planes(values, bits), f"planes of {bits} bits, see mq_unpack.h"),
        "bits": bits,
        "zeros": Blob("zeros", zeros, "what is 0 as it is stored"),
        "zeros_step": int(len(zeros) > 1),
    }
    if palette is not None:
        fields |= {"entries": palette.entries, "codebook": Blob("codebook", palette.centroids, "by group of outputs")}
        fields |= {"group": Blob("groups", np.array(palette.groups, np.uint8))} if palette.groups else {}
    if q.multipliers:
        fields["multiplier"] = Blob("factors", np.array(q.multipliers, np.uint8))
    return Record("mq_unpack_t", fields)


def sizes(site: Site) -> dict[str, Value]:
    """Fields of all convolutions; rows of a fully connected layer are pixels of one image."""
    if not isinstance(site.op, FullyConnected):
        return conv2d_fields(site)
    w = weights(site)
    rows = site.ins[0].elements // w.shape[1]
    image: dict[str, Value] = {"batch": 1, "in_h": 1, "in_w": rows, "out_h": 1, "out_w": rows}
    window: dict[str, Value] = {"in_c": w.shape[1], "k_h": 1, "k_w": 1, "stride_h": 1, "stride_w": 1}
    turns: dict[str, Value] = {"dilation_h": 1, "dilation_w": 1}
    return {**image, **window, **turns, "out_c": w.shape[0], **output_fields(conv_params(site))}


def _plain_args(site: Site) -> tuple[Arg, ...]:
    check(site)
    fields = {**sizes(site), "groups": 1}
    tail = (Blob("bias", bias(site)), *requantize_blobs(conv_params(site)), Scratch("int16_t"), Out())
    return Struct("mq_window_t", fields), In(), record(site), *tail


def _quads(site: Site) -> int:
    return -(-int(weights(site)[0].size) // 4)


def _written(site: Site) -> int:
    """Groups of four of an output's weights after unpacking: whole words of a plane."""
    bits = index_bits(site.ins[1])
    each = 1 if bits & (bits - 1) else 8 // bits
    return -(-_quads(site) // each) * each


def _pixels(site: Site) -> int:
    return site.out.elements // len(weights(site))


def _plain_bytes(site: Site) -> int:
    """Two bytes per weight, and the bytes that unpacking writes after the first half."""
    return max(8 * _quads(site), 4 * (_quads(site) + _written(site)))


def _blocks(site: Site) -> int:
    """As many outputs as there is room for, at most all of them."""
    each = 4 * (6 * _quads(site) + 3)
    allowed = scratch_budget(site, _SHARE, _LEAST_BYTES) - 4 * (2 * _written(site) + _quads(site))
    return max(1, min(allowed // each, -(-_pixels(site) // PIXELS)))


def _blocks_args(site: Site) -> tuple[Arg, ...]:
    check(site)
    p = conv_params(site)
    same = len(set(p.multipliers)) == 1
    fields: dict[str, Value] = {"conv": sizes(site), "blocks": _blocks(site), "step": int(not same)}
    m, shift = (Blob(b.role, b.data[:1] if same else b.data) for b in requantize_blobs(p))
    tail = (Blob("bias", folded_bias(site)), m, shift, Scratch("int32_t"), Out())
    return Struct("mq_conv2d_blocks_t", fields), In(), record(site), *tail


def _blocks_bytes(site: Site) -> int:
    return 4 * (_blocks(site) * (6 * _quads(site) + 3) + 2 * _written(site) + _quads(site))


def _blocks_overlap_offsets(site: Site) -> tuple[int | None, ...]:
    if isinstance(site.op, FullyConnected):
        return (None,)
    return overlap.windows(site, buffered=True, block=PIXELS * _blocks(site))


_VALUE, _LOOKED_UP, _IN_PLANES = 1.5, 5, 4
"""Cycles to unpack a weight that is a value, and one with a table lookup; more if its bits are in several planes."""
_MAC, _PLAIN_MAC, _OUTPUT, _GATHERED = 1.2, 7, 42, 8


def _unpacking(site: Site) -> int:
    w = site.ins[1]
    bits = index_bits(w)
    weight = (_VALUE if w.palette is None else _LOOKED_UP) + (_IN_PLANES if bits & (bits - 1) else 0)
    return int(weight * w.elements)


def _plain_cycles(site: Site) -> int:
    return CALL + _unpacking(site) + _PLAIN_MAC * macs(site.graph, site.op) + _OUTPUT * site.out.elements


def _blocks_cycles(site: Site) -> int:
    times = -(-_pixels(site) // (PIXELS * _blocks(site)))
    gathered = _GATHERED * _pixels(site) * int(weights(site)[0].size)
    work = int(_MAC * macs(site.graph, site.op)) + _OUTPUT * site.out.elements
    return CALL + times * _unpacking(site) + gathered + work


VARIANTS = (
    Variant(
        "conv2d_blocks_s8",
        "mq_conv2d_blocks.h",
        Conv2D,
        _takes_blocks,
        _blocks_args,
        _blocks_bytes,
        overlap_offsets=_blocks_overlap_offsets,
        cycles=_blocks_cycles,
        unpacks=True,
    ),
    Variant(
        "conv2d_unpacked_s8",
        "mq_conv2d_unpacked.h",
        (Conv2D, FullyConnected),
        _takes_plain,
        _plain_args,
        _plain_bytes,
        cycles=_plain_cycles,
        unpacks=True,
        by_rows=True,
    ),
)
