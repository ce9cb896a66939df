"""Determines which channels of a graph's tensors can only be removed together, and which are needed.

A channel is an index along a tensor's last axis. Element-wise and spatial operations tie channel c of their output to
channel c of their inputs; a depthwise convolution ties it to its `multiplier` outputs; flattening ties the channels of
all pixels. Weighted operations tie nothing: they need an input channel if a needed output has a nonzero weight for it,
unless the channel is constant and can go into the bias.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..ir import Array, Graph, Op, Tensor, ops
from .intervals import Interval

_CHANNELWISE = (ops.Unary, ops.Pool, ops.Binary, ops.Pad, ops.ResizeNearest, ops.ResizeBilinear)


@dataclass(slots=True)
class Channels:
    """Union-find over all channels of all activations; `slots[t]` are those of tensor t."""

    slots: dict[int, Array]
    parent: Array

    @classmethod
    def of(cls, graph: Graph) -> Channels:
        activations = [t for t in graph.tensors.values() if not t.is_constant]
        counts = [t.shape[-1] if t.shape else 1 for t in activations]
        ends = np.cumsum([0, *counts])
        slots = {t.id: np.arange(a, b) for t, a, b in zip(activations, ends, ends[1:], strict=False)}
        channels = cls(slots, np.arange(ends[-1]))
        for op in graph.ops:
            for x, y in _ties(graph, op, channels):
                channels.tie(x, y)
        return channels

    def find(self, slot: int) -> int:
        while self.parent[slot] != slot:
            self.parent[slot] = self.parent[self.parent[slot]]
            slot = int(self.parent[slot])
        return slot

    def tie(self, xs: Array, ys: Array) -> None:
        for x, y in zip(xs.tolist(), ys.tolist(), strict=True):
            a, b = self.find(x), self.find(y)
            self.parent[max(a, b)] = min(a, b)

    def roots(self, tensor: int) -> Array:
        return np.array([self.find(s) for s in self.slots[tensor].tolist()], int)


def _ties(graph: Graph, op: Op, channels: Channels) -> Iterator[tuple[Array, Array]]:
    """Pairs of equally long slot lists that are tied element by element."""
    if not tied(graph, op):
        return
    y = channels.slots[op.output]
    if isinstance(op, ops.Concat) and op.axis == len(graph.out(op).shape) - 1:
        yield np.concatenate([channels.slots[i] for i in op.inputs]), y
        return
    for i in op.inputs:
        if i in channels.slots:
            x = channels.slots[i]
            longer = max(len(x), len(y))
            if isinstance(op, ops.DepthwiseConv2D):
                yield np.repeat(x, longer // len(x)), y
            else:
                yield x[np.arange(longer) % len(x)], y[np.arange(longer) % len(y)]


def tied(graph: Graph, op: Op) -> bool:
    """Whether the outputs follow the inputs channel by channel, so that the operation can be computed for fewer
    channels.
    """
    x, y = graph[op.inputs[0]], graph.out(op)
    last = len(x.shape) - 1
    match op:
        case ops.Binary():
            return all(_channel_operand(t, y) for t in graph.ins(op))
        case ops.DepthwiseConv2D():
            return True
        case ops.Pad():
            return op.pads[-1] == (0, 0)
        case ops.Reduce():
            return last not in op.axes
        case ops.Slice():
            return (op.begin[-1], op.step[-1], y.shape[-1]) == (0, 1, x.shape[-1])
        case ops.Transpose():
            return op.perm[-1] == last
        case ops.Concat():
            return not any(t.is_constant for t in graph.ins(op))
        case ops.Reshape():
            sizes = sorted((x.shape[-1:] or (1,)) + (y.shape[-1:] or (1,)))
            return sizes[0] > 0 and sizes[1] % sizes[0] == 0
        case _:
            return isinstance(op, _CHANNELWISE) and bool(x.shape)


def _channel_operand(t: Tensor, y: Tensor) -> bool:
    """One value per channel or (constants only) one for all."""
    return t.shape[-1:] == y.shape[-1:] or (t.is_constant and t.shape[-1:] in ((), (1,)))


def mixes(graph: Graph, op: Op) -> bool:
    """Whether every output is a weighted sum over input channels that can be removed one by one."""
    if isinstance(op, ops.FullyConnected):
        x, w = graph.ins(op)[:2]
        return w.is_constant and x.shape[-1:] == w.shape[-1:]
    return isinstance(op, ops.Conv2D) and graph.ins(op)[0].shape[3] == graph.ins(op)[1].shape[3]


def always(interval: Interval) -> tuple[Array, Array]:
    """(whether it is constant, its value) for each channel."""
    low, high = (a.reshape(-1, a.shape[-1] if a.shape else 1) for a in interval)
    return low.min(axis=0) == high.max(axis=0), low[0]


def needed(graph: Graph, known: dict[int, Interval]) -> dict[int, Array]:
    """For every activation, its needed channels; at least one of each tensor."""
    channels = Channels.of(graph)
    keep = np.zeros(len(channels.parent), bool)
    for tensor in _whole(graph):
        keep[channels.roots(tensor)] = True
    while True:
        before = int(keep.sum())
        for op in reversed(graph.ops):
            if mixes(graph, op):
                x = channels.roots(op.inputs[0])
                keep[x[_used_inputs(graph, op, known[op.inputs[0]], keep[channels.roots(op.output)])]] = True
        for tensor in channels.slots:
            roots = channels.roots(tensor)
            if not keep[roots].any():
                keep[roots[0]] = True
        if int(keep.sum()) == before:
            return {tensor: keep[channels.roots(tensor)] for tensor in channels.slots}


def _whole(graph: Graph) -> set[int]:
    """Tensors that keep all channels: inputs and outputs of the graph, and tensors of other operations."""
    others = [op for op in graph.ops if not tied(graph, op) and not mixes(graph, op)]
    touched = {i for op in others for i in (*op.inputs, *op.outputs)}
    states = (t.id for t in graph.states)
    return {i for i in (*graph.inputs, *graph.ends, *states, *touched) if not graph[i].is_constant}


def _used_inputs(graph: Graph, op: Op, x: Interval, kept_outputs: Array) -> Array:
    """Input channels with a weight for a kept output, except those that go into the bias."""
    w = graph[op.inputs[1]].integer_values
    used = (w[kept_outputs].reshape(-1, w.shape[-1]) != 0).any(axis=0)
    fixed, value = always(x)
    return np.asarray(used & ~(fixed & foldable(graph, op, value)))


def foldable(graph: Graph, op: Op, value: Array) -> Array:
    """Whether a constant channel adds the same to every output pixel: no padding reaches it, or its
    value is real zero.
    """
    padded = isinstance(op, ops.Conv2D) and op.padding.any
    return np.asarray(value == graph[op.inputs[0]].zero_point) if padded else np.ones(len(value), bool)
