"""Operations of audio front ends; firmware/kernels/plain/mq_rfft16.h and others."""

from __future__ import annotations

import numpy as np

from ...arithmetic.logarithm import TABLE
from ...arithmetic.parameters import AffineParams, params
from ...ir import DType, ops
from ..shared.front_end_fields import (
    auto_scale_struct,
    energy_struct,
    root_args,
    transform_cycles,
    transform_struct,
    transform_tables,
    window_struct,
)
from ..shared.overlap import elementwise
from ..shared.plain_estimates import by_core
from ..variant import Arg, Blob, In, Number, Out, Site, Struct, Value, Variant, always, per_element


def _window(site: Site) -> tuple[Arg, ...]:
    return window_struct(site), In(0), In(1), Out()


def _auto_scale(site: Site) -> tuple[Arg, ...]:
    return auto_scale_struct(site), In(), Out(0), Out(1)


def _transform(site: Site) -> tuple[Arg, ...]:
    op = site.op
    assert isinstance(op, ops.Rfft | ops.Irfft)
    return transform_struct(site), In(), *transform_tables(op.length, isinstance(op, ops.Irfft)), Out()


def _energy(site: Site) -> tuple[Arg, ...]:
    return energy_struct(site), In(), Out()


def _filter_bank(site: Site) -> tuple[Arg, ...]:
    weights, unweights, *segments = (t.value for t in site.ins[1:])
    pairs = weights.astype(np.uint32) | unweights.astype(np.uint32) << 16
    rows = np.stack(segments, axis=1).astype(np.uint16)
    return (
        Number(site.out.elements),
        In(0),
        Blob("weights", pairs, "of a rising half, and above it of the falling half before"),
        Blob("segments", rows, "first bin, first weight, width of each"),
        Out(),
    )


def _subtraction(site: Site) -> tuple[Arg, ...]:
    op = site.op
    assert isinstance(op, ops.SpectralSubtraction)
    fields: dict[str, Value] = {
        "channels": site.out.elements,
        "smoothing": (op.smoothing, op.alternate_smoothing),
        "rest": (op.one_minus_smoothing, op.alternate_one_minus_smoothing),
        "min_remaining": op.min_signal_remaining,
        "up_bits": op.smoothing_bits,
        "bits": op.bits,
        "clamping": int(op.clamping),
    }
    return Struct("mq_spectral_subtraction_t", fields), In(0), In(1), Out(0), Out(1)


def _pcan(site: Site) -> tuple[Arg, ...]:
    op = site.op
    assert isinstance(op, ops.Pcan)
    fields = {"channels": site.out.elements, "shift": op.snr_shift}
    return Struct("mq_pcan_t", fields), In(0), In(1), In(2), Out()


def _log(site: Site) -> tuple[Arg, ...]:
    op = site.op
    assert isinstance(op, ops.FilterBankLog)
    fields = {"channels": site.out.elements, "scale": op.output_scale, "up_bits": op.correction_bits}
    table = Blob("log2", np.array(TABLE, np.uint16), "log2(1 + k / 128) - k / 128 in 1/65536")
    return Struct("mq_filter_bank_log_t", fields), In(), table, Out()


def _overlap_add(site: Site) -> tuple[Arg, ...]:
    op = site.op
    assert isinstance(op, ops.OverlapAdd)
    fields = {"size": site.ins[0].elements, "step": op.step}
    return Struct("mq_overlap_add_t", fields), In(0), In(1), Out(0), Out(1)


def _rescale(site: Site) -> tuple[Arg, ...]:
    p = params(site.graph, site.op)
    assert isinstance(p, AffineParams)
    low, high = np.int64(p.offset).astype(np.uint64) & np.uint64(0xFFFFFFFF), p.offset >> 32
    fields = {
        "multiplier": p.multiplier,
        "shift": p.shift,
        "offset_low": int(low.astype(np.uint32).astype(np.int32)),
        "offset_high": high,
        "low": p.act_min,
        "high": p.act_max,
    }
    return Struct("mq_affine16_t", fields), Number(site.out.elements), In(), Out()


VARIANTS = (
    Variant(
        "window_samples",
        "mq_window_samples.h",
        ops.Window,
        always,
        _window,
        overlap_offsets=lambda site: (elementwise(site)[0], None),
        cycles=by_core(per_element(0, 14), 1.13, 0.9),
        step_bytes=60,
        shared_bytes=80,
    ),
    Variant(
        "fft_auto_scale",
        "mq_fft_auto_scale.h",
        ops.FftAutoScale,
        always,
        _auto_scale,
        cycles=by_core(per_element(0, 17), 1.22, 0.8),
        step_bytes=120,
        shared_bytes=120,
    ),
    Variant(
        "rfft16",
        "mq_rfft16.h",
        ops.Rfft,
        always,
        _transform,
        cycles=transform_cycles(160),
        step_bytes=120,
        shared_bytes=1000,
    ),
    Variant(
        "irfft16",
        "mq_irfft16.h",
        ops.Irfft,
        always,
        _transform,
        cycles=transform_cycles(170),
        step_bytes=60,
        shared_bytes=1000,
    ),
    Variant(
        "energy",
        "mq_energy.h",
        ops.Energy,
        always,
        _energy,
        cycles=by_core(per_element(0, 9), 1.26, 0.75),
        step_bytes=80,
        shared_bytes=100,
    ),
    Variant(
        "filter_bank",
        "mq_filter_bank.h",
        ops.FilterBank,
        always,
        _filter_bank,
        cycles=by_core(per_element(12.2, 26), 1.76, 0.73),
        step_bytes=120,
        shared_bytes=120,
    ),
    Variant(
        "filter_bank_square_root",
        "mq_filter_bank_square_root.h",
        ops.FilterBankSquareRoot,
        always,
        root_args,
        cycles=by_core(per_element(0, 290), 1.0, 0.7),
        step_bytes=360,
        shared_bytes=360,
    ),
    Variant(
        "spectral_subtraction",
        "mq_spectral_subtraction.h",
        ops.SpectralSubtraction,
        always,
        _subtraction,
        cycles=by_core(per_element(0, 30), 1.45, 0.92),
        step_bytes=140,
        shared_bytes=160,
    ),
    Variant(
        "pcan",
        "mq_pcan.h",
        ops.Pcan,
        always,
        _pcan,
        cycles=by_core(per_element(0, 45), 1.1, 0.86),
        step_bytes=160,
        shared_bytes=160,
    ),
    Variant(
        "filter_bank_log",
        "mq_filter_bank_log.h",
        ops.FilterBankLog,
        always,
        _log,
        cycles=by_core(per_element(0, 43.4), 1.0, 0.9),
        step_bytes=140,
        shared_bytes=140,
    ),
    Variant(
        "rescale_s8",
        "mq_affine16.h",
        ops.Rescale,
        lambda site: site.out.dtype is DType.INT8,
        _rescale,
        overlap_offsets=elementwise,
        cycles=per_element(0, 14),
        step_bytes=60,
        shared_bytes=80,
    ),
    Variant(
        "rescale_s16",
        "mq_affine16.h",
        ops.Rescale,
        lambda site: site.out.dtype is DType.INT16,
        _rescale,
        overlap_offsets=elementwise,
        cycles=per_element(0, 14),
        step_bytes=60,
        shared_bytes=80,
    ),
    Variant(
        "overlap_add",
        "mq_overlap_add.h",
        ops.OverlapAdd,
        always,
        _overlap_add,
        cycles=per_element(14, 0),
        step_bytes=120,
        shared_bytes=120,
    ),
)
