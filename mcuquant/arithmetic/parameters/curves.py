"""Curves sampled in tables: the int16 kernels' sigmoid, exponential and reciprocal, equal for all networks.

Between two samples the kernels interpolate linearly. Each sample is shifted by half the interpolation error in the
middle of its interval, so that the error has both signs; see TFLite's LUTPopulate and its sigmoid table.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ...ir import Array
from .. import fixedpoint as fx
from .conversions import round_half_away

SIGMOID_STEPS_PER_UNIT = 24


def sigmoid_table() -> tuple[int, ...]:
    """256 samples of 2^16 / (1 + exp(-x)) at x = i / 24. The last sample stands for all larger x."""
    samples = [_sigmoid_sample(i) for i in range(255)]
    return (*(fx.round_half_away(s) for s in samples), 0xFFFF)


def _sigmoid_sample(i: int) -> float:
    here, middle, there = (65536 / (1 + math.exp(-(i + f) / SIGMOID_STEPS_PER_UNIT)) for f in (0.0, 0.5, 1.0))
    return here - ((here + there) / 2 - middle) / 2


def exp_table() -> tuple[int, ...]:
    """513 samples of exp(x) as Q0.15 for x in [-10, 0]."""
    return interpolated(lambda x: np.exp(np.asarray(x, np.float64)), np.float32(10) / np.float32(65535), 32767, _UNIT)


def reciprocal_table() -> tuple[int, ...]:
    """513 samples of 1 / (1 + x) as Q0.15 for x in [0, 1]."""
    one = np.float32(1)
    return interpolated(lambda x: one / (one + x), one / np.float32(65535), -32768, _UNIT)


_UNIT = np.float32(2) / np.float32(65535)
"""Scale of Q0.15 in TFLite's tables: -1 to 1 over all 65536 values."""


def interpolated(
    curve: Callable[[Array], Array], scale: float | np.float32, zero_point: int, unit: float | np.float32
) -> tuple[int, ...]:
    """513 samples of `curve` over scale * (i - zero_point), i in the int16 range, in units of `unit`.

    Every value is in single precision, as in TFLite's LUTPopulate.
    """
    scale = np.float32(scale)
    low, high = scale * np.float32(-32768 - zero_point), scale * np.float32(32767 - zero_point)
    step = (high - low) / np.float32(512)
    per_unit = np.float32(65536) / (np.float32(unit) * np.float32(65535))

    def at(x: Array) -> Array:
        with np.errstate(all="ignore"):
            values = np.asarray(curve(x), np.float32) * per_unit
        limited: Array = np.clip(np.nan_to_num(values, nan=-(2.0**31)), -(2.0**31), 2.0**31)
        return limited.astype(np.float32)

    places = low + np.arange(513, dtype=np.float32) * step
    value = round_half_away(at(places))
    middle = round_half_away(at(places[:-1] + step / np.float32(2)))
    halfway = round_half_away((at(places[1:]) + value[:-1].astype(np.float32)) / np.float32(2))
    samples = value[:-1] - round_half_away((halfway - middle) / 2)
    last = round_half_away(at(np.array([high], np.float32)))
    return tuple(int(v) for v in np.clip(np.concatenate([samples, last]), -32768, 32767))


SIGMOID = sigmoid_table()
EXP = exp_table()
RECIPROCAL = reciprocal_table()
