"""Steps of audio front ends with SMLAD and hardware division; firmware/kernels/dsp/mq_rfft16_words.h and others."""

from __future__ import annotations

import numpy as np

from ...arithmetic import fft16
from ...ir import Array, ops
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
from ..variant import Arg, Blob, In, Out, Site, Variant, per_element

WINDOW_SHIFT = 12


def _words(values: Array) -> Array:
    """Pairs of int16 as words, the first one low."""
    return np.ascontiguousarray(values.astype(np.int16)).view(np.uint32).reshape(-1)


def _stage_turns(length: int) -> Array:
    """The factors of all stages behind the first, in the order of their use."""
    table, parts = fft16.twiddles(length), [np.zeros((0, 2), np.int32)]
    span = 2 if len(fft16.radices(length)) and fft16.radices(length)[-1] == 2 else 4
    while 4 * span <= length:
        k = np.arange(span)[:, None] * np.arange(1, 4)[None]
        parts.append(table[k.reshape(-1) * (length // (4 * span))])
        span *= 4
    return _words(np.concatenate(parts))


def _transform(site: Site) -> tuple[Arg, ...]:
    op = site.op
    assert isinstance(op, ops.Rfft)
    order, _, parts = transform_tables(op.length, inverse=False)
    turns = Blob("turns", _stage_turns(op.length // 2), "three factors of each place of each stage")
    return transform_struct(site), In(), order, turns, Blob("half_turns", _words(parts.data), parts.layout), Out()


def _is_even(site: Site) -> bool:
    return site.core.dsp and site.ins[0].elements % 2 == 0


def _shifts_by_12(site: Site) -> bool:
    op = site.op
    assert isinstance(op, ops.Window)
    return _is_even(site) and site.ins[1].elements % 2 == 0 and op.shift == WINDOW_SHIFT


VARIANTS = (
    Variant(
        "window_words",
        "mq_front_end_words.h",
        ops.Window,
        _shifts_by_12,
        lambda site: (window_struct(site), In(0), In(1), Out()),
        overlap_offsets=lambda site: (elementwise(site)[0], None),
        cycles=by_core(per_element(0, 5.4), mve=0.89),
        step_bytes=80,
        shared_bytes=100,
    ),
    Variant(
        "fft_auto_scale_words",
        "mq_front_end_words.h",
        ops.FftAutoScale,
        _is_even,
        lambda site: (auto_scale_struct(site), In(), Out(0), Out(1)),
        cycles=by_core(per_element(0, 9.1), mve=0.82),
        step_bytes=200,
        shared_bytes=200,
    ),
    Variant(
        "rfft16_words",
        "mq_rfft16_words.h",
        ops.Rfft,
        _is_even,
        _transform,
        cycles=by_core(transform_cycles(42), mve=0.9),
        step_bytes=80,
        shared_bytes=900,
    ),
    Variant(
        "energy_words",
        "mq_front_end_words.h",
        ops.Energy,
        lambda site: site.core.dsp,
        lambda site: (energy_struct(site), In(), Out()),
        cycles=by_core(per_element(0, 5.4), mve=0.73),
        step_bytes=80,
        shared_bytes=100,
    ),
    Variant(
        "filter_bank_root_divided",
        "mq_filter_bank_root_divided.h",
        ops.FilterBankSquareRoot,
        lambda site: site.core.dsp,
        root_args,
        cycles=by_core(per_element(0, 89), mve=0.61),
        step_bytes=300,
        shared_bytes=300,
    ),
)
