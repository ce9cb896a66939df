"""The demo's network of movements made smaller: `python -m benchmarks.compress_imu`, three seeds.

Each seed's float network is trained as `mcuquant demo` trains it and then pruned, with the float network as teacher, on
the seven people it was trained on. How (importance, channels that are left, epochs) was chosen on person 7, with people
1 to 6 to learn from; people 8 to 10 are asked only here. Cycles are those of the emulated Cortex-M4, which answers some
of the windows itself and must answer them as the interpreter does.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import mcuquant as mq
from mcuquant.compression.importance import Importance
from mcuquant.compression.inputs import Data
from mcuquant.compression.pipeline import compress
from mcuquant.compression.recipe import Prune, Recipe
from mcuquant.compression.training import Samples, Training
from mcuquant.demo import data as recordings
from mcuquant.demo import integers, train
from mcuquant.demo.data import DemoData, Windows
from mcuquant.errors import DeviceError
from mcuquant.ir import Graph
from mcuquant.metrics import weight_bytes

BOARD = "qemu-mps2-an386"
SEEDS = (0, 1, 2)
EVERY = 20
"""Of the test windows, those that the emulated board is asked about."""
RECIPE = Recipe(
    prune=Prune(target={"macs": 48_000}, importance=Importance.TAYLOR, multiple=4),
    fine_tune=Training(epochs=40, learning_rate=5e-3, weight_decay=1e-2, distill=0.7, average=0.98),
)


@dataclass(frozen=True, slots=True)
class Run:
    """One network of one seed."""

    right: float
    """Part of the windows of people 8 to 10, 0 to 1."""
    macs: int
    cycles: int
    weight_bytes: int
    constant_bytes: int
    arena_bytes: int


def main() -> int:
    data = recordings.load()
    rows = []
    for seed in SEEDS:
        right, before, after = one_seed(data, seed)
        rows.append((right, before, after))
        print(
            f"seed {seed}: float {right:.4f}; int8 {before}; compressed {after}",
            flush=True,
        )
    print(table(rows))
    return 0


def one_seed(data: DemoData, seed: int) -> tuple[float, Run, Run]:
    """Accuracy of the float network; its int8 form, and what compression made of it."""
    net = train.train(data, seed).net
    before = integers.to_integers(integers.to_graph(net), data)
    recipe = Recipe(prune=RECIPE.prune, fine_tune=RECIPE.fine_tune, seed=seed)
    made = compress(net, Data(samples(data.train)), recipe, train.augmented)
    return train.accuracy(net, data.test), measured(before, data), measured(made.graph, data)


def samples(windows: Windows) -> Samples:
    return Samples(torch.from_numpy(windows.x), torch.from_numpy(windows.y))


def measured(graph: Graph, data: DemoData) -> Run:
    """On the test people: all by the interpreter, some by the emulated board. DeviceError where the two differ."""
    stored = integers.stored_windows(graph, data.test)
    host = integers.host_outputs(graph, stored)
    with tempfile.TemporaryDirectory(prefix="mq-imu-") as folder:
        project = mq.compile(graph, BOARD, Path(folder) / "project")
        with project.connect() as dut:
            if not np.array_equal(dut.run(stored[::EVERY]), host[::EVERY]):
                raise DeviceError(f"{BOARD} answers otherwise than the interpreter")
            measurement = dut.bench()
        manifest = project.manifest
    sizes = manifest["macs"], measurement.count, weight_bytes(graph)
    return Run(integers.accuracy(host, data.test), *sizes, manifest["constant_bytes"], manifest["arena_bytes"])


def table(rows: list[tuple[float, Run, Run]]) -> str:
    """Medians over the seeds, as Markdown."""
    lines = ["|  | right | MACs | cycles | weights, bytes | constants in flash, bytes | arena, bytes |"]
    lines += ["| --- | --: | --: | --: | --: | --: | --: |"]
    lines.append(f"| float | {100 * statistics.median(r for r, _, _ in rows):.2f} % |  |  |  |  |  |")
    for name, runs in (("int8", [b for _, b, _ in rows]), ("compressed", [a for _, _, a in rows])):
        middle = {f: statistics.median(getattr(r, f) for r in runs) for f in Run.__dataclass_fields__}
        counts = " | ".join(f"{int(middle[f]):,}" for f in list(middle)[1:])
        lines.append(f"| {name} | {100 * middle['right']:.2f} % | {counts} |")
    drops = ", ".join(f"{100 * (a.right - r):+.2f}" for r, _, a in rows)
    lines.append(f"\nPoints against float, by seed: {drops}.")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
