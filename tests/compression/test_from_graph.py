"""Float graphs as PyTorch networks: the same function, and the same graph again."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nets import Net
from small_nets import Residual, perceptron, separable
from torch import nn

from mcuquant import flow
from mcuquant.arithmetic import interpreter
from mcuquant.boards.board import load_board
from mcuquant.compression.from_graph import to_torch
from mcuquant.compression.prune import Pruning, prune
from mcuquant.errors import UnsupportedOpError
from mcuquant.ir import Activation, Array, DType, Graph, Padding, ops

POOLED = nn.Sequential(
    nn.Conv2d(3, 8, 3, padding=1),
    nn.ReLU6(),
    nn.MaxPool2d(2),
    nn.Conv2d(8, 8, 3, padding=1, groups=2),
    nn.AvgPool2d(2),
    nn.Flatten(),
    nn.Linear(32, 4),
    nn.Softmax(dim=1),
)


def same(graph: Graph, x: Array) -> None:
    """`x` (1, C, H, W) or (1, C)."""
    net = to_torch(graph)
    ordered = x.transpose(0, 2, 3, 1) if x.ndim == 4 else x
    with torch.no_grad():
        got = net(torch.from_numpy(x)).numpy()
    want = interpreter.run(graph, [np.ascontiguousarray(ordered)])[0]
    want = want.transpose(0, 3, 1, 2) if want.ndim == 4 else want
    assert np.allclose(got, want, atol=1e-5)


@pytest.mark.parametrize(
    ("build", "shape"),
    [(Residual, (1, 3, 8, 8)), (separable, (1, 1, 12, 12)), (perceptron, (1, 12)), (lambda: POOLED, (1, 3, 8, 8))],
    ids=["residual", "separable", "perceptron", "pooled"],
)
def test_there_and_back(build: object, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    net = build().eval()  # type: ignore[operator]
    graph = flow.from_torch(net, torch.zeros(shape))
    same(graph, np.random.default_rng(0).normal(size=shape).astype(np.float32))
    again = flow.from_torch(to_torch(graph), torch.zeros(shape))
    assert [op.kind for op in again.ops] == [op.kind for op in graph.ops]
    for a, b in zip(again.ops, graph.ops, strict=True):
        for t, u in zip(again.ins(a), graph.ins(b), strict=True):
            assert t.shape == u.shape
            assert t.data is None or np.array_equal(t.data, u.data)  # type: ignore[arg-type]


@pytest.mark.parametrize("activation", list(Activation))
def test_padding_that_is_not_even_and_every_activation(activation: Activation) -> None:
    rng = np.random.default_rng(1)
    net = Net(rng, DType.FLOAT32)
    x = net.input((1, 6, 5, 2))
    w = net.constant(rng.normal(size=(4, 3, 3, 2)), DType.FLOAT32)
    y = net.apply(
        ops.Conv2D,
        (x, w),
        (1, 3, 3, 4),
        stride=(2, 2),
        padding=Padding(bottom=1, left=1, right=1),
        activation=activation,
    )
    graph = net.graph(y)
    same(graph, rng.normal(size=(1, 2, 6, 5)).astype(np.float32))


def test_a_tflite_networks_channels_can_be_cut() -> None:
    torch.manual_seed(0)
    graph = flow.from_torch(separable().eval(), torch.zeros(1, 1, 12, 12))
    net, board = to_torch(graph), load_board("qemu-mps2-an386")
    pruned = prune(net, torch.zeros(1, 1, 12, 12), board, Pruning(ratio=0.5, together=False))
    assert pruned.widths == {"layers.op0.0": (16, 8), "layers.op2.0": (24, 12)}


def test_what_cannot_be_trained_is_said_so() -> None:
    rng = np.random.default_rng(2)
    net = Net(rng, DType.FLOAT32)
    x = net.input((1, 4))
    tanh = net.graph(net.apply(ops.Tanh, (x,), (1, 4)), name="curve")
    with pytest.raises(UnsupportedOpError) as error:
        to_torch(tanh)
    assert str(error.value) == "curve: Tanh of shapes [1, 4], [1, 4] has no trainable form here"
    two = Net(rng, DType.FLOAT32)
    both = two.graph(two.apply(ops.Add, (two.input((1, 4)), two.input((1, 4))), (1, 4)), name="two")
    with pytest.raises(UnsupportedOpError) as many:
        to_torch(both)
    assert str(many.value) == "two has 2 inputs and 1 outputs; expected one of each"
    integers = Net(rng)
    whole = integers.graph(integers.apply(ops.Relu, (integers.input((1, 4)),), (1, 4), activation=Activation.RELU))
    with pytest.raises(UnsupportedOpError) as quantized:
        to_torch(whole)
    assert str(quantized.value) == "net: only a float network can be trained; this one is quantized"
