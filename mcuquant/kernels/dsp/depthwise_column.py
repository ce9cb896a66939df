"""Depthwise convolution over one column or row of pixels; firmware/kernels/dsp/mq_depthwise_column.h."""

from __future__ import annotations

from functools import partial

import numpy as np

from ...ir import Array
from ...ir.ops import DepthwiseConv2D
from ..shared.column import column_axis, column_fields
from ..shared.folded import is_int8
from ..shared.overlap import windows
from ..shared.requantize import UNIT
from ..shared.weighted_layer import weights
from ..variant import CALL, Arg, Blob, In, Out, Shared, Site, Struct, Variant
from .depthwise_taps import FORMS, scale
from .dot_products import SUM_UNIT
from .gemm import Form

_CHANNELS = 4
"""Channels of a word."""
_PIXEL, _FOUR, _TAP, _ROUNDINGS = 50, 52, 11.1, 24
"""Cycles of an output pixel, of four outputs, of their products with a tap, and of two roundings."""


def takes(site: Site, form: Form) -> bool:
    """Whole words of channels, and a requantization that is proven exact."""
    if column_axis(site) is None or site.ins[0].shape[3] % _CHANNELS:
        return False
    return site.core.dsp and is_int8(site) and form.constants(site) is not None


def pack(site: Site, unit: int) -> Array:
    """For each four channels and each tap, the weights of the channels 0, 2, 1, 3, as int16."""
    w = weights(site).reshape(-1, weights(site).shape[3] // _CHANNELS, _CHANNELS).astype(np.int16) * np.int16(unit)
    return np.ascontiguousarray(w[..., [0, 2, 1, 3]].transpose(1, 0, 2)).view(np.int32)


def _args(site: Site, form: Form) -> tuple[Arg, ...]:
    unit = UNIT if form.words == 1 else SUM_UNIT
    w = Blob("weights", pack(site, unit), "taps of four channels, see mq_depthwise_column.h")
    constants = Blob("scale", scale(site, form, unit), "of four channels the starts, then the constants of each")
    return Struct("mq_column_t", column_fields(site)), In(), w, constants, Out()


def _cycles(site: Site, form: Form) -> int:
    f = column_fields(site)
    four = _FOUR + _TAP * f["taps"] + (_ROUNDINGS if form.words > 1 else 0)
    return CALL + round(f["outputs"] * (_PIXEL + f["channels"] // _CHANNELS * four))


VARIANTS = tuple(
    Variant(
        f"depthwise_column_{form.name}_s8",
        "mq_depthwise_column.h",
        DepthwiseConv2D,
        partial(takes, form=form),
        partial(_args, form=form),
        overlap_offsets=partial(windows, buffered=False),
        cycles=partial(_cycles, form=form),
        step_bytes=60,
        shared_bytes=90,
        shared=(Shared(f"mq_column_{form.name}", 480),),
    )
    for form in FORMS
)
