"""MLPerf Tiny's keyword spotter made faster without its training data: `python -m benchmarks.compress_kws`.

Of the 1000 samples that come with the benchmark every other one, 500, is what the pruned network learns from, with the
float reference as teacher and no labels: shifted in time, mixed with each other and with noise, the teacher answering
for all of it. The other 500 are the test. The yardstick is the int8 reference itself. Three seeds.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import mcuquant as mq
from mcuquant.board import load_board
from mcuquant.compression.costs import cost
from mcuquant.compression.from_graph import to_torch
from mcuquant.compression.importance import Importance
from mcuquant.compression.pipeline import integer_answers
from mcuquant.compression.prune import batches_of, prune
from mcuquant.compression.recipe import Prune
from mcuquant.compression.training import Samples, Training, accuracy, answers, fit
from mcuquant.errors import DeviceError
from mcuquant.ir import Graph
from mcuquant.quantization.snr import quantized_inputs

BOARD = "qemu-mps2-an386"
FOLDER = Path(os.environ.get("MCUQUANT_MLPERF_TINY") or Path(__file__).parents[2] / "shared" / "mlperf-tiny")
SEEDS = (0, 1, 2)
EVERY = 25
"""Of the test samples, those that go through the emulated board."""
PRUNE = Prune(target={"macs": "63 %"}, importance=Importance.TAYLOR, multiple=4)
DISTIL = Training(epochs=40, batch=50, learning_rate=2e-3, distill=1.0, temperature=2.0, average=0.98)


@dataclass(frozen=True, slots=True)
class Run:
    """One integer network."""

    right: float
    """Part of the 500 test samples, 0 to 1."""
    macs: int
    cycles: int
    constant_bytes: int
    arena_bytes: int


def main() -> int:
    reference = mq.from_tflite(FOLDER / "kws_int8.tflite")
    teacher = to_torch(without_softmax(mq.from_tflite(FOLDER / "kws_float_hybrid.tflite")))
    train, test = samples(reference)
    first = measured(reference, test)
    print(f"float reference {accuracy(teacher, test):.4f}; int8 reference {first}", flush=True)
    runs = []
    for seed in SEEDS:
        runs.append(measured(compressed(teacher, train, seed), test))
        print(f"seed {seed}: {runs[-1]}, {first.cycles / runs[-1].cycles:.2f} times fewer cycles", flush=True)
    middle = statistics.median(run.right for run in runs)
    cycles = statistics.median(run.cycles for run in runs)
    print(f"medians: {middle:.4f}, {cycles:,.0f} cycles, {first.cycles / cycles:.2f} times fewer")
    return 0


def samples(reference: Graph) -> tuple[Samples, Samples]:
    """(500 to learn from, without labels; 500 to test with), real numbers (N, 1, 49, 10)."""
    with np.load(FOLDER / "kws01.npz") as arrays:
        stored, y = arrays["x"], arrays["y"].astype(np.int64)
    t = reference[reference.inputs[0]]
    x = torch.from_numpy((stored.astype(np.float32) - t.zero_point) * t.scale).view(-1, 1, 49, 10)
    return Samples(x[0::2]), Samples(x[1::2], torch.from_numpy(y[1::2]))


def without_softmax(graph: Graph) -> Graph:
    """What a teacher has to say is in front of it."""
    last = graph.ops[-1]
    assert last.kind == "Softmax"
    return graph.with_(ops=graph.ops[:-1], outputs=last.inputs)


def compressed(teacher: nn.Module, train: Samples, seed: int) -> Graph:
    board, example = load_board(BOARD), train.x[:1]
    taken = answers(teacher, train.x).argmax(dim=1)
    how = Training(**{f: getattr(DISTIL, f) for f in DISTIL.__dataclass_fields__} | {"seed": seed})

    def fine_tune(net: nn.Module) -> None:
        fit(net, train, how, teacher=teacher, augment=varied)

    pruning = PRUNE.pruning(cost(teacher, example, board))
    made = prune(teacher, example, board, pruning, batches_of(train.x, taken), fine_tune=fine_tune)
    whole = nn.Sequential(made.net, nn.Softmax(dim=1)).eval()
    return mq.quantize(mq.from_torch(whole, example), train.x.numpy(), channels_first=True)


def varied(x: Tensor, random: torch.Generator) -> Tensor:
    """Spectrograms moved by up to four frames, two mixed into one, with noise of a twentieth of their spread."""
    moved = torch.stack([torch.roll(one, int(n), dims=1) for one, n in zip(x, _shifts(len(x), random), strict=True)])
    part = torch.rand(len(x), 1, 1, 1, generator=random) ** 2 / 2
    mixed = (1 - part) * moved + part * moved[torch.randperm(len(x), generator=random)]
    return mixed + 0.05 * x.std() * torch.randn(x.shape, generator=random)


def _shifts(n: int, random: torch.Generator) -> Tensor:
    return torch.randint(-4, 5, (n,), generator=random)


def measured(graph: Graph, test: Samples) -> Run:
    """All test samples by the interpreter, some by the emulated board. DeviceError where the two differ."""
    assert test.y is not None
    x = test.x.numpy()
    host = integer_answers(graph, x)
    stored = np.concatenate([quantized_inputs(graph, [one.transpose(1, 2, 0)[None]])[0] for one in x[::EVERY]])
    stored = stored.reshape(-1, *graph[graph.inputs[0]].shape[1:])
    with tempfile.TemporaryDirectory(prefix="mq-kws-") as folder:
        project = mq.compile(graph, BOARD, Path(folder) / "project")
        with project.connect() as dut:
            if not np.array_equal(np.reshape(dut.run(stored), (len(stored), -1)), host[::EVERY]):
                raise DeviceError(f"{BOARD} answers otherwise than the interpreter")
            cycles = dut.bench().count
    right = float((host.argmax(axis=1) == test.y.numpy()).mean())
    manifest = project.manifest
    return Run(right, manifest["macs"], cycles, manifest["constant_bytes"], manifest["arena_bytes"])


if __name__ == "__main__":
    sys.exit(main())
