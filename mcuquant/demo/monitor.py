"""A monitor of motion: an autoencoder of the demo's wrist accelerations, and a recording with an injected fault.

The autoencoder learns windows of 64 samples (1.28 s) of seven people. Recordings of an eighth person, who is not in the
training, give the alarm's threshold. The monitored recording is that of a ninth person. The fault is synthetic: a
vibration of 10 Hz that a loose mount would add to the second axis.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..codegen.sensor_node import raw_counts
from ..ir import Array
from . import data
from .recordings import read_recordings
from .train import one_thread

WINDOW, STRIDE = 64, 16
"""Samples of a window, and between two inferences."""
AXES = 3
HIDDEN, CODE = 64, 16
EPOCHS, BATCH = 30, 64
RATE_HZ = 50.0
LSB = data.LSB[0]
"""Acceleration in g of one count."""
THRESHOLD_SUBJECT, MONITORED_SUBJECT = 8, 9
FAULT_HZ, FAULT_G, FAULT_SECONDS = 10.0, 0.4, 12
FAULT_CHANNEL = 1
_LEARNING_RATE = 3e-3
_STEP = 32
"""Samples between two training windows."""


@dataclass(frozen=True, slots=True)
class MonitorData:
    """`train` (N, 3, 64) float32 standardized windows; `mean` and `std` in g per axis.

    `normal` are raw counts (T, 3), int16, of normal operation. `recording` (T, 3) has the same unit, with the fault
    where `labels` (T,) are 1.
    """

    train: Array
    mean: tuple[float, ...]
    std: tuple[float, ...]
    normal: tuple[Array, ...]
    recording: Array
    labels: Array

    @property
    def fault_starts(self) -> tuple[int, ...]:
        """The first sample of each fault."""
        return tuple((np.flatnonzero(np.diff(self.labels) == 1) + 1).tolist())


def load(recordings: dict[str, Any] | None = None) -> MonitorData:
    """Cut and scale the demo's recordings, and inject the fault. Errors are those of `data.load`."""
    read = recordings if recordings is not None else read_recordings(data.find_file(), data.MEMBER)
    windows = data.cut(read, window=WINDOW, step=_STEP).of(data.TRAIN).x[:, :AXES]
    mean, std = windows.mean(axis=(0, 2), dtype=np.float64), windows.std(axis=(0, 2), dtype=np.float64)
    train = ((windows - mean[:, None]) / std[:, None]).astype(np.float32)
    normal = tuple(raw_counts(x, LSB) for x in _of(read, THRESHOLD_SUBJECT))
    x, labels = faulty(np.concatenate(_of(read, MONITORED_SUBJECT)))
    return MonitorData(train, tuple(mean.tolist()), tuple(std.tolist()), normal, raw_counts(x, LSB), labels)


def _of(read: dict[str, Any], subject: int) -> list[Array]:
    """Accelerations (T, 3) in g of each exercise's first recording of a person."""
    first: dict[int, Array] = {}
    for signal, exercise, person in zip(read["X"], read["y"], read["subject"], strict=True):
        if person == subject:
            first.setdefault(int(exercise), np.asarray(signal, np.float64)[:, :AXES])
    return [first[exercise] for exercise in sorted(first)]


def faulty(x: Array) -> tuple[Array, Array]:
    """(T, 3) accelerations with the vibration in the second and in the last quarter, and labels (T,) of its samples."""
    labels = np.zeros(len(x), np.int64)
    length = int(FAULT_SECONDS * RATE_HZ)
    for start in (len(x) // 4, 3 * len(x) // 4):
        labels[start : start + length] = 1
    vibration = FAULT_G * np.sin(2 * np.pi * FAULT_HZ / RATE_HZ * np.arange(len(x)))
    changed = x.copy()
    changed[:, FAULT_CHANNEL] += labels * vibration
    return changed, labels


class Autoencoder(nn.Module):
    """(N, 3, 64) standardized windows to their reconstruction (N, 192), sample by sample."""

    def __init__(self) -> None:
        super().__init__()
        widths = (WINDOW * AXES, HIDDEN, CODE, HIDDEN)
        layers = [m for a, b in pairwise(widths) for m in (nn.Linear(a, b), nn.ReLU())]
        self.layers = nn.Sequential(*layers, nn.Linear(HIDDEN, WINDOW * AXES))

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.layers(rows(x))
        return result


def rows(x: Tensor) -> Tensor:
    """(N, 3, 64) to (N, 192), sample by sample, as the node compares them."""
    return x.transpose(1, 2).flatten(1)


def train(monitored: MonitorData, seed: int, progress: Callable[[int], None], epochs: int = EPOCHS) -> Autoencoder:
    """An autoencoder that minimizes the mean squared error, on one thread. The same seed gives the same network."""
    with one_thread():
        torch.manual_seed(seed)
        net, x = Autoencoder(), torch.from_numpy(monitored.train)
        optimizer = torch.optim.AdamW(net.parameters(), lr=_LEARNING_RATE)
        steps = epochs * -(-len(x) // BATCH)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _LEARNING_RATE, total_steps=steps)
        for epoch in range(1, epochs + 1):
            for batch in torch.split(torch.randperm(len(x)), BATCH):
                loss = nn.functional.mse_loss(net(x[batch]), rows(x[batch]))
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
            progress(epoch)
    return net.eval()
