"""Recordings for a sensor node: what it takes, refuses, or warns of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_sensor_node import node

from mcuquant.cli.node import normal_counts, recording
from mcuquant.errors import CalibrationError, CalibrationWarning


def recorded(folder: Path, **arrays: object) -> Path:
    path = folder / "r.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        (
            {"x": np.full((200, 6), np.nan)},
            "array 'x' of {path} holds 1,200 values of NaN or infinity, the first at sample 0, "
            "channel 0; leave these samples out",
        ),
        (
            {"x": np.zeros((100, 6))},
            "array 'x' of {path}: found 100 samples, expected at least one window of 128: the node "
            "would make no inference",
        ),
        (
            {"raw": np.zeros((0, 6), np.int16)},
            "array 'raw' of {path}: found int16 of shape (0, 6); expected int16 of shape (samples, 6)",
        ),
        ({"x": np.zeros((200, 3))}, "array 'x' of {path} has shape (200, 3); expected one recording, (samples, 6)"),
        ({"x": np.full((200, 6), "a")}, "array 'x' of {path} is <U1; expected numbers"),
        (
            {"x": np.zeros((200, 6)), "rate_hz": 100},
            "{path} states a rate of 100 samples a second, the node was compiled "
            "for 50; resample the recording, or compile with its rate",
        ),
    ],
)
def test_recordings_that_a_node_cannot_take(arrays: dict[str, Any], text: str, tmp_path: Path) -> None:
    path = recorded(tmp_path, **arrays)
    with pytest.raises(CalibrationError) as caught:
        recording(node(rate_hz=50.0), path)
    assert str(caught.value) == text.format(path=path)


@pytest.mark.parametrize("name", ["Y", "labels"])
def test_labels_of_another_name_are_not_ignored_without_a_word(name: str, tmp_path: Path) -> None:
    path = recorded(tmp_path, x=np.zeros((200, 6)), **{name: np.zeros(200, int)})
    with pytest.warns(CalibrationWarning) as caught:
        recording(node(rate_hz=50.0), path)
    assert [str(warning.message) for warning in caught] == [
        f"{path} holds {name!r}, which is not read; names that are: raw, x, y, rate_hz, mean, std, lsb"
    ]


def test_values_that_vanish_in_one_count(tmp_path: Path) -> None:
    """As of a recording in g for a node that takes mg."""
    x = 1e-3 * np.sin(np.arange(1200.0)).reshape(200, 6)
    with pytest.warns(CalibrationWarning) as caught:
        raw = recording(node(lsb=1.0), recorded(tmp_path, x=x))
    assert not raw.any()
    (warning,) = caught
    assert str(warning.message) == (
        f"all values of array 'x' of {tmp_path / 'r.npz'} become the same counts: they differ by less than lsb, "
        "1, 1, 1, 1, 1, 1"
    )


def test_values_beside_counts_are_named(tmp_path: Path) -> None:
    path = recorded(tmp_path, x=np.ones((200, 6)), raw=np.zeros((200, 6), np.int16))
    with pytest.warns(CalibrationWarning, match=r"holds 'x', which is not read; names that are: raw, y, rate_hz"):
        assert not recording(node(), path).any()


def test_limited_values_are_counted(tmp_path: Path) -> None:
    x = np.zeros((200, 6))
    x[3, 1], x[4, 2] = 40.0, -40.0
    path = recorded(tmp_path, x=x, rate_hz=50.0)
    with pytest.warns(CalibrationWarning) as caught:
        raw = recording(node(lsb=0.001, rate_hz=50.0), path)
    assert (raw[3, 1], raw[4, 2]) == (32767, -32768)
    (warning,) = caught
    assert str(warning.message) == (
        f"2 of 1,200 values of array 'x' of {path} exceed the sensor's 16 bits and are limited; "
        "lsb is 0.001, 0.001, 0.001, 0.001, 0.001, 0.001"
    )


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (np.full((4, 6), np.inf), "values holds 24 values of NaN or infinity, the first at sample 0, channel 0; leave"),
        (np.zeros((1, 4, 6)), "values has shape (1, 4, 6); expected one recording, (samples, 6)"),
        (np.zeros((6, 4)), "values has shape (6, 4); expected one recording, (samples, 6)"),
        ("x", "values has shape (); expected one recording, (samples, 6)"),
        (np.full((4, 6), "x"), "values is <U1; expected numbers"),
    ],
)
def test_values_that_are_no_recording(values: Any, text: str) -> None:
    with pytest.raises(CalibrationError) as caught:
        node().raw(values)
    assert str(caught.value).startswith(text)


def test_a_list_is_no_recording() -> None:
    with pytest.raises(CalibrationError) as caught:
        node().check([[0] * 6] * 200)  # type: ignore[arg-type]
    assert str(caught.value) == "raw samples: found list; expected an array, int16 of shape (samples, 6)"


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (
            {"rate_hz": 100},
            "{path} states a rate of 100 samples a second, the node was compiled for 50; resample the recording, or "
            "compile with its rate",
        ),
        ({"y": np.ones(200, int)}, "array 'y' of {path} holds anomalies (1): --normal takes recordings without any"),
    ],
)
def test_recordings_that_are_not_normal_operation(more: dict[str, Any], text: str, tmp_path: Path) -> None:
    path, raw = tmp_path / "normal.npz", np.zeros((200, 6), np.int16)
    np.savez(path, raw=raw, rate_hz=50, y=np.zeros(200, int))
    assert np.array_equal(normal_counts(path, 1.0, 50), raw)
    np.savez(path, raw=raw, **more)
    with pytest.raises(CalibrationError) as caught:
        normal_counts(path, 1.0, 50)
    assert str(caught.value) == text.format(path=path)
