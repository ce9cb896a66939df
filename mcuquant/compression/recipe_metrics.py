"""The metrics of recipes, each with the loss that belongs to it: for classes, values, or a reconstruction."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import CalibrationError, ConfigError
from ..ir import Array
from ..reporting.node_quality import sklearn_metrics


class Task(enum.StrEnum):
    """The target of training, and the loss."""

    CLASSES = "classes"
    """y (N,) are class numbers: cross-entropy."""
    VALUES = "values"
    """y (N,) or (N, K) are real numbers: mean squared error."""
    RECONSTRUCTION = "reconstruction"
    """The target is the input: mean squared error. y (N,) is 1 for an anomaly; only the metric uses it."""


Score = Callable[[Array, Array, Array], float]
"""(outputs (N, K), y, inputs (N, ...)) -> a number."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A named figure of a network. `merit` is larger for a better network."""

    name: str
    task: Task
    score: Score
    is_loss: bool = False
    """Whether a smaller figure is better."""

    def merit(self, figure: float) -> float:
        return -figure if self.is_loss else figure


def _accuracy(outputs: Array, y: Array, _: Array) -> float:
    return float((outputs.argmax(axis=1) == y).mean())


def _absolute_error(outputs: Array, y: Array, _: Array) -> float:
    return float(np.abs(outputs - y.reshape(outputs.shape)).mean())


def _r2(outputs: Array, y: Array, _: Array) -> float:
    """Raises CalibrationError for values without variance, for which R2 is not defined."""
    if (y == y[0]).all():
        raise CalibrationError("the metric 'r2' needs values that differ; array 'y' of a set holds one value only")
    return float(sklearn_metrics().r2_score(y.reshape(outputs.shape), outputs))


def _auc(outputs: Array, y: Array, x: Array) -> float:
    """The anomaly score is the mean squared error of the reconstruction."""
    errors = ((outputs - x.reshape(outputs.shape)) ** 2).mean(axis=1)
    return float(sklearn_metrics().roc_auc_score(y != 0, errors))


ACCURACY = Metric("accuracy", Task.CLASSES, _accuracy)
METRICS = {
    metric.name: metric
    for metric in (
        ACCURACY,
        Metric("mae", Task.VALUES, _absolute_error, is_loss=True),
        Metric("r2", Task.VALUES, _r2),
        Metric("auc", Task.RECONSTRUCTION, _auc),
    )
}


def named_metric(name: str) -> Metric:
    """The metric with this name. Raises ConfigError with all names."""
    if name not in METRICS:
        raise ConfigError(
            f'metric {name!r} is not known, expected one of {", ".join(METRICS)}, or a function "file.py:function"'
        )
    return METRICS[name]
