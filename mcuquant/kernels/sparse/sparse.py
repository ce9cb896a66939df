"""Layers with mostly zero weights, on any core; firmware/kernels/sparse/mq_sparse.h."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ...ir import Array, DType
from ...ir.ops import Conv2D, FullyConnected
from ..dsp.gemm_sums import folded_bias
from ..shared import overlap
from ..shared.packing import index_bits
from ..shared.weighted_layer import check, conv_params, requantize_blobs, weights
from ..variant import CALL, Arg, Blob, In, Out, Record, Scratch, Site, Struct, Value, Variant, image_fields

ROWS = 4
"""Rows per block."""
_MOST_VALUE_BITS = 6
"""Most bits of a value in an entry of 8 bits, so that a gap has at least two."""
_MOST_DENSE = 0.5
"""Largest fraction of nonzero weights: above it, nothing is saved."""


@dataclass(frozen=True, slots=True, eq=False)
class Sparse:
    """`entries` of all outputs (uint8), their number per output, and the codebook of indices with `value_bits` bits;
    without a codebook, entries have 16 bits.
    """

    entries: Array
    counts: Array
    codebook: Array
    value_bits: int

    @property
    def nbytes(self) -> int:
        return int(self.entries.nbytes + self.counts.nbytes + self.codebook.nbytes)


def encode(w: Array) -> Sparse:
    """Integers of 8 bits, (outputs, depth), as entries: the shorter of both forms."""
    values = np.unique(w[w != 0])
    bits = max(1, int(values.size).bit_length())
    forms = [_with_values(w)]
    if bits <= _MOST_VALUE_BITS:
        forms.append(_with_codebook(w, np.append(0, values).astype(np.int8), bits))
    return min(forms, key=lambda form: form.nbytes)


def _with_values(w: Array) -> Sparse:
    rows = [_row(row, 8) for row in w]
    entries = np.concatenate([np.stack([gaps, values], axis=1).ravel() for gaps, values in rows])
    return Sparse(entries.astype(np.uint8), _counts(rows), np.zeros(0, np.int8), 0)


def _with_codebook(w: Array, codebook: Array, bits: int) -> Sparse:
    """0 is the first value."""
    order = np.append(np.sort(codebook[1:]), 0)
    place = np.append(np.arange(1, codebook.size), 0)
    rows = [_row(row, 8 - bits) for row in w]
    index = [place[np.where(v == 0, codebook.size - 1, np.searchsorted(order[:-1], v))] for _, v in rows]
    entries = np.concatenate([gaps << bits | i for (gaps, _), i in zip(rows, index, strict=True)])
    return Sparse(entries.astype(np.uint8), _counts(rows), codebook, bits)


def _row(row: Array, gap_bits: int) -> tuple[Array, Array]:
    """(number of zeros before each entry, its value). A gap that is too long contains entries of weight 0."""
    at = np.flatnonzero(row)
    gaps = np.diff(at, prepend=-1) - 1
    longer = gaps >> gap_bits
    ends = np.cumsum(longer + 1) - 1
    all_gaps = np.full(int((longer + 1).sum()), (1 << gap_bits) - 1)
    values = np.zeros(all_gaps.size, np.int64)
    all_gaps[ends] = gaps & ((1 << gap_bits) - 1)
    values[ends] = row[at]
    return all_gaps, values


def _counts(rows: list[tuple[Array, Array]]) -> Array:
    """Little endian; 16 bits if one value needs them."""
    counts = np.array([len(gaps) for gaps, _ in rows])
    return counts.astype(np.uint8 if counts.max(initial=0) < 256 else "<u2")


@lru_cache(maxsize=16)
def sparse(site: Site) -> Sparse | None:
    """The weights minus their zero points as entries; None if they are not 8 bits, few are 0 or nothing is saved."""
    w = centred(site)
    nonzeros = np.count_nonzero(w)
    if not 0 < nonzeros <= _MOST_DENSE * w.size or w.min() < -128 or w.max() > 127:
        return None
    entries = encode(w)
    return entries if entries.nbytes < w.size * index_bits(site.ins[1]) // 8 else None


def centred(site: Site) -> Array:
    """One row per output, without multipliers."""
    w, q = site.ins[1], site.ins[1].q
    assert q is not None
    data = weights(site).astype(np.int64).reshape(w.shape[0], -1)
    zeros = np.array(q.zero_points or (q.zero_point,), np.int64)
    return np.asarray(data - zeros[:, None])


def takes(site: Site) -> bool:
    x, w = site.ins[:2]
    typed = x.dtype is site.out.dtype is DType.INT8 and w.is_constant
    whole = isinstance(site.op, FullyConnected) or w.shape[3] == x.shape[3]
    return typed and whole and sparse(site) is not None


def is_pointwise(site: Site) -> bool:
    """Output pixels are input pixels, one by one."""
    return weights(site).shape[1:3] == (1, 1) and site.ins[0].shape[:3] == site.out.shape[:3]


def row_fields(site: Site) -> dict[str, Value]:
    """Sizes and bounds of a layer that is computed row by row."""
    p, w = conv_params(site), weights(site)
    return {
        "rows": site.out.elements // w.shape[0],
        "depth": w.size // w.shape[0],
        "outputs": w.shape[0],
        "step": int(len(set(p.multipliers)) > 1),
        "y_zero": p.y_zero,
        "act_min": p.act_min,
        "act_max": p.act_max,
    }


def constants_of(site: Site) -> dict[str, int | Blob]:
    """Biases, factors (one if all are equal) and multipliers."""
    check(site)
    p, q = conv_params(site), site.ins[1].q
    assert q is not None
    m, shift = (Blob(b.role, b.data if len(set(p.multipliers)) > 1 else b.data[:1]) for b in requantize_blobs(p))
    fields: dict[str, int | Blob] = {"bias": Blob("bias", folded_bias(site)), "m": m, "shift": shift}
    if q.multipliers:
        fields["multiplier"] = Blob("factors", np.array(q.multipliers, np.uint8))
    return fields


def _fields(site: Site) -> dict[str, Value]:
    entries = sparse(site)
    assert entries is not None
    return {
        **row_fields(site),
        "value_bits": entries.value_bits,
        "wide_counts": int(entries.counts.itemsize == 2),
    }


def _record(site: Site) -> Record:
    entries = sparse(site)
    assert entries is not None
    form = f"gap, index of {entries.value_bits} bits" if entries.value_bits else "gap, weight"
    fields: dict[str, int | Blob] = {
        "entries": Blob("weights", entries.entries, f"{form}; see mq_sparse.h"),
        "counts": Blob("counts", entries.counts.view(np.uint8), "entries of each output"),
        **constants_of(site),
    }
    if entries.value_bits:
        fields["codebook"] = Blob("codebook", entries.codebook, "weights")
    return Record("mq_sparse_weights_t", fields)


def _rows_args(site: Site) -> tuple[Arg, ...]:
    return Struct("mq_sparse_t", _fields(site)), In(), _record(site), Out()


def _conv2d_args(site: Site) -> tuple[Arg, ...]:
    op, (x, w) = site.op, site.ins[:2]
    assert isinstance(op, Conv2D)
    fields: dict[str, Value] = {
        "sparse": _fields(site),
        **image_fields(x, site.out),
        "in_c": x.shape[3],
        "k_h": w.shape[1],
        "k_w": w.shape[2],
        "stride_h": op.stride[0],
        "stride_w": op.stride[1],
        "dilation_h": op.dilation[0],
        "dilation_w": op.dilation[1],
        "pad_top": op.padding.top,
        "pad_left": op.padding.left,
        "x_zero": conv_params(site).x_zero,
    }
    return Struct("mq_conv2d_sparse_t", fields), In(), _record(site), Scratch("int8_t"), Out()


_ENTRY, _ENTRY_OF_FOUR, _OUTPUT, _GATHERED = 10, 20, 40, 2
"""Cycles of an entry for one row and for four, of an output, of a byte of a window."""


def _cycles(site: Site) -> int:
    stored = sparse(site)
    assert stored is not None
    rows, entries = site.out.elements // len(weights(site)), int(stored.counts.astype(int).sum())
    gathered = 0 if not isinstance(site.op, Conv2D) or is_pointwise(site) else _GATHERED * rows * weights(site)[0].size
    passes = rows // ROWS * _ENTRY_OF_FOUR + rows % ROWS * _ENTRY
    return CALL + passes * entries + _OUTPUT * site.out.elements + gathered


def _scratch_bytes(site: Site) -> int:
    return ROWS * int(weights(site)[0].size)


def _rows_overlap_offsets(site: Site) -> tuple[int | None, ...]:
    """Four rows are read while their outputs are written."""
    rows = site.out.elements // len(weights(site))
    first = np.arange(0, rows - rows % ROWS, ROWS).repeat(ROWS)
    done = np.append(first, np.arange(rows - rows % ROWS, rows))
    last = np.append(first + ROWS, np.arange(rows - rows % ROWS, rows) + 1)
    x, y = site.ins[0], site.out
    return (overlap.lead(last * (y.nbytes // rows), done * (x.nbytes // rows), x.nbytes),)


def _conv2d_overlap_offsets(site: Site) -> tuple[int | None, ...]:
    return overlap.windows(site, buffered=True, block=ROWS)


def _takes_rows(site: Site) -> bool:
    return (isinstance(site.op, FullyConnected) or is_pointwise(site)) and takes(site)


VARIANTS = (
    Variant(
        "sparse_s8",
        "mq_sparse.h",
        (FullyConnected, Conv2D),
        _takes_rows,
        _rows_args,
        overlap_offsets=_rows_overlap_offsets,
        cycles=_cycles,
        unpacks=True,
    ),
    Variant(
        "conv2d_sparse_s8",
        "mq_conv2d_sparse.h",
        Conv2D,
        takes,
        _conv2d_args,
        _scratch_bytes,
        overlap_offsets=_conv2d_overlap_offsets,
        cycles=_cycles,
        unpacks=True,
    ),
)
