"""Fully connected layers eight outputs at a time, with SMLAD; firmware/kernels/dsp/mq_fully_connected_eight.h."""

from __future__ import annotations

from functools import lru_cache, partial

import numpy as np

from ...arithmetic.parameters import ConvParams
from ...ir import Array, DType
from ...ir.ops import FullyConnected
from ..shared import estimates
from ..shared.overlap import FREE
from ..shared.requantize import TwoInstructions, two_instructions
from ..shared.weighted_layer import conv_params, sums, weights
from ..variant import Arg, Blob, In, Out, Scratch, Shared, Site, Struct, Variant, no_overlap, no_scratch
from .gemm import padded, pairs_fit, starts

GROUP = 8
"""Outputs per block."""
_SUM_LIMIT = 1 << 23
"""The accumulator holds 256 times the sum."""


def takes(site: Site, rounds_twice: bool) -> bool:
    return _is_int8(site) and pairs_fit(_padded(site)) and _is_proven(site, rounds_twice)


def _is_int8(site: Site) -> bool:
    """Everything is int8, in rows that begin at words."""
    x, w = site.ins[:2]
    typed = x.dtype is site.out.dtype is DType.INT8 and w.is_constant and w.bits == 8
    return site.core.dsp and typed and (w.shape[1] % 4 == 0 or x.elements == w.shape[1])


def _is_proven(site: Site, rounds_twice: bool) -> bool:
    """256 times every sum fits 32 bits. The shorter requantization is used if it is exact."""
    p = conv_params(site)
    low, high = sums(site)
    if p.w_zero or (p.act_min, p.act_max) != (-128, 127) or max(-low.min(), high.max()) >= _SUM_LIMIT:
        return False
    if not rounds_twice:
        return _requantization(site) is not None
    return all(1 <= -m.shift <= 22 for m in p.multipliers)


@lru_cache(maxsize=16)
def _requantization(site: Site) -> TwoInstructions | None:
    """Constants of the requantization; for a single scale they are equal for all outputs."""
    p = conv_params(site)
    (low, high), multipliers = sums(site), p.multipliers
    if len(set(multipliers)) == 1:
        low, high, multipliers = low.min(keepdims=True), high.max(keepdims=True), multipliers[:1]
    candidates = (two_instructions(multipliers, p.y_zero, low, high, shift) for shift in (8, 12))
    return next((option for option in candidates if option is not None), None)


def pack(site: Site, more: Array) -> Array:
    """For each eight outputs their starts, then word by word the weights of each. `more` is added
    to 256 times a sum.
    """
    w = _padded(site).astype(np.int64)
    words = (256 * w[:, 1::2] + w[:, 0::2]).astype(np.int16).view(np.int32).reshape(len(w), -1)
    table = np.column_stack([starts(site, w, more), words])
    missing = -len(table) % GROUP
    return np.pad(table, ((0, missing), (0, 0))).reshape(-1, GROUP, table.shape[1]).transpose(0, 2, 1)


def constants(site: Site, rounds_twice: bool) -> tuple[Array, Array, int]:
    """(offset of each start from 256 times the bias, constants of the requantization by output, its shift)."""
    p = conv_params(site)
    outputs = len(p.multipliers)
    if rounds_twice:
        return np.zeros(outputs, np.int64), np.array([_two_roundings(p, i) for i in range(outputs)]), 0
    factors = _requantization(site)
    assert factors is not None
    return np.resize(factors.start, outputs), np.resize(factors.factor, outputs)[:, None], factors.shift


def _two_roundings(p: ConvParams, i: int) -> tuple[int, int, int]:
    m, shift = p.multipliers[i].m, -p.multipliers[i].shift
    return m, (1 << (shift - 1)) + (p.y_zero << shift), shift


def _padded(site: Site) -> Array:
    """Weights, padded with zeros to whole words."""
    return padded(weights(site))


def scratch_bytes(site: Site) -> int:
    """Scratch bytes: two per input."""
    return -(-int(weights(site).shape[1]) // 4) * 8


def _args(site: Site, is_prepared: bool, rounds_twice: bool) -> tuple[Arg, ...]:
    outputs, depth = weights(site).shape
    start, table, shift = constants(site, rounds_twice)
    is_same = len(np.unique(table, axis=0)) == 1
    rows = np.repeat(table[:1], GROUP, axis=0) if is_same else np.pad(table, ((0, -outputs % GROUP), (0, 0)), "edge")
    fields = {
        "rows": site.ins[0].elements // depth,
        "depth": depth,
        "outputs": outputs,
        "constant_step": 0 if is_same else GROUP * table.shape[1],
        "shift": shift,
    }
    layout = "m, rounding, shift of every output" if rounds_twice else "factor of every output"
    return (
        Struct("mq_fully_connected_eight_t", fields),
        In(),
        Blob("weights", pack(site, start), "eight outputs at a time, see mq_fully_connected_eight.h"),
        Blob("constants", rows.astype(np.int32), layout + (" (all the same)" if is_same else "")),
        *([Scratch("int32_t")] if is_prepared else []),
        Out(),
    )


def _free(site: Site) -> tuple[int | None, ...]:
    """A single row is in scratch before the first output is written."""
    return (FREE if site.ins[0].elements == weights(site).shape[1] else None,)


def _variant(is_prepared: bool, rounds_twice: bool) -> Variant:
    name = f"fully_connected_eight{'_prepared' * is_prepared}{'_twice' * rounds_twice}_s8"
    fits = partial(takes, rounds_twice=rounds_twice)
    args = partial(_args, is_prepared=is_prepared, rounds_twice=rounds_twice)
    return Variant(
        name,
        "mq_fully_connected_eight.h",
        FullyConnected,
        fits,
        args,
        scratch_bytes if is_prepared else no_scratch,
        _free if is_prepared else no_overlap,
        cycles=partial(estimates.fully_connected_eight, is_prepared=is_prepared, rounds_twice=rounds_twice),
        step_bytes=100,
        shared_bytes=240,
        shared=(Shared(f"mq_eight{'_prepared' * is_prepared}{'_twice' * rounds_twice}", 1250),),
    )


VARIANTS = tuple(_variant(is_prepared, twice) for twice in (False, True) for is_prepared in (True, False))
