"""A perceptron 784-256-128-10 on MNIST-5k, pruned and shared: `python -m benchmarks.compress_mlp`, three seeds.

The compressed network runs on the emulated Cortex-M4 from its packed form: codebooks, and entries of gap and index. It
answers some of the 1000 test digits itself and must answer them as the interpreter does. Epochs, the part of zeros and
the number of shared values were chosen with --choose, on 500 of the 4000 training digits held out for it.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import mcuquant as mq
from mcuquant.compression.inputs import Data
from mcuquant.compression.pipeline import compress, integer_answers
from mcuquant.compression.recipe import Quantize, Recipe, Share, Sparsify
from mcuquant.compression.training import Samples, Training
from mcuquant.errors import DeviceError
from mcuquant.quantization.snr import quantized_inputs

from . import mnist

BOARD = "qemu-mps2-an386"
SEEDS = (0, 1, 2)
EVERY = 20
"""Of the test digits, those that go through the emulated board."""
HELD_OUT_EVERY = 8
"""Of the training digits, with --choose: the others train, these are told of."""
RECIPE = Recipe(
    train=Training(epochs=40, learning_rate=2e-3),
    sparsify=Sparsify(ratio=0.93, steps=3, epochs=15),
    share=Share(entries=8, epochs=15),
    quantize=Quantize(method="minmax"),
    fine_tune=Training(learning_rate=2e-3, distill=0.7),
)


@dataclass(frozen=True, slots=True)
class Run:
    """One seed."""

    right: float
    """Part of the test digits, 0 to 1, by the float network."""
    compressed: float
    """By the integers."""
    float_bytes: int
    constant_bytes: int
    """All constants in flash: weights, codebooks, biases, rescale factors."""
    cycles: int
    """Modelled, of one inference on the emulated Cortex-M4."""

    @property
    def smaller(self) -> float:
        return self.float_bytes / self.constant_bytes


def build() -> nn.Sequential:
    return nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10))


def moved(x: Tensor, random: torch.Generator) -> Tensor:
    return mnist.moved(x.view(-1, 1, 28, 28), random).flatten(1)


def main(arguments: list[str]) -> int:
    train, test = (Samples(part.x.flatten(1), part.y) for part in mnist.load())
    if "--choose" in arguments:
        train, test = _held_out(train)
    runs = []
    for seed in SEEDS[:1] if "--choose" in arguments else SEEDS:
        runs.append(one_seed(train, test, seed))
        print(f"seed {seed}: {runs[-1]}, {runs[-1].smaller:.1f} times smaller", flush=True)
    middle = {name: statistics.median(getattr(run, name) for run in runs) for name in Run.__dataclass_fields__}
    print("medians: " + ", ".join(f"{name} {value:,}" for name, value in middle.items()))
    return 0


def _held_out(train: Samples) -> tuple[Samples, Samples]:
    assert train.y is not None
    is_test = torch.arange(len(train)) % HELD_OUT_EVERY == 0
    return Samples(train.x[~is_test], train.y[~is_test]), Samples(train.x[is_test], train.y[is_test])


def one_seed(train: Samples, test: Samples, seed: int) -> Run:
    torch.manual_seed(seed)
    result = compress(build(), Data(train, test=test), replace(RECIPE, seed=seed), moved)
    first, last = result.records[0], result.records[-1]
    assert first.accuracy is not None
    assert last.accuracy is not None
    stored = np.concatenate([quantized_inputs(result.graph, [x[None]])[0] for x in test.x[::EVERY].numpy()])
    with tempfile.TemporaryDirectory(prefix="mq-mlp-") as folder:
        project = mq.compile(result.graph, BOARD, Path(folder) / "project")
        with project.connect() as dut:
            if not np.array_equal(dut.run(stored), integer_answers(result.graph, test.x[::EVERY].numpy())):
                raise DeviceError(f"{BOARD} gives other outputs than the interpreter")
            cycles = dut.bench().count
    return Run(first.accuracy, last.accuracy, first.weight_bytes, project.manifest["constant_bytes"], cycles)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
