"""Curves sampled in tables: the int16 kernels' sigmoid, exponential and reciprocal, the same for every network.

Between two samples the kernels interpolate linearly. Each sample is shifted by half the error that leaves in the middle
of its interval, so that the error is spread over both signs; TFLite's LUTPopulate and its sigmoid table.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..fixedpoint import round_half_away

SIGMOID_STEPS_PER_UNIT = 24


def sigmoid_table() -> tuple[int, ...]:
    """256 samples of 2^16 / (1 + exp(-x)) at x = i / 24; the last stands for everything beyond."""
    samples = [_sigmoid_sample(i) for i in range(255)]
    return (*(round_half_away(s) for s in samples), 0xFFFF)


def _sigmoid_sample(i: int) -> float:
    here, middle, there = (65536 / (1 + math.exp(-(i + f) / SIGMOID_STEPS_PER_UNIT)) for f in (0.0, 0.5, 1.0))
    return here - ((here + there) / 2 - middle) / 2


def exp_table() -> tuple[int, ...]:
    """513 samples of exp(x) as Q0.15 for x in [-10, 0]."""
    return _interpolated(np.float32(10) / np.float32(65535), 32767, math.exp)


def reciprocal_table() -> tuple[int, ...]:
    """513 samples of 1 / (1 + x) as Q0.15 for x in [0, 1]."""
    return _interpolated(
        np.float32(1) / np.float32(65535), -32768, lambda x: float(1 / (np.float32(1) + np.float32(x)))
    )


def _interpolated(scale: np.float32, zero_point: int, curve: Callable[[float], float]) -> tuple[int, ...]:
    """The int16 curve over scale * (i - zero_point), i in the int16 range; every value in single precision."""
    low, high = scale * np.float32(-32768 - zero_point), scale * np.float32(32767 - zero_point)
    step = (high - low) / np.float32(512)
    per_unit = np.float32(65536) / (np.float32(2) / np.float32(65535) * np.float32(65535))

    def at(x: np.float32) -> np.float32:
        return np.float32(curve(float(x))) * per_unit

    samples = [_sample(at, low + np.float32(i) * step, low + np.float32(i + 1) * step, step) for i in range(512)]
    return (*(max(-32768, min(32767, s)) for s in samples), min(32767, round_half_away(float(at(high)))))


def _sample(at: Callable[[np.float32], np.float32], x: np.float32, x_next: np.float32, step: np.float32) -> int:
    value = round_half_away(float(at(x)))
    interpolated = round_half_away(float((at(x_next) + np.float32(value)) / np.float32(2)))
    error = interpolated - round_half_away(float(at(x + step / np.float32(2))))
    return value - round_half_away(error / 2)


SIGMOID = sigmoid_table()
EXP = exp_table()
RECIPROCAL = reciprocal_table()
