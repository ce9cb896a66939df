"""Measures of a node's decisions, beside those counted by hand."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from mcuquant.codegen.decision_rules import Inferences
from mcuquant.codegen.node_settings import NodeSettings
from mcuquant.codegen.sensor_node import Node, configure
from mcuquant.errors import CalibrationError, OutputError, ToolError
from mcuquant.ir import Array, DType, QParams, Role, Tensor
from mcuquant.reporting.html.decisions_section import decisions
from mcuquant.reporting.node_quality import (
    Real,
    at_inferences,
    confusion_rows,
    float_figures,
    integer_figures,
    labels_of,
    load_quality,
    measures,
    quality,
    quality_text,
)

WINDOW, CHANNELS, STRIDE = 8, 2, 4
X = Tensor(0, (1, 1, WINDOW, CHANNELS), DType.INT16, Role.INPUT, q=QParams.of(0.001, 0))


def node(elements: int, **more: object) -> tuple[Node, Tensor]:
    y = Tensor(1, (1, elements), DType.INT16, Role.ACTIVATION, q=QParams.of(0.0005, 0))
    settings = {"mean": [0.5, -1.0], "std": 2.0, "lsb": 0.01, "stride": STRIDE, "rate_hz": 40.0, **more}
    return configure(NodeSettings(**settings), [X], [y]), y  # type: ignore[arg-type]


RAW = np.random.default_rng(1).normal(0, 300, (80, CHANNELS)).astype(np.int16)


def both(elements: int, **more: object) -> tuple[Node, Inferences, Array, Array]:
    """Figures of the device and of the float network, for outputs that are the same but for rounding."""
    made, y = node(elements, **more)
    windows = made.real_windows(RAW, X.scale, X.zero_point)
    outputs = windows.reshape(len(windows), -1)[:, :elements] * 0.7 + 0.1
    stored = np.clip(np.rint(outputs / y.scale), -32768, 32767).astype(np.int16)
    seen = made.inferences(RAW, stored)
    figures = float_figures(made, Real(windows, outputs), y.scale, y.zero_point)
    return made, seen, integer_figures(made, seen), figures


@pytest.mark.parametrize(
    ("elements", "more"),
    [
        (3, {"threshold": 0.2}),
        (WINDOW * CHANNELS, {"threshold": 1.0, "smooth": 0.3}),
        (WINDOW * CHANNELS, {"threshold": 1.0, "error": "absolute"}),
        (1, {"decision": "anomaly", "threshold": 1.0, "smooth": 0.5}),
        (2 * CHANNELS, {"decision": "anomaly", "threshold": 1.0}),
        (2, {"decision": "value", "output_scale": 3.0, "output_offset": -1.0, "smooth": 0.7}),
        (3 * CHANNELS, {"decision": "forecast"}),
    ],
)
def test_the_float_network_and_the_device_have_the_same_figures(elements: int, more: dict[str, object]) -> None:
    _, _, integer, real = both(elements, **more)
    assert np.array_equal(np.isnan(integer), np.isnan(real))
    assert np.allclose(integer, real, rtol=0.01, atol=0.004, equal_nan=True)
    assert np.unique(real[~np.isnan(real)]).size > 1


def test_classes_have_a_confusion_matrix_and_events() -> None:
    made, _ = node(3)
    labels = np.array([0, 0, 0, 1, 1, 1, 2, 2])
    reported = np.array([0, 0, -1, 1, 1, 0, 0, 0])
    measure = quality(made, reported, labels)
    assert measure["accuracy"] == 4 / 8
    assert measure["confusion"] == [[2, 0, 0, 1], [1, 2, 0, 0], [2, 0, 0, 0], [0, 0, 0, 0]]
    assert measure["event precision"] == 2 / 3
    assert measure["event recall"] == 2 / 3
    assert confusion_rows(measure)[0] == ("0", ("2", "0", "0", "1"))
    assert len(confusion_rows(measure)) == 3
    assert measures({"float": measure, "board": measure})[0] == ("accuracy", ("50.0 %", "50.0 %"))


def test_alarms_have_an_area_under_the_curve_and_false_alarms_an_hour() -> None:
    made, _ = node(1, decision="anomaly", threshold=1.0)
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 0])
    scores = np.array([0.1, 1.5, 0.2, 0.3, 1.4, 2.0, 0.9, 0.4])
    measure = quality(made, scores, labels)
    pairs = [(a > b) for a in scores[labels == 1] for b in scores[labels == 0]]
    assert measure["AUC"] == pytest.approx(np.mean(pairs))
    assert measure["detection rate"] == pytest.approx(2 / 3)
    assert measure["false alarm rate"] == pytest.approx(1 / 5)
    assert measure["false alarms an hour"] == pytest.approx(1 / (5 / 10 / 3600))
    assert [len(axis) for axis in measure["roc"]] == [len(measure["roc"][0])] * 2


def test_values_have_errors() -> None:
    made, _ = node(1)
    measure = quality(made, np.array([[1.0], [2.0], [4.0]]), np.array([[1.5], [2.0], [3.0]]))
    assert measure["mean absolute error"] == pytest.approx(0.5)
    assert measure["largest error"] == 1.0
    assert measure["RMS error"] == pytest.approx(np.sqrt(1.25 / 3))
    assert measure["R2"] == pytest.approx(1 - 1.25 / np.var([1.5, 2, 3]) / 3)


def test_the_label_of_an_inference_is_that_of_its_newest_sample() -> None:
    made, seen, _, _ = both(3)
    assert at_inferences(np.arange(80), seen).tolist() == list(range(WINDOW - 1, 80, STRIDE))
    assert labels_of(made, np.arange(80) % 3, 80, 3, "y").tolist() == [i % 3 for i in range(80)]


def test_other_labels_are_refused() -> None:
    made, _ = node(3)
    with pytest.raises(CalibrationError) as caught:
        labels_of(made, np.zeros(79, np.int64), 80, 3, "array 'y' of r.npz")
    assert str(caught.value) == (
        "array 'y' of r.npz is int64 of shape (79,); expected class numbers, one per sample: (80,)"
    )
    for first, last, hint in ((1, 3, "; labels that begin at 1 need 1 subtracted"), (0, 3, ""), (-1, 2, "")):
        with pytest.raises(CalibrationError) as caught:
            labels_of(made, np.linspace(first, last, 80).astype(int), 80, 3, "y")
        assert str(caught.value) == (
            f"labels of y are from {first} to {last}, but the network has 3 outputs: expected 0 to 2{hint}"
        )


def test_a_node_with_a_threshold_may_know_no_class() -> None:
    made, _ = node(3, threshold=0.1)
    assert labels_of(made, np.full(80, -1), 80, 3, "y").tolist() == [-1] * 80
    with pytest.raises(CalibrationError):
        labels_of(made, np.full(80, -2), 80, 3, "y")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_refused(value: float) -> None:
    made, _ = node(1)
    y = np.zeros(80)
    y[7] = value
    with pytest.raises(CalibrationError) as caught:
        labels_of(made, y, 80, 1, "y")
    assert str(caught.value) == "y holds NaN or infinity; leave these samples out of the recording"


@pytest.mark.parametrize("elements", [1, 3])
def test_empty_labels_are_refused(elements: int) -> None:
    made, _ = node(elements)
    with pytest.raises(CalibrationError, match=r"y is float64 of shape \(0,\); expected .*, one per sample: \(80,\)"):
        labels_of(made, np.zeros(0), 80, elements, "y")


def test_one_value_has_no_r2() -> None:
    made, _ = node(1)
    assert quality(made, np.array([[1.0], [2.0]]), np.array([[1.5], [1.5]]))["R2"] is None


def test_labels_of_anomalies_are_0_or_1() -> None:
    made, *_ = both(1, decision="anomaly", threshold=0.5)
    with pytest.raises(CalibrationError) as caught:
        labels_of(made, np.arange(80) % 3, 80, 1, "y")
    assert str(caught.value) == "y is from 0 to 2; expected 0 (normal) or 1 (anomaly)"


def test_a_missing_scikit_learn_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    made, _ = node(3)
    with pytest.raises(ToolError) as caught:
        quality(made, np.array([0, 1]), np.array([0, 1]))
    assert str(caught.value) == (
        "labels are counted by scikit-learn, which is not installed: pip install 'mcuquant[evaluate]'"
    )


def test_the_report_draws_curves_errors_and_confusion() -> None:
    made, _ = node(1, decision="anomaly", threshold=1.0)
    labels, scores = np.array([0, 0, 1, 1, 0]), np.array([0.1, 0.2, 1.4, 0.15, 0.3])
    alarms = decisions({"float": quality(made, scores + 0.01, labels), "board": quality(made, scores, labels)})
    assert [p.title for p in alarms.pictures] == ["ROC curve"]
    assert "AUC: float 0.667, board 0.667" in alarms.pictures[0].summary
    assert [line.style for line in alarms.pictures[0].lines] == ["grid", "grid", "weights-before", "front"]
    assert alarms.table is not None
    assert alarms.table.head == ("measure", ">float", ">board")
    values, _ = node(1)
    errors = decisions({"board": quality(values, np.array([[1.0], [2.0], [4.0]]), np.array([[1.5], [2.0], [3.0]]))})
    assert sum(rect.title.endswith(" 1 inferences") for rect in errors.pictures[0].rects) == 3
    classes, _ = node(2)
    confusion = decisions({"board": quality(classes, np.array([0, 1, -1]), np.array([0, 0, 1]))})
    assert confusion.text[1] == "Confusion: class 0: 1 as 0, 1 as 1; class 1: 1 as none."


def test_the_file_of_measures_is_read_again(tmp_path: Path) -> None:
    made, _ = node(3)
    columns = {"board": quality(made, np.array([0, 1]), np.array([0, 0]))}
    path = tmp_path / "node.json"
    path.write_text(quality_text(columns, "abc"))
    assert load_quality(path) == {"digest": "abc", "networks": columns}
    path.write_text(quality_text(columns, "abc", 0.25, 40.0))
    assert json.loads(path.read_text())["duty_cycle"] == 0.25
    assert json.loads(path.read_text())["rate_hz"] == 40.0
    assert load_quality(path) == {"digest": "abc", "networks": columns}
    path.write_text('{"digest": "abc"}')
    with pytest.raises(OutputError) as caught:
        load_quality(path)
    assert str(caught.value) == f"{path} is not what mcuquant node --json writes; remove it, or write it again"
