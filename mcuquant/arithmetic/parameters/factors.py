"""Common parts of the derivations: rescale factors, clamp bounds, and the comparison of scales and zero points."""

from __future__ import annotations

import numpy as np

from ...errors import GraphError
from ...ir import Activation, Tensor
from .. import fixedpoint as fx

LARGEST_FACTOR = 2.0**30  # for `requantize`: the left-shifted value must fit 32 bits
LARGEST_FACTOR64 = 2.0**14  # for `requantize64`: its single right shift is at least 1

LARGEST_COMPARED = 2.0**6  # for a compared scale: 17 bits, shifted left by 8, still fit 32 bits
LARGEST_QUOTIENT_FACTOR = 2.0**22  # for an int8 quotient: its right shift is never negative


def f32(x: float) -> float:
    """Rounded to single precision, in which TFLite keeps attributes and bounds; beyond its range infinite."""
    with np.errstate(over="ignore"):
        return float(np.float32(x))


def multiplier(kind: str, y: Tensor, real: float, below: float = LARGEST_FACTOR) -> fx.Multiplier:
    """The rescale factor into `y` of an operation of `kind`, which its kernel takes to be less than `below`.

    A factor so close below that it rounds up to it is one too many.
    """
    if not real < below or fx.quantize_multiplier(real).real >= below:
        raise GraphError(
            f"{kind}: the scale {y.scale:.9g} of output {y.id} ({y.name!r}) is too small for that of the input: "
            f"the rescale factor is {real:.6g}, expected below {below:g}; quantize the output with a larger scale"
        )
    return fx.quantize_multiplier(real)


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
    """zero_point + round(real / scale) in single precision; limited to 32 bits, not to the type."""
    steps = min(max(f32(real / t.scale), -(2.0**31)), 2.0**31)
    return t.zero_point + fx.round_half_away(steps)


def same_values(x: Tensor, y: Tensor) -> bool:
    """Stored values mean the same in both, by the tolerance of TFLM's pooling: scales within 1e-6."""
    return x.zero_point == y.zero_point and f32(abs(x.scale - y.scale)) <= 1e-6
