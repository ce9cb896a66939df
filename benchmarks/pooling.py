"""What computing a convolution and its pooling by strips saves: `python -m benchmarks.pooling`, for docs/planner.md.

The classic network for images of 28x28: two convolutions of 3x3, each with a ReLU and pooled by two, and a fully
connected layer; random weights, on which nothing that is measured depends. Each plan is compiled for the emulated
Cortex-M4, run on one sample, compared with the interpreter, and its cycles are modelled.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import mcuquant as mq
from mcuquant.ir import Graph

BOARD = "qemu-mps2-an386"


@dataclass(frozen=True, slots=True)
class Row:
    arena_bytes: int
    cycles: int
    network_flash_bytes: int
    operations: tuple[str, ...]
    """Of each step."""


def classic() -> Graph:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    layers: list[nn.Module] = []
    for inputs, outputs in ((1, 16), (16, 32)):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(32 * 7 * 7, 10))
    samples = torch.randn(64, 1, 28, 28)
    return mq.quantize(mq.from_torch(net.eval(), samples[:1]), samples.numpy(), channels_first=True)


def measure(graph: Graph, folder: Path, **objective: Any) -> Row:
    """AssertionError when the emulated board and the interpreter differ."""
    project = mq.compile(graph, board=BOARD, output=folder / "net", **objective)
    x = np.random.default_rng(3).integers(-128, 128, graph[graph.inputs[0]].shape).astype(np.int8)
    with project.connect() as board:
        actual = board.run(x)
        measured = board.bench()
    assert np.array_equal(np.asarray(actual).ravel(), mq.run(graph, [x])[0].ravel()), f"{objective}: differs"
    manifest = project.manifest
    operations = tuple(layer["op"] for layer in manifest["layers"])
    return Row(manifest["arena_bytes"], measured.count, manifest["firmware"]["network_flash_bytes"], operations)


def main() -> None:
    aims: dict[str, dict[str, Any]] = {
        "`--optimize speed`": {"optimize": "speed"},
        "`--optimize speed --max-ram 6144`": {"optimize": "speed", "max_ram": 6144},
        "`--optimize balanced`": {"optimize": "balanced"},
        "`--optimize size --max-ram 6144`": {"optimize": "size", "max_ram": 6144},
    }
    graph = classic()
    print("| | arena | modelled cycles | flash | steps |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="mq-pooling-") as folder:
        for name, objective in aims.items():
            row = measure(graph, Path(folder), **objective)
            sizes = f"{row.arena_bytes:,} | {row.cycles:,} | {row.network_flash_bytes:,}"
            print(f"| {name} | {sizes} | {', '.join(row.operations)} |", flush=True)


if __name__ == "__main__":
    main()
