"""Recipes of values and reconstructions: mean absolute error, R2, AUC, and a function of the user."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mcuquant.compression.pipeline import compress_file
from mcuquant.compression.recipe import load_recipe
from mcuquant.compression.recipe_metrics import METRICS, Task
from mcuquant.compression.recipe_search import search
from mcuquant.errors import CalibrationError, ConfigError
from mcuquant.reporting.record import Record, best, load_records
from mcuquant.reporting.tables import records_table

NET = """
import torch
from torch import nn

def values():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2))

def autoencoder():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 4), nn.ReLU(), nn.Linear(4, 12))

def within_one(outputs, y, x):
    return float((abs(outputs - y) < 1).mean())

def broken(outputs, y, x):
    return outputs["no"]
"""
RECIPE = """
model = "net.py:{net}"
metric = "{metric}"
{more}
output = "{output}"
[data]
train = "train.npz"
valid = "valid.npz"
test = "test.npz"
[train]
epochs = 12
learning_rate = 0.01
[prune]
target = {{ macs = "60 %" }}
multiple = 4
epochs = 3
[fine_tune]
learning_rate = 0.01
"""


def values(n: int, seed: int) -> dict[str, Any]:
    """Two smooth functions of 12 numbers."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 12)).astype(np.float32)
    return {"x": x, "y": np.stack([3 * np.tanh(x[:, 0] + x[:, 1]), x[:, 2] - x[:, 3]], axis=1)}


def anomalies(n: int, seed: int, share: float) -> dict[str, Any]:
    """Normal samples lie in a plane of 3 dimensions; anomalies do not."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3)) @ np.random.default_rng(0).normal(size=(3, 12))
    y = (np.arange(n) < share * n).astype(np.int64)
    x += y[:, None] * rng.normal(0, 1.5, size=x.shape)
    return {"x": x.astype(np.float32), "y": y}


def recipe(folder: Path, net: str, metric: str, more: str = "", tables: str = "") -> Path:
    (folder / "net.py").write_text(NET)
    for name, seed, n in (("train", 1, 400), ("valid", 2, 120), ("test", 3, 160)):
        is_train = name == "train"
        arrays = values(n, seed) if net == "values" else anomalies(n, seed, 0.0 if is_train else 0.5)
        np.savez(folder / f"{name}.npz", **arrays)
    path = folder / "recipe.toml"
    text = RECIPE.format(net=net, metric=metric, more=more, output=folder / "small")
    path.write_text(text + tables)
    return path


@pytest.mark.parametrize(("metric", "limit"), [("mae", -0.6), ("r2", 0.7)])
def test_values_are_trained_by_their_squared_error(metric: str, limit: float, tmp_path: Path) -> None:
    result, project = compress_file(recipe(tmp_path, "values", metric))
    assert [r.label for r in result.records] == ["float", "int8", "pruned", "compressed"]
    assert {r.metric for r in result.records} == {metric}
    merits = [r.quality for r in result.records if r.quality is not None]
    assert len(merits) == 4
    assert min(merits) > limit
    assert abs(merits[0] - merits[1]) < 0.05
    read = load_records(project.directory / "records.json")
    assert read[-1].metric_value == pytest.approx(merits[-1] if metric == "r2" else -merits[-1])
    assert [str(c.header) for c in records_table(read).columns][1] == "metric"


def test_an_autoencoder_is_measured_by_its_auc(tmp_path: Path) -> None:
    path = recipe(tmp_path, "autoencoder", "auc", tables="[quantize]\nepochs = 2\n")
    result, _ = compress_file(path)
    assert all(r.quality is not None and r.quality > 0.9 for r in result.records)


def test_training_data_of_an_autoencoder_need_no_labels(tmp_path: Path) -> None:
    path = recipe(tmp_path, "autoencoder", "auc")
    np.savez(tmp_path / "train.npz", x=anomalies(400, 1, 0.0)["x"])
    result, _ = compress_file(path)
    assert result.records[-1].quality_text.startswith("auc 0.9")


def test_a_function_of_the_user_is_the_metric(tmp_path: Path) -> None:
    result, _ = compress_file(recipe(tmp_path, "values", "net.py:within_one", 'task = "values"'))
    assert result.records[-1].metric == "within_one"
    assert 0.5 < (result.records[-1].quality or 0) <= 1


def test_a_search_finds_the_smallest_error(tmp_path: Path) -> None:
    tables = '[search]\ntrials = 3\ncosts = ["macs"]\n[search.space]\n"prune.multiple" = { choices = [1, 4] }\n'
    result = search(recipe(tmp_path, "values", "mae", tables=tables.replace('"macs"', '"cycles"')))
    merits = [trial.record.quality for trial in result.trials]
    assert all(merit is not None and merit < 0 for merit in merits)
    assert result.front[0].record.quality == max(m for m in merits if m is not None)


def refusal(path: Path) -> str:
    with pytest.raises((CalibrationError, ConfigError)) as error:
        compress_file(path)
    return str(error.value)


def test_what_does_not_fit_a_metric(tmp_path: Path) -> None:
    unknown = refusal(recipe(tmp_path, "values", "f1"))
    assert unknown.endswith(
        "metric 'f1' is not known, expected one of accuracy, mae, r2, auc, or a function \"file.py:function\""
    )
    assert "array 'metric' " not in unknown
    mixed = recipe(tmp_path, "values", "mae")
    mixed.write_text(mixed.read_text().replace("epochs = 12", "epochs = 12\nmixup = 0.2"))
    assert refusal(mixed).endswith("mixup needs classes, the recipe's task is values; leave it out")
    broken = refusal(recipe(tmp_path, "values", "net.py:broken", 'task = "values"'))
    assert broken.startswith("'metric' raised IndexError: ")
    wide = recipe(tmp_path, "values", "mae")
    np.savez(tmp_path / "valid.npz", x=values(9, 0)["x"], y=np.zeros((9, 3)))
    assert refusal(wide) == (
        "the network's output has 2 elements, the array 'y' of the valid samples 3; the task values needs equal numbers"
    )
    np.savez(tmp_path / "valid.npz", x=values(2, 0)["x"], y=[np.nan, 1])
    assert refusal(wide).endswith("valid.npz holds NaN or infinity; leave these samples out")
    np.savez(tmp_path / "valid.npz", x=values(2, 0)["x"], y=[1.0, 1.0, 2.0])
    assert refusal(wide).endswith("valid.npz is float64 of shape (3,); expected numbers of shape (2,) or (2, K)")


def test_labels_without_anomalies_are_refused(tmp_path: Path) -> None:
    path = recipe(tmp_path, "autoencoder", "auc")
    np.savez(tmp_path / "test.npz", **anomalies(9, 1, 0.0))
    assert refusal(path) == (
        "array 'y' of the test samples is 0 everywhere; expected 0 for normal samples and 1 for anomalies"
    )
    samples = anomalies(9, 1, 0.5)
    np.savez(tmp_path / "test.npz", x=samples["x"], y=np.where(samples["y"] == 1, -1, 1))
    assert refusal(path) == (
        "array 'y' of the test samples is from -1 to 1; expected 0 for normal samples and 1 for anomalies"
    )


def test_r2_of_equal_values_is_refused() -> None:
    with pytest.raises(CalibrationError) as error:
        METRICS["r2"].score(np.array([[1.0], [2.0]]), np.array([3.0, 3.0]), np.zeros((2, 4)))
    assert str(error.value) == "the metric 'r2' needs values that differ; array 'y' of a set holds one value only"


def test_the_merit_orders_networks() -> None:
    def record(value: float, cycles: int) -> Record:
        merit = METRICS["mae"].merit(value)
        return Record(label=f"{value}", weight_bytes=1, cycles=cycles, metric="mae", metric_value=value, merit=merit)

    records = [record(0.5, 10), record(0.2, 20), record(0.3, 30)]
    assert [r.label for r in best(records, "cycles")] == ["0.5", "0.2"]
    assert [r.quality_text for r in records] == ["mae 0.5", "mae 0.2", "mae 0.3"]


def test_a_task_replaces_that_of_the_metric(tmp_path: Path) -> None:
    assert load_recipe(recipe(tmp_path, "values", "mae", 'task = "values"')).task is Task.VALUES
