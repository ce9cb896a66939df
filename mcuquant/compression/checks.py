"""Checks before the first epoch: the samples, the labels, the weights, and every step on one batch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from ..boards.board import Board
from ..errors import CalibrationError, ConfigError
from ..quantization.labels import check_labels, class_count
from .costs import cost
from .inputs import Data
from .prune import check_reachable
from .recipe import Prune, Recipe
from .recipe_metrics import Task
from .training import Samples

_SETS = ("train", "valid", "test")
BATCH = 4
"""Number of samples of the dry run."""


def check_samples(data: Data, net: nn.Module, task: Task = Task.CLASSES) -> None:
    """Raises CalibrationError for samples that training cannot use: an empty set, values that are not finite, a shape
    that the network does not accept, or labels that do not fit the network's outputs.
    """
    for name in _SETS:
        samples: Samples | None = getattr(data, name)
        if samples is None:
            continue
        _check_values(name, samples)
        if samples.x.shape[1:] != data.train.x.shape[1:]:
            raise CalibrationError(
                f"{name} samples are of shape {_shape(samples.x)}, the train samples of {_shape(data.train.x)}; "
                "all sets must have the same"
            )
    classes = _answer(net, data.train.x[:BATCH]).shape
    if task is not Task.CLASSES:
        _check_targets(data, task, classes)
        return
    if len(classes) != 2:
        raise CalibrationError(
            f"the network's output is of shape {tuple(classes)} for {BATCH} samples, expected (samples, classes)"
        )
    for name in _SETS:
        _check_labels(name, getattr(data, name), class_count(classes[1:]))


def _check_targets(data: Data, task: Task, outputs: torch.Size) -> None:
    """Raises CalibrationError unless targets have as many elements as the outputs, `outputs` for some samples."""
    for name in _SETS:
        samples: Samples | None = getattr(data, name)
        if samples is None:
            continue
        target = samples.x if task is Task.RECONSTRUCTION else samples.y
        if target is not None and target[:1].numel() != outputs[1:].numel():
            what = "input" if task is Task.RECONSTRUCTION else "array 'y'"
            raise CalibrationError(
                f"the network's output has {outputs[1:].numel()} elements, the {what} of the {name} samples "
                f"{target[:1].numel()}; the task {task} needs equal numbers"
            )
        if task is Task.RECONSTRUCTION and name != "train" and samples.y is not None:
            _check_anomalies(name, samples.y)


def _check_anomalies(name: str, y: Tensor) -> None:
    """Raises CalibrationError unless labels are 0 and 1, and both occur."""
    low, high = int(y.min()), int(y.max())
    if low == high or not torch.isin(y, torch.tensor([0, 1])).all():
        extent = f"{low} everywhere" if low == high else f"from {low} to {high}"
        raise CalibrationError(
            f"array 'y' of the {name} samples is {extent}; expected 0 for normal samples and 1 for anomalies"
        )


def _check_values(name: str, samples: Samples) -> None:
    if not len(samples):
        raise CalibrationError(f"there are no {name} samples: array 'x' is of shape {tuple(samples.x.shape)}")
    bad = ~torch.isfinite(samples.x).flatten(1).all(dim=1)
    if bad.any():
        raise CalibrationError(
            f"{int(bad.sum()):,} of {len(samples):,} {name} samples hold NaN or infinity, the first is sample "
            f"{int(bad.nonzero()[0])}; leave them out"
        )


def _check_labels(name: str, samples: Samples | None, classes: int) -> None:
    if samples is None or samples.y is None or not len(samples.y):
        return
    check_labels(f"the {name} samples", int(samples.y.min()), int(samples.y.max()), classes)


def _answer(net: nn.Module, x: Tensor) -> Tensor:
    """Outputs for some samples. Raises CalibrationError if the network does not accept their shape."""
    try:
        with torch.no_grad():
            y = copy.deepcopy(net).eval()(x)
    except (RuntimeError, ValueError, IndexError, TypeError) as error:  # exceptions of layers for a wrong shape
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        channels_last = x.dim() == 4 and x.shape[3] in (1, 3) and x.shape[1] not in (1, 3)
        hint = "; PyTorch's layout is channels first: x.transpose(0, 3, 1, 2)" if channels_last else ""
        raise CalibrationError(f"the network does not take samples of shape {_shape(x)}{hint}: {reason}") from error
    if not isinstance(y, Tensor):
        raise CalibrationError(f"the network returns {type(y).__name__}, expected one tensor (samples, classes)")
    return y


def _shape(x: Tensor) -> tuple[int, ...]:
    return tuple(x.shape[1:])


def check_is_trained(build: Callable[[], nn.Module], net: nn.Module, where: str) -> None:
    """Raises ConfigError if the recipe names no weights, does not train, and the function returns random weights.

    Weights are random if two calls with different seeds return different weights. A seed of the function's own counts
    as none.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch.initial_seed() + 1)
        with _without_seeds():
            other = build()
    first, second = net.state_dict(), other.state_dict()
    if any(not torch.equal(first[key], second[key]) for key in first if key in second):
        raise ConfigError(
            f"{where}: the network's weights are random: name those of a trained one in 'weights', or train it here "
            "with a table [train]"
        )


@contextmanager
def _without_seeds() -> Iterator[None]:
    """`torch.manual_seed` has no effect, so that the seed of a function does not make its weights equal."""
    original = torch.manual_seed
    torch.manual_seed = lambda seed: torch.default_generator
    try:
        yield
    finally:
        torch.manual_seed = original


def check_targets(net: nn.Module, data: Data, recipe: Recipe, board: Board) -> None:
    """Raises BudgetError if pruning cannot reach its targets, independent of the training.

    If longer strides come first, the channels that remain to be pruned are unknown until then, and nothing is checked.
    """
    how = recipe.prune
    if how is not None and how.target and recipe.stride is None:
        check_reachable(net, data.example, board, how.pruning(cost(net, data.example, board)))


def short(recipe: Recipe) -> Recipe:
    """The recipe with one epoch per step and without long searches, for a dry run."""
    once = replace(recipe.fine_tune, epochs=1)
    how = recipe.quantize
    quantize = replace(how, epochs=min(1, how.epochs), samples=BATCH, method="minmax", adaptive_rounding=False)
    return replace(
        recipe,
        train=None if recipe.train is None else replace(recipe.train, epochs=1),
        teach=None if recipe.teach is None else replace(recipe.teach, epochs=1, networks=1),
        stride=None if recipe.stride is None or recipe.stride.target else replace(recipe.stride, epochs=1),
        prune=None if recipe.prune is None else _short_prune(recipe.prune),
        sparsify=None if recipe.sparsify is None else replace(recipe.sparsify, epochs=1),
        share=None if recipe.share is None else replace(recipe.share, epochs=1),
        quantize=quantize,
        fine_tune=once,
    )


def _short_prune(how: Prune) -> Prune:
    if how.target:
        return replace(how, target={}, ratio=0.5, steps=1, epochs=1)
    return replace(how, steps=1, epochs=1)


def first_batch(data: Data) -> Data:
    """Some samples of every set, with labels: the first of each class, then the first ones."""

    def first(samples: Samples | None) -> Samples | None:
        if samples is None:
            return None
        if samples.y is None:
            return replace(samples, x=samples.x[:BATCH])
        rows = samples.y.flatten(1).numpy() if samples.y.dim() > 1 else samples.y.numpy()
        starts = np.sort(np.unique(rows, axis=0, return_index=True)[1])[:BATCH].tolist()
        picked = sorted(list(dict.fromkeys([*starts, *range(min(BATCH, len(samples)))]))[:BATCH])
        return replace(samples, x=samples.x[picked], y=samples.y[picked])

    train = first(data.train)
    assert train is not None
    return Data(train, first(data.valid), first(data.test))
