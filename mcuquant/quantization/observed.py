"""Observations of the float network on the calibration samples: histograms of all tensors, and outputs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..arithmetic.interpreter import reset_state, trace
from ..errors import CalibrationError
from ..ir import Array, DType, Graph, Tensor
from .samples import single
from .softmax_scores import softmax_scores, with_masks_near
from .value_histogram import Histogram

_HELD_OUT_EVERY = 4
_HELD_OUT_MOST = 32
"""Every fourth sample, at most 32, evaluates the methods. All samples calibrate the final network."""


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """Histograms of held-out samples and of the others, if there are any."""

    inputs: list[list[Array]]
    """Held-out samples."""
    outputs: list[list[Array]]
    """Outputs of the network for each of them."""
    rest_samples: tuple[Array, ...]
    """All samples if nothing is held out."""
    held: dict[int, Histogram]
    rest: dict[int, Histogram]

    @classmethod
    def of(cls, graph: Graph, samples: tuple[Array, ...]) -> Observed:
        held_out, rest = _split_stream(samples) if graph.updates else _split(samples)
        outputs: list[list[Array]] = []
        held_out_histograms = _histograms(graph, single(held_out), outputs)
        of_rest = _histograms(graph, single(rest)) or held_out_histograms
        return cls(list(single(held_out)), outputs, rest if len(rest[0]) else samples, held_out_histograms, of_rest)

    @property
    def everywhere(self) -> dict[int, Histogram]:
        return self.held if self.rest is self.held else {i: self.rest[i] + self.held[i] for i in self.held}


def _split(samples: tuple[Array, ...]) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """(held out, rest); with fewer than four samples, all samples evaluate and the rest is empty."""
    count = len(samples[0])
    held_out = np.arange(count) if count < _HELD_OUT_EVERY else np.arange(0, count, _HELD_OUT_EVERY)[:_HELD_OUT_MOST]
    rest = np.setdiff1d(np.arange(count), held_out)
    return tuple(x[held_out] for x in samples), tuple(x[rest] for x in samples)


def _split_stream(samples: tuple[Array, ...]) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """(held out, rest) of consecutive samples of a stream: the last quarter is a stream of its own."""
    at = len(samples[0]) * (_HELD_OUT_EVERY - 1) // _HELD_OUT_EVERY
    return tuple(x[at:] for x in samples), tuple(x[:at] for x in samples)


def _histograms(
    graph: Graph, inputs: Iterable[Sequence[Array]], outputs: list[list[Array]] | None = None
) -> dict[int, Histogram]:
    """Histogram of every float activation and input over all samples; appends each sample's outputs to `outputs`."""
    seen: dict[int, Histogram] = {}
    state = reset_state(graph)
    scores = softmax_scores(graph)
    for sample in inputs:
        values = trace(graph, sample, state)
        for t in graph.tensors.values():
            if not t.is_constant and t.dtype is DType.FLOAT32:
                finite = _finite(graph, t, values[t.id])
                now = Histogram.of(with_masks_near(finite, scores[t.id]) if t.id in scores else finite)
                seen[t.id] = seen[t.id] + now if t.id in seen else now
        if outputs is not None:
            outputs.append([values[i] for i in graph.outputs])
    return seen


def _finite(graph: Graph, t: Tensor, values: Array) -> Array:
    """The finite values. An infinite one (padding before a maximum) is stored as the end of any range."""
    if np.isnan(values).any():
        raise CalibrationError(
            f"{graph.name}: {t.name!r} becomes NaN on the calibration data; the float network is at fault"
        )
    finite = np.isfinite(values)
    return values if finite.all() else values[finite]
