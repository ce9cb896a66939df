"""The user's layout to the graph's and back, and what is said of data that cannot be used."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcuquant.errors import CalibrationError
from mcuquant.ir import Array, Shape
from mcuquant.quantization.sample_layout import to_graph_layout, to_model_layout

SIZES = st.lists(st.integers(1, 5), min_size=2, max_size=4).map(tuple)


def numbered(shape: Shape) -> Array:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def graph_shape(own: Shape) -> Shape:
    if len(own) == 4:
        return (1, own[2], own[3], own[1])
    return (1, 1, own[2], own[1]) if len(own) == 3 else (1, own[1])


@settings(deadline=None, max_examples=50)
@given(SIZES)
def test_there_and_back(own: Shape) -> None:
    x = numbered(own)
    moved = to_graph_layout(x, graph_shape(own))
    assert moved.shape == (own[0], *graph_shape(own)[1:])
    assert moved.flags.c_contiguous
    assert np.array_equal(to_model_layout(moved, len(own)), x)


def test_channels_go_last() -> None:
    image, signal = numbered((2, 3, 4, 5)), numbered((2, 3, 5))
    assert to_graph_layout(image, (1, 4, 5, 3))[1, 2, 4, 0] == image[1, 0, 2, 4]
    assert to_graph_layout(signal, (1, 1, 5, 3))[1, 0, 4, 2] == signal[1, 2, 4]


def test_an_image_of_height_1_fits_a_signal() -> None:
    assert to_graph_layout(numbered((2, 3, 1, 5)), (1, 1, 5, 3)).shape == (2, 1, 5, 3)


def test_channels_last_stay() -> None:
    x = numbered((2, 4, 5, 3))
    assert np.array_equal(to_graph_layout(x, (1, 4, 5, 3), channels_first=False), x)


def test_other_float_types_become_float32() -> None:
    assert to_graph_layout(np.ones((2, 4), np.float64), (1, 4)).dtype == np.float32


REFUSED: dict[str, tuple[Array, Shape, str]] = {
    "integers": (
        np.zeros((2, 4), np.int64),
        (1, 4),
        "x is of type int64; expected floating-point numbers, such as float32",
    ),
    "no samples": (
        np.zeros((0, 4), np.float32),
        (1, 4),
        "x has shape (0, 4), which holds no samples; expected at least one",
    ),
    "a single number": (np.float32(1), (1, 4), "x has shape (), which holds no samples; expected at least one"),
    "features": (np.zeros((2, 5), np.float32), (1, 4), "x has shape (2, 5); expected (N, 4) with N samples"),
    "channels last": (
        np.zeros((2, 8, 9, 3), np.float32),
        (1, 8, 9, 3),
        "x has shape (2, 8, 9, 3); expected (N, 3, 8, 9) with N samples",
    ),
    "signal": (
        np.zeros((2, 128, 6), np.float32),
        (1, 1, 128, 6),
        "x has shape (2, 128, 6); expected (N, 6, 128) or (N, 6, 1, 128) with N samples",
    ),
    "one sample without a batch": (
        np.zeros((6, 128), np.float32),
        (1, 1, 128, 6),
        "x has shape (6, 128); expected (N, 6, 128) or (N, 6, 1, 128) with N samples",
    ),
    "NaN": (
        np.array([[1, 2], [np.nan, np.inf]], np.float32),
        (1, 2),
        "x holds 2 values that are NaN or infinite, the first in sample 1; expected finite numbers",
    ),
    "too large for float32": (
        np.array([[1, 1e300]]),
        (1, 2),
        "x holds 1 values that are NaN or infinite, the first in sample 0; expected finite numbers",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_data(name: str) -> None:
    x, shape, said = REFUSED[name]
    with pytest.raises(CalibrationError) as caught:
        to_graph_layout(x, shape)
    assert str(caught.value) == said


def test_the_data_is_called_by_its_name() -> None:
    with pytest.raises(CalibrationError, match=r"^calibration data is of type int64"):
        to_graph_layout(np.zeros((2, 4), np.int64), (1, 4), name="calibration data")


def test_the_shape_of_channels_last_data_is_named_as_it_is() -> None:
    with pytest.raises(CalibrationError) as caught:
        to_graph_layout(np.zeros((2, 3, 8, 9), np.float32), (1, 8, 9, 3), channels_first=False)
    assert str(caught.value) == "x has shape (2, 3, 8, 9); expected (N, 8, 9, 3) with N samples"
