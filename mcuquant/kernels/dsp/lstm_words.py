"""LSTM with SMLAD, four gates at a time; firmware/kernels/dsp/mq_lstm_words.h."""

from __future__ import annotations

from functools import partial

import numpy as np

from ...arithmetic.parameters import LstmParams, params
from ...ir import Array, DType
from ...ir.ops import Lstm
from ...ir.recurrent import GATES
from ..shared import lstm_layer
from ..shared.plain_estimates import by_core
from ..variant import Arg, Blob, In, Out, Site, Variant

_WORD_BYTES = 4
_SUM_LIMIT = 1 << 31


def takes(site: Site, dtype: DType) -> bool:
    """Rows of whole words, and sums of 32 bits: those of int16 have 64 in general."""
    x, w, r, *_ = site.ins
    whole = w.shape[1] % _WORD_BYTES == 0 and r.shape[1] % _WORD_BYTES == 0
    typed = site.core.dsp and not site.core.mve and x.dtype is dtype
    return typed and whole and lstm_layer.largest_sum(site) < _SUM_LIMIT


def _packed(w: Array, is_wide: bool) -> Array:
    """(4*S, I) as a word of each gate in turn for each unit; for int16 the second and third byte are exchanged."""
    units = len(w) // GATES
    if is_wide:
        w = w.reshape(len(w), -1, _WORD_BYTES)[..., [0, 2, 1, 3]].reshape(w.shape)
    words = np.ascontiguousarray(w).view(np.int32).reshape(GATES, units, -1)
    return np.ascontiguousarray(words.transpose(1, 2, 0))


def _by_unit(b: Array) -> Array:
    return np.ascontiguousarray(b.reshape(GATES, -1).T).astype(np.int32)


def _args(site: Site) -> tuple[Arg, ...]:
    p = params(site.graph, site.op)
    assert isinstance(p, LstmParams)
    _, w, r, *_ = site.ins
    inputs, hidden = lstm_layer.biases(site, p)
    is_wide = p.acc_bits > 32
    return (
        lstm_layer.struct(site, p),
        In(0),
        Blob("weights", _packed(w.value, is_wide), "for each unit, word by word, of gates i, f, g, o"),
        Blob("hidden_weights", _packed(r.value, is_wide), "likewise"),
        Blob("bias", _by_unit(inputs), "of gates i, f, g, o of each unit, the input's zero point folded in"),
        Blob("hidden_bias", _by_unit(hidden), "likewise, of the hidden values"),
        lstm_layer.table(),
        In(4),
        In(5),
        Out(0),
        Out(1),
        Out(2),
    )


VARIANTS = tuple(
    Variant(
        f"lstm_words_{name}",
        "mq_lstm_words.h",
        Lstm,
        partial(takes, dtype=dtype),
        _args,
        cycles=by_core(partial(lstm_layer.cycles, mac_cycles=1.7), mve=0.65),
        step_bytes=1700,
        shared_bytes=1700,
    )
    for name, dtype in (("s8", DType.INT8), ("s16", DType.INT16))
)
