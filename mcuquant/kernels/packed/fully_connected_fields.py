"""Fully connected layers with packed weights, with SMLAD; firmware/kernels/packed/mq_fully_connected_fields.h."""

from __future__ import annotations

import numpy as np

from ...ir import Array, DType
from ...ir.metrics import macs
from ...ir.ops import FullyConnected
from ..dsp.gemm_sums import folded_bias
from ..shared.overlap import FREE
from ..shared.packing import index_bits, is_packed
from ..shared.weighted_layer import check, conv_params, requantize_blobs, weights
from ..variant import CALL, Arg, Blob, In, Out, Record, Scratch, Site, Struct, Value, Variant, has_integer_values

OUTPUTS = 4
"""Outputs per block."""
_VALUE_BITS = (2, 4, 8)
_MOST_INDEX_BITS = 4
"""Largest index in bits; the table of pairs then has 256 words."""


def takes(site: Site) -> bool:
    x, w = site.ins[:2]
    typed = x.dtype is site.out.dtype is DType.INT8 and w.is_constant and (is_packed(site) or has_integer_values(site))
    if not (site.core.dsp and typed):
        return False
    if w.palette is None:
        return w.bits in _VALUE_BITS
    return w.palette.bits <= _MOST_INDEX_BITS and not w.palette.groups


def pack(site: Site) -> Array:
    """uint32 (groups of four outputs, words, 4): fields of pairs, as described in the header; unused ones are 0."""
    w, bits = site.ins[1], index_bits(site.ins[1])
    data = weights(site).astype(np.int64) + (1 << (bits - 1)) if w.palette is None else w.palette.indices
    depth = w.shape[1]
    fours = np.pad(data.astype(np.int64), ((0, -w.shape[0] % OUTPUTS), (0, -depth % 4))).reshape(-1, -(-depth // 4), 4)
    low, high = (fours[:, :, i : i + 2].reshape(len(fours), -1) for i in (0, 2))
    joined = low | high << (16 if w.palette is None else bits)
    each = 16 // bits
    turns = np.pad(joined, ((0, 0), (0, -joined.shape[1] % each))).reshape(len(joined), -1, each)
    shift = (bits if w.palette is None else 2 * bits) * np.arange(each)
    words = (turns << shift).sum(axis=2).astype(np.uint32)
    return np.ascontiguousarray(words.reshape(-1, OUTPUTS, words.shape[1]).transpose(0, 2, 1))


def _zeros(site: Site) -> Array:
    """The stored value of 0: one entry, or one per output."""
    w, q = site.ins[1], site.ins[1].q
    assert q is not None
    half = 1 << (w.bits - 1) if w.palette is None else 0
    return np.array(q.zero_points or (q.zero_point,), np.int16) + np.int16(half)


def _pairs(site: Site) -> int:
    """Words of a prepared row."""
    each = 16 // index_bits(site.ins[1])
    return -(-(-(-int(weights(site).shape[1]) // 4) * 2) // each) * each


def _scratch_bytes(site: Site) -> int:
    palette = site.ins[1].palette
    return 4 * (_pairs(site) + (0 if palette is None else 1 << (2 * palette.bits)))


def _args(site: Site) -> tuple[Arg, ...]:
    check(site)
    (outputs, depth), p, zeros = weights(site).shape, conv_params(site), _zeros(site)
    palette, q = site.ins[1].palette, site.ins[1].q
    assert q is not None
    same = len(set(p.multipliers)) == 1
    fields: dict[str, Value] = {
        "rows": site.ins[0].elements // depth,
        "depth": depth,
        "outputs": outputs,
        "bits": index_bits(site.ins[1]),
        "entries": 0 if palette is None else palette.entries,
        "step": int(not same),
        "zeros_step": int(len(zeros) > 1),
        "y_zero": p.y_zero,
        "act_min": p.act_min,
        "act_max": p.act_max,
    }
    m, shift = (Blob(b.role, b.data[:1] if same else b.data) for b in requantize_blobs(p))
    layout = f"fields of {fields['bits']} bits, four outputs at a time; see mq_fully_connected_fields.h"
    words = Blob("weights", pack(site), layout)
    constants: dict[str, int | Blob] = {"words": words, "zeros": Blob("zeros", zeros)}
    constants |= {"bias": Blob("bias", folded_bias(site)), "m": m, "shift": shift}
    if palette is not None:
        constants["codebook"] = Blob("codebook", palette.centroids, "one value an index")
    if q.multipliers:
        constants["multiplier"] = Blob("factors", np.array(q.multipliers, np.uint8))
    return Struct("mq_fields_t", fields), In(), Record("mq_fields_weights_t", constants), Scratch("int32_t"), Out()


def _overlap_offsets(site: Site) -> tuple[int | None, ...]:
    """A single row is in scratch before the first output is written."""
    return (FREE if site.ins[0].elements == weights(site).shape[1] else None,)


_VALUE, _LOOKED_UP = {8: 1.92, 4: 1.58, 2: 1.42}, {4: 2.36, 3: 2.26, 2: 2.17, 1: 2.12}
"""Cycles of a product with a value, and with an index, by their bits; fitted to counts of layers of 8 to 784 inputs."""
_INPUT, _OUTPUT, _OWN_FACTOR, _OWN_ZERO = 8, 44, 15, 7
"""Cycles to prepare an input; of an output; more if each channel has its own factor, and its own zero point."""


def _cycles(site: Site) -> int:
    w, bits = site.ins[1], index_bits(site.ins[1])
    product = _VALUE[bits] if w.palette is None else _LOOKED_UP[bits]
    table = 0 if w.palette is None else 4 << (2 * bits)
    output = _OUTPUT + _OWN_FACTOR * (len(w.qparams.scale) > 1) + _OWN_ZERO * (len(w.qparams.zero_points) > 1)
    work = int(product * macs(site.graph, site.op))
    return CALL + table + work + _INPUT * site.ins[0].elements + output * site.out.elements


VARIANTS = (
    Variant(
        "fully_connected_fields_s8",
        "mq_fully_connected_fields.h",
        FullyConnected,
        takes,
        _args,
        _scratch_bytes,
        overlap_offsets=_overlap_offsets,
        cycles=_cycles,
        unpacks=True,
    ),
)
