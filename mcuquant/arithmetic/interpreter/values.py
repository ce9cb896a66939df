"""Functions that several families of operations share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...ir import Tensor
from ...ir.real_functions import activate as activate
from .. import fixedpoint as fx
from ..parameters.conversions import round_half_away as round_half_away

Floats = npt.NDArray[np.float32]


def clamp(x: fx.IntArray, low: int, high: int) -> fx.IntArray:
    return fx.as_int64(np.clip(x, low, high))


def is_float(t: Tensor) -> bool:
    return not t.dtype.is_integer
