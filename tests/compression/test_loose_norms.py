"""Training for integers of networks whose batch normalization PyTorch's own flow cannot fold, and other activations."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import mcuquant as mq
from mcuquant.arithmetic.interpreter import evaluate, trace
from mcuquant.compression.loose_norms import ready_for_integers
from mcuquant.compression.pipeline import integer_answers
from mcuquant.ir import Array, DType, Graph
from mcuquant.ir import Tensor as Tensor_
from mcuquant.quantization.samples import read_samples
from mcuquant.quantization.snr import quantized_inputs


class Residual1d(nn.Module):
    """Two convolutions with batch normalization and a shortcut, the normalization of the sum a loose one."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv1d(6, 8, 3, padding=1)
        self.norm = nn.BatchNorm1d(8)
        self.body = nn.Conv1d(8, 8, 3, padding=1, groups=8)
        self.after = nn.BatchNorm1d(8)
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.stem(x)))
        x = torch.relu(self.after(x + self.body(x)))
        return self.head(x.mean(dim=2))  # type: ignore[no-any-return]


def flat(*layers: nn.Module, features: int) -> nn.Sequential:
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(features, 4))


NETS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "conv1d": (flat(nn.Conv1d(6, 8, 5), nn.BatchNorm1d(8), nn.ReLU(), features=8 * 12), (6, 16)),
    "first": (flat(nn.BatchNorm1d(6), nn.Conv1d(6, 8, 5), nn.ReLU(), features=8 * 12), (6, 16)),
    "first of images": (flat(nn.BatchNorm2d(3), nn.Conv2d(3, 8, 3), nn.ReLU(), features=8 * 36), (3, 8, 8)),
    "after linear": (nn.Sequential(nn.Linear(16, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 4)), (16,)),
    "before linear": (nn.Sequential(nn.BatchNorm1d(16), nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 4)), (16,)),
    "without affine": (nn.Sequential(nn.BatchNorm1d(16, affine=False), nn.Linear(16, 4, bias=False)), (16,)),
    "cumulative": (flat(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8, momentum=None), nn.ReLU(), features=8 * 36), (3, 8, 8)),
    "residual": (Residual1d(), (6, 16)),
    "hardswish": (flat(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Hardswish(), features=8 * 36), (3, 8, 8)),
    "silu": (flat(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.SiLU(), features=8 * 36), (3, 8, 8)),
    "leaky": (flat(nn.Conv1d(6, 8, 5), nn.BatchNorm1d(8), nn.LeakyReLU(0.1), features=8 * 12), (6, 16)),
}


def example(name: str, n: int = 32) -> tuple[nn.Module, Tensor]:
    """The network with running statistics as training leaves them, and inputs."""
    torch.manual_seed(3)
    net, shape = copy.deepcopy(NETS[name][0]), NETS[name][1]
    x = torch.randn(n, *shape)
    with torch.no_grad():
        for _ in range(3):
            net.train()(2 * x + 0.5)
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    return net.eval(), x


@pytest.mark.parametrize("name", NETS)
def test_what_takes_the_place_of_a_normalization_computes_the_same(name: str) -> None:
    net, x = example(name)
    ready = ready_for_integers(copy.deepcopy(net), (x,)).eval()
    with torch.no_grad():
        torch.testing.assert_close(ready(x), net(x), rtol=1e-4, atol=1e-4)
    norms = [m for m in ready.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert all(norm.num_batches_tracked is None for norm in norms)


def meaning(t: Tensor_, stored: Array) -> Array:
    """Real values of stored integers."""
    if t.q is None:
        return stored
    scale = np.reshape(t.q.scale, [-1 if i == t.q.axis else 1 for i in range(len(t.shape))])
    return ((stored.astype(np.float64) - t.zero_point) * scale).astype(np.float32)


def step_errors(graph: Graph, x: Array) -> Iterator[float]:
    """For every operation: how far its integers are from the float operation on the same inputs, in output steps."""
    floats = {
        i: replace(t, dtype=DType.FLOAT32, bits=0, q=None, data=None if t.data is None else meaning(t, t.data))
        for i, t in graph.tensors.items()
    }
    real = graph.with_(tensors=floats)
    for sample in x:
        stored = trace(graph, quantized_inputs(graph, read_samples(graph, sample[None], channels_first=True)))
        for op in graph.ops:
            inputs = [t.value if t.is_constant else meaning(graph[t.id], stored[t.id]) for t in real.ins(op)]
            y, q = graph.out(op), graph.out(op).qparams
            low, high = y.dtype.range()
            expected = np.clip(evaluate(real, op, inputs) / q.scale[0] + q.zero_point, low, high)
            yield float(np.abs(stored[y.id] - expected).max())


@pytest.mark.parametrize(
    "name", [n if n in ("conv1d", "residual") else pytest.param(n, marks=pytest.mark.slow) for n in NETS]
)
def test_the_integers_are_the_trained_module_s(name: str) -> None:
    """Each layer is within one step of what the floats of its integer inputs round to.

    The output of the network is within two of the trained module's: TFLite rounds twice where PyTorch rounds once, and
    a step of difference in one layer is an input of the next.
    """
    net, x = example(name)
    y = torch.randint(0, 4, (len(x),))

    def train(module: nn.Module) -> None:
        optimizer = torch.optim.SGD(module.parameters(), 1e-2)
        for _ in range(4):
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(x), y).backward()
            optimizer.step()

    trained = mq.qat(net, x[:1], train)
    with torch.no_grad():
        real = trained.module(x).numpy()
    assert max(step_errors(trained.graph, x.numpy()[:8])) < 1.01
    q = trained.graph[trained.graph.outputs[0]].q
    assert q is not None
    found = integer_answers(trained.graph, x.numpy()).astype(np.float64)
    assert real.std() > 0
    distance = np.abs(found - (real / q.scale[0] + q.zero_point))
    assert distance.max() < 2.01
    assert (distance < 1.01).mean() > 0.97
