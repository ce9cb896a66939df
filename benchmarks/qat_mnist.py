"""A small convolutional network on MNIST-5k, its weights at 8, 4 and 2 bits: `python -m benchmarks.qat_mnist [SEED
...]`.

For each seed (0, 1 and 2 where none is given): trained as floats, quantized after training with and without adaptive
rounding and bias correction, and trained further with the device's rounding (the float network teaching). Accuracies
are those of the integer networks on 1000 digits, by the interpreter; the emulated Cortex-M4 computes some of them and
must answer the same.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

import mcuquant as mq
from mcuquant.compression.qat import qat
from mcuquant.compression.training import Samples, Training, alone, figure, fit
from mcuquant.errors import DeviceError
from mcuquant.ir import Array, Graph
from mcuquant.ir.metrics import weight_bytes
from mcuquant.quantization.sample_layout import to_graph_layout
from mcuquant.quantization.snr import quantized_inputs

from . import mnist

BOARD = "qemu-mps2-an386"
NEAREST = mq.Weights(quantizer="nearest", bits=4, adaptive_rounding=False, correct_bias=False)
SEEDS = (0, 1, 2)
FLOAT = Training(epochs=24, learning_rate=5e-3)
ROUNDED = Training(epochs=8, learning_rate=2e-3)
CALIBRATE_EVERY = 20
"""Of the training digits; 200 remain."""
COMPARED_EVERY = 20
"""Of the test digits; 50 go through the interpreter and the emulated board."""


@dataclass(frozen=True, slots=True)
class Row:
    """One way to make the network, over all seeds."""

    name: str
    right: tuple[float, ...]
    """Parts of the test digits, 0 to 1, by seed."""
    weight_bytes: int
    cycles: int
    """Modelled, of one inference on the emulated Cortex-M4; 0 where it has not run."""

    @property
    def median(self) -> float:
        return statistics.median(self.right)


def build() -> nn.Sequential:
    """Three convolutions with batch normalization, pooling, a linear layer: 24 thousand parameters."""

    def block(inputs: int, outputs: int, kernel: int, stride: int) -> list[nn.Module]:
        convolution = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
        return [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]

    layers = [*block(1, 16, 5, 2), *block(16, 32, 3, 2), *block(32, 48, 3, 1)]
    return nn.Sequential(*layers, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(432, 10))


def networks(train: Samples, seed: int) -> tuple[nn.Module, dict[str, Graph]]:
    """The float network, and every integer form of it by name."""
    with alone(seed):
        net = build()
        fit(net, train, replace(FLOAT, seed=seed), augment=mnist.moved)
        graph = mq.from_torch(net, train.x[:1])
        result = after_training(graph, train.x[::CALIBRATE_EVERY].numpy())
        how = replace(ROUNDED, seed=seed)
        teach = partial(fit, samples=train, how=how, teacher=net, augment=mnist.moved)
        trained = {f"{bits}-bit weights, trained": qat(net, train.x, teach, bits=bits).graph for bits in (4, 2)}
    return net, result | trained


def after_training(graph: Graph, x: Array) -> dict[str, Graph]:
    """Quantized with calibration alone."""
    ways = {"int8": mq.Weights(), "4-bit weights, to nearest": NEAREST}
    for bits in (4, 2):
        ways[f"{bits}-bit weights, adaptive"] = mq.Weights(bits=bits)
    return {name: mq.quantize(graph, x, "mse", channels_first=True, weights=how) for name, how in ways.items()}


def stored(graph: Graph, samples: Samples) -> Array:
    """Stored inputs, one a sample."""
    x = to_graph_layout(samples.x.numpy(), graph[graph.inputs[0]].shape)
    return np.concatenate([quantized_inputs(graph, [x[i : i + 1]])[0] for i in range(len(x))])


def measured(graph: Graph, test: Samples, on_board: bool) -> tuple[float, int]:
    """(part of right answers, cycles of one inference, 0 unless `on_board`).

    DeviceError unless C on this computer, and the emulated board, answer as the interpreter.
    """
    assert test.y is not None
    x = stored(graph, test)
    with tempfile.TemporaryDirectory() as folder:
        project = mq.compile(graph, board=BOARD, output=Path(folder) / "net", build_firmware=on_board)
        (actual,) = project.run_host(x)
        right = float((actual.reshape(len(x), -1).argmax(axis=1) == test.y.numpy()).mean())
        some, expected = x[::COMPARED_EVERY], actual[::COMPARED_EVERY]
        _same("C on this computer", expected, np.concatenate([mq.run(graph, [row[None]])[0] for row in some]))
        if not on_board:
            return right, 0
        with project.connect() as dut:
            _same(BOARD, np.asarray(dut.run(some)), expected)
            return right, dut.bench().count


def _same(who: str, actual: Array, expected: Array) -> None:
    if not np.array_equal(actual.reshape(expected.shape), expected):
        raise DeviceError(f"{who} gives other outputs than the interpreter: this is a defect of mcuquant")


def rows(train: Samples, test: Samples, seeds: Sequence[int] = SEEDS) -> list[Row]:
    floats: list[float] = []
    right: dict[str, list[float]] = {}
    sizes: dict[str, tuple[int, int]] = {}
    for seed in seeds:
        net, graphs = networks(train, seed)
        floats.append(figure(net, test))
        for name, graph in graphs.items():
            part, cycles = measured(graph, test, on_board=name not in sizes)
            right.setdefault(name, []).append(part)
            sizes.setdefault(name, (weight_bytes(graph), cycles))
        print(f"seed {seed}: float {floats[-1]:.4f}", {n: r[-1] for n, r in right.items()}, file=sys.stderr)
    table_rows = [Row("float32, PyTorch", tuple(floats), 4 * sum(p.numel() for p in build().parameters()), 0)]
    return table_rows + [Row(name, tuple(parts), *sizes[name]) for name, parts in right.items()]


def table(table_rows: Sequence[Row]) -> str:
    lines = ["| network | right, by seed | median | constants | cycles |", "|---|---|---|---|---|"]
    for row in table_rows:
        each = ", ".join(f"{100 * part:.1f}" for part in row.right)
        cycles = f"{row.cycles:,}" if row.cycles else ""
        lines.append(f"| {row.name} | {each} | {100 * row.median:.1f} % | {row.weight_bytes:,} B | {cycles} |")
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    torch.set_num_threads(1)
    seeds = tuple(map(int, arguments)) or SEEDS
    print(table(rows(*mnist.load(), seeds)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
