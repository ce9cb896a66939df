"""A float graph as a PyTorch network, so that networks of .tflite files can be pruned, shared and trained.

Supported are convolutions, linear layers, sums, pools, means and their activations. Images are channels first, as in
PyTorch; `from_torch` of the network gives the graph again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UnsupportedOpError
from ..ir import Activation, Array, Graph, ops
from ..ir import Tensor as Constant

Step = tuple[str, tuple[int, ...], int]
"""(name of the layer, tensors that it reads, tensor that it computes)."""


class GraphNet(nn.Module):
    """The operations of a graph as layers that run in order. `layers` have the names op0, op1, ... by position."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.layers = nn.ModuleDict()
        self.steps: list[Step] = []
        self.input, self.output = graph.inputs[0], graph.outputs[0]
        for i, op in enumerate(graph.ops):
            name = f"op{i}"
            self.layers[name] = _layer(graph, op)
            read = tuple(t for t in op.inputs if not graph[t].is_constant)
            self.steps.append((name, read, op.output))

    def forward(self, x: Tensor) -> Tensor:
        values = {self.input: x}
        for name, read, output in self.steps:
            values[output] = self.layers[name](*(values[t] for t in read))
        return values[self.output]


def to_torch(graph: Graph) -> GraphNet:
    """The network of a float graph with one input and one output, in evaluation mode.

    A graph input (1, H, W, C) is a network input (N, C, H, W). Raises UnsupportedOpError, which names the reason, for
    an integer graph, several inputs or outputs, and other operations.
    """
    if not graph.is_float:
        raise UnsupportedOpError(f"{graph.name}: only a float network can be trained; this one is quantized")
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise UnsupportedOpError(
            f"{graph.name} has {len(graph.inputs)} inputs and {len(graph.outputs)} outputs; expected one of each"
        )
    return GraphNet(graph).eval()


class _Sum(nn.Module):
    def __init__(self, activation: nn.Module | None) -> None:
        super().__init__()
        self.activation = activation or nn.Identity()

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        clamped: Tensor = self.activation(a + b)
        return clamped


class _Mean(nn.Module):
    """Mean over height and width, which stay as dimensions of 1 or are removed."""

    def __init__(self, keep: bool) -> None:
        super().__init__()
        self.keep = keep

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3), keepdim=self.keep)


class _Flat(nn.Module):
    """(N, C, H, W) to (N, H * W * C), in the value order of the graph."""

    def forward(self, x: Tensor) -> Tensor:
        return (x if x.shape[2] == x.shape[3] == 1 else x.permute(0, 2, 3, 1)).flatten(1)


def _layer(graph: Graph, op: ops.Op) -> nn.Module:
    maker = _MAKERS.get(type(op))
    module = maker(graph, op) if maker is not None else None
    if module is None:
        shapes = ", ".join(str(list(t.shape)) for t in (*graph.ins(op), graph.out(op)))
        raise UnsupportedOpError(f"{graph.name}: {op.kind} of shapes {shapes} has no trainable form here")
    activation = _activation(getattr(op, "activation", Activation.NONE))
    return module if activation is None or isinstance(op, ops.Relu | ops.Add) else nn.Sequential(module, activation)


def _activation(kind: Activation) -> nn.Module | None:
    match kind:
        case Activation.RELU:
            return nn.ReLU()
        case Activation.RELU6:
            return nn.ReLU6()
        case Activation.RELU_N1_TO_1:
            return nn.Hardtanh(-1.0, 1.0)
        case _:
            return None


def _convolution(graph: Graph, op: ops.Conv2D | ops.DepthwiseConv2D) -> nn.Module | None:
    x, w = graph.ins(op)[:2]
    by_depth = isinstance(op, ops.DepthwiseConv2D)
    weight = _value(w).transpose(3, 0, 1, 2) if by_depth else _value(w).transpose(0, 3, 1, 2)
    groups = x.shape[3] if by_depth else x.shape[3] // w.shape[3]
    p = op.padding
    even = p.top == p.bottom and p.left == p.right
    layer = nn.Conv2d(
        x.shape[3],
        weight.shape[0],
        (weight.shape[2], weight.shape[3]),
        op.stride,
        (p.top, p.left) if even else 0,
        op.dilation,
        groups,
        bias=len(op.inputs) > 2,
    )
    _fill(graph, op, layer, weight)
    return layer if even else nn.Sequential(nn.ZeroPad2d((p.left, p.right, p.top, p.bottom)), layer)


def _linear(graph: Graph, op: ops.FullyConnected) -> nn.Module | None:
    x, w = graph.ins(op)[:2]
    if x.shape[:-1] != (1,):
        return None
    layer = nn.Linear(w.shape[1], w.shape[0], bias=len(op.inputs) > 2)
    _fill(graph, op, layer, _value(w))
    return layer


def _fill(graph: Graph, op: ops.Op, layer: nn.Conv2d | nn.Linear, weight: Array) -> None:
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight.copy()))
        if layer.bias is not None:
            layer.bias.copy_(torch.from_numpy(_value(graph.ins(op)[2]).copy()))


def _value(t: Constant) -> Array:
    if t.data is None:
        raise UnsupportedOpError(f"weights {t.name!r} are computed by the network; only constant ones can be trained")
    return t.data


def _pool(graph: Graph, op: ops.Pool, kind: Callable[..., nn.Module]) -> nn.Module | None:
    p = op.padding
    if p.top != p.bottom or p.left != p.right:
        return None
    more: dict[str, Any] = {"count_include_pad": False} if isinstance(op, ops.AvgPool2D) else {}
    return kind(op.window, op.stride, (p.top, p.left), **more)


def _mean(graph: Graph, op: ops.Mean) -> nn.Module | None:
    rank = len(graph.ins(op)[0].shape)
    return _Mean(len(graph.out(op).shape) == rank) if rank == 4 and op.axes == (1, 2) else None


def _reshape(graph: Graph, op: ops.Reshape) -> nn.Module | None:
    x, y = graph.ins(op)[0].shape, graph.out(op).shape
    if x == y or (len(x), len(y)) == (2, 2):
        return nn.Identity()
    return _Flat() if len(x) == 4 and len(y) == 2 else None


def _add(graph: Graph, op: ops.Add) -> nn.Module | None:
    a, b = graph.ins(op)
    return _Sum(_activation(op.activation)) if a.shape == b.shape and not a.is_constant and not b.is_constant else None


_MAKERS: dict[type[ops.Op], Callable[[Graph, Any], nn.Module | None]] = {
    ops.Conv2D: _convolution,
    ops.DepthwiseConv2D: _convolution,
    ops.FullyConnected: _linear,
    ops.AvgPool2D: partial(_pool, kind=nn.AvgPool2d),
    ops.MaxPool2D: partial(_pool, kind=nn.MaxPool2d),
    ops.Mean: _mean,
    ops.Reshape: _reshape,
    ops.Add: _add,
    ops.Relu: lambda _, op: _activation(op.activation),
    ops.Softmax: lambda graph, op: nn.Softmax(dim=1) if len(graph.out(op).shape) == 2 and op.beta == 1 else None,
}
