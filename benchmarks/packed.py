"""What storing weights packed takes and costs: `python -m benchmarks.packed`, figures of docs/compression.md.

A fully connected network 784-256-128-10 and a convolutional one, with random weights of a given kind: sizes and cycles
depend on how many weights are 0 and how many values there are, hardly on which. Each is compiled for the emulated
Cortex-M4, run on one sample, compared with the interpreter, and its cycles are modelled.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

import mcuquant as mq
from mcuquant.ir import Array, DType, Graph, Op, Palette, QParams, Role, Tensor, ops

BOARD = "qemu-mps2-an386"
SIZES = (784, 256, 128, 10)
FLOAT_BYTES = 4
Weights = Callable[[np.random.Generator, tuple[int, ...]], dict[str, object]]
"""Fields of a weight tensor of a shape."""


@dataclass(frozen=True, slots=True)
class Row:
    """One network with one kind of weights."""

    network: str
    kind: str
    parameters: int
    constant_bytes: int
    cycles: int
    kernels: tuple[str, ...]

    @property
    def smaller(self) -> float:
        """Times smaller than the same parameters as float32."""
        return self.parameters * FLOAT_BYTES / self.constant_bytes


def plain(rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, object]:
    return {"data": rng.integers(-127, 128, shape).astype(np.int8)}


def narrow(bits: int) -> Weights:
    half = 1 << (bits - 1)
    return lambda rng, shape: {"data": rng.integers(-half, half, shape).astype(np.int8), "bits": bits}


def shared(entries: int, zeros: float = 0.0) -> Weights:
    """`entries` values, 0 among them; a part of `zeros` is 0."""

    def weights(rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, object]:
        book = np.linspace(-127, 127, entries).round().astype(np.int8)
        book[entries // 2] = 0
        indices = rng.integers(0, entries, shape)
        indices[rng.random(shape) < zeros] = entries // 2
        palette = Palette(book[None], indices.astype(np.uint8))
        return {"data": palette.values(), "palette": palette}

    return weights


def two_of_four(rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, object]:
    """Of every four weights along the input channels the two largest."""
    data = rng.integers(-127, 128, shape)
    fours = data.reshape(-1, 4)
    np.put_along_axis(fours, np.abs(fours).argsort(axis=1)[:, :2], 0, axis=1)
    return {"data": data.astype(np.int8)}


def pruned(zeros: float) -> Weights:
    def weights(rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, object]:
        data = rng.integers(-127, 128, shape)
        return {"data": np.where(rng.random(shape) < zeros, 0, data).astype(np.int8)}

    return weights


@dataclass(slots=True)
class _Net:
    """Layers one after the other over `tensors`."""

    rng: np.random.Generator
    weights: Weights
    tensors: dict[int, Tensor]
    ops: list[Op]

    @classmethod
    def of(cls, shape: tuple[int, ...], weights: Weights) -> _Net:
        x = Tensor(0, shape, DType.INT8, Role.INPUT, q=QParams.of(0.02, -128), name="x")
        return cls(np.random.default_rng(1), weights, {0: x}, [])

    def layer(self, kind: type[Op], shape: tuple[int, ...], w_shape: tuple[int, ...], **attributes: object) -> None:
        x, n = max(self.tensors), len(self.tensors)
        if self.ops:
            x = self.ops[-1].output
        fields = self.weights(self.rng, w_shape)
        w = replace(Tensor(n, w_shape, DType.INT8, Role.CONSTANT, q=QParams.of(0.01)), **fields)  # type: ignore[arg-type]
        bias = self.rng.integers(-500, 500, w_shape[0]).astype(np.int32)
        spread = float(np.sqrt((w.integer_values.astype(float) ** 2).sum() / w_shape[0])) * 80
        y = QParams.of(0.02 * 0.01 * spread / 60, -128)
        self.tensors[n] = w
        self.tensors[n + 1] = Tensor(n + 1, bias.shape, DType.INT32, Role.CONSTANT, data=bias)
        self.tensors[n + 2] = Tensor(n + 2, shape, DType.INT8, Role.ACTIVATION, q=y, name=f"y{n}")
        self.ops.append(kind(inputs=(x, n, n + 1), outputs=(n + 2,), **attributes))

    def graph(self, name: str) -> Graph:
        return Graph(name, self.tensors, tuple(self.ops), (0,), (self.ops[-1].output,))


def dense(weights: Weights) -> Graph:
    net = _Net.of((1, SIZES[0]), weights)
    for depth, outputs in pairwise(SIZES):
        net.layer(ops.FullyConnected, (1, outputs), (outputs, depth), activation=ops.Activation.RELU)
    return net.graph("784-256-128-10")


def convolutional(weights: Weights) -> Graph:
    """Pointwise and 3x3 convolutions of 32 and 64 channels over 12x12 pixels."""
    net = _Net.of((1, 12, 12, 32), weights)
    same = {"padding": ops.Padding(top=1, bottom=1, left=1, right=1), "activation": ops.Activation.RELU}
    net.layer(ops.Conv2D, (1, 12, 12, 64), (64, 1, 1, 32), activation=ops.Activation.RELU)
    net.layer(ops.Conv2D, (1, 12, 12, 64), (64, 1, 1, 64), activation=ops.Activation.RELU)
    net.layer(ops.Conv2D, (1, 12, 12, 32), (32, 3, 3, 64), **same)
    return net.graph("convolutions")


KINDS: dict[str, Weights] = {
    "8 bits": plain,
    "4 bits": narrow(4),
    "2 bits": narrow(2),
    "16 shared": shared(16),
    "4 shared": shared(4),
    "2 of 4": two_of_four,
    "80 % zeros": pruned(0.8),
    "90 % zeros": pruned(0.9),
    "95 % zeros": pruned(0.95),
    **{f"{z} % zeros, {n} shared": shared(n, z / 100) for z in (90, 92, 95) for n in (4, 8, 16)},
}


def measure(graph: Graph, kind: str, folder: Path, optimize: str) -> Row:
    """AssertionError when the emulated board and the interpreter differ."""
    project = mq.compile(graph, board=BOARD, output=folder / "net", shrink=False, optimize=optimize)
    x: Array = np.random.default_rng(3).integers(-128, 128, graph[0].shape).astype(np.int8)
    with project.connect() as board:
        actual = board.run(x)
        measured = board.bench()
    assert np.array_equal(np.asarray(actual).ravel(), mq.run(graph, [x])[0].ravel()), f"{graph.name}, {kind}: differs"
    kernels = tuple(dict.fromkeys(layer["kernel"].removeprefix("mq_") for layer in project.manifest["layers"]))
    manifest = project.manifest
    return Row(graph.name, kind, manifest["parameters"], manifest["constant_bytes"], measured.count, kernels)


def rows(name: str, optimize: str) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="mq-packed-") as folder:
        for make in (dense, convolutional):
            for kind, weights in KINDS.items():
                if name in kind:
                    yield measure(make(weights), kind, Path(folder), optimize)


def main(arguments: list[str]) -> None:
    """A word picks the kinds of weights whose name has it; a second one is what to optimize for."""
    name, optimize = (*arguments, *("", "balanced")[len(arguments) :])
    print("| network | weights | bytes | smaller than float32 | modelled cycles | kernels |\n|---|---|---|---|---|---|")
    for row in rows(name, optimize):
        sizes = f"{row.constant_bytes:,} | {row.smaller:.1f}x | {row.cycles:,}"
        print(f"| {row.network} | {row.kind} | {sizes} | {', '.join(row.kernels)} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
