"""Depthwise convolution with any window on cores with SMLAD; firmware/kernels/dsp/mq_depthwise_taps.h."""

from __future__ import annotations

from functools import partial

import numpy as np

from ...ir import Array
from ...ir.ops import DepthwiseConv2D
from ..shared.conv_fields import line_window
from ..shared.folded import folded_bias, is_int8
from ..shared.plain_estimates import by_core
from ..shared.requantize import UNIT
from ..shared.weighted_layer import weights
from ..variant import CALL, Arg, Blob, In, Out, Scratch, Shared, Site, Variant
from .dot_products import SUM_UNIT
from .gemm import Form, once, twice
from .ring import CHANNELS, load_cycles, ring_fields, ring_overlap_offsets, ring_row_words, ring_rows

FORMS = (Form("8", 1, once(8)), Form("12", 1, once(12)), Form("twice", 3, twice(SUM_UNIT)))
"""The requantization in two instructions with one of two shifts, if that is exact, else with TFLite's two roundings."""


def takes(site: Site, form: Form) -> bool:
    """Channel multiplier 1, and a requantization that is proven exact."""
    x, w = site.ins[:2]
    return site.core.dsp and w.shape[3] == x.shape[3] and is_int8(site) and form.constants(site) is not None


def pack(site: Site, unit: int) -> Array:
    """For each four channels the weights of the channels 0, 2, 1, 3, as int16: of the first tap if their number is
    odd, then two of each pair of taps.
    """
    w = weights(site).reshape(-1, weights(site).shape[3]).astype(np.int16)
    w = np.pad(w, ((0, 0), (0, -w.shape[1] % CHANNELS))) * np.int16(unit)
    w = w.reshape(len(w), -1, CHANNELS)[..., [0, 2, 1, 3]]  # (taps, groups, channels)
    alone, pairs = w[: len(w) % 2], w[len(w) % 2 :].reshape(-1, 2, *w.shape[1:])
    parts = [alone.transpose(1, 0, 2).reshape(w.shape[1], -1), pairs.transpose(2, 0, 3, 1).reshape(w.shape[1], -1)]
    return np.ascontiguousarray(np.concatenate(parts, axis=1)).view(np.int32)


def scale(site: Site, form: Form, unit: int) -> Array:
    """For each four channels the starts, then the constants of each; missing channels repeat the last one."""
    constants = form.constants(site)
    assert constants is not None
    missing = -site.out.shape[3] % CHANNELS
    starts = np.pad(folded_bias(site) * unit + constants[0], (0, missing), "edge").reshape(-1, CHANNELS)
    factors = np.pad(constants[1], ((0, missing), (0, 0)), "edge").reshape(len(starts), -1)
    table = np.concatenate([starts, factors], axis=1)
    return table.astype(np.uint64).astype(np.uint32).view(np.int32)


def _args(site: Site, form: Form) -> tuple[Arg, ...]:
    unit = UNIT if form.words == 1 else SUM_UNIT
    w = Blob("weights", pack(site, unit), "pairs of taps of four channels, see mq_depthwise_taps.h")
    constants = Blob("scale", scale(site, form, unit), "of four channels the starts, then the constants of each")
    return line_window(site), In(), w, constants, Scratch("int32_t"), Out()


def _taps(site: Site) -> int:
    """Taps of a window."""
    _, k_h, k_w, _ = site.ins[1].shape
    return int(k_h * k_w)


def _scratch_bytes(site: Site) -> int:
    return 4 * (_taps(site) + ring_rows(site) * ring_row_words(site))


def _cycles(site: Site, form: Form) -> int:
    f = ring_fields(site)
    groups = -(-f["in_c"] // CHANNELS)
    windows = f["batch"] * f["out_h"] * f["out_w"]
    taps = f["batch"] * f["out_h"] * (100 + 9 * _taps(site))
    pairs, alone = divmod(_taps(site), 2)
    group = 49 + 25.5 * pairs + 18 * alone + (19 if form.words > 1 else 0)
    return CALL + load_cycles(site) + taps + round(windows * (25 + groups * group))


VARIANTS = tuple(
    Variant(
        f"depthwise_taps_{form.name}_s8",
        "mq_depthwise_taps.h",
        DepthwiseConv2D,
        partial(takes, form=form),
        partial(_args, form=form),
        _scratch_bytes,
        overlap_offsets=ring_overlap_offsets,
        cycles=by_core(partial(_cycles, form=form), mve=0.65),
        step_bytes=420,
        shared_bytes=640,
        shared=(Shared(f"mq_taps_{form.name}", 500),),
    )
    for form in FORMS
)
