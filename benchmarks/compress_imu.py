"""The demo's network of movements made smaller: `python -m benchmarks.compress_imu [SEED ...]`, by default 0, 1, 2.

Each seed's float network is trained as `mcuquant demo` trains it; its thin form learns from the same seven people, as
RECIPE says. How was chosen by leaving out some of those seven, two or three at a time, and is compared with the float
network so by `python -m benchmarks.compress_imu choose [SEED ...]`; people 8 to 10 are asked only by the first command.
Cycles are those of the emulated Cortex-M4, which answers some of the windows itself and must answer them as the
interpreter does.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import mcuquant as mq
from mcuquant.compression.inputs import Data
from mcuquant.compression.pipeline import compress, integer_accuracy
from mcuquant.compression.recipe import Prune, Recipe, Teach
from mcuquant.compression.training import Samples, Training
from mcuquant.demo import data as recordings
from mcuquant.demo import integers, train
from mcuquant.demo.data import MEMBER, TRAIN, DemoData, Windows
from mcuquant.demo.recordings import read_recordings
from mcuquant.errors import DeviceError
from mcuquant.ir import Graph
from mcuquant.ir.metrics import weight_bytes

BOARD = "qemu-mps2-an386"
SEEDS = (0, 1, 2)
EVERY = 20
"""Of the test windows, those that the emulated board is asked about."""
TEST_PEOPLE = ((1, 2), (3, 4), (5, 6))
"""People who judge while choosing, and do not train then; person 7 chooses the float network's epoch as ever."""
STEP = 8
"""Windows to learn from begin every 160 ms: 20 thousand of them."""
NOISE = 0.1
STRETCH = 0.2
RECIPE = Recipe(
    teach=Teach(networks=5, epochs=3, learning_rate=3e-3, weight_decay=1e-2, smoothing=0.05, average=0.98),
    prune=Prune(widths={"0": 8, "3": 8, "6": 12, "9": 24}, reinitialize=True),
    fine_tune=Training(
        epochs=13,
        learning_rate=5e-3,
        weight_decay=1e-2,
        distill=1.0,
        temperature=2.0,
        mixup=0.5,
        average=0.99,
        dropout=0.0,
    ),
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
    choosing = sys.argv[1:2] == ["choose"]
    seeds = [int(text) for text in sys.argv[1 + choosing :]] or SEEDS
    if choosing:
        choose(seeds)
        return 0
    read = read_recordings(recordings.find_file(), MEMBER)
    data, rows = recordings.load(read), []
    learnt = samples(read, data, TRAIN)
    for seed in seeds:
        right, before, after = one_seed(data, learnt, seed)
        rows.append((right, before, after))
        print(
            f"seed {seed}: float {right:.4f}; int8 {before}; compressed {after}",
            flush=True,
        )
    print(table(rows))
    return 0


def one_seed(data: DemoData, learnt: Samples, seed: int) -> tuple[float, Run, Run]:
    """Accuracy of the float network; its int8 form, and what compression made of it."""
    net = train.train(data, seed).net
    before = integers.to_integers(integers.to_graph(net), data)
    result = compress(net, Data(learnt), replace(RECIPE, seed=seed), varied)
    return train.accuracy(net, data.test), measured(before, data), measured(result.graph, data)


def choose(seeds: Sequence[int]) -> None:
    """Prints, for each left out group and seed, how often the float network and its compressed form are right."""
    read = read_recordings(recordings.find_file(), MEMBER)
    whole, differences = recordings.load(read), []
    for seed in seeds:
        for out in TEST_PEOPLE:
            people = [person for person in TRAIN if person not in out]
            data = replace(whole, train=whole.train.of(people), test=whole.train.of(out))
            net = train.train(data, seed).net
            result = compress(net, Data(samples(read, data, people)), replace(RECIPE, seed=seed), varied)
            right = train.accuracy(net, data.test), integer_accuracy(result.graph, tensors(data.test))
            differences.append(right[1] - right[0])
            print(f"seed {seed} without {out}: float {right[0]:.4f}, compressed {right[1]:.4f}", flush=True)
    print(f"mean difference {100 * statistics.mean(differences):+.2f} points")


def samples(read: dict[str, Any], data: DemoData, people: Sequence[int]) -> Samples:
    """Windows of these people in steps closer than the demo's, scaled as its are."""
    found = recordings.cut(read, step=STEP).of(people)
    return tensors(replace(found, x=found.x / np.repeat(np.array(data.units, np.float32), 3)[:, None]))


def tensors(windows: Windows) -> Samples:
    return Samples(torch.from_numpy(windows.x), torch.from_numpy(windows.y))


def varied(x: Tensor, random: torch.Generator) -> Tensor:
    """Windows (N, 6, 128) on either wrist, faster or slower, turned, of another size, with noise.

    The other wrist is a mirror image: its normal, x, is the arm's direction. Of an acceleration the part along the
    normal changes sign; of a rotation, an axial vector, the two parts across it do.
    """
    other = torch.rand(len(x), 1, 1, generator=random) < 0.5
    mirrored = x * torch.tensor([-1.0, 1, 1, 1, -1, -1])[:, None]
    turned = train.augmented(stretched(torch.where(other, mirrored, x), random), random)
    return turned + NOISE * torch.randn(x.shape, generator=random)


def stretched(x: Tensor, random: torch.Generator) -> Tensor:
    """Movements up to a fifth faster or slower, about the middle of the window, reflected at its ends."""
    speed, last = 1 + STRETCH * (2 * torch.rand(len(x), 1, generator=random) - 1), x.shape[2] - 1
    at = ((torch.arange(last + 1) - last / 2) * speed + last / 2).abs()
    at = torch.where(at > last, 2 * last - at, at)
    before = at.long().clamp(max=last - 1)
    low, high = (torch.gather(x, 2, i[:, None].expand(-1, x.shape[1], -1)) for i in (before, before + 1))
    signal = torch.lerp(low, high, (at - before)[:, None])
    return torch.cat([signal[:, :3], signal[:, 3:] * speed[:, :, None]], dim=1)


def measured(graph: Graph, data: DemoData) -> Run:
    """On the test people: all by the interpreter, some by the emulated board. DeviceError where the two differ."""
    stored = integers.stored_windows(graph, data.test)
    host = integers.host_outputs(graph, stored)
    with tempfile.TemporaryDirectory(prefix="mq-imu-") as folder:
        project = mq.compile(graph, BOARD, Path(folder) / "project")
        with project.connect() as dut:
            if not np.array_equal(dut.run(stored[::EVERY]), host[::EVERY]):
                raise DeviceError(f"{BOARD} gives other outputs than the interpreter")
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
