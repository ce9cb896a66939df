"""Estimated cycles of whole networks beside counted ones: `python -m benchmarks.network_estimates [BOARD [COUNT]]`.

The networks are `COUNT` drawn ones (`benchmarks.drawn_networks`), those of Texas Instruments (`benchmarks.published`),
those of `benchmarks.networks`, and MLPerf Tiny's if they are on this machine. `--kernels` prints the kernels that
contribute the largest part of an error, too.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import mcuquant as mq
from benchmarks import networks, published
from benchmarks.__main__ import mlperf_tiny
from benchmarks.drawn_networks import drawn_network
from mcuquant import flow
from mcuquant.errors import ModelError

BOARD = "qemu-mps2-an386"


@dataclass(frozen=True, slots=True)
class Row:
    """A network, its cycles (or instructions) as estimated and as counted, and the error of each kernel."""

    name: str
    estimate: int
    count: int
    errors: dict[str, int]

    @property
    def error(self) -> float:
        return self.estimate / self.count - 1

    @property
    def worst(self) -> str:
        """The kernel with the largest error in cycles, and its part of the network's count."""
        kernel = max(self.errors, key=lambda kernel: abs(self.errors[kernel]))
        return f"{kernel} {self.errors[kernel] / self.count:+.1%}"


def measured(name: str, graph: mq.Graph, board: str, optimize: str = "speed") -> Row:
    """The network compiled for an emulated board and executed there."""
    with tempfile.TemporaryDirectory(prefix="mq-estimates-") as folder:
        project = mq.compile(graph, board=board, output=Path(folder) / "net", optimize=optimize)
        with project.connect() as device:
            counted = device.bench()
    errors, layers = defaultdict[str, int](int), project.manifest["layers"]
    for layer, row in zip(layers, counted.layers, strict=True):
        errors[layer["kernel"]] += layer["estimated_cycles"] - row.count
    return Row(name, sum(layer["estimated_cycles"] for layer in layers), counted.count, dict(errors))


def all_networks(count: int) -> Iterator[tuple[str, Callable[[], mq.Graph]]]:
    """The name of each network, and the function that builds it."""
    yield from ((f"drawn {seed}", partial(drawn_network, seed)) for seed in range(count))
    yield from ((name, partial(published.network, name)) for name in published.NETWORKS)
    yield from ((name, partial(networks.quantized, name)) for name in networks.NETWORKS)
    try:
        paths = mlperf_tiny()
    except ModelError:
        return
    yield from ((path.stem, partial(flow.from_tflite, path)) for path in paths)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("board", nargs="?", default=BOARD)
    parser.add_argument("count", nargs="?", type=int, default=20)
    parser.add_argument("--kernels", action="store_true", help="name the kernel with the largest error")
    parser.add_argument("--optimize", default="speed")
    arguments = parser.parse_args()
    rows = []
    for name, build in all_networks(arguments.count):
        row = measured(name, build(), arguments.board, arguments.optimize)
        rows.append(row)
        worst = f", {row.worst}" if arguments.kernels else ""
        print(f"{name}: {row.estimate:,} estimated, {row.count:,} counted, {row.error:+.1%}{worst}", flush=True)
    largest = max(rows, key=lambda row: abs(row.error))
    print(f"{len(rows)} networks, largest error {largest.error:+.1%} ({largest.name})")


if __name__ == "__main__":
    main()
