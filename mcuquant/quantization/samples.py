"""Samples from the caller: one checked float32 array for each input, in the graph's layout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..errors import CalibrationError, GraphError
from ..ir import Array, Graph, Tensor
from .sample_layout import to_graph_layout


def read_samples(graph: Graph, data: Array | Sequence[Array], channels_first: bool | None = None) -> tuple[Array, ...]:
    """One (N, *shape without batch) float32 array for each input of `graph`.

    `data` is a sequence of arrays (N, ...), or when the graph has one input that array, or its samples in a list.
    `channels_first` says that they are (N,C,H,W) or (N,C,L) as PyTorch has it, False that they are in the graph's
    layout, None that the shape tells. Raises CalibrationError for another number of arrays or another shape, no
    samples, NaN or infinity.
    """
    for t in (graph[i] for i in graph.inputs):
        if t.shape[:1] != (1,):
            raise GraphError(f"{graph.name}: input {t.name!r} has shape {t.shape}; expected one sample, (1, ...)")
    alone = len(graph.inputs) == 1 and not (isinstance(data, list | tuple) and len(data) == 1)
    arrays = [np.asarray(x) for x in ([data] if alone else data)]
    if len(arrays) != len(graph.inputs):
        raise CalibrationError(
            f"calibration data: {graph.name} has {len(graph.inputs)} inputs, found {len(arrays)} arrays of samples"
        )
    checked = tuple(_checked(graph[i], x, channels_first) for i, x in zip(graph.inputs, arrays, strict=True))
    counts = [len(x) for x in checked]
    if len(set(counts)) > 1:
        raise CalibrationError(f"calibration data: the inputs have {counts} samples; expected as many of each")
    return checked


def single(samples: Sequence[Array]) -> Iterator[list[Array]]:
    """The inputs of one inference after another, batch 1."""
    for i in range(len(samples[0])):
        yield [x[i : i + 1] for x in samples]


def spread_evenly(samples: tuple[Array, ...], most: int) -> tuple[Array, ...]:
    """At most `most` samples from all over."""
    count = len(samples[0])
    indices = np.arange(count) if count <= most else np.linspace(0, count - 1, most).astype(int)
    return tuple(x[indices] for x in samples)


def _checked(t: Tensor, x: Array, channels_first: bool | None) -> Array:
    if channels_first is None:
        channels_first = _channels_come_first(t, x)
    return to_graph_layout(x, t.shape, name=f"calibration data {t.name!r}", channels_first=channels_first)


def _channels_come_first(t: Tensor, x: Array) -> bool:
    """Data of the graph's own shape is in its layout, unless a cube leaves that open."""
    if x.shape[1:] != t.shape[1:]:
        return True
    if len(t.shape) == 4 and len(set(t.shape[1:])) == 1 and x.size > len(x):
        raise CalibrationError(
            f"calibration data {t.name!r} has shape {x.shape}, which does not determine the order of its axes; "
            "say channels_first=True for (N,C,H,W) or channels_first=False for (N,H,W,C)"
        )
    return False
