"""Depthwise convolution over lines of int16 on cores with SMLAD; firmware/kernels/dsp/mq_depthwise_lines.h."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from ...ir import Array
from ...ir.ops import DepthwiseConv2D
from ..shared.conv_fields import window_fields
from ..shared.folded import folded_bias, is_int8
from ..shared.plain_estimates import by_core
from ..shared.requantize import UNIT
from ..shared.weighted_layer import weights
from ..variant import CALL, Arg, Blob, Exactly, In, Number, Out, Scratch, Shared, Site, Struct, Variant
from .dot_products import SUM_UNIT
from .gemm import Form, once, twice
from .line_plan import APART, FORMS, Lines

SCALES = (Form("8", 1, once(8)), Form("12", 1, once(12)), Form("twice", 3, twice(SUM_UNIT)))
"""The requantization in two instructions with one of two shifts, where that is exact, or by TFLite's two roundings."""
SIZES = (8192, 2048, 0)
"""Bytes of scratch that a band of rows may take; 0: a row at a time."""
PLANES = 4


@dataclass(frozen=True, slots=True)
class Walk:
    """An order of rows and pixels in which windows are lines: the layer as `fields` names it, and its lines."""

    fields: Mapping[str, int]
    plan: Lines
    is_by_columns: bool

    def cycles(self, rounds_twice: bool, bands: int) -> int:
        """Cycles of all images on Cortex-M4."""
        f, plan = self.fields, self.plan
        rows = f["out_h"] * min(f["stride_h"], plan.span) + bands * max(plan.span - f["stride_h"], 0)
        groups, in_words = -(-f["channels"] // PLANES), f["channels"] % PLANES == 0
        line = groups * 80 + f["channels"] * (40 + (2.3 if in_words else 3.3) * 2 * plan.words)
        load = rows * plan.lines * line
        sums = f["channels"] * (bands * plan.sets * 110 + f["out_h"] * plan.row_cycles(rounds_twice))
        return CALL + round(f["batch"] * (load + sums))


def _ways(site: Site) -> Iterator[tuple[dict[str, int], bool]]:
    """The layer's fields by rows, by columns, or as one row where windows are single pixels; whether by columns."""
    f = {name: value for name, value in window_fields(site).items() if isinstance(value, int)}
    c = f["channels"] = f["in_c"]
    f |= {"x_pixel": c, "x_row": c * f["in_w"], "y_pixel": c, "y_row": c * f["out_w"]}
    yield f, False
    yield {**f, **{name: f[other] for pair in _EXCHANGED for name, other in (pair, pair[::-1])}}, True
    is_pointwise = f["k_h"] == f["k_w"] == 1 and site.ins[0].shape == site.out.shape
    if is_pointwise and not (f["pad_top"] or f["pad_left"]):
        yield {**f, "in_h": 1, "out_h": 1, "in_w": f["in_h"] * f["in_w"], "out_w": f["out_h"] * f["out_w"]}, False


_EXCHANGED = (
    *((f"{name}_h", f"{name}_w") for name in ("in", "out", "k", "stride", "dilation")),
    ("pad_top", "pad_left"),
    ("x_row", "x_pixel"),
    ("y_row", "y_pixel"),
)


_OF_LINES = ("k_h", "k_w", "dilation_h", "dilation_w", "stride_w", "out_w")


@lru_cache(maxsize=64)
def best_walk(site: Site) -> Walk:
    """The order and the strips of the fewest cycles."""
    walks = [
        Walk(f, Lines(form, *(f[name] for name in _OF_LINES)), is_by_columns)
        for f, is_by_columns in _ways(site)
        for form in FORMS
    ]
    return min((walk for walk in walks if walk.plan.is_taken), key=lambda walk: walk.cycles(False, bands=1))


def takes(site: Site, form: str, scale: Form, size: int) -> bool:
    """One output channel an input channel, and a requantization that is proven."""
    x, w = site.ins[:2]
    if not (site.core.dsp and w.shape[3] == x.shape[3] and is_int8(site)) or best_walk(site).plan.form != form:
        return False
    larger = [other for other in SIZES if other > size]
    return scale.constants(site) is not None and band(site, size) not in [band(site, other) for other in larger]


def _band_bytes(site: Site, rows: int) -> int:
    """Bytes of the planes of a band of `rows` rows of outputs."""
    f, plan = best_walk(site).fields, best_walk(site).plan
    step = min(f["stride_h"], plan.span)
    return 4 * min(PLANES, f["channels"]) * ((rows - 1) * step + plan.span) * plan.row_words


@lru_cache(maxsize=64)
def band(site: Site, size: int) -> int:
    """Rows of outputs of a band of `size` bytes of scratch: bands of equal heights, or one row."""
    rows = best_walk(site).fields["out_h"]
    fit = [-(-rows // bands) for bands in range(1, rows + 1) if _band_bytes(site, -(-rows // bands)) <= size]
    return fit[0] if fit else 1


@lru_cache(maxsize=8)
def pack(site: Site, scale: Form) -> Array:
    """For each channel its start, the constants of its requantization, and its weights, as int32.

    Not to be written to: every size of a band asks for it.
    """
    constants = scale.constants(site)
    assert constants is not None
    unit = UNIT if scale.words == 1 else SUM_UNIT
    walk, w = best_walk(site), weights(site)[0].astype(np.int64) * unit
    taps = w.transpose(2, 1, 0) if walk.is_by_columns else w.transpose(2, 0, 1)
    start = folded_bias(site) * unit + constants[0]
    stream = np.concatenate([start[:, None], constants[1], walk.plan.pack(taps)], axis=1)
    return stream.astype(np.uint64).astype(np.uint32).view(np.int32)


_FIELDS = (
    *("batch", "in_h", "in_w", "channels", "out_h", "out_w", "x_row", "x_pixel", "y_row", "y_pixel"),
    *("stride_h", "pad_top", "pad_left", "x_zero"),
)


def _args(site: Site, scale: Form, size: int) -> tuple[Arg, ...]:
    f, plan, stream = best_walk(site).fields, best_walk(site).plan, pack(site, scale)
    fields = {
        **{name: f[name] for name in _FIELDS},
        "span": plan.span,
        "element_step": plan.element_step,
        "lines": plan.lines,
        "line_step": plan.pixel_step,
        "sets": plan.sets,
        "line": plan.words,
        "band": band(site, size),
        "channel_words": stream.shape[1],
    }
    w = Blob("weights", stream, "channel by channel, see mq_depthwise_lines.h")
    return Struct("mq_depthwise_lines_t", fields), Number(plan.steps), In(), w, Scratch("int32_t"), Out()


def _overlap_offsets(site: Site, size: int) -> tuple[int | Exactly | None, ...]:
    """In place where all rows of four channels are loaded before an output of them is written."""
    f = best_walk(site).fields
    fits = f["batch"] == 1 and f["in_h"] * f["in_w"] >= f["out_h"] * f["out_w"]
    return (Exactly(0) if fits and band(site, size) == f["out_h"] else None,)


def _cycles(site: Site, scale: Form, size: int) -> int:
    walk = best_walk(site)
    return walk.cycles(scale.words > 1, bands=-(-walk.fields["out_h"] // band(site, size)))


def _variant(form: str, scale: Form, size: int) -> Variant:
    return Variant(
        f"depthwise_lines_{form}_{scale.name}_s8",
        "mq_depthwise_lines.h",
        DepthwiseConv2D,
        partial(takes, form=form, scale=scale, size=size),
        partial(_args, scale=scale, size=size),
        lambda site: _band_bytes(site, band(site, size)),
        overlap_offsets=partial(_overlap_offsets, size=size),
        cycles=by_core(partial(_cycles, scale=scale, size=size), mve=0.8),
        step_bytes=1100,
        shared_bytes=4200,
        shared=(Shared("mq_line_load", 400),),
        note=f"{size} bytes" if size else "row by row",
    )


def _scales(form: str) -> tuple[Form, ...]:
    """Long sums of a few outputs are rounded twice, for two instructions more an output."""
    return SCALES if form in ("6", APART) else (SCALES[0], SCALES[2])


VARIANTS = tuple(_variant(form, scale, size) for form in FORMS for scale in _scales(form) for size in SIZES)
