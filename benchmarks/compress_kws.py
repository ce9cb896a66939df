"""MLPerf Tiny's keyword spotter made faster without its training data: `python -m benchmarks.compress_kws [SEED ...]`.

Of the 1000 samples that come with the benchmark every other one, 500, is what the faster network learns from, with the
float reference as teacher and no labels: warped, shifted, mixed with each other and with noise, the teacher answering
for all of it. The other 500 are the test. The yardstick is the int8 reference itself. Seeds 0, 1, 2 if none is named.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import mcuquant as mq
from mcuquant.compression.from_graph import to_torch
from mcuquant.compression.pipeline import integer_answers
from mcuquant.compression.strides import strided
from mcuquant.compression.training import Samples, Training, figure, fit
from mcuquant.errors import DeviceError
from mcuquant.ir import Graph
from mcuquant.quantization.snr import quantized_inputs

BOARD = "qemu-mps2-an386"
FOLDER = Path(os.environ.get("MCUQUANT_MLPERF_TINY") or Path(__file__).parents[2] / "shared" / "mlperf-tiny")
SEEDS = (0, 1, 2)
EVERY = 25
"""Of the test samples, those that go through the emulated board."""
STRIDES = {"layers.op3.0": (2, 1), "layers.op7.0": (2, 1)}
"""The second and the fourth depthwise convolution take every second frame: 25 become 13, then 7."""
DISTIL = Training(
    epochs=400,
    batch=50,
    learning_rate=2e-3,
    temperature=2.0,
    average=0.998,
    match=("layers.op2", "layers.op4", "layers.op6", "layers.op8"),
)
FRAMES, COEFFICIENTS = 49, 10


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
    print(f"float reference {figure(teacher, test):.4f}; int8 reference {first}", flush=True)
    runs = []
    for seed in [int(text) for text in sys.argv[1:]] or SEEDS:
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
    example = train.x[:1]
    net = strided(teacher, example, STRIDES)
    for one in (net, teacher):
        one.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a little faster
    fit(net, train, replace(DISTIL, seed=seed), teacher=teacher, augment=Augmentation(train.x))
    whole = nn.Sequential(net, nn.Softmax(dim=1)).eval()
    return mq.quantize(mq.from_torch(whole, example), train.x.numpy(), channels_first=True)


class Augmentation:
    """Spectrograms as they might have been, and as they never are: the teacher has an answer for each.

    "Patient and consistent" teaching: L. Beyer et al., "Knowledge distillation: A good teacher is patient and
    consistent" (CVPR 2022).
    """

    def __init__(self, x: Tensor) -> None:
        self.spread = x.std(dim=(0, 1, 2), keepdim=True)
        """Of each coefficient: (1, 1, 1, 10)."""

    def __call__(self, x: Tensor, random: torch.Generator) -> Tensor:
        """Up to 15 % slower or faster and five frames early or late; half of them mixed with another, of a quarter
        some frames another's; each coefficient with an offset of its own, louder or softer, and noise."""
        n = len(x)
        moved = rolled(warped(x, random), torch.randint(-5, 6, (n,), generator=random))
        other = moved[torch.randperm(n, generator=random)]
        dice, part = (torch.rand(n, 1, 1, 1, generator=random) for _ in range(2))
        mixed = torch.where(dice < 0.5, part * moved + (1 - part) * other, torch.where(span(n, random), other, moved))
        mixed = torch.where(dice < 0.75, mixed, moved)
        offset = 0.2 * self.spread * torch.randn(n, 1, 1, COEFFICIENTS, generator=random)
        gain = 1 + 0.1 * torch.randn(n, 1, 1, 1, generator=random)
        noise = 0.2 * torch.rand(n, 1, 1, 1, generator=random) * self.spread
        return (mixed + offset) * gain + noise * torch.randn(x.shape, generator=random)


def warped(x: Tensor, random: torch.Generator) -> Tensor:
    """(N, 1, 49, 10) stretched or squeezed about its middle frame, interpolated."""
    speed = 1 + 0.15 * (2 * torch.rand(len(x), 1, generator=random) - 1)
    middle = FRAMES // 2
    at = ((torch.arange(FRAMES) - middle) * speed + middle).clamp(0, FRAMES - 1)
    before = at.long().clamp(max=FRAMES - 2)
    part = (at - before).view(-1, 1, FRAMES, 1)
    return (1 - part) * frames(x, before) + part * frames(x, before + 1)


def rolled(x: Tensor, by: Tensor) -> Tensor:
    return frames(x, (torch.arange(FRAMES) - by[:, None]) % FRAMES)


def frames(x: Tensor, numbers: Tensor) -> Tensor:
    """Of each spectrogram the frames numbered (N, 49)."""
    return torch.gather(x, 2, numbers.view(-1, 1, FRAMES, 1).expand(-1, 1, -1, COEFFICIENTS))


def span(n: int, random: torch.Generator) -> Tensor:
    """(n, 1, 49, 1): True for 4 to 24 frames in a row, round the end."""
    first, length = torch.randint(0, FRAMES, (n, 1), generator=random), torch.randint(4, 25, (n, 1), generator=random)
    return ((torch.arange(FRAMES) - first) % FRAMES < length).view(n, 1, FRAMES, 1)


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
                raise DeviceError(f"{BOARD} gives other outputs than the interpreter")
            cycles = dut.bench().count
    right = float((host.argmax(axis=1) == test.y.numpy()).mean())
    manifest = project.manifest
    return Run(right, manifest["macs"], cycles, manifest["constant_bytes"], manifest["arena_bytes"])


if __name__ == "__main__":
    sys.exit(main())
