"""Convolutions with packed weights as matrix products: weights are unpacked into the format of `gemm` for several
pixels.

firmware/kernels/packed/mq_conv2d_packed_gemm.h, on cores with SMLAD. The number of pixels depends on the scratch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from ...ir import Array
from ...ir.ops import Conv2D
from ..dsp import gemm
from ..dsp.gemm import PIXELS, Form, padded, pairs_fit, starts
from ..shared import estimates, overlap
from ..shared.conv_fields import window_fields
from ..shared.packing import index_bits
from ..shared.weighted_layer import check, weights
from ..sparse import bitmap
from ..variant import CALL, Arg, Blob, In, Out, Record, Scratch, Shared, Site, Struct, Value, Variant
from . import unpacked

BLOCKS = (1, 2, 4, 8, 16)
"""Numbers of blocks of three pixels that are expanded together: one variant each."""
_MOST_TABLE_BITS = 4
_STREAM_WORDS = 256
"""Words of the outputs that are unpacked together, unless two take more."""
_BEHIND = 14
"""Words that unpacking may write after the stream."""


@lru_cache(maxsize=16)
def _integer_values(site: Site) -> Array | None:
    """(outputs, inputs of whole words) of int8; None if a value does not fit, or a pair exceeds 16 bits."""
    values = site.ins[1].integer_values
    if int(values.min()) < -128 or int(values.max()) > 127:
        return None
    flat = padded(values.astype(np.int8).reshape(len(values), -1))
    return flat if pairs_fit(flat) else None


@dataclass(frozen=True, slots=True)
class Storage:
    """Storage of weights in flash: a condition, `mq_unpack_t`, the cycles to unpack all of them once, and the bytes of
    the function.
    """

    note: str
    takes: Callable[[Site], bool]
    record: Callable[[Site], Record]
    cycles: Callable[[Site], float]
    table_bytes: Callable[[Site], int]
    shared: tuple[Shared, ...] = ()


def takes(site: Site, form: Form, storage: Storage) -> bool:
    """Integers of 8 bits, if the form is proven exact."""
    fits = site.core.dsp and storage.takes(site) and _integer_values(site) is not None
    return fits and form.constants(site) is not None


def _has_table(site: Site) -> bool:
    palette = site.ins[1].palette
    return palette is not None and not palette.groups and palette.bits <= _MOST_TABLE_BITS


def in_table_order(rows: Array, bits: int) -> Array:
    """(outputs, depth) indices of 4, 2 or 1 bits, in an order in which each byte of their plane contains consecutive
    ones.
    """
    each = 8 // bits
    whole = np.pad(rows, ((0, 0), (0, -rows.shape[1] % (4 * each))))
    return np.asarray(whole.reshape(len(rows), -1, 4, each).swapaxes(2, 3).reshape(len(rows), -1))


def record(site: Site) -> Record:
    """`mq_unpack_t`, with its indices in the order of the table."""
    w = site.ins[1]
    bits = index_bits(w)
    ordered = partial(in_table_order, bits=bits) if _has_table(site) and bits in (1, 2, 4) else None
    return unpacked.record(site, ordered)


def _words(site: Site) -> int:
    flat = _integer_values(site)
    assert flat is not None
    return int(flat.shape[1]) // 4


def _outputs(site: Site) -> int:
    """Outputs unpacked at a time."""
    every = -(-site.out.shape[3] // 2) * 2
    return min(every, max(2, _STREAM_WORDS // _words(site) // 2 * 2))


def _blocks(site: Site) -> int:
    """Number of blocks of three pixels in all images."""
    return -(-site.out.elements // site.out.shape[3] // PIXELS)


def _is_offered(site: Site, blocks: int) -> bool:
    """A variant for at least twice the number of existing blocks is unnecessary."""
    return blocks == 1 or blocks < 2 * _blocks(site)


def _constants(site: Site, form: Form) -> tuple[Array, Array]:
    """Starts, and a row per output in the format of `form`, or a single row if all are equal; int32."""
    factors, flat = form.constants(site), _integer_values(site)
    assert factors is not None
    assert flat is not None
    rows = factors[1] if (factors[1] != factors[1][0]).any() else factors[1][:1]
    return starts(site, flat, factors[0]), rows.astype(np.uint64).astype(np.uint32).view(np.int32)


def _table_bytes(site: Site) -> int:
    bits = index_bits(site.ins[1])
    if not _has_table(site):
        return 0
    return 4 << (4 * bits) if bits <= 2 else 2 << (2 * bits)


def _scratch_bytes(site: Site, form: Form, blocks: int, storage: Storage) -> int:
    words, outputs = _words(site), _outputs(site)
    bytes_of_window = 0 if site.ins[0].shape[3] % 4 == 0 else words
    stream = outputs * (1 + words + form.words) + _BEHIND
    spare = -(-PIXELS * outputs // 4)
    expanded = 2 * PIXELS * min(blocks, _blocks(site)) * words
    return storage.table_bytes(site) + 4 * (expanded + bytes_of_window + spare + stream)


def _args(site: Site, form: Form, blocks: int, storage: Storage) -> tuple[Arg, ...]:
    check(site)
    start, constants = _constants(site, form)
    fields: dict[str, Value] = {
        "conv": window_fields(site),
        "blocks": min(blocks, _blocks(site)),
        "outputs": _outputs(site),
        "step": form.words if len(constants) > 1 else 0,
    }
    tail = (Blob("starts", start), Blob("constants", constants), Scratch("int32_t"), Out())
    return Struct("mq_conv2d_packed_gemm_t", fields), In(), storage.record(site), *tail


def _overlap_offsets(site: Site, blocks: int) -> tuple[int | None, ...]:
    return overlap.windows(site, buffered=True, block=PIXELS * min(blocks, _blocks(site)))


_VALUE, _PALETTE, _ANY, _BITMAP = 1.15, {1: 1.2, 2: 1.2, 3: 3.0, 4: 2.0}, 10, 5.5
"""Cycles to unpack a weight: a value, an index by its number of bits, any other, and with a bitmap."""
_ROW, _GROUP = 40, 70
"""Cycles to start an output, and to start the outputs that are unpacked together."""


def _unpacking(site: Site) -> float:
    w, bits = site.ins[1], index_bits(site.ins[1])
    one_by_one = _VALUE if w.palette is None and bits in (2, 4) else _ANY
    return (_PALETTE[bits] if _has_table(site) else one_by_one) * w.elements


def _cycles(site: Site, form: Form, blocks: int, storage: Storage) -> int:
    times = -(-_blocks(site) // blocks)
    runs = _blocks(site) * -(-site.out.shape[3] // _outputs(site))
    unpacking = int(storage.cycles(site)) + _ROW * site.out.shape[3]
    product = estimates.gemm(site, form.words, False) + _GROUP * runs
    return CALL + 3 * storage.table_bytes(site) + product + times * unpacking


PACKED = Storage("", unpacked.takes, record, _unpacking, _table_bytes)
BITMAP = Storage(
    "bitmap, ",
    lambda site: bitmap.takes_any_output(site) and weights(site).shape[3] == site.ins[0].shape[3],
    bitmap.record,
    lambda site: _BITMAP * site.ins[1].elements,
    lambda _: 0,
    (Shared("mq_pairs_kept_32", 640),),
)


def _variant(form: Form, blocks: int, storage: Storage) -> Variant:
    return Variant(
        f"conv2d_packed_gemm_{form.name}_s8",
        "mq_conv2d_packed_gemm.h",
        Conv2D,
        lambda site: _is_offered(site, blocks) and takes(site, form, storage),
        partial(_args, form=form, blocks=blocks, storage=storage),
        partial(_scratch_bytes, form=form, blocks=blocks, storage=storage),
        overlap_offsets=partial(_overlap_offsets, blocks=blocks),
        cycles=partial(_cycles, form=form, blocks=blocks, storage=storage),
        step_bytes=1050,
        shared_bytes=2400,
        shared=(Shared(f"mq_gemm_{form.name}", 814 + 92 * (form.words > 1)), gemm.EXPAND[0], *storage.shared),
        note=f"{storage.note}{PIXELS * blocks} pixels",
        unpacks=True,
    )


def _variants(storage: Storage) -> tuple[Variant, ...]:
    return tuple(_variant(form, blocks, storage) for form in gemm.FORMS for blocks in BLOCKS)


VARIANTS = _variants(PACKED)
OF_BITMAPS = _variants(BITMAP)
