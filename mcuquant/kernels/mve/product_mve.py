"""Convolutions as matrix products on cores with MVE: packing, and conditions for exactness; mq_mve_product.h."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from ...arithmetic.parameters import ConvParams
from ...ir import Array
from ...ir.ops import Conv2D, FullyConnected
from ..shared import overlap
from ..shared.conv_fields import conv2d_fields, is_pointwise, is_ungrouped, pairs_overlap_offsets, pointwise_fields
from ..shared.folded import clamp_fields, folded_bias, has_halves, is_int8, largest_sum, shifts_right
from ..shared.weighted_layer import conv_params, weights
from ..variant import CALL, Arg, Blob, In, Out, Scratch, Shared, Site, Struct, Value, Variant

VECTOR = 16
"""Bytes."""
GROUP = 4
"""Outputs per block."""
_MOST_OUTPUTS = (1 << 15) - 1
"""Limit of stored offsets, which have 16 bits."""
_WINDOW_BYTES = 640
"""Windows in scratch: more than two reduce the number of calls."""
_MOST_WINDOWS = 16
_VECTOR_CYCLES, _GROUP_CYCLES, _PAIR_CYCLES = 15, 24, 30
"""Instructions of a vector and a requantization for four outputs of two pixels, and of the start of two pixels."""
_PRODUCT_BYTES = 640
_TAPS_CYCLES = 24
"""Instructions of a row of a window's taps, copied to scratch."""


@dataclass(frozen=True, slots=True)
class Form:
    """A requantization, with its condition for exactness."""

    name: str
    fits: Callable[[ConvParams], bool]


def _is_above(p: ConvParams) -> bool:
    """The rounding of a negative product does not matter, because the clamp gives the same result."""
    return (p.y_zero, p.act_min, p.act_max) == (-128, -128, 127)


def _is_signed(p: ConvParams) -> bool:
    return (p.act_min, p.act_max) == (-128, 127) and has_halves(p)


FORMS = (Form("above", _is_above), Form("signed", _is_signed), Form("clamped", has_halves))


def is_taken(site: Site) -> bool:
    """int8 on a core with the instructions, right shifts, and sums of 32 bits."""
    p = conv_params(site)
    if not (site.core.mve and is_int8(site) and shifts_right(p) and len(p.multipliers) <= _MOST_OUTPUTS):
        return False
    return largest_sum(site) < 1 << 31


def pack(site: Site, head: int) -> Array:
    """The stream of mq_mve_product.h as int32, for pixels whose first `head` bytes form a separate vector."""
    p = conv_params(site)
    scale = np.array([(m.m, m.shift) for m in p.multipliers], np.int64)
    columns = (folded_bias(site)[:, None], _vectors(weights(site).reshape(len(scale), -1), head), scale)
    table = np.concatenate(columns, axis=1).astype(np.int32)
    missing = max(GROUP - len(table), 0)
    table = np.pad(table, ((0, missing), (0, 0)))
    starts = np.minimum(np.arange(0, len(table), GROUP), len(table) - GROUP)
    return np.concatenate([_group(table[i : i + GROUP]) for i in starts])


def _vectors(w: Array, head: int) -> Array:
    """Rows of weights as int32: the head padded to a vector, then whole vectors."""
    first = np.pad(w[:, :head], ((0, 0), (0, -head % VECTOR)))
    rest = np.pad(w[:, head:], ((0, 0), (0, (head - w.shape[1]) % VECTOR)))
    return np.ascontiguousarray(np.concatenate([first, rest], axis=1)).view(np.int32)


def _group(rows: Array) -> Array:
    """Biases, weights as vectors in turn, multipliers, shifts."""
    taps = rows[:, 1:-2].reshape(GROUP, -1, VECTOR // 4).transpose(1, 0, 2)
    return np.concatenate([rows[:, 0], taps.ravel(), rows[:, -2], rows[:, -1]])


def product_cycles(pixels: int, depth: int, outputs: int) -> int:
    """Instructions of the micro-kernel, which are close to its cycles."""
    group = _VECTOR_CYCLES * -(-depth // VECTOR) + _GROUP_CYCLES
    return -(-pixels // 2) * (-(-outputs // GROUP) * group + _PAIR_CYCLES)


def _pointwise_cycles(site: Site) -> int:
    outputs = site.out.shape[3]
    return CALL + product_cycles(site.out.elements // outputs, site.ins[0].shape[3], outputs)


def _conv2d_cycles(site: Site) -> int:
    (outputs, k_h, k_w, depth), pixels = site.ins[1].shape, site.out.elements // site.out.shape[3]
    gather = pixels * k_h * (_TAPS_CYCLES + k_w * depth // 8)
    return CALL + gather + product_cycles(pixels, k_h * k_w * depth, outputs)


def shared(form: Form) -> tuple[Shared, ...]:
    return (Shared(f"mq_mve_product_{form.name}", _PRODUCT_BYTES),)


def _stream(site: Site, head: int) -> Blob:
    return Blob("weights", pack(site, head), "four outputs at a time, see mq_mve_product.h")


def _pointwise_args(site: Site) -> tuple[Arg, ...]:
    head = site.ins[0].shape[3] % VECTOR
    return Struct("mq_pointwise_mve_t", pointwise_fields(site)), In(), _stream(site, head), Out()


def _window_bytes(site: Site) -> int:
    return -(-int(weights(site)[0].size) // VECTOR) * VECTOR


def _windows(site: Site) -> int:
    """Number of windows in scratch, which is even."""
    pairs = _WINDOW_BYTES // _window_bytes(site) // 2
    return 2 * min(max(pairs, 1), _MOST_WINDOWS // 2)


def _conv2d_args(site: Site) -> tuple[Arg, ...]:
    struct = Struct("mq_conv2d_mve_t", {**conv2d_fields(site), "windows": _windows(site)})
    return struct, In(), _stream(site, 0), Scratch("int8_t"), Out()


def _conv2d_scratch(site: Site) -> int:
    return _windows(site) * _window_bytes(site)


def _conv2d_overlap_offsets(site: Site) -> tuple[int | None, ...]:
    return overlap.windows(site, buffered=True, block=_windows(site))


def _takes(site: Site, form: Form, where: Callable[[Site], bool]) -> bool:
    return is_ungrouped(site) and where(site) and is_taken(site) and form.fits(conv_params(site))


def _pointwise(form: Form) -> Variant:
    takes = partial(_takes, form=form, where=is_pointwise)
    name, header = f"pointwise_mve_{form.name}_s8", "mq_pointwise_mve.h"
    return Variant(
        name,
        header,
        Conv2D,
        takes,
        _pointwise_args,
        overlap_offsets=pairs_overlap_offsets,
        cycles=_pointwise_cycles,
        step_bytes=80,
        shared=shared(form),
    )


def _conv2d(form: Form) -> Variant:
    takes = partial(_takes, form=form, where=lambda _: True)
    name, header = f"conv2d_mve_{form.name}_s8", "mq_conv2d_mve.h"
    return Variant(
        name,
        header,
        Conv2D,
        takes,
        _conv2d_args,
        _conv2d_scratch,
        overlap_offsets=_conv2d_overlap_offsets,
        cycles=_conv2d_cycles,
        step_bytes=800,
        shared=shared(form),
        by_rows=True,
    )


def _dense_args(site: Site) -> tuple[Arg, ...]:
    """Rows of inputs as pixels."""
    outputs, depth = site.ins[1].shape
    rows = site.ins[0].elements // depth
    fields: dict[str, Value] = {
        "rows": 1,
        "row_step": 0,
        "pixels": rows,
        "pixel_step": depth,
        "in_c": depth,
        "out_c": outputs,
        **clamp_fields(conv_params(site)),
    }
    return Struct("mq_pointwise_mve_t", fields), In(), _stream(site, depth % VECTOR), Out()


def _dense_cycles(site: Site) -> int:
    outputs, depth = site.ins[1].shape
    return CALL + product_cycles(site.ins[0].elements // depth, depth, outputs)


def _dense(form: Form) -> Variant:
    def takes(site: Site) -> bool:
        return is_taken(site) and form.fits(conv_params(site))

    return Variant(
        f"pointwise_mve_{form.name}_s8",
        "mq_pointwise_mve.h",
        FullyConnected,
        takes,
        _dense_args,
        cycles=_dense_cycles,
        step_bytes=80,
        shared=shared(form),
        note="rows as pixels",
    )


VARIANTS = (*map(_pointwise, FORMS), *map(_conv2d, FORMS), *map(_dense, FORMS))
