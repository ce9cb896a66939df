"""Converts a user's data from the layout of the network's framework to that of the graph, and results back.

PyTorch has channels before space; the graph has channels last, and stores a signal as an image of height 1.
"""

from __future__ import annotations

import numpy as np

from ..errors import CalibrationError
from ..ir import Array, Shape


def to_graph_layout(x: Array, shape: Shape, *, name: str = "x", channels_first: bool = True) -> Array:
    """Samples in the model's own layout as float32 (N, *shape[1:]), where `shape` is that of the graph's input.

    (N,C,H,W) becomes (N,H,W,C), (N,C,L) becomes (N,1,L,C), other ranks do not change. `channels_first=False`, for
    models with channels last (.tflite), only checks. Raises CalibrationError, which calls the data `name`, for data
    that is empty, of another shape, not floating-point, or not finite as float32.
    """
    x = np.asarray(x)
    if not np.issubdtype(x.dtype, np.floating):
        scaled = "; for bytes of images say their scaling, such as 1/255" if x.dtype == np.uint8 else ""
        raise CalibrationError(f"{name} is of type {x.dtype}; expected floating-point numbers, such as float32{scaled}")
    if x.ndim == 0 or not x.size:
        raise CalibrationError(f"{name} has shape {x.shape}, which holds no samples; expected at least one")
    ordered = _channels_last(x) if channels_first else x
    if ordered.shape[1:] != shape[1:]:
        expected = " or ".join(_text(own) for own in (own_shapes(shape) if channels_first else [shape[1:]]))
        raise CalibrationError(f"{name} has shape {x.shape}; expected {expected} with N samples")
    with np.errstate(over="ignore"):  # values beyond float32 become infinite, and are reported
        values = np.ascontiguousarray(ordered, dtype=np.float32)
    _check_finite(values, name)
    return values


def to_model_layout(y: Array, rank: int) -> Array:
    """The inverse, for results (N, *graph shape[1:]): rank 4 gives (N,C,H,W), rank 3 of a signal gives (N,C,L)."""
    if rank == 4 and y.ndim == 4:
        return np.ascontiguousarray(y.transpose(0, 3, 1, 2))
    if rank == 3 and y.ndim == 4 and y.shape[1] == 1:
        return np.ascontiguousarray(y[:, 0].transpose(0, 2, 1))
    return y


def _channels_last(x: Array) -> Array:
    if x.ndim == 4:
        return x.transpose(0, 2, 3, 1)
    return x.transpose(0, 2, 1)[:, None] if x.ndim == 3 else x


def own_shapes(shape: Shape) -> list[Shape]:
    """Shapes of one sample that fit the graph's input: a signal may also come as an image of height 1."""
    if len(shape) != 4:
        return [shape[1:]]
    _, height, width, channels = shape
    image = (channels, height, width)
    return [(channels, width), image] if height == 1 else [image]


def _text(sample: Shape) -> str:
    return f"({', '.join(['N', *map(str, sample)])})"


def _check_finite(x: Array, name: str) -> None:
    """Raises CalibrationError for NaN and infinity, which would invalidate calibrated ranges."""
    bad = ~np.isfinite(x)
    if bad.any():
        sample = int(np.argwhere(bad)[0][0])
        raise CalibrationError(
            f"{name} holds {int(bad.sum())} values that are NaN or infinite, the first in sample {sample}; "
            "expected finite numbers"
        )
