"""Quality of a sensor node's decisions on a labeled recording, for the float network and for the device.

The figure of an inference is its class (-1: none), its smoothed score, its values, or the error of its forecast. The
label of an inference is that of its newest sample. The extra `evaluate` (scikit-learn) computes the measures.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..codegen.decision_rules import (
    NO_CLASS,
    NO_SUM,
    VALUE_BITS,
    AnomalyRule,
    ClassRule,
    Inferences,
    RowError,
    ValueRule,
    WakeRule,
)
from ..codegen.fixed_numbers import AVERAGE_BITS
from ..codegen.sensor_node import Node
from ..errors import CalibrationError, OutputError, ToolError
from ..ir import Array
from ..quantization.labels import check_labels


@dataclass(frozen=True, slots=True)
class Real:
    """Windows (N, samples, channels) to outputs (N, elements) of a float network, real numbers."""

    windows: Array
    outputs: Array


def integer_figures(node: Node, seen: Inferences) -> Array:
    """The figure of each inference on the device, (N,) or (N, outputs); NaN without one."""
    rule = node.rule
    if isinstance(rule, ClassRule):
        best = seen.outputs.argmax(axis=1)
        top = seen.outputs.max(axis=1)
        return np.where(top >= rule.threshold, best, NO_CLASS)
    trace = rule.decide(seen).trace.astype(np.float64)
    if isinstance(rule, ValueRule):
        return rule.decimal.real(trace)
    if isinstance(rule, WakeRule):
        return np.where(trace[:, 0] == NO_SUM, np.nan, rule.decimal.real(trace[:, 0]))
    if isinstance(rule, AnomalyRule):
        return _without_first(trace[:, 0] * rule.unit + rule.offset, rule.error)
    return _without_first(trace[:, 0] * rule.error.sum.unit, rule.error)


def float_figures(node: Node, real: Real, scale: float, zero_point: int) -> Array:
    """The same for the float network; `scale` and `zero_point` are those of the device's output."""
    rule, outputs = node.rule, real.outputs
    if isinstance(rule, ClassRule):
        least = -np.inf if rule.threshold == node.score_dtype.range()[0] else (rule.threshold - zero_point) * scale
        return np.where(outputs.max(axis=1) >= least, outputs.argmax(axis=1), NO_CLASS)
    if isinstance(rule, ValueRule):
        stored = (outputs / scale + zero_point) * (1 << VALUE_BITS)
        return rule.decimal.real(_averages(stored, rule.weight))
    if isinstance(rule, WakeRule):
        return _means(outputs[:, 0], rule.average)
    if isinstance(rule, AnomalyRule):
        scores = outputs[:, 0] if rule.error is None else _errors(rule.error, real)
        return _averages(scores, rule.weight)
    return _errors(rule.error, real)


def _means(scores: Array, count: int) -> Array:
    """The mean of each score and those before it; NaN where there are fewer than `count`."""
    sums = np.convolve(scores, np.ones(count))[: len(scores)] / count
    sums[: count - 1] = np.nan
    return sums


def _without_first(figures: Array, error: RowError | None) -> Array:
    if error is not None and error.is_delayed:
        figures[:1] = np.nan
    return figures


def _errors(error: RowError, real: Real) -> Array:
    """Errors of forecasts. The first is NaN."""
    delay = int(error.is_delayed)
    count = len(real.windows) - delay
    x = real.windows[delay:, error.first_row : error.first_row + error.rows].reshape(count, -1)
    e = x - real.outputs[:count, : x.shape[1]]
    means = (e * e if error.sum.is_squared else np.abs(e)).mean(axis=1)
    return np.concatenate([np.full(delay, np.nan), means])


def _averages(values: Array, weight: int) -> Array:
    """Exponential averages along the first axis; NaN at the start stays NaN."""
    results = np.array(values, np.float64)
    w = weight / (1 << AVERAGE_BITS)
    for i in range(1, len(results)):
        before = np.where(np.isnan(results[i - 1]), results[i], results[i - 1])
        results[i] = before + (results[i] - before) * w
    return results


def labels_of(node: Node, y: Array, samples: int, classes: int, name: str) -> Array:
    """The labels of a recording: (T,), of a node of values (T, outputs). Raises CalibrationError if they do not fit
    the decisions. `classes` is the number of the network's scores; -1 is no class, for a node with a threshold.
    """
    outputs = node.rule.outputs if isinstance(node.rule, ValueRule) else 1
    kinds, what = ("iu", "class numbers") if isinstance(node.rule, ClassRule) else ("iub", "0 or 1")
    if isinstance(node.rule, ValueRule):
        kinds, what = "fiu", "values"
    flat = y.reshape(len(y), -1) if y.size else y
    if y.ndim == 0 or flat.shape != (samples, outputs) or y.dtype.kind not in kinds:
        raise CalibrationError(
            f"{name} is {y.dtype} of shape {y.shape}; expected {what}, one per sample: ({samples},)"
            + (f" or ({samples}, {outputs})" if outputs > 1 else "")
        )
    if isinstance(node.rule, ValueRule):
        if not np.isfinite(y).all():
            raise CalibrationError(f"{name} holds NaN or infinity; leave these samples out of the recording")
        return flat
    if isinstance(node.rule, ClassRule):
        has_threshold = node.rule.threshold > node.score_dtype.range()[0]
        low = int(y.min())
        check_labels(name, 0 if has_threshold and low == NO_CLASS else low, int(y.max()), classes)
    elif isinstance(node.rule, AnomalyRule | WakeRule) and not np.isin(y, (0, 1)).all():
        raise CalibrationError(f"{name} is from {y.min()} to {y.max()}; expected 0 (normal) or 1 (anomaly)")
    return flat[:, 0]


def at_inferences(labels: Array, seen: Inferences) -> Array:
    """The labels of the inferences, from those of the samples: an inference has that of its newest sample."""
    return labels[[seen.sample(i) for i in range(len(seen.outputs))]]


def quality(node: Node, figures: Array, labels: Array | None) -> dict[str, Any]:
    """Named measures of one network's figures: numbers, and lists for pictures (`confusion`, `roc`, `errors`)."""
    if isinstance(node.rule, ClassRule):
        return {} if labels is None else _classes(figures, labels)
    if isinstance(node.rule, ValueRule):
        return {} if labels is None else _values(figures, labels)
    if isinstance(node.rule, WakeRule):
        return {} if labels is None else _wakes(figures, labels)
    if isinstance(node.rule, AnomalyRule):
        return {} if labels is None else _alarms(node, node.rule, figures, labels)
    errors = figures[~np.isnan(figures)]
    return {
        "mean error": float(errors.mean()),
        "95th percentile": float(np.quantile(errors, 0.95)),
        "errors": _list(errors),
    }


def _wakes(figures: Array, labels: Array) -> dict[str, Any]:
    """Highest mean score where a word is (label 1), and elsewhere."""
    known = ~np.isnan(figures)
    inside, outside = (figures[known & (labels == wanted)] for wanted in (1, 0))
    named = (("highest score in words", inside), ("highest score elsewhere", outside))
    return {name: float(scores.max()) for name, scores in named if len(scores)}


def _classes(figures: Array, labels: Array) -> dict[str, Any]:
    metrics = sklearn_metrics()
    names = sorted({*labels.tolist(), *figures.tolist()} - {NO_CLASS})
    events = _events(labels)
    reported = _events(figures)
    hits = {e for e in events if any(r[2] == e[2] and r[0] < e[1] and e[0] < r[1] for r in reported)}
    right = [r for r in reported if any(r[2] == e[2] and r[0] < e[1] and e[0] < r[1] for e in events)]
    return {
        "accuracy": float((figures == labels).mean()),
        "event precision": len(right) / len(reported) if reported else 0.0,
        "event recall": len(hits) / len(events) if events else 0.0,
        "classes": names,
        "confusion": metrics.confusion_matrix(labels, figures, labels=[*names, NO_CLASS]).tolist(),
    }


def _events(labels: Array) -> list[tuple[int, int, int]]:
    """(first index, end index, class) of each run of one class."""
    edges = [0, *(np.flatnonzero(np.diff(labels)) + 1).tolist(), len(labels)]
    runs = [(a, b, int(labels[a])) for a, b in pairwise(edges)]
    return [run for run in runs if run[2] != NO_CLASS]


def _alarms(node: Node, rule: AnomalyRule, figures: Array, labels: Array) -> dict[str, Any]:
    metrics = sklearn_metrics()
    known = ~np.isnan(figures)
    scores, truth = figures[known], labels[known].astype(bool)
    threshold = rule.real(rule.on)
    above = scores >= threshold
    result: dict[str, Any] = {
        "detection rate": float(above[truth].mean()) if truth.any() else None,
        "false alarm rate": float(above[~truth].mean()) if (~truth).any() else None,
    }
    if truth.any() and (~truth).any():
        rates = metrics.roc_curve(truth, scores)
        result = {"AUC": float(metrics.roc_auc_score(truth, scores)), **result, "roc": [_list(r) for r in rates[:2]]}
    if node.inferences_per_s is not None and (~truth).any():
        starts = np.flatnonzero(above & ~np.concatenate([[False], above[:-1]]))
        hours = (~truth).sum() / node.inferences_per_s / 3600
        result["false alarms an hour"] = float((~truth[starts]).sum() / hours)
    return result


def _values(figures: Array, labels: Array) -> dict[str, Any]:
    metrics = sklearn_metrics()
    errors = (figures - labels).reshape(-1)
    return {
        "mean absolute error": float(np.abs(errors).mean()),
        "RMS error": float(np.sqrt((errors**2).mean())),
        "largest error": float(np.abs(errors).max()),
        "R2": float(metrics.r2_score(labels, figures)) if (labels != labels[0]).any() else None,
        "errors": _list(errors),
    }


def _list(values: Array) -> list[float]:
    return [float(v) for v in values]


def sklearn_metrics() -> Any:
    """The module sklearn.metrics. Raises ToolError without scikit-learn, with the command that installs it."""
    try:
        from sklearn import metrics
    except ModuleNotFoundError as error:
        raise ToolError(
            "labels are counted by scikit-learn, which is not installed: pip install 'mcuquant[evaluate]'"
        ) from error
    return metrics


def measures(columns: Mapping[str, Mapping[str, Any]]) -> Sequence[tuple[str, tuple[str, ...]]]:
    """Rows of a table: the name of a measure, and its text per column."""
    names = [name for name, value in next(iter(columns.values())).items() if not isinstance(value, list)]
    return [(name, tuple(_text(name, column[name]) for column in columns.values())) for name in names]


def _text(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{100 * value:.1f} %" if name.endswith(("rate", "accuracy", "precision", "recall")) else f"{value:.4g}"


def confusion_rows(column: Mapping[str, Any]) -> Sequence[tuple[str, tuple[str, ...]]]:
    """Rows of true classes: the number of inferences per reported class, "none" last."""
    rows = zip([*map(str, column["classes"]), "none"], column["confusion"], strict=True)
    return [(name, tuple(map(str, counts))) for name, counts in rows if name != "none" or any(counts)]


def load_quality(path: Path) -> Mapping[str, Any]:
    """A file of `quality_text`. Raises OutputError for other files."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        networks: Mapping[str, Mapping[str, Any]] = table["networks"]
        measures(networks) if networks else None
        return {"digest": table["digest"], "networks": networks}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise OutputError(f"{path} is not what mcuquant node --json writes; remove it, or write it again") from error


def quality_text(
    columns: Mapping[str, Mapping[str, Any]], digest: str, duty_cycle: float | None = None, rate_hz: float | None = None
) -> str:
    """The file for `mcuquant report`. The duty cycle, 0 to 1, is that of the core at `rate_hz` samples per second."""
    timing = {} if duty_cycle is None else {"rate_hz": rate_hz, "duty_cycle": duty_cycle}
    return json.dumps({"digest": digest, **timing, "networks": columns}, indent=1) + "\n"
