"""Weights of recurrent operations: int8, symmetric, one scale per gate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..ir import DType, QParams, Tensor
from ..ir.recurrent import GATES
from .weight_scales import MIN_SCALE


def lstm_weights(w: Tensor, r: Tensor, b: Tensor, x: QParams, dtype: DType) -> tuple[Tensor, Tensor, Tensor]:
    """Weights of inputs and of hidden values, and the biases in units of input scale * weight scale."""
    stored, hidden = _by_gate(w), _by_gate(r)
    units = np.float32(x.scale[0]) * np.asarray(stored.qparams.scale, np.float32)
    wide = DType.INT64 if dtype is DType.INT16 else DType.INT32
    low, high = wide.range(40 if dtype is DType.INT16 else 31)
    data = np.clip(np.rint(b.value.astype(np.float64) / units), low, high).astype(wide.numpy)
    bias = replace(b, dtype=wide, bits=0, q=QParams.of(units, 0, 0), data=data)
    return stored, hidden, bias


def _by_gate(t: Tensor) -> Tensor:
    gates = t.value.reshape(GATES, -1)
    scales = np.maximum(np.abs(gates).max(axis=1) / 127, MIN_SCALE).astype(np.float32)
    rows = np.repeat(scales, t.shape[0] // GATES)
    data = np.clip(np.rint(t.value / rows[:, None]), -127, 127).astype(np.int8)
    return replace(t, dtype=DType.INT8, bits=0, q=QParams.of(rows, 0, 0), data=data)
