"""LSTM of int8 with the gates of all units as matrix products; firmware/kernels/dsp/mq_lstm_eight.h."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...arithmetic.fixedpoint import Multiplier
from ...arithmetic.parameters import LstmParams, params
from ...ir import Array, DType
from ...ir.ops import Lstm
from ...ir.recurrent import GATES
from ..shared import lstm_layer
from ..variant import CALL, Arg, Blob, In, Out, Scratch, Shared, Site, Variant
from .fully_connected_eight import GROUP
from .gemm import pairs_fit

_WORD_BYTES = 4
_SUM_LIMIT = 1 << 23
"""The accumulator holds 256 times the sum."""
_MOST_SHIFT = 22
_WORD, _GROUP, _UNIT, _STEP, _PREPARE = 38.6, 105, 125, 220, 12
"""Cycles: of a word of inputs for eight outputs, of the rest of these, of a unit, of a step, of a word that is
prepared.
"""


def takes(site: Site) -> bool:
    x, w, r, *_ = site.ins
    whole = w.shape[1] % _WORD_BYTES == 0 and r.shape[1] % _WORD_BYTES == 0
    return site.core.dsp and not site.core.mve and x.dtype is DType.INT8 and whole and _fits(site)


def _fits(site: Site) -> bool:
    """Right shifts, weights in pairs, and sums that fit with a factor of 256."""
    p = params(site.graph, site.op)
    assert isinstance(p, LstmParams)
    _, w, r, *_ = site.ins
    fits = lstm_layer.largest_sum(site) < _SUM_LIMIT
    gates = all(1 <= -m.shift <= _MOST_SHIFT for m in (*p.inputs, *p.hidden))
    others = all(1 <= -m.shift <= 31 for m in (p.forget, p.cell, p.output))
    return fits and gates and others and pairs_fit(w.value) and pairs_fit(r.value)


def _packed(w: Array, start: Array) -> Array:
    """For each two units the starts of their gates, then word by word the weights of each."""
    flat = w.astype(np.int64)
    words = (256 * flat[:, 1::2] + flat[:, 0::2]).astype(np.int16).view(np.int32).reshape(len(flat), -1)
    first = (256 * start - 127 * flat[:, 0::2].sum(axis=1)).astype(np.uint64).astype(np.uint32).view(np.int32)
    table = np.column_stack([first, words])
    by_unit = table.reshape(GATES, -1, table.shape[1]).transpose(1, 0, 2)
    return np.ascontiguousarray(by_unit.reshape(-1, GROUP, table.shape[1]).transpose(0, 2, 1))


def _constants(factors: Sequence[Multiplier]) -> Array:
    return np.array([(m.m, 1 << (-m.shift - 1), -m.shift) for m in factors], np.int32)


def _args(site: Site) -> tuple[Arg, ...]:
    p = params(site.graph, site.op)
    assert isinstance(p, LstmParams)
    _, w, r, *_ = site.ins
    inputs, hidden = lstm_layer.biases(site, p)
    return (
        lstm_layer.struct(site, p),
        In(0),
        Blob("weights", _packed(w.value, inputs), "of two units the gates i, f, g, o, see mq_fully_connected_eight.h"),
        Blob("hidden_weights", _packed(r.value, hidden), "likewise"),
        Blob("constants", _constants(p.inputs), "of each gate m, rounding, shift"),
        Blob("hidden_constants", _constants(p.hidden), "likewise"),
        lstm_layer.table(),
        In(4),
        In(5),
        Scratch("int32_t"),
        Out(0),
        Out(1),
        Out(2),
    )


def _scratch_bytes(site: Site) -> int:
    _, w, r, *_ = site.ins
    return 4 * (4 * r.shape[1] + max(w.shape[1], r.shape[1]) // 2)


def _cycles(site: Site) -> int:
    x, w, r, *_ = site.ins
    words, units = (w.shape[1] + r.shape[1]) // _WORD_BYTES, r.shape[1]
    gates = units / 2 * (_WORD * words + 2 * _GROUP)
    return CALL + round(x.elements // w.shape[1] * (_STEP + gates + units * _UNIT + _PREPARE * words))


VARIANTS = (
    Variant(
        "lstm_eight_s8",
        "mq_lstm_eight.h",
        Lstm,
        takes,
        _args,
        _scratch_bytes,
        cycles=_cycles,
        step_bytes=1200,
        shared_bytes=1200,
        shared=(Shared("mq_eight_gates", 1300),),
    ),
)
