"""Common parts of the LSTM kernels: their struct, biases, table and costs."""

from __future__ import annotations

import numpy as np

from ...arithmetic.fixedpoint import Multiplier
from ...arithmetic.parameters import LstmParams, curves, params
from ...ir import Array
from ..variant import CALL, Blob, Site, Struct, Value, check_sums, multiplier_fields

_MAC_CYCLES, _UNIT_CYCLES, _STEP_CYCLES = 7.5, 450, 60
"""Cycles of plain C: of a product, and per unit of the eight requantizations and five curves of its gates and cell."""


def _factor(m: Multiplier) -> Value:
    return multiplier_fields(m)


def biases(site: Site, p: LstmParams) -> tuple[Array, Array]:
    """Initial values of the sums of inputs and of hidden values, corrected for zero points."""
    _, w, r, b, *_ = site.ins
    inputs = b.value.astype(np.int64) - p.x_zero * w.value.astype(np.int64).sum(axis=1)
    hidden = -p.h_zero * r.value.astype(np.int64).sum(axis=1)
    for sums, t in ((inputs, w), (hidden, r)):
        reach = 128 * np.abs(t.value.astype(np.int64)).sum(axis=1) * (1 if p.acc_bits == 32 else 256)
        worst = int((np.abs(sums) + reach).max())
        check_sums(site, -worst, worst, p.acc_bits)
    return inputs, hidden


def largest_sum(site: Site) -> int:
    """Limit of all partial sums of gates."""
    p = params(site.graph, site.op)
    assert isinstance(p, LstmParams)
    x, w, r, *_ = site.ins
    most = 1 << (x.dtype.bits - 1)
    rows = zip(biases(site, p), (w, r), strict=True)
    return max(int((np.abs(b) + most * np.abs(t.value.astype(np.int64)).sum(axis=1)).max()) for b, t in rows)


def table() -> Blob:
    return Blob("table", np.array(curves.SIGMOID, np.uint16), "the sigmoid in steps of 1/24, 16 fraction bits")


def struct(site: Site, p: LstmParams) -> Struct:
    x, w, r, *_ = site.ins
    fields: dict[str, Value] = {
        "steps": x.elements // w.shape[1],
        "inputs": w.shape[1],
        "units": r.shape[1],
        "input": _struct_array(p.inputs),
        "hidden": _struct_array(p.hidden),
        "forget": _factor(p.forget),
        "cell": _factor(p.cell),
        "output": _factor(p.output),
        "clip": p.clip,
        "tanh": {"multiplier": p.tanh_multiplier, "shift": p.tanh_shift},
        "h_zero": p.h_zero,
        "act_min": p.act_min,
        "act_max": p.act_max,
    }
    return Struct("mq_lstm_t", fields)


def _struct_array(factors: tuple[Multiplier, ...]) -> Value:
    return tuple(multiplier_fields(m) for m in factors)


def cycles(site: Site, mac_cycles: float = _MAC_CYCLES) -> int:
    x, w, r, *_ = site.ins
    steps, units = x.elements // w.shape[1], r.shape[1]
    return CALL + round(steps * (_STEP_CYCLES + units * _UNIT_CYCLES + mac_cycles * (w.elements + r.elements)))
