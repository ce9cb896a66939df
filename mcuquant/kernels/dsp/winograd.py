"""Winograd's convolutions with three taps, exact in integers, on cores with SMLAD; firmware/kernels/dsp/mq_winograd.h.

The form over tiles computes 4x4 outputs of 3x3 windows. The form along rows takes less scratch and flash but twice the
products.
"""

from __future__ import annotations

import numpy as np

from ...ir import Array
from ...ir.ops import Conv2D
from ..shared import overlap
from ..shared.weighted_layer import bias, conv_params, weights
from ..variant import CALL, Arg, Blob, In, Out, Scratch, Shared, Site, Struct, Value, Variant, image_fields
from .gemm import Form, is_taken, once, twice

G = np.array([[6, 0, 0], [-1, -1, -1], [-1, 1, -1], [1, 2, 4], [1, -2, 4], [0, 0, 6]], np.int64)
"""Transform of three taps. Its result is 24 times the sum for one axis, 576 times for both axes."""
ROW_SCALE = 16
"""Additional factor, so that the start of a channel's requantization has finer steps; weights still fit int16."""
ROW_UNIT, TILE_UNIT = 24 * ROW_SCALE, 24 * 24
TILE = 4
"""Outputs along an axis."""
TAPS = TILE + 2
TILES, OUTPUTS = 2, 4
"""Tiles and outputs per block."""
_PAIR_CYCLES, _POSITION_CYCLES = 17, 28
"""Cycles of 16 products, and of the start and end of each position, for two tiles by four outputs."""
_SHARED = Shared("mq_winograd_products", 812)


def _forms(unit: int) -> tuple[Form, ...]:
    return Form("12", 2, once(12, unit)), Form("8", 2, once(8, unit)), Form("twice", 4, twice(unit))


ROW_FORMS, TILE_FORMS = _forms(ROW_UNIT), _forms(TILE_UNIT)


def takes_rows(site: Site) -> bool:
    """Windows three taps wide, stride 1 along rows, whole words of channels."""
    op = site.op
    assert isinstance(op, Conv2D)
    outputs, _, k_w, channels = weights(site).shape
    along = k_w == 3 and op.stride[1] == op.dilation[1] == 1
    return is_taken(site) and along and channels % 4 == outputs % OUTPUTS == 0


def takes_tiles(site: Site) -> bool:
    """Windows of 3x3, stride 1."""
    op = site.op
    assert isinstance(op, Conv2D)
    return takes_rows(site) and weights(site).shape[1] == 3 and op.stride == op.dilation == (1, 1)


def rows_transformed(w: Array) -> Array:
    """(outputs, k_h, 3, channels) to (outputs, 6, k_h, channels), int16."""
    return np.asarray(np.einsum("jb,oabc->ojac", ROW_SCALE * G, w.astype(np.int64)).astype(np.int16))


def tiles_transformed(w: Array) -> Array:
    """(outputs, 3, 3, channels) to (outputs, 6, 6, 1, channels), int16."""
    return np.asarray(np.einsum("ia,jb,oabc->oijc", G, G, w.astype(np.int64)).astype(np.int16)[:, :, :, None])


def packed(w: Array) -> Array:
    """(outputs, positions, channels) as int32: for every four outputs, position and two channels, the outputs' words.

    Channels 0 and 2 of four form a word, then 1 and 3: the order after SXTB16.
    """
    outputs, positions, channels = w.shape
    pairs = w.reshape(outputs, positions, channels // 4, 2, 2).swapaxes(3, 4)
    words = np.ascontiguousarray(pairs).view(np.int32).reshape(outputs // OUTPUTS, OUTPUTS, positions, channels // 2)
    return np.ascontiguousarray(words.transpose(0, 2, 3, 1)).reshape(-1)


def constants(site: Site, form: Form, unit: int) -> Array:
    """A row per output: the offset from `unit` times sum(w * x), then the constants of the requantization."""
    factors, p, w = form.constants(site), conv_params(site), weights(site)
    assert factors is not None
    folded = bias(site).astype(np.int64) - p.x_zero * w.reshape(len(w), -1).sum(axis=1, dtype=np.int64)
    rows = np.column_stack([folded * unit + factors[0], factors[1]])
    return rows.astype(np.uint64).astype(np.uint32).view(np.int32)


def _tile_scratch_bytes(site: Site) -> int:
    """Scratch: inputs of two tiles as int16; then the products of four outputs or, before that, a tile's inputs."""
    channels = site.ins[0].shape[3]
    return TAPS * TAPS * (2 * TILES * channels + max(4 * TILES * OUTPUTS, channels))


def _row_scratch_bytes(site: Site) -> int:
    channels, k_h = site.ins[0].shape[3], int(weights(site).shape[1])
    return TAPS * (2 * TILES * k_h * channels + max(4 * TILES * OUTPUTS, channels))


def _products_cycles(positions: int, depth: int) -> int:
    """Cycles of two tiles by four outputs, with `depth` inputs at each position."""
    return positions * (_PAIR_CYCLES * depth // 2 + _POSITION_CYCLES)


def _tile_cycles(site: Site, form: Form) -> int:
    (batch, out_h, out_w, outputs), channels = site.out.shape, site.ins[0].shape[3]
    tiles = -(-out_h // TILE) * -(-out_w // TILE)
    of_output = 460 if form.name == "twice" else 350
    products = outputs // OUTPUTS * _products_cycles(TAPS * TAPS, channels)
    return CALL + batch * (tiles * (254 * channels + of_output * outputs) + -(-tiles // TILES) * products)


def _row_cycles(site: Site, form: Form) -> int:
    (batch, out_h, out_w, outputs), (_, k_h, _, channels) = site.out.shape, site.ins[1].shape
    across = -(-out_w // TILE)
    of_output = 80 if form.name == "twice" else 58
    edges = min(2, across) * 12 * channels // across
    of_tile = k_h * (24 * channels + 100 + edges) + of_output * outputs
    products = outputs // OUTPUTS * _products_cycles(TAPS, k_h * channels)
    return CALL + batch * (out_h * across * of_tile + -(-out_h * across // TILES) * products)


def _fields(site: Site) -> dict[str, Value]:
    op, x = site.op, site.ins[0]
    assert isinstance(op, Conv2D)
    return {
        **image_fields(x, site.out),
        "in_c": x.shape[3],
        "out_c": site.out.shape[3],
        "pad_top": op.padding.top,
        "pad_left": op.padding.left,
        "x_zero": conv_params(site).x_zero,
    }


def _arguments(site: Site, struct: Struct, transformed: Array, numbers: Array) -> tuple[Arg, ...]:
    outputs, positions = len(transformed), transformed.size // len(transformed) // site.ins[0].shape[3]
    w = packed(transformed.reshape(outputs, positions, -1))
    blobs = (
        Blob("weights", w, "transformed, see mq_winograd.h"),
        Blob("constants", numbers, "start and requantization of each output"),
    )
    return struct, In(), *blobs, Scratch("int32_t"), Out()


def _tile_args(site: Site, form: Form) -> tuple[Arg, ...]:
    struct = Struct("mq_conv2d_winograd_t", _fields(site))
    return _arguments(site, struct, tiles_transformed(weights(site)), constants(site, form, TILE_UNIT))


def _row_args(site: Site, form: Form) -> tuple[Arg, ...]:
    op, w = site.op, weights(site)
    assert isinstance(op, Conv2D)
    down: dict[str, Value] = {"k_h": w.shape[1], "stride_h": op.stride[0], "dilation_h": op.dilation[0]}
    struct = Struct("mq_conv2d_winograd_row_t", _fields(site) | down)
    return _arguments(site, struct, rows_transformed(w), constants(site, form, ROW_UNIT))


def _tile_variant(form: Form) -> Variant:
    size = 1218 if form.name == "twice" else 910
    return Variant(
        f"conv2d_winograd_{form.name}_s8",
        "mq_conv2d_winograd.h",
        Conv2D,
        lambda site: takes_tiles(site) and form.constants(site) is not None,
        lambda site: _tile_args(site, form),
        _tile_scratch_bytes,
        overlap_offsets=lambda site: overlap.tiles(site, (TILE, TILE), TILES),
        cycles=lambda site: _tile_cycles(site, form),
        step_bytes=790,
        shared=(_SHARED, Shared("mq_winograd_tile_input", 942), Shared(f"mq_winograd_tile_{form.name}", size)),
        by_rows=True,
    )


def _row_variant(form: Form) -> Variant:
    size = 792 if form.name == "twice" else 504
    return Variant(
        f"conv2d_winograd_row_{form.name}_s8",
        "mq_conv2d_winograd_row.h",
        Conv2D,
        lambda site: takes_rows(site) and form.constants(site) is not None,
        lambda site: _row_args(site, form),
        _row_scratch_bytes,
        overlap_offsets=lambda site: overlap.tiles(site, (1, TILE), TILES),
        cycles=lambda site: _row_cycles(site, form),
        step_bytes=620,
        shared=(_SHARED, Shared("mq_winograd_row_input", 334), Shared(f"mq_winograd_row_{form.name}", size)),
        by_rows=True,
    )


VARIANTS = (*map(_tile_variant, TILE_FORMS), *map(_row_variant, ROW_FORMS))
