"""Samples from the caller as one checked float32 array per input, in the graph's layout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..errors import CalibrationError, GraphError
from ..ir import Array, Graph, Tensor
from .sample_kinds import arrays_of
from .sample_layout import to_graph_layout

Numbers = float | list[float] | Array
Scaling = Numbers | tuple[Numbers, Numbers]
"""Real = stored * factor + offset: the factor, or a tuple of both, each one number or one per channel."""


def read_samples(
    graph: Graph, data: Any, channels_first: bool | None = None, scaling: Scaling | None = None
) -> tuple[Array, ...]:
    """One (N, *shape without batch) float32 array per input of `graph`.

    `data` has any form of `sample_kinds`. `channels_first` True means (N,C,H,W) or (N,C,L) as in PyTorch, False the
    graph's layout, None that the shape decides. `scaling` converts stored to real numbers. Raises CalibrationError for
    another number of arrays or another shape, no samples, NaN or infinity.
    """
    tensors = [graph[i] for i in graph.inputs]
    for t in tensors:
        if t.shape[:1] != (1,):
            raise GraphError(f"{graph.name}: input {t.name!r} has shape {t.shape}; expected one sample, (1, ...)")
    arrays = arrays_of(data, [t.name for t in tensors], [t.shape for t in tensors])
    if len(arrays) != len(graph.inputs):
        raise CalibrationError(
            f"calibration data: {graph.name} has {len(graph.inputs)} inputs, found {len(arrays)} arrays of samples"
        )
    order = channels_first if channels_first is not None else graph.channels_first
    checked = tuple(_checked(t, x, channels_first, order, scaling) for t, x in zip(tensors, arrays, strict=True))
    counts = [len(x) for x in checked]
    if len(set(counts)) > 1:
        raise CalibrationError(f"calibration data: the inputs have {counts} samples; expected as many of each")
    return checked


def single(samples: Sequence[Array]) -> Iterator[list[Array]]:
    """The inputs of one inference after another, batch 1."""
    for i in range(len(samples[0])):
        yield [x[i : i + 1] for x in samples]


def spread_evenly(samples: tuple[Array, ...], most: int) -> tuple[Array, ...]:
    """At most `most` samples, evenly spaced."""
    count = len(samples[0])
    indices = np.arange(count) if count <= most else np.linspace(0, count - 1, most).astype(int)
    return tuple(x[indices] for x in samples)


def _checked(t: Tensor, x: Array, stated: bool | None, known: bool | None, scaling: Scaling | None) -> Array:
    """`stated` is the caller's order of axes, `known` that of the model, for ambiguous shapes."""
    if t.is_plain:
        return _whole_numbers(t, x)
    first = stated if stated is not None else _channels_come_first(t, x, known)
    real = x if scaling is None or x.dtype.kind not in "iub" else x.astype(np.float32)
    ordered = to_graph_layout(real, t.shape, name=f"calibration data {t.name!r}", channels_first=first)
    return ordered if scaling is None else _scaled(ordered, scaling)


def _whole_numbers(t: Tensor, x: Array) -> Array:
    """Samples of an input of indices."""
    name = f"calibration data {t.name!r}"
    if x.dtype.kind not in "iub" or x.ndim == 0 or not x.size:
        raise CalibrationError(f"{name} is {x.dtype} of shape {x.shape}; expected whole numbers, such as int64")
    first = to_graph_layout(x.astype(np.float64), t.shape, name=name, channels_first=x.shape[1:] != t.shape[1:])
    low, high = t.dtype.range()
    if first.shape[1:] and (x.min() < low or x.max() > high):
        raise CalibrationError(f"{name} has values {x.min()} to {x.max()}; expected {low} to {high}")
    return np.rint(first).astype(t.dtype.numpy)


def _scaled(x: Array, scaling: Scaling) -> Array:
    """x * factor + offset, each one number or one per channel, the last axis."""
    factor, offset = scaling if isinstance(scaling, tuple) else (scaling, 0.0)
    channels = x.shape[-1] if x.ndim > 1 else 1
    for word, numbers in (("factors", factor), ("offsets", offset)):
        if np.ndim(numbers) > 1 or np.size(numbers) not in (1, channels):
            raise CalibrationError(
                f"scaling: {np.size(numbers)} {word}, expected 1 or one for each of {channels} channels"
            )
    return np.asarray(x * np.asarray(factor, np.float64) + np.asarray(offset, np.float64), np.float32)


def _channels_come_first(t: Tensor, x: Array, known: bool | None) -> bool:
    """Whether data with the graph's own shape is in its layout; ambiguous for a cube."""
    if x.shape[1:] != t.shape[1:]:
        return True
    if len(t.shape) == 4 and len(set(t.shape[1:])) == 1 and x.size > len(x):
        if known is not None:
            return known
        raise CalibrationError(
            f"calibration data {t.name!r} has shape {x.shape}, which does not determine the order of its axes; "
            "say channels_first=True for (N,C,H,W) or channels_first=False for (N,H,W,C)"
        )
    return False
