"""Storage of weights in flash if they are not one per byte; firmware/kernels/plain/mq_weights.h."""

from __future__ import annotations

import numpy as np

from ...ir import Array, Tensor
from ..variant import Blob, Record, Site


def pack_bits(values: Array, bits: int) -> Array:
    """Low `bits` bits of each value, the first in the lowest bits of the first byte, without gaps: uint8."""
    raw = values.reshape(-1).astype(np.int64).astype(np.uint8)
    return np.packbits(np.unpackbits(raw[:, None], axis=1, count=bits, bitorder="little"), bitorder="little")


def unpack_bits(packed: Array, bits: int, count: int) -> Array:
    """The first `count` values of `pack_bits`, as uint8."""
    rows = np.unpackbits(packed, bitorder="little")[: count * bits].reshape(count, bits)
    return np.packbits(rows, axis=1, bitorder="little")[:, 0]


def planes(rows: Array, bits: int) -> Array:
    """Low `bits` bits of (outputs, depth) integers as uint32, with the planes of each output in
    sequence; mq_unpack.h.
    """
    quads = -(-rows.shape[1] // 4)
    raw = np.pad(rows.astype(np.int64).astype(np.uint8), ((0, 0), (0, 4 * quads - rows.shape[1])))
    parts = [8] if bits == 8 else [part for part in (4, 2, 1) if bits & part]
    places = np.cumsum([0, *parts])[:-1]
    words = [_plane(raw >> place & ((1 << part) - 1), part) for part, place in zip(parts, places, strict=True)]
    return np.concatenate(words, axis=1)


def _plane(fields: Array, bits: int) -> Array:
    """(outputs, words): each byte of a word contains the fields of every fourth weight."""
    each = 8 // bits
    quads = fields.shape[1] // 4
    turns = np.pad(fields, ((0, 0), (0, 4 * (-quads % each)))).reshape(len(fields), -1, each, 4)
    shifts = (bits * np.arange(each))[:, None]
    packed = (turns.astype(np.uint32) << shifts).sum(axis=2).astype(np.uint8)
    return np.ascontiguousarray(packed).view(np.uint32).reshape(len(fields), -1)


def is_packed(site: Site) -> bool:
    """Whether the weights are stored in another form than one per byte."""
    w = site.ins[1]
    return w.is_constant and (w.palette is not None or w.bits < 8)


def index_bits(w: Tensor) -> int:
    """Bits of one weight in flash."""
    return w.bits if w.palette is None else w.palette.bits


def packed_weights(site: Site) -> Record:
    """`mq_packed_t`: the stream in the order of the tensor, its codebook, zero points and multipliers."""
    w = site.ins[1]
    assert w.data is not None
    bits = index_bits(w)
    values = w.data if w.palette is None else w.palette.indices
    what = "values" if w.palette is None else "indices"
    stream = Blob("weights", pack_bits(values, bits), f"{'x'.join(map(str, w.shape))}, {what} of {bits} bits")
    return Record("mq_packed_t", {"stream": stream, "bits": bits, **_codebook(w), **_meaning(w)})


def _codebook(w: Tensor) -> dict[str, int | Blob]:
    if w.palette is None:
        return {}
    book = Blob("codebook", w.palette.centroids, "one value an index, for each group of channels")
    groups = np.array(w.palette.groups, np.uint8)
    return {
        "entries": w.palette.entries,
        "codebook": book,
        **({"group": Blob("groups", groups)} if w.palette.groups else {}),
    }


def _meaning(w: Tensor) -> dict[str, int | Blob]:
    q = w.q
    assert q is not None
    fields: dict[str, int | Blob] = {}
    if q.zero_point:
        fields["zero"] = q.zero_point
    if q.zero_points:
        fields["zeros"] = Blob("zeros", np.array(q.zero_points, np.int8))
    if q.multipliers:
        fields["multiplier"] = Blob("factors", np.array(q.multipliers, np.uint8))
    return fields
