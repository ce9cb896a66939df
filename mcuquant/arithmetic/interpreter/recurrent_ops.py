"""Recurrent operations, step by step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...ir import Array, Graph, Lstm
from .. import fixedpoint as fx
from ..parameters import LstmParams, params
from ..parameters.unary_parameters import SigmoidParams
from .unary_ops import logistic16, tanh16
from .values import is_float

_GATE = SigmoidParams(3, 0)


def lstm(graph: Graph, op: Lstm, inputs: Sequence[Array]) -> tuple[Array, Array, Array]:
    """The h of every step, the last h and the last c."""
    x, w, r, b, h, c = inputs
    rows = x.reshape(-1, w.shape[1])
    if is_float(graph.out(op)):
        return _float(op, rows, (w, r, b), h[0], c[0])
    p: LstmParams = params(graph, op)
    wide = [fx.as_int64(t) for t in (w, r, b)]
    h, c = fx.as_int64(h[0]), fx.as_int64(c[0])
    outputs = []
    for row in rows:
        h, c = _step(p, fx.as_int64(row), wide, h, c)
        outputs.append(h)
    return np.array(outputs), h[None], c[None]


def _step(p: LstmParams, x: Array, weights: Sequence[Array], h: Array, c: Array) -> tuple[Array, Array]:
    w, r, b = weights
    gates = zip(np.split(w @ (x - p.x_zero) + b, 4), np.split(r @ (h - p.h_zero), 4), p.inputs, p.hidden, strict=True)
    scale = fx.requantize if p.acc_bits == 32 else fx.requantize64
    sums = [_clamp16(_clamp16(scale(a, m.m, m.shift)) + _clamp16(scale(u, n.m, n.shift))) for a, u, m, n in gates]
    i, f, o = (logistic16(sums[gate], _GATE) for gate in (0, 1, 3))
    g = tanh16(sums[2], _GATE)
    kept = _clamp16(fx.requantize(f * c, p.forget.m, p.forget.shift))
    c = _clamp16(kept + _clamp16(fx.requantize(i * g, p.cell.m, p.cell.shift)))
    if p.clip:
        c = np.clip(c, -p.clip, p.clip)
    t = tanh16(c, SigmoidParams(p.tanh_multiplier, p.tanh_shift))
    h = np.clip(fx.requantize(t * o, p.output.m, p.output.shift) + p.h_zero, p.act_min, p.act_max)
    return h, c


def _clamp16(x: Array) -> Array:
    return np.clip(x, -32768, 32767)


def _float(op: Lstm, rows: Array, weights: Sequence[Array], h: Array, c: Array) -> tuple[Array, Array, Array]:
    w, r, b = weights
    outputs = []
    for x in rows:
        i, f, g, o = np.split(w @ x + b + r @ h, 4)
        c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
        if op.cell_clip:
            c = np.clip(c, -np.float32(op.cell_clip), np.float32(op.cell_clip))
        h = _sigmoid(o) * np.tanh(c)
        outputs.append(h)
    return np.array(outputs), h[None], c[None]


def _sigmoid(x: Array) -> Array:
    one = np.float32(1)
    return np.asarray(one / (one + np.exp(-x)))
