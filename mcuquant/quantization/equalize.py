"""Cross-layer equalization: scales channels of consecutive layers against each other without changing the function.

If one layer's channel i is the next layer's input i after operations f with f(a x) = a f(x) for a > 0, the first
layer's row i may be divided by s and the second's column i multiplied by s. With s = sqrt(r1 / r2), where r1 and r2 are
the largest weights of row and column, both become equally large: M. Nagel et al., "Data-Free Quantization Through
Weight Equalization and Bias Correction" (ICCV 2019), equation 11. It helps quantizers with one scale per layer, or
coarse channel scales, and activations whose channels differ much.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..ir import Array, Graph, Op, ops
from .weight_scales import channel_axis, data_of

_LAYER = (ops.Conv2D, ops.DepthwiseConv2D, ops.FullyConnected)
_HOMOGENEOUS_OPS = (ops.MaxPool2D, ops.AvgPool2D, ops.Relu, ops.LeakyRelu, ops.Reshape, ops.Mean, ops.Pad)
"""Operations that scale with their input, depending on their attributes."""
_HOMOGENEOUS = (ops.Activation.NONE, ops.Activation.RELU)
_ROUNDS = 20
"""Maximum number of rounds over all pairs; scales converge geometrically."""
_TOLERANCE = 1e-3
"""Largest change of a scale in the last round."""


def equalize(graph: Graph) -> Graph:
    """A float graph with folded batch normalization whose layers have equal ranges; the function is the same up to
    rounding.
    """
    pairs = [pair for op in graph.ops if (pair := _pair(graph, op)) is not None]
    data = {i: data_of(graph[i]) for pair in pairs for op in pair for i in op.inputs[1:]}
    for _ in range(_ROUNDS):
        if max((_balance(graph, data, *pair) for pair in pairs), default=0.0) < _TOLERANCE:
            break
    changed = {i: replace(graph[i], data=values.astype(np.float32)) for i, values in data.items()}
    return graph.with_(tensors={**graph.tensors, **changed}) if pairs else graph


def _pair(graph: Graph, first: Op) -> tuple[Op, Op] | None:
    """`first` and the layer that is the only reader of its channels, one channel per input; None if there is none."""
    if not _own_constants(graph, first) or getattr(first, "activation", None) not in _HOMOGENEOUS:
        return None
    op = first
    while (reader := _only_reader(graph, op)) is not None and _passes(graph, reader):
        op = reader
    if reader is None or reader.inputs[0] != op.output or not _own_constants(graph, reader):
        return None
    return (first, reader) if _reads_channels(graph, reader, _channels(graph, first)) else None


def _only_reader(graph: Graph, op: Op) -> Op | None:
    readers = graph.consumers(op.output)
    return readers[0] if len(readers) == 1 and op.output not in graph.ends else None


def _own_constants(graph: Graph, op: Op) -> bool:
    """Whether `op` is a layer with constant weights that no other operation shares."""
    if not isinstance(op, _LAYER):
        return False
    return all(graph[i].data is not None and len(graph.consumers(i)) == 1 for i in op.inputs[1:])


def _passes(graph: Graph, op: Op) -> bool:
    """Whether f(a x) = a f(x) for a scale per channel, where channels are the last axis."""
    match op:
        case ops.Reshape():
            x, y = graph[op.inputs[0]].shape, graph.out(op).shape
            return bool(x and y) and y[-1] % x[-1] == 0
        case ops.Mean():
            return len(graph[op.inputs[0]].shape) - 1 not in op.axes
        case ops.Pad():
            return op.value in (None, 0.0) and op.pads[-1] == (0, 0)
    return isinstance(op, _HOMOGENEOUS_OPS) and getattr(op, "activation", ops.Activation.NONE) in _HOMOGENEOUS


def _channels(graph: Graph, op: Op) -> int:
    return graph[op.inputs[1]].shape[channel_axis(op)]


def _reads_channels(graph: Graph, op: Op, channels: int) -> bool:
    """Whether the inputs of each position of the layer are these channels; a fully connected layer may read them
    repeatedly.
    """
    if isinstance(op, ops.FullyConnected):
        return graph[op.inputs[1]].shape[1] % channels == 0
    return graph[op.inputs[0]].shape[3] == channels


def _balance(graph: Graph, data: dict[int, Array], first: Op, second: Op) -> float:
    """Scales one pair and returns the largest |log s|."""
    w1, w2 = data[first.inputs[1]], data[second.inputs[1]]
    channels = _channels(graph, first)
    columns = _by_input(second, w2, channels)
    r1 = np.abs(np.moveaxis(w1, channel_axis(first), 0).reshape(channels, -1)).max(axis=1)
    r2 = np.abs(columns).reshape(channels, -1).max(axis=1)
    alive = (r1 > 0) & (r2 > 0)
    s = np.sqrt(np.where(alive, r1, 1.0) / np.where(alive, r2, 1.0))
    along = (1, 1, 1, -1) if channel_axis(first) == 3 else (-1, *(1,) * (w1.ndim - 1))
    data[first.inputs[1]] = w1 / s.reshape(along)
    if len(first.inputs) > 2:
        data[first.inputs[2]] = data[first.inputs[2]] / s
    data[second.inputs[1]] = _from_input(second, columns * s.reshape(-1, *(1,) * (columns.ndim - 1)), w2)
    return float(np.abs(np.log(s)).max(initial=0.0))


def _by_input(op: Op, w: Array, channels: int) -> Array:
    """Weights (channels, rest): the factors of each channel of the preceding layer."""
    match op:
        case ops.FullyConnected():
            return w.reshape(len(w), -1, channels).transpose(2, 0, 1)
        case ops.DepthwiseConv2D():
            return w.reshape(*w.shape[1:3], channels, -1).transpose(2, 0, 1, 3)
    groups = channels // w.shape[3]
    return w.reshape(groups, -1, *w.shape[1:]).transpose(0, 4, 1, 2, 3).reshape(channels, -1, *w.shape[1:3])


def _from_input(op: Op, columns: Array, like: Array) -> Array:
    """The inverse of `_by_input`."""
    match op:
        case ops.FullyConnected():
            return columns.transpose(1, 2, 0).reshape(like.shape)
        case ops.DepthwiseConv2D():
            return columns.transpose(1, 2, 0, 3).reshape(like.shape)
    groups = len(columns) // like.shape[3]
    split = columns.reshape(groups, like.shape[3], *columns.shape[1:])
    return split.transpose(0, 2, 3, 4, 1).reshape(like.shape)
