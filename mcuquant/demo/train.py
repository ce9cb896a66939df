"""Trains the demo's network: four convolutions over time, a mean, a linear layer; 15 thousand parameters."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor, nn

from .data import TRAIN, VALIDATION, DemoData, Windows

CHANNELS, KERNELS, STRIDES = (16, 32, 32, 64), (5, 5, 5, 3), (2, 2, 2, 1)
EPOCHS = 20
BATCH = 64
_LEARNING_RATE = 3e-3
_WEIGHT_DECAY = 1e-2
_SMOOTHING = 0.05
_DROPOUT = 0.2
_AVERAGE = 0.98
"""Decay of the moving average of all weights, which is the result."""
_TURN = torch.pi / 6
"""Augmentation: a watch is turned by up to 30 degrees on another wrist."""
_GAIN = 0.2
"""Augmentation: movements are larger or smaller by up to this factor."""


@dataclass(frozen=True, slots=True)
class Epoch:
    choosing: bool
    """True in the first pass, without the validation subject; False in the second, with it."""
    number: int
    """From 1."""
    loss: float
    """Mean over the training windows, augmented."""
    validation: float
    """Accuracy, 0 to 1, on the validation subject; 0 in the second pass, which trains on it."""


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    net: nn.Sequential
    """The network in evaluation mode: (N, 6, 128) scaled windows to (N, 7) logits."""
    epochs: int
    """Number of the epoch that the validation subject selected."""
    history: tuple[Epoch, ...]
    parameters: int
    seconds: float


def train(
    data: DemoData, seed: int = 0, epochs: int = EPOCHS, progress: Callable[[Epoch], None] | None = None
) -> Trained:
    """Train twice on one thread: without the validation subject, which selects the number of epochs, then with it.

    The same seed gives the same network. `progress` is called after each of up to 2 * `epochs` epochs. The random state
    and thread count of the caller are restored.
    """
    start = time.monotonic()
    history: list[Epoch] = []
    others = data.train.of([s for s in TRAIN if s not in VALIDATION])
    with one_thread():
        first = _noted(_epochs(others, seed, epochs, data.train.of(VALIDATION)), history, progress)
        best = max((epoch for epoch, _ in first), key=lambda epoch: (epoch.validation, epoch.number)).number
        *_, (_, net) = islice(_noted(_epochs(data.train, seed, epochs), history, progress), best)
    return Trained(net, best, tuple(history), count(net), time.monotonic() - start)


def _noted(
    epochs: Iterator[tuple[Epoch, nn.Sequential]], history: list[Epoch], progress: Callable[[Epoch], None] | None
) -> Iterator[tuple[Epoch, nn.Sequential]]:
    for epoch, net in epochs:
        history.append(epoch)
        if progress is not None:
            progress(epoch)
        yield epoch, net


def build() -> nn.Sequential:
    """The untrained network: Conv-BN-ReLU four times, mean over time, linear."""
    layers: list[nn.Module] = []
    inputs = 6
    for outputs, kernel, stride in zip(CHANNELS, KERNELS, STRIDES, strict=True):
        convolution = nn.Conv1d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
        layers += [convolution, nn.BatchNorm1d(outputs), nn.ReLU()]
        inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Dropout(_DROPOUT), nn.Linear(inputs, 7))


def count(net: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in net.parameters())


def accuracy(net: nn.Module, windows: Windows) -> float:
    """Accuracy on the windows, 0 to 1."""
    with torch.no_grad():
        guess = net(torch.from_numpy(windows.x)).argmax(dim=1)
    return float((guess == torch.from_numpy(windows.y)).double().mean())


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread, which is faster for small networks and gives the same sums on every machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(threads)


def _epochs(
    windows: Windows, seed: int, epochs: int, validation: Windows | None = None
) -> Iterator[tuple[Epoch, nn.Sequential]]:
    """The averaged network after each epoch; the same seed gives the same start."""
    torch.manual_seed(seed)
    net = build()
    average = copy.deepcopy(net).eval()
    x, y = torch.from_numpy(windows.x), torch.from_numpy(windows.y)
    optimizer = torch.optim.AdamW(net.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
    steps = epochs * -(-len(y) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _LEARNING_RATE, total_steps=steps)
    loss_of = nn.CrossEntropyLoss(label_smoothing=_SMOOTHING)
    random = torch.Generator().manual_seed(seed)
    for number in range(1, epochs + 1):
        net.train()
        total = 0.0
        for batch in _batches(len(y), random):
            loss = loss_of(net(augmented(x[batch], random)), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            _follow(average, net)
            total += loss.item() * len(batch)
        right = accuracy(average, validation) if validation is not None else 0.0
        yield Epoch(validation is not None, number, total / len(y), right), average


def _batches(n: int, random: torch.Generator) -> Iterator[Tensor]:
    order = torch.randperm(n, generator=random)
    return (order[i : i + BATCH] for i in range(0, n, BATCH))


def _follow(average: nn.Module, net: nn.Module) -> None:
    with torch.no_grad():
        for slow, fast in zip(average.state_dict().values(), net.state_dict().values(), strict=True):
            slow.lerp_(fast, 1 - _AVERAGE) if slow.is_floating_point() else slow.copy_(fast)


def augmented(x: Tensor, random: torch.Generator) -> Tensor:
    """Windows (N, 6, L) as on another wrist: each turned about a random axis, each with its own gain."""
    turn = rotations(len(x), random)
    gain = 1 + _GAIN * (2 * torch.rand(len(x), 1, 1, generator=random) - 1)
    return gain * torch.cat([turn @ x[:, :3], turn @ x[:, 3:]], dim=1)


def rotations(n: int, random: torch.Generator) -> Tensor:
    """(N, 3, 3) rotation matrices: axes uniform on the sphere, angles uniform up to 30 degrees; Rodrigues' formula."""
    axis = nn.functional.normalize(torch.randn(n, 3, generator=random), dim=1)
    angle = (torch.rand(n, generator=random) * _TURN)[:, None, None]
    zero = torch.zeros(n)
    x, y, z = axis.unbind(dim=1)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=1).view(n, 3, 3)
    return torch.eye(3) + torch.sin(angle) * cross + (1 - torch.cos(angle)) * cross @ cross
