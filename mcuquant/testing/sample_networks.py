"""Three small networks of seeded numbers, for checks of a board: an image, a signal, and dense layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import flow
from ..ir import Activation, Array, DType, Graph, Op, Padding, Role, Shape, Tensor, ops

_CALIBRATION = 32


@dataclass
class _Builder:
    """A float graph that grows by operations with random weights."""

    rng: np.random.Generator
    shape: Shape
    tensors: dict[int, Tensor] = field(default_factory=dict)
    ops: list[Op] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._add(self.shape, Role.INPUT)

    def _add(self, shape: Shape, role: Role, data: Array | None = None) -> int:
        i = len(self.tensors)
        self.tensors[i] = Tensor(i, shape, DType.FLOAT32, role, name=f"{role}_{i}", data=data)
        return i

    def then(self, kind: type[Op], shape: Shape, weights: Shape = (), outputs: int = 0, **attributes: Any) -> _Builder:
        """Append an operation on the last activation; `weights` is a shape, `outputs` the number of biases."""
        last = self.ops[-1].outputs[0] if self.ops else 0
        inputs = [last]
        if weights:
            scale = 1 / np.sqrt(np.prod(weights) / outputs)
            inputs.append(self._add(weights, Role.CONSTANT, self._normal(weights, float(scale))))
            inputs.append(self._add((outputs,), Role.CONSTANT, self._normal((outputs,), 0.1)))
        self.ops.append(kind(inputs=tuple(inputs), outputs=(self._add(shape, Role.ACTIVATION),), **attributes))
        return self

    def _normal(self, shape: Shape, scale: float) -> Array:
        return self.rng.normal(0, scale, shape).astype(np.float32)

    def graph(self, name: str) -> Graph:
        """The network, quantized to int8 with random samples."""
        graph = Graph(name, self.tensors, tuple(self.ops), (0,), self.ops[-1].outputs)
        samples = self.rng.normal(0, 1, (_CALIBRATION, *self.shape[1:])).astype(np.float32)
        return flow.quantize(graph, samples)


_RELU = Activation.RELU
_AROUND = Padding(top=1, bottom=1, left=1, right=1)


def image() -> Graph:
    """A convolution, a depthwise one, a mean, and scores of 10 classes; 16 x 16 x 3."""
    net = _Builder(np.random.default_rng(1), (1, 16, 16, 3))
    ends = Padding(bottom=1, right=1)
    net.then(ops.Conv2D, (1, 8, 8, 16), (16, 3, 3, 3), 16, stride=(2, 2), padding=ends, activation=_RELU)
    net.then(ops.DepthwiseConv2D, (1, 8, 8, 16), (1, 3, 3, 16), 16, padding=_AROUND, activation=_RELU)
    net.then(ops.Conv2D, (1, 8, 8, 24), (24, 1, 1, 16), 24, activation=_RELU)
    net.then(ops.Mean, (1, 24), axes=(1, 2))
    return net.then(ops.FullyConnected, (1, 10), (10, 24), 10).then(ops.Softmax, (1, 10)).graph("image")


def signal() -> Graph:
    """Convolutions along time, a maximum, and 4 values; 64 samples of 3 channels."""
    net = _Builder(np.random.default_rng(2), (1, 1, 64, 3))
    net.then(ops.Conv2D, (1, 1, 60, 12), (12, 1, 5, 3), 12, activation=_RELU)
    net.then(ops.MaxPool2D, (1, 1, 30, 12), window=(1, 2), stride=(1, 2))
    net.then(ops.Conv2D, (1, 1, 28, 16), (16, 1, 3, 12), 16, activation=_RELU)
    net.then(ops.Mean, (1, 16), axes=(1, 2))
    return net.then(ops.FullyConnected, (1, 4), (4, 16), 4).graph("signal")


def dense() -> Graph:
    """An autoencoder of dense layers; 96 values."""
    net = _Builder(np.random.default_rng(3), (1, 96))
    net.then(ops.FullyConnected, (1, 24), (24, 96), 24, activation=_RELU)
    net.then(ops.FullyConnected, (1, 8), (8, 24), 8, activation=_RELU)
    return net.then(ops.FullyConnected, (1, 96), (96, 8), 96).graph("dense")


NETWORKS: Mapping[str, Callable[[], Graph]] = {"image": image, "signal": signal, "dense": dense}
