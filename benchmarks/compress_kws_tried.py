"""What else was tried on the keyword spotter, without the test samples: `python -m benchmarks.compress_kws_tried`.

400 of the 500 samples teach, 100 judge: how often the network says what the teacher says, and how far it is from it
(Kullback-Leibler, nats). Half the training that `benchmarks.compress_kws` takes, seed 0; integers only for the cycles.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace

import torch
from torch import nn

import mcuquant as mq
from mcuquant.boards.board import load_board
from mcuquant.compression.costs import cost, cost_of
from mcuquant.compression.from_graph import to_torch
from mcuquant.compression.importance import Importance
from mcuquant.compression.prune import batches_of, prune
from mcuquant.compression.recipe import Prune
from mcuquant.compression.strides import strided
from mcuquant.compression.training import Augment, Samples, Training, answers, class_loss, fit

from . import compress_kws as kws

STRIDED = {
    "second and fourth depthwise": kws.STRIDES,
    "second and third depthwise": {"layers.op3.0": (2, 1), "layers.op5.0": (2, 1)},
    "first depthwise": {"layers.op1.0": (2, 1)},
    "first convolution": {"layers.op0.0.1": (4, 2)},
}
"""Layers that take every second frame."""
PRUNED = Prune(target={"cycles": "64 %"}, importance=Importance.TAYLOR, multiple=4)
HALF = replace(kws.DISTIL, epochs=kws.DISTIL.epochs * 5 // 8)  # 2000 steps: an epoch of 400 samples has 8, not 10


@dataclass(frozen=True, slots=True)
class Trial:
    name: str
    net: nn.Module
    how: Training
    augment: Augment | None


def main() -> int:
    reference = mq.from_tflite(kws.FOLDER / "kws_int8.tflite")
    teacher = to_torch(kws.without_softmax(mq.from_tflite(kws.FOLDER / "kws_float_hybrid.tflite")))
    x = kws.samples(reference)[0].x
    held = torch.arange(len(x)) % 5 == 2
    train, judge, board = x[~held], x[held], load_board(kws.BOARD)
    for trial in trials(teacher, train):
        before = compared(trial.net, teacher, judge)
        trial.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        fit(trial.net, Samples(train), trial.how, teacher=teacher, augment=trial.augment)
        graph = mq.quantize(mq.from_torch(trial.net, x[:1]), x[:64].numpy(), method="minmax", channels_first=True)
        after, cycles = compared(trial.net, teacher, judge), cost_of(graph, board).cycles
        print(f"{trial.name}: {cycles:,} cycles estimated; {before}; trained {after}", flush=True)
    return 0


def trials(teacher: nn.Module, x: torch.Tensor) -> list[Trial]:
    varied = kws.Augmentation(x)
    first, *rest = (Trial(name, strided(teacher, x[:1], where), HALF, varied) for name, where in STRIDED.items())
    again = (strided(teacher, x[:1], kws.STRIDES) for _ in range(2))
    return [
        first,
        Trial("the same, no layers matched", next(again), replace(HALF, match=()), varied),
        Trial("the same, samples as they are", next(again), HALF, None),
        *rest,
        Trial("channels pruned", thinner(teacher, x), replace(HALF, match=()), varied),
    ]


def thinner(teacher: nn.Module, x: torch.Tensor) -> nn.Module:
    board, labels = load_board(kws.BOARD), answers(teacher, x).argmax(dim=1)
    pruning = PRUNED.pruning(cost(teacher, x[:1], board))
    return prune(teacher, x[:1], board, pruning, batches_of(x, labels)).net


def compared(net: nn.Module, teacher: nn.Module, x: torch.Tensor) -> str:
    student, target = answers(net, x), answers(teacher, x)
    same = float((student.argmax(dim=1) == target.argmax(dim=1)).double().mean())
    away = float(class_loss(student, None, target, replace(HALF, temperature=1.0)))
    return f"says the same {same:.0%}, {away:.3f} away"


if __name__ == "__main__":
    sys.exit(main())
