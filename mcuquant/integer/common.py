"""What the derivations share: clamp bounds, single precision, and when two tensors hold values in the same way."""

from __future__ import annotations

import numpy as np

from .. import fixedpoint as fx
from ..errors import GraphError
from ..ir import Activation, Graph, Op, Tensor


def f32(x: float) -> np.float32:
    """A value where TFLite computes in single precision; arithmetic between two stays there."""
    return np.float32(x)


def act_bounds(y: Tensor, activation: Activation) -> tuple[int, int]:
    """Clamp of the stored output: its type's range, cut to the activation; CalculateActivationRangeQuantized."""
    low, high = y.dtype.range()
    real_low, real_high = activation.bounds
    if np.isfinite(real_low):
        low = max(low, quantize_bound(y, real_low))
    if np.isfinite(real_high):
        high = min(high, quantize_bound(y, real_high))
    return low, high


def quantize_bound(t: Tensor, real: float) -> int:
    """zero_point + round(real / scale) in single precision, not limited to the type."""
    return t.zero_point + fx.round_half_away(float(f32(real) / f32(t.scale)))


def ratio(x: Tensor, y: Tensor) -> fx.Multiplier:
    """x's scale over y's in double precision."""
    return fx.quantize_multiplier(x.scale / y.scale)


def same_values(x: Tensor, y: Tensor) -> bool:
    """Stored values mean the same in both, by the tolerance of TFLM's pooling: scales within 1e-6."""
    difference = abs(f32(x.scale) - f32(y.scale))
    return x.zero_point == y.zero_point and float(difference) <= 1e-6


def smaller_than_one(graph: Graph, op: Op, real: float) -> float:
    """A factor that the kernel takes to be below one."""
    if real >= 1:
        y = graph.out(op)
        raise GraphError(
            f"{op.kind}: the scale {y.scale:.9g} of output {y.id} ({y.name!r}) is too small for that of the input: "
            f"the rescale factor is {real:.6g}, expected below 1; quantize the output with a larger scale"
        )
    return real
