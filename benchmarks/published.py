"""Networks for which Texas Instruments publishes cycles of its own compiler: `python -m benchmarks.published [BOARD]`.

Input 1x256x1, two classes: a BatchNorm, convolutions K x 1 with padding K/2, BatchNorm and ReLU, max-pools of 3 x 1
with stride 2, a global average and a linear layer. Weights and statistics are random, from a seed: the cycles may
change by a few percent with them. Outputs are compared with the interpreter.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

import mcuquant as mq
from mcuquant.ir import Graph

BOARD = "qemu-mps2-an386"
NETWORKS = {
    "1k": "c5 8, c5 8, p, c3 16",
    "4k": "c5 8 s2, c3 8, p, c5 16 s2, c5 32 s2",
    "6k": "c3 16 s4, p, d3, c1 32, p, d3, c1 48, c5 16",
    "13k": "c5 8 s2, c3 16 s2, c3 16, c3 32 s2, c3 32, c3 64 s2",
}
"""cK N: a convolution to N channels; dK: a depthwise one; sS: its stride; p: a max-pool."""
THEIRS = {
    "1k": (1_300_325, 3_725_652, 349_653),
    "4k": (596_086, 1_473_033, 195_162),
    "6k": (3_186_844, 9_343_020, 408_087),
    "13k": (2_887_600, 7_405_900, 432_214),
}
"""Cycles with Texas Instruments' compiler on Cortex-M33, on Cortex-M0+, and on M0+ with its accelerator."""


def network(name: str) -> Graph:
    """A network of `NETWORKS`, quantized to int8 with random samples."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    channels, layers = 1, list[nn.Module]([nn.BatchNorm2d(1)])
    for text in NETWORKS[name].split(", "):
        more, channels = _layer(text, channels)
        layers += more
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 2))
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
            module.running_mean = torch.rand(module.num_features) - 0.5
            module.running_var = torch.rand(module.num_features) + 0.5
    samples = torch.randn(64, 1, 256, 1)
    return mq.quantize(mq.from_torch(net.eval(), samples[:1]), samples.numpy(), channels_first=True)


def _layer(text: str, channels: int) -> tuple[list[nn.Module], int]:
    """Modules of one layer, and its output channels."""
    kind, *rest = text.split()
    if kind == "p":
        return [nn.MaxPool2d((3, 1), (2, 1), (1, 0))], channels
    taps, stride = int(kind[1:]), int(next((word[1:] for word in rest if word[0] == "s"), "1"))
    outputs = channels if kind[0] == "d" else int(rest[0])
    groups = channels if kind[0] == "d" else 1
    conv = nn.Conv2d(channels, outputs, (taps, 1), (stride, 1), (taps // 2, 0), groups=groups)
    return [conv, nn.BatchNorm2d(outputs), nn.ReLU()], outputs


def measure(name: str, board: str, folder: Path) -> tuple[int, int]:
    """(cycles or instructions of an inference, bytes of its arena). AssertionError where the outputs differ."""
    graph = network(name)
    project = mq.compile(graph, board=board, output=folder / name, optimize="speed")
    x = np.random.default_rng(3).integers(-128, 128, graph[graph.inputs[0]].shape).astype(np.int8)
    with project.connect() as device:
        actual, measured = device.run(x), device.bench()
    assert np.array_equal(np.asarray(actual).ravel(), mq.run(graph, [x])[0].ravel()), f"{name}: the outputs differ"
    return measured.count, project.manifest["arena_bytes"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("board", nargs="?", default=BOARD)
    board = parser.parse_args().board
    print(f"| network | layers | TI: M33 | M0+ | M0+ with accelerator | {board} | arena bytes |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="mq-published-") as folder:
        for name, layers in NETWORKS.items():
            count, arena_bytes = measure(name, board, Path(folder))
            theirs = " | ".join(f"{cycles:,}" for cycles in THEIRS[name])
            print(f"| {name} | {layers} | {theirs} | {count:,} | {arena_bytes:,} |", flush=True)


if __name__ == "__main__":
    main()
