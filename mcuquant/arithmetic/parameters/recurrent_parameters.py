"""Integers of recurrent operations; TFLM's unidirectional_sequence_lstm.cc and lstm_eval.cc, reference kernels."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...ir import DType, Graph, Lstm
from ...ir.recurrent import GATES
from .. import fixedpoint as fx

_GATE_UNIT = 2.0**-12
_CELL_FRACTION_BITS = 15
_FACTOR = 3
"""Position steps of the sigmoid's table in 2^-12: see `SigmoidParams`."""


@dataclass(frozen=True, slots=True)
class LstmParams:
    """One step: for every gate u = clamp16(clamp16(requantize(w (x - x_zero) + b, inputs)) +
    clamp16(requantize(r (h - h_zero), hidden))), in 1/4096; sigmoid or tanh of it in 2^-15.

    c = clamp16(clamp16(requantize(f * c, forget)) + clamp16(requantize(i * g, cell))), limited to +-clip if any;
    h = clamp(requantize(tanh(c) * o, output) + h_zero). Sums of int16 inputs are of 64 bits, by `requantize64`.
    """

    x_zero: int
    h_zero: int
    inputs: tuple[fx.Multiplier, ...]
    """For each gate: x scale * w scale * 4096."""
    hidden: tuple[fx.Multiplier, ...]
    forget: fx.Multiplier
    cell: fx.Multiplier
    clip: int
    """Limit of the cell; 0: no limit."""
    tanh_multiplier: int
    tanh_shift: int
    """Multiplier of the cell's tanh, as in `SigmoidParams`."""
    output: fx.Multiplier
    act_min: int
    act_max: int
    acc_bits: int


def lstm_params(graph: Graph, op: Lstm) -> LstmParams:
    x, w, r, _, h, c = graph.ins(op)
    units = w.shape[0] // GATES
    rows = [gate * units for gate in range(GATES)]
    left = _CELL_FRACTION_BITS + round(math.log2(c.scale)) - 3
    return LstmParams(
        x_zero=x.zero_point,
        h_zero=h.zero_point,
        inputs=tuple(fx.quantize_multiplier(x.scale * w.qparams.scale[i] / _GATE_UNIT) for i in rows),
        hidden=tuple(fx.quantize_multiplier(h.scale * r.qparams.scale[i] / _GATE_UNIT) for i in rows),
        forget=fx.quantize_multiplier(2.0**-15 * c.scale / c.scale),
        cell=fx.quantize_multiplier(2.0**-15 * 2.0**-15 / c.scale),
        clip=min(int(op.cell_clip / c.scale), 32767) if op.cell_clip else 0,
        tanh_multiplier=_FACTOR << max(left, 0),
        tanh_shift=max(-left, 0),
        output=fx.quantize_multiplier(2.0**-15 * 2.0**-15 / h.scale),
        act_min=h.dtype.range()[0],
        act_max=h.dtype.range()[1],
        acc_bits=32 if x.dtype is DType.INT8 else 64,
    )
