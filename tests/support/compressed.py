"""Graphs with their weights stored in another way: shared, of few bits, asymmetric, in two levels, pruned.

graph = shared(GENERATORS["conv2d"](rng), rng, entries=16, groups=2)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mcuquant.ir import Array, Graph, Op, Palette, QParams, Tensor, ops

WEIGHTED = (ops.Conv2D, ops.DepthwiseConv2D, ops.TransposeConv, ops.FullyConnected)
Change = Callable[[Tensor, int], Tensor]
"""Weights and the axis of their output channels to other weights."""


def with_weights(graph: Graph, change: Change) -> Graph:
    """`change` applied to the weights of every layer; biases follow their scale."""
    tensors = dict(graph.tensors)
    for op in graph.ops:
        if isinstance(op, WEIGHTED):
            w = change(tensors[op.inputs[1]], channel_axis(op))
            tensors[w.id] = w
            for bias in op.inputs[2:]:
                tensors[bias] = replace(tensors[bias], q=None)
    return replace(graph, tensors=tensors)


def channel_axis(op: Op) -> int:
    return 3 if isinstance(op, ops.DepthwiseConv2D) else 0


def shared(graph: Graph, rng: np.random.Generator, entries: int = 16, groups: int = 1, zeros: float = 0.0) -> Graph:
    """At most `entries` values a group of channels, which are any int8; of `zeros` (a part of 1) the value is 0."""

    def change(w: Tensor, axis: int) -> Tensor:
        of = rng.integers(0, groups, w.shape[axis]) if groups > 1 else np.zeros(w.shape[axis], int)
        books = rng.integers(-128, 128, (groups, entries)).astype(np.int8)
        books[:, 0] = 0
        indices = rng.integers(0, entries, w.shape)
        indices[rng.random(w.shape) < zeros] = 0
        along = of.reshape([-1 if i == axis else 1 for i in range(len(w.shape))])
        palette = Palette(books, indices.astype(np.uint8), tuple(of.tolist()) if groups > 1 else (), axis)
        return replace(w, bits=8, palette=palette, data=books[along, indices])

    return with_weights(graph, change)


def narrow(graph: Graph, rng: np.random.Generator, bits: int) -> Graph:
    """Any values of so many bits."""
    half = 1 << (bits - 1)
    return with_weights(
        graph, lambda w, _: replace(w, bits=bits, data=rng.integers(-half, half, w.shape).astype(np.int8))
    )


def asymmetric(graph: Graph, rng: np.random.Generator, by_channel: bool = False) -> Graph:
    def change(w: Tensor, axis: int) -> Tensor:
        assert w.q is not None
        low, high = w.dtype.range(w.bits)
        if by_channel:
            zeros = rng.integers(low, high + 1, w.shape[axis])
            return replace(w, q=QParams.of(w.q.scale, 0, axis, zero_points=zeros.tolist()))
        return replace(w, q=QParams.of(w.q.scale[:1], int(rng.integers(low, high + 1))))

    return with_weights(graph, change)


def two_level(graph: Graph, rng: np.random.Generator, largest: int = 255) -> Graph:
    """A multiplier for each channel under one scale, zero points kept."""

    def change(w: Tensor, axis: int) -> Tensor:
        assert w.q is not None
        multipliers = rng.integers(1, largest + 1, w.shape[axis]).tolist()
        zeros = w.q.zero_points or (w.q.zero_point,) * w.shape[axis]
        return replace(
            w, q=QParams.of(min(w.q.scale) / largest, 0, axis, zeros if any(zeros) else (), multipliers=multipliers)
        )

    return with_weights(graph, change)


def pruned(graph: Graph, rng: np.random.Generator, zeros: float) -> Graph:
    def cut(data: Array) -> Array:
        return np.where(rng.random(data.shape) < zeros, 0, data).astype(np.int8)

    def change(w: Tensor, _: int) -> Tensor:
        assert w.data is not None
        return replace(w, data=cut(w.data))

    return with_weights(graph, change)
