"""Training with the device's rounding: what comes out is the integer network that was trained, to the bit on the
device."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import partial
from pathlib import Path

import harness
import numpy as np
import pytest
import tflm
import torch
from harness import assert_equal
from pt2e_samples import stored
from torch import Tensor, nn

from mcuquant.arithmetic import interpreter
from mcuquant.compression.qat import Trained, convert, prepare, qat
from mcuquant.compression.training import alone
from mcuquant.errors import ModelError
from mcuquant.ir import Graph, Level
from mcuquant.ir.verify import verify
from mcuquant.tflite.writer.to_tflite import to_tflite

BITS = {"stem": 8, "depth": 4, "point": 2, "body": 2, "head": 4}


class Mixed(nn.Module):
    """Every kind of layer and of rounding: shared scales, prescribed ones, a sum, parts joined."""

    def __init__(self, normalized: bool) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8) if normalized else nn.Identity()
        self.depth = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.point, self.norm2 = nn.Conv2d(8, 16, 1), nn.BatchNorm2d(16) if normalized else nn.Identity()
        self.body, self.head = nn.Conv2d(16, 16, 3, padding=1), nn.Linear(16, 10)
        self.drop = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.max_pool2d(torch.relu(self.norm(self.stem(x))), 2)
        x = torch.relu(self.norm2(self.point(nn.functional.relu6(self.depth(x)))))
        y = x + self.body(x)
        y = torch.cat([y[:, :8].sigmoid(), y[:, 8:]], dim=1)
        y = nn.functional.adaptive_avg_pool2d(y, 1).flatten(1)
        return self.head(self.drop(y)).softmax(-1)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def data() -> Tensor:
    """Ten classes in turn, told apart by brightness and contrast."""
    noise = torch.randn(40, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    kind = (torch.arange(40) % 10).view(-1, 1, 1, 1)
    return noise * (1 + kind % 3) + (kind - 5) / 2


@pytest.fixture(scope="module", params=[False, pytest.param(True, marks=pytest.mark.slow)])
def trained(data: Tensor, request: pytest.FixtureRequest) -> Trained:
    """With batch normalization PyTorch takes half a minute to prepare it, most of it for patterns of its own."""
    torch.manual_seed(0)
    net = Mixed(request.param)
    before = copy.deepcopy(net.state_dict())

    def train(module: nn.Module) -> None:
        assert module.training
        optimizer = torch.optim.Adam(module.parameters(), 3e-3)
        for _ in range(20):
            optimizer.zero_grad()
            nn.functional.nll_loss(module(data).clamp_min(1e-6).log(), torch.arange(40) % 10).backward()
            optimizer.step()

    with alone(0):
        made = qat(net, data, train, bits=BITS)
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    return made


def test_the_graph_is_what_was_trained(trained: Trained, data: Tensor) -> None:
    graph = trained.graph
    verify(graph, Level.LOWERABLE)
    assert graph.name == "Mixed"
    assert [op.kind for op in graph.ops] == [
        *("Conv2D", "MaxPool2D", "DepthwiseConv2D", "Conv2D", "Conv2D", "Add", "Slice", "Logistic", "Quantize"),
        *("Slice", "Concat", "Mean", "Reshape", "FullyConnected", "Softmax"),
    ]
    layers = [op for op in graph.ops if len(op.inputs) == 3]
    assert [graph[op.inputs[1]].bits for op in layers] == list(BITS.values())
    y = graph[graph.outputs[0]]
    with torch.no_grad():
        wanted = np.rint(trained.module(data).numpy() / y.scale) + y.zero_point
    found = np.concatenate([interpreter.run(graph, stored(graph, x[None]))[0] for x in data])
    assert np.abs(found - wanted).max() <= 2
    assert (found.argmax(1) == wanted.argmax(1)).mean() >= 0.95
    assert len(np.unique(found)) > 10


def test_weights_fill_their_bits(trained: Trained) -> None:
    graph = trained.graph
    for op in (op for op in graph.ops if len(op.inputs) == 3):
        w = graph[op.inputs[1]]
        assert w.data is not None
        low, high = {8: (-127, 127), 4: (-7, 7), 2: (-2, 1)}[w.bits]
        assert low <= w.data.min() < w.data.max() <= high
        assert len(np.unique(w.data)) > {8: 40, 4: 8, 2: 3}[w.bits]


def test_it_computes_the_same_in_c_and_in_tensorflow_lite_micro(trained: Trained, data: Tensor, tmp_path: Path) -> None:
    graph = trained.graph
    samples = [stored(graph, x[None]) for x in data[:6]]
    for inputs, outcome in zip(samples, harness.build_host([graph], tmp_path).run(0, *samples), strict=True):
        assert_equal("trained", graph, outcome, inputs)
        (theirs,) = tflm.run(to_tflite(widened(graph)), inputs)
        assert np.array_equal(interpreter.run(graph, inputs)[0], theirs)


def widened(graph: Graph) -> Graph:
    """The same integers as whole bytes, which TensorFlow Lite Micro takes."""
    return graph.with_(tensors={i: replace(t, bits=t.dtype.bits) for i, t in graph.tensors.items()})


def test_training_brings_back_what_two_bits_lose() -> None:
    """A small perceptron of 2-bit weights, rounded without training and with it."""
    x = torch.randn(600, 8, generator=torch.Generator().manual_seed(1))
    y = ((x[:, 0] * x[:, 1] > 0).long() + 2 * (x[:, 2] > 0).long()).long()

    def train(module: nn.Module, steps: int) -> None:
        optimizer = torch.optim.Adam(module.parameters(), 5e-3)
        for _ in range(steps):
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(x[:400]), y[:400]).backward()
            optimizer.step()

    right = []
    with alone(1):
        net = nn.Sequential(nn.Linear(8, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 4))
        train(net, 250)
        for steps in (1, 150):
            made = qat(net, x, partial(train, steps=steps), bits=2)
            found = np.concatenate([interpreter.run(made.graph, stored(made.graph, row[None]))[0] for row in x[400:]])
            right.append(float((found.argmax(1) == y[400:].numpy()).mean()))
    assert right[1] > right[0] + 0.04
    assert right[1] > 0.8


@pytest.mark.parametrize(
    ("bits", "message"),
    [
        (3, "weights of 3 bits cannot be stored, expected 8, 4 or 2"),
        ({"5": 4}, "the network has no layer with weights named '5', expected one of: 0, 2"),
    ],
)
def test_bits_that_cannot_be_are_refused(bits: int | dict[str, int], message: str) -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    with pytest.raises(ModelError) as error:
        prepare(net, torch.zeros(1, 4), bits)
    assert str(error.value) == message


def test_batch_normalization_that_nothing_takes_is_refused() -> None:
    with pytest.raises(ModelError) as error:
        prepare(
            nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2)), torch.zeros(2, 4)
        )
    assert str(error.value) == (
        "batch normalization '2' follows no convolution that it alone reads; "
        "training for integers folds it only there: move it or leave it out"
    )


def test_a_network_that_cannot_be_exported_is_refused() -> None:
    class Wild(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(ModelError, match=r"^Wild: torch.export cannot trace it for training: "):
        prepare(Wild(), torch.zeros(1, 4))


def test_untrained_conversion_needs_no_data_but_what_it_has_seen(data: Tensor) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(144, 3))
    prepared = prepare(net, data)
    prepared(data)
    made = convert(prepared, data)
    x = made.graph[made.graph.inputs[0]]
    assert x.scale * 255 == pytest.approx(float(data.max() - data.min()), rel=1e-4)
