"""What several families of operations share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...ir import Activation, Array, Tensor
from .. import fixedpoint as fx

Floats = npt.NDArray[np.float32]


def activate(x: Array, activation: Activation) -> Array:
    """The fused activation of a float operation."""
    low, high = (np.float32(bound) for bound in activation.bounds)
    return np.clip(x, low, high)


def clamp(x: fx.IntArray, low: int, high: int) -> fx.IntArray:
    return fx.as_int64(np.clip(x, low, high))


def round_half_away(x: Array) -> npt.NDArray[np.float64]:
    """Nearest integers, ties away from zero: C's round()."""
    wide = np.asarray(x, np.float64)
    whole = np.trunc(wide)
    return whole + np.where(np.abs(wide - whole) >= 0.5, np.sign(wide), 0.0)


def is_float(t: Tensor) -> bool:
    return not t.dtype.is_integer
