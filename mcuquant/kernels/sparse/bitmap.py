"""Weights with a bit each that marks nonzero ones, and a byte per nonzero weight; firmware/kernels/sparse/mq_bitmap.h.

The pattern does not matter: for 50 % zeros it takes 5 bits per weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ...ir import Array, DType
from ...ir.ops import FullyConnected
from ..shared.packing import index_bits
from ..shared.weighted_layer import weights
from ..variant import CALL, Arg, Blob, In, Out, Record, Site, Struct, Variant
from .sparse import centred, constants_of, row_fields

_SAVED = 0.8
"""Largest share of the original bytes for which the format is used: a smaller saving is not worth twice the time."""
_MAX_NONZERO = 1 << 16
_BITS_COMMENT, _VALUES_COMMENT = "a bit a weight, see mq_bitmap.h", "those that are not 0"


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """`bits` (outputs, words) uint32, the first weight in the highest bit; the nonzero weights (int8), and their number
    per output.
    """

    bits: Array
    values: Array
    counts: Array

    @property
    def nbytes(self) -> int:
        return int(self.bits.nbytes + self.values.nbytes)


def encode(w: Array) -> Kept:
    """Integers of 8 bits, (outputs, depth)."""
    mask = w != 0
    packed = np.packbits(np.pad(mask, ((0, 0), (0, -w.shape[1] % 32))), axis=1)
    return Kept(packed.view(">u4").astype(np.uint32), w[mask].astype(np.int8), mask.sum(axis=1))


@lru_cache(maxsize=16)
def kept(site: Site) -> Kept | None:
    """The weights minus their zero points; None if they are not 8 bits, or little is saved."""
    w = centred(site)
    count = np.count_nonzero(w)
    if not count or w.min() < -128 or w.max() > 127:
        return None
    encoded = encode(w)
    return encoded if encoded.nbytes < _SAVED * w.size * index_bits(site.ins[1]) / 8 else None


def takes(site: Site) -> bool:
    x, w = site.ins[:2]
    return x.dtype is site.out.dtype is DType.INT8 and w.is_constant and kept(site) is not None


def takes_any_output(site: Site) -> bool:
    """The start of each output's weights fits 16 bits."""
    bitmap = kept(site) if takes(site) else None
    return bitmap is not None and bitmap.values.size < _MAX_NONZERO


def record(site: Site) -> Record:
    """`mq_unpack_t`."""
    bitmap, q = kept(site), site.ins[1].q
    assert bitmap is not None
    assert q is not None
    fields: dict[str, int | Blob] = {
        "planes": Blob("bitmap", bitmap.bits, _BITS_COMMENT),
        "bits": 1,
        "zeros": Blob("zeros", np.zeros(1, np.int16)),
        "kept": Blob("weights", bitmap.values.view(np.uint8), _VALUES_COMMENT),
        "begin": Blob(
            "begins", (np.cumsum(bitmap.counts) - bitmap.counts).astype(np.uint16), "of each output's weights"
        ),
    }
    if q.multipliers:
        fields["multiplier"] = Blob("factors", np.array(q.multipliers, np.uint8))
    return Record("mq_unpack_t", fields)


def _args(site: Site) -> tuple[Arg, ...]:
    bitmap = kept(site)
    assert bitmap is not None
    bits, values = Blob("bitmap", bitmap.bits, _BITS_COMMENT), Blob("weights", bitmap.values, _VALUES_COMMENT)
    fields: dict[str, int | Blob] = {"bits": bits, "kept": values, **constants_of(site)}
    return Struct("mq_bitmap_t", row_fields(site)), In(), Record("mq_bitmap_weights_t", fields), Out()


_WORD, _ENTRY, _OUTPUT = 12, 11, 45
"""Cycles of 32 weights, of a nonzero weight, of an output."""


def _cycles(site: Site) -> int:
    bitmap = kept(site)
    assert bitmap is not None
    rows = site.out.elements // len(weights(site))
    return CALL + rows * (_WORD * bitmap.bits.size + _ENTRY * bitmap.values.size) + _OUTPUT * site.out.elements


VARIANTS = (
    Variant(
        "bitmap_s8",
        "mq_bitmap.h",
        FullyConnected,
        takes,
        _args,
        cycles=_cycles,
        step_bytes=300,
        unpacks=True,
    ),
)
