"""Convolutions of images of few channels on cores with SMLAD; firmware/kernels/dsp/mq_conv2d_few_channels.h."""

from __future__ import annotations

from functools import partial

import numpy as np

from ...ir import Array, DType
from ...ir.ops import Conv2D
from ..shared import estimates
from ..shared.conv_fields import window
from ..shared.overlap import windows
from ..shared.plain_estimates import by_core
from ..shared.requantize import TwoInstructions, two_instructions
from ..shared.weighted_layer import bias, conv_params, sums, weights
from ..variant import Arg, Blob, In, Out, Scratch, Shared, Site, Variant

GROUP = 4
"""Outputs per block."""
MOST_TAPS = 64
_SUM_LIMIT = 1 << 23
"""The accumulator holds 256 times the sum."""
FORMS = ("8", "12", "twice")
"""Requantization: in two instructions with one of two shifts, if that is exact, else with TFLite's two roundings."""


def takes(site: Site, form: str) -> bool:
    x, w = site.ins[:2]
    typed = x.dtype is site.out.dtype is DType.INT8 and w.bits == 8 and w.shape[3] == x.shape[3]
    few = x.shape[3] % 4 != 0 and w.shape[1] * w.shape[2] > 1 and weights(site)[0].size <= MOST_TAPS
    return site.core.dsp and typed and few and _is_proven(site, form)


def _is_proven(site: Site, form: str) -> bool:
    p, (low, high) = conv_params(site), sums(site)
    if (p.act_min, p.act_max) != (-128, 127) or max(-low.min(), high.max()) >= _SUM_LIMIT:
        return False
    if form == "twice":
        return all(1 <= -m.shift <= 22 for m in p.multipliers)
    return _two_instructions(site, form) is not None


def _two_instructions(site: Site, form: str) -> TwoInstructions | None:
    p = conv_params(site)
    return two_instructions(p.multipliers, p.y_zero, *sums(site), int(form))


def constants(site: Site, form: str) -> tuple[Array, Array]:
    """(offset of each start from 256 times the bias, constants of the requantization by output)."""
    p = conv_params(site)
    if form == "twice":
        rows = [(m.m, (1 << (-m.shift - 1)) + (p.y_zero << -m.shift), -m.shift) for m in p.multipliers]
        return np.zeros(len(rows), np.int64), np.array(rows)
    constants = _two_instructions(site, form)
    assert constants is not None
    return constants.start, constants.factor[:, None]


def pack(site: Site, form: str) -> Array:
    """For each four outputs their starts, the words of each in turn, and their constants, as int32."""
    p, (start, rows) = conv_params(site), constants(site, form)
    w = weights(site).reshape(len(p.multipliers), -1).astype(np.int64)
    starts = (bias(site).astype(np.int64) - p.x_zero * w.sum(axis=1)) * 256 + start
    words = (np.pad(w, ((0, 0), (0, w.shape[1] % 2))) * 256).astype(np.int16).view(np.int32)
    table = np.column_stack([starts, words]).astype(np.int32)
    return np.concatenate([_group(table, rows.astype(np.int32), i) for i in range(0, len(w), GROUP)])


def _group(table: Array, rows: Array, first: int) -> Array:
    """The last group is padded with zeros."""
    some, constants = table[first : first + GROUP], rows[first : first + GROUP]
    missing = ((0, GROUP - len(some)), (0, 0))
    return np.concatenate([np.pad(some, missing).T.ravel(), np.pad(constants, missing).ravel()])


def _scratch_bytes(site: Site) -> int:
    return -(-int(weights(site)[0].size) // 2) * 8


def _args(site: Site, form: str) -> tuple[Arg, ...]:
    stream = Blob("weights", pack(site, form), "four outputs at a time, see mq_conv2d_few_channels.h")
    return window(site), In(), stream, Scratch("int32_t"), Out()


def _overlap_offsets(site: Site) -> tuple[int]:
    """Both windows of two pixels are gathered before their outputs are written; a pair is within one sample."""
    batch, out_h, out_w, _ = site.out.shape
    return windows(site, buffered=True, block=1 if batch > 1 and out_h * out_w % 2 else 2)


VARIANTS = tuple(
    Variant(
        f"conv2d_few_channels_{form}_s8",
        "mq_conv2d_few_channels.h",
        Conv2D,
        partial(takes, form=form),
        partial(_args, form=form),
        _scratch_bytes,
        _overlap_offsets,
        cycles=by_core(partial(estimates.conv2d_few_channels, constants=3 if form == "twice" else 1), mve=0.65),
        step_bytes=1730,
        shared_bytes=1900,
        shared=(Shared(f"mq_few_channels_{form}", 612),),
        by_rows=True,
    )
    for form in FORMS
)
