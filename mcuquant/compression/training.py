"""Training that recovers accuracy: with labels, with a teacher, or both; on one thread and with a fixed seed."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import CalibrationError
from .matching import distance, watched
from .recipe_metrics import ACCURACY, Metric, Task


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """`x` (N, ...) float32 inputs; `y` (N,) int64 class numbers, or None without labels."""

    x: Tensor
    y: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """Settings of training. The optimizer is AdamW; the learning rate rises and falls once (one-cycle)."""

    epochs: int = 10
    batch: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    distill: float = 0.5
    """Weight of the teacher in the loss, 0 to 1. Without labels it is 1."""
    temperature: float = 4.0
    average: float = 0.0
    """Decay of the moving average of all weights, which is the result. 0: the weights themselves are the result."""
    smoothing: float = 0.0
    """Label smoothing: the part of a label that is spread evenly over all classes."""
    dropout: float | None = None
    """Probability of all dropout layers during training, 0 to 1. None: the network's own values. Thin networks need
    less.
    """
    mixup: float = 0.0
    """Upper limit, 0 to 1, of the share of a second input that is mixed into each input; labels and outputs of the
    teacher are mixed equally. H. Zhang et al., "mixup: Beyond Empirical Risk Minimization" (ICLR 2018).
    """
    match: tuple[str, ...] = ()
    """Layers whose outputs learn the teacher's outputs, at the positions that both have (see `matching`)."""
    match_weight: float = 1.0
    """Weight in the loss of each matched layer's squared error, which is in units of the variance of the teacher's
    output.
    """
    seed: int = 0

    def __post_init__(self) -> None:
        for key in ("epochs", "batch", "learning_rate", "temperature", "match_weight"):
            if not getattr(self, key) > 0:
                raise CalibrationError(f"{key} must be more than 0, found {getattr(self, key)}")
        if not 0 <= self.average < 1:
            raise CalibrationError(f"average must be from 0 to below 1, found {self.average}")
        for key in ("distill", "smoothing", "dropout", "mixup"):
            if not 0 <= (getattr(self, key) or 0) <= 1:
                raise CalibrationError(f"{key} must be from 0 to 1, found {getattr(self, key)}")
        if self.mixup and self.match:
            raise CalibrationError("layers cannot match where inputs are mixed: leave out either match or mixup")


Labels = Tensor | tuple[Tensor, Tensor, Tensor]
"""Class numbers (N,). For mixed inputs the class numbers of both, and the share of the second."""
Loss = Callable[[Tensor, Tensor], Tensor]
"""(outputs, targets) -> a scalar."""
Augment = Callable[[Tensor, torch.Generator], Tensor]
"""An augmented batch of inputs."""


def fit(
    net: nn.Module,
    samples: Samples,
    how: Training,
    *,
    teacher: nn.Module | None = None,
    valid: Samples | None = None,
    augment: Augment | None = None,
    after_step: Callable[[], None] | None = None,
    progress: Callable[[int], None] | None = None,
    metric: Metric = ACCURACY,
) -> None:
    """Train `net` in place and leave it in evaluation mode, with the weights of its best epoch on `valid`, or its last
    epoch. `metric` selects the loss and the best epoch.

    For classes with a teacher the loss is (1 - d) * CE + d * T^2 * KL(teacher/T, net/T), G. Hinton et al., "Distilling
    the Knowledge in a Neural Network" (2015), plus the loss of matched layers. Values and reconstructions have the mean
    squared error in place of CE and KL. `after_step` is called after each optimizer
    step, for example to apply masks. `progress` is called with the number of completed epochs. The random state and
    thread count of the caller are restored.

    Raises CalibrationError without labels and teacher, or with layers to match and no teacher.
    """
    if samples.y is None and teacher is None and metric.task is not Task.RECONSTRUCTION:
        raise CalibrationError("training needs labels (y) or a teacher to learn from, found neither")
    if how.match and teacher is None:
        raise CalibrationError(f"there is no teacher whose layers {', '.join(how.match)} could match")
    with alone(how.seed), _dropping(net, how.dropout):
        result = copy.deepcopy(net) if how.average else net
        best, best_state = -math.inf, copy.deepcopy(net.state_dict())
        lesson = _Lesson(net, how, teacher, torch.Generator().manual_seed(how.seed), metric.task)
        for epoch in _epochs(net, samples, lesson, augment, after_step, result):
            merit = metric.merit(figure(result, valid, metric)) if valid is not None else float(epoch)
            if merit >= best:
                best, best_state = merit, copy.deepcopy(result.state_dict())
            if progress is not None:
                progress(epoch)
        net.load_state_dict(best_state)
    net.eval()


@contextmanager
def _dropping(net: nn.Module, part: float | None) -> Iterator[None]:
    layers = [layer for layer in net.modules() if isinstance(layer, nn.modules.dropout._DropoutNd)]
    rates = [layer.p for layer in layers]
    try:
        for layer in layers:
            layer.p = layer.p if part is None else part
        yield
    finally:
        for layer, before in zip(layers, rates, strict=True):
            layer.p = before


@contextmanager
def alone(seed: int) -> Iterator[None]:
    """One thread, which is faster for small networks, and a separate random state of PyTorch, NumPy and `random`, which
    the user's functions may use.
    """
    threads, states = torch.get_num_threads(), (np.random.get_state(), random.getstate())
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            np.random.seed(seed % 2**32)
            random.seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)
        np.random.set_state(states[0])
        random.setstate(states[1])


def _epochs(
    net: nn.Module,
    samples: Samples,
    lesson: _Lesson,
    augment: Augment | None,
    after_step: Callable[[], None] | None,
    result: nn.Module,
) -> Iterator[int]:
    """Yields the numbers of completed epochs. `result` is `net` or its moving average."""
    how, random = lesson.how, lesson.random
    optimizer = torch.optim.AdamW(net.parameters(), lr=how.learning_rate, weight_decay=how.weight_decay)
    batches = -(-len(samples) // how.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, how.learning_rate, total_steps=how.epochs * batches)
    for epoch in range(1, how.epochs + 1):
        net.train()
        for batch in torch.split(torch.randperm(len(samples), generator=random), how.batch):
            x = samples.x[batch] if augment is None else _augmented(augment, samples.x[batch], random)
            y = None if samples.y is None else samples.y[batch]
            loss = lesson.mixed(x, y) if how.mixup else lesson.loss(x, y)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            if after_step is not None:
                after_step()
            if result is not net:
                _follow(result, net, how.average)
        yield epoch


def _augmented(augment: Augment, x: Tensor, random: torch.Generator) -> Tensor:
    """Raises CalibrationError if the function fails or returns a batch of another shape or type."""
    try:
        changed = augment(x, random)
    except Exception as error:  # user code may raise anything
        raise CalibrationError(f"'augment' raised {type(error).__name__}: {error}") from error
    if not isinstance(changed, Tensor) or changed.shape != x.shape or not changed.is_floating_point():
        raise CalibrationError(f"'augment' returned {_kind(changed)}, expected {_kind(x)}")
    return changed


def _kind(x: object) -> str:
    return f"{x.dtype} of shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__


def _follow(average: nn.Module, net: nn.Module, past: float) -> None:
    with torch.no_grad():
        for slow, fast in zip(average.state_dict().values(), net.state_dict().values(), strict=True):
            slow.lerp_(fast, 1 - past) if slow.is_floating_point() else slow.copy_(fast)


@dataclass(frozen=True, slots=True, eq=False)
class _Lesson:
    net: nn.Module
    how: Training
    teacher: nn.Module | None
    random: torch.Generator
    task: Task = Task.CLASSES

    def mixed(self, x: Tensor, y: Tensor | None) -> Tensor:
        """The loss of (1 - p[i]) * x[i] + p[i] * x[j], with p uniform from 0 to `mixup` and j another of the batch."""
        other = torch.randperm(len(x), generator=self.random)
        part = self.how.mixup * torch.rand(len(x), generator=self.random)
        taught = None
        if self.teacher is not None:
            soft_answers = nn.functional.softmax(answers(self.teacher, x) / self.how.temperature, dim=1)
            taught = self.how.temperature * _between(soft_answers, soft_answers[other], part).clamp(min=1e-30).log()
        labels = None if y is None else (y, y[other], part)
        return class_loss(self.net(_between(x, x[other], part)), labels, taught, self.how)

    def loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        loss_of = class_loss if self.task is Task.CLASSES else value_loss
        y = x if self.task is Task.RECONSTRUCTION else y
        if self.teacher is None:
            return loss_of(self.net(x), y, None, self.how)
        with watched(self.teacher, self.how.match) as goals:
            taught = answers(self.teacher, x)
        with watched(self.net, self.how.match) as outputs:
            loss = loss_of(self.net(x), y, taught, self.how)
        return loss + self.how.match_weight * distance(outputs, goals)


def _between(a: Tensor, b: Tensor, part: Tensor) -> Tensor:
    """Row by row: `a` for part (N,) 0, `b` for part 1, and mixtures between."""
    return torch.lerp(a, b, part.view(-1, *[1] * (a.dim() - 1)))


def class_loss(logits: Tensor, y: Labels | None, taught: Tensor | None, how: Training) -> Tensor:
    """Loss of logits (N, classes) against labels, a teacher's logits, or both; see `fit`."""
    labeled = _labelled(logits, y, how.smoothing) if y is not None else torch.zeros(())
    if taught is None:
        return labeled
    soft, goal = (nn.functional.log_softmax(each / how.temperature, dim=1) for each in (logits, taught))
    distance = nn.functional.kl_div(soft, goal, reduction="batchmean", log_target=True)
    share = how.distill if y is not None else 1.0
    return (1 - share) * labeled + share * how.temperature**2 * distance


def value_loss(outputs: Tensor, y: Tensor | None, taught: Tensor | None, how: Training) -> Tensor:
    """Mean squared error of outputs (N, ...) against targets, a teacher's outputs, or both."""
    labeled = squared_error(outputs, y) if y is not None else torch.zeros(())
    if taught is None:
        return labeled
    share = how.distill if y is not None else 1.0
    return (1 - share) * labeled + share * squared_error(outputs, taught)


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """The mean over all elements; targets may have another shape."""
    return nn.functional.mse_loss(outputs, targets.reshape(outputs.shape))


def _labelled(logits: Tensor, y: Labels, smoothing: float) -> Tensor:
    if isinstance(y, Tensor):
        return nn.functional.cross_entropy(logits, y, label_smoothing=smoothing)
    first, second = (nn.functional.one_hot(each, logits.shape[1]).to(logits.dtype) for each in y[:2])
    return nn.functional.cross_entropy(logits, _between(first, second, y[2]), label_smoothing=smoothing)


def figure(net: nn.Module, samples: Samples, metric: Metric = ACCURACY) -> float:
    """The metric of a network. Raises CalibrationError without labels."""
    if samples.y is None:
        raise CalibrationError(f"{metric.name} needs labels (y), found none")
    outputs = answers(net, samples.x).flatten(1).numpy()
    return metric.score(outputs, samples.y.numpy(), samples.x.numpy())


def answers(net: nn.Module, x: Tensor) -> Tensor:
    """Outputs for inputs (N, ...), batch by batch. Leaves the network in evaluation mode."""
    net.eval()
    with torch.no_grad():
        return torch.cat([net(part) for part in torch.split(x, 256)])
