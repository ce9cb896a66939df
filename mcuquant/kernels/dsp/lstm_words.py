"""LSTM of int8 with SMLAD, four gates at a time; firmware/kernels/dsp/mq_lstm_words.h."""

from __future__ import annotations

import numpy as np

from ...arithmetic.parameters import LstmParams, params
from ...ir import Array, DType
from ...ir.ops import Lstm
from ...ir.recurrent import GATES
from ..shared import lstm_layer
from ..shared.plain_estimates import by_core
from ..variant import Arg, Blob, In, Out, Site, Variant

_WORD_BYTES = 4


def takes(site: Site) -> bool:
    x, w, r, *_ = site.ins
    whole = w.shape[1] % _WORD_BYTES == 0 and r.shape[1] % _WORD_BYTES == 0
    return site.core.dsp and not site.core.mve and x.dtype is DType.INT8 and whole


def _packed(w: Array) -> Array:
    """(4*S, I) as a word of each gate in turn for each unit."""
    units = len(w) // GATES
    words = np.ascontiguousarray(w).view(np.int32).reshape(GATES, units, -1)
    return np.ascontiguousarray(words.transpose(1, 2, 0))


def _by_unit(b: Array) -> Array:
    return np.ascontiguousarray(b.reshape(GATES, -1).T).astype(np.int32)


def _args(site: Site) -> tuple[Arg, ...]:
    p = params(site.graph, site.op)
    assert isinstance(p, LstmParams)
    _, w, r, *_ = site.ins
    inputs, hidden = lstm_layer.biases(site, p)
    return (
        lstm_layer.struct(site, p),
        In(0),
        Blob("weights", _packed(w.value), "for each unit, word by word, of gates i, f, g, o"),
        Blob("hidden_weights", _packed(r.value), "likewise"),
        Blob("bias", _by_unit(inputs), "of gates i, f, g, o of each unit, the input's zero point folded in"),
        Blob("hidden_bias", _by_unit(hidden), "likewise, of the hidden values"),
        lstm_layer.table(),
        In(4),
        In(5),
        Out(0),
        Out(1),
        Out(2),
    )


VARIANTS = (
    Variant(
        "lstm_words_s8",
        "mq_lstm_words.h",
        Lstm,
        takes,
        _args,
        cycles=by_core(lambda site: lstm_layer.cycles(site, 1.7), mve=0.65),
        step_bytes=1700,
        shared_bytes=1700,
    ),
)
