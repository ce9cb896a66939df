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
from ..shared.estimates import rows_inside, windows_inside
from ..shared.folded import clamp_fields, folded_bias, has_halves, is_int8, largest_sum, shifts_right
from ..shared.weighted_layer import conv_params, weights
from ..variant import Arg, Blob, In, Out, Scratch, Shared, Site, Struct, Value, Variant

VECTOR = 16
"""Bytes."""
GROUP = 4
"""Outputs per block."""
_MOST_OUTPUTS = (1 << 15) - 1
"""Limit of stored offsets, which have 16 bits."""
_WINDOW_BYTES = 640
"""Windows in scratch: more than two reduce the number of calls."""
_MOST_WINDOWS = 16
_HEAD_CYCLES, _VECTOR_CYCLES, _LOOP_CYCLES, _GROUP_CYCLES, _PAIR_CYCLES, _CALL_CYCLES = 17, 14, 2, 23, 30, 45
"""Instructions of mq_mve_product.h: of a head and a vector for four outputs of two pixels, a round of four vectors, a
requantization, the start of two pixels, and a call.
"""
_FEW_CYCLES, _FEW_OUTPUT_CYCLES = 2, 2
"""Instructions of a pixel with fewer than four outputs, and of copying each of them."""
_STEP_CYCLES = 15
_PRODUCT_BYTES = 640


@dataclass(frozen=True, slots=True)
class Form:
    """A requantization, with its condition for exactness; `group` is the number of its additional instructions."""

    name: str
    fits: Callable[[ConvParams], bool]
    group: int


def _is_above(p: ConvParams) -> bool:
    """The rounding of a negative product does not matter, because the clamp gives the same result."""
    return (p.y_zero, p.act_min, p.act_max) == (-128, -128, 127)


def _is_signed(p: ConvParams) -> bool:
    return (p.act_min, p.act_max) == (-128, 127) and has_halves(p)


FORMS = (Form("above", _is_above, 0), Form("signed", _is_signed, 4), Form("clamped", has_halves, 9))


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


def product_cycles(form: Form, calls: int, pixels: int, depth: int, outputs: int, head: bool = True) -> int:
    """Instructions of `calls` calls of the micro-kernel for `pixels` pixels each; `head`: the rest of the depth comes
    first, and is not part of a vector.
    """
    rest, vectors = (depth % VECTOR > 0, depth // VECTOR) if head else (False, -(-depth // VECTOR))
    group = (
        _GROUP_CYCLES + form.group + _HEAD_CYCLES * rest + _VECTOR_CYCLES * vectors + _LOOP_CYCLES * -(-vectors // 4)
    )
    if outputs < GROUP:
        return calls * pixels * (_CALL_CYCLES + _PAIR_CYCLES + group + _FEW_CYCLES + _FEW_OUTPUT_CYCLES * outputs)
    return calls * (_CALL_CYCLES + -(-pixels // 2) * (-(-outputs // GROUP) * group + _PAIR_CYCLES))


def _pointwise_cycles(site: Site, form: Form) -> int:
    fields = pointwise_fields(site)
    rows, pixels = int(str(fields["rows"])), int(str(fields["pixels"]))
    return _STEP_CYCLES + product_cycles(form, rows, pixels, site.ins[0].shape[3], site.out.shape[3])


def _conv2d_cycles(site: Site, form: Form) -> int:
    (outputs, k_h, k_w, depth), pixels = site.ins[1].shape, site.out.elements // site.out.shape[3]
    calls, last = divmod(pixels, _windows(site))
    taps = k_h * k_w * depth
    product = product_cycles(form, calls, _windows(site), taps, outputs, head=False)
    product += product_cycles(form, 1, last, taps, outputs, head=False) if last else 0
    return _STEP_CYCLES + product + _gather_cycles(site)


def _gather_cycles(site: Site) -> int:
    """Instructions of copying all windows to scratch: whole vectors of a row's taps, the rest, and padding."""
    (_, k_h, k_w, depth), pixels = site.ins[1].shape, site.out.elements // site.out.shape[3]
    assert isinstance(site.op, Conv2D)
    inside, rows = windows_inside(site), rows_inside(site)
    copies, nbytes = (k_h, k_w * depth) if site.op.dilation[1] == 1 else (k_h * k_w, depth)
    copied = inside * copies * (4.6 * (nbytes // VECTOR) + 6.6 * (nbytes % VECTOR > 0))
    partly, vectors = rows - inside * k_h, -(-k_w * depth // VECTOR)
    border = partly * (13.2 + 20.8 * (k_w > 1) + 6.9 * vectors) + (pixels * k_h - rows) * 9.3 * vectors
    return round(6.9 * pixels + copied + border)


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
        cycles=partial(_pointwise_cycles, form=form),
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
        cycles=partial(_conv2d_cycles, form=form),
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


def _dense_cycles(site: Site, form: Form) -> int:
    outputs, depth = site.ins[1].shape
    return _STEP_CYCLES + product_cycles(form, 1, site.ins[0].elements // depth, depth, outputs)


def _dense(form: Form) -> Variant:
    def takes(site: Site) -> bool:
        return is_taken(site) and form.fits(conv_params(site))

    return Variant(
        f"pointwise_mve_{form.name}_s8",
        "mq_pointwise_mve.h",
        FullyConnected,
        takes,
        _dense_args,
        cycles=partial(_dense_cycles, form=form),
        step_bytes=80,
        shared=shared(form),
        note="rows as pixels",
    )


VARIANTS = (*map(_pointwise, FORMS), *map(_conv2d, FORMS), *map(_dense, FORMS))
