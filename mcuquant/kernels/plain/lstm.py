"""Recurrent operations; firmware/kernels/plain/mq_lstm.h and mve/mq_lstm_mve.h."""

from __future__ import annotations

from functools import partial

import numpy as np

from ...arithmetic.parameters import LstmParams, params
from ...ir import DType
from ...ir.ops import Lstm
from ..shared.lstm_layer import biases, cycles, struct, table
from ..shared.plain_estimates import by_core
from ..variant import CALL, Arg, Blob, In, Out, Site, Takes, Variant


def _args(site: Site) -> tuple[Arg, ...]:
    p = params(site.graph, site.op)
    assert isinstance(p, LstmParams)
    wide = np.dtype(np.int32 if p.acc_bits == 32 else np.int64)
    inputs, hidden = biases(site, p)
    return (
        struct(site, p),
        In(0),
        In(1),
        In(2),
        Blob("bias", inputs.astype(wide), "of gates i, f, g, o, the input's zero point folded in"),
        Blob("hidden_bias", hidden.astype(wide), "likewise, of the hidden values"),
        table(),
        In(4),
        In(5),
        Out(0),
        Out(1),
        Out(2),
    )


def _of(dtype: DType, mve: bool = False) -> Takes:
    return lambda site: site.ins[0].dtype is dtype and (site.core.mve or not mve)


def _vectors(site: Site, vector: int) -> int:
    """Instructions on cores with MVE, `vector` products at a time."""
    x, w, r, *_ = site.ins
    rows = len(w.value) * (_ROW * 2 + sum(_VECTOR * -(-t.shape[1] // vector) for t in (w, r)))
    return CALL + round(x.elements // w.shape[1] * (rows + r.shape[1] * _UNIT))


_ROW, _VECTOR, _UNIT = 32, 13, 185
"""Instructions of a gate's sum, of a vector of products, and of a unit's curves."""

_cycles = by_core(cycles, mve=0.65)

VARIANTS = (
    *(
        Variant(
            f"lstm_mve_{name}",
            "mq_lstm_mve.h",
            Lstm,
            _of(dtype, mve=True),
            _args,
            cycles=partial(_vectors, vector=vector),
            step_bytes=1700,
            shared_bytes=1700,
        )
        for name, dtype, vector in (("s8", DType.INT8, 16), ("s16", DType.INT16, 8))
    ),
    Variant("lstm_s8", "mq_lstm.h", Lstm, _of(DType.INT8), _args, cycles=_cycles, step_bytes=1500, shared_bytes=1500),
    Variant("lstm_s16", "mq_lstm.h", Lstm, _of(DType.INT16), _args, cycles=_cycles, step_bytes=1700, shared_bytes=1700),
)
