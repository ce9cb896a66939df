"""Checks of class numbers of labeled samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import CalibrationError
from ..ir import Array


def check_class_numbers(path: Path, y: Array, count: int) -> None:
    """Raises CalibrationError unless array `y` of a file has an integer for each of `count` samples."""
    if y.shape != (count,) or y.dtype.kind not in "iu":
        raise CalibrationError(
            f"array 'y' of {path} is {y.dtype} of shape {y.shape}; expected {count} class numbers, one for each sample"
        )


def check_values(path: Path, y: Array, count: int) -> None:
    """Raises CalibrationError unless array `y` of a file has finite numbers for each of `count` samples."""
    if len(y) != count or not 1 <= y.ndim <= 2 or y.dtype.kind not in "fiu":
        raise CalibrationError(
            f"array 'y' of {path} is {y.dtype} of shape {y.shape}; expected numbers of shape ({count},) or ({count}, K)"
        )
    if not np.isfinite(y).all():
        raise CalibrationError(f"array 'y' of {path} holds NaN or infinity; leave these samples out")


def class_count(shape: Sequence[int]) -> int:
    """The number of classes of a network whose first output has this shape for one sample.

    Raises CalibrationError if that is not one score for each of two or more classes, as the position of the largest
    element would be no class.
    """
    sizes = [size for size in shape if size != 1]
    if len(sizes) != 1:
        text = "x".join(map(str, shape)) or "1"
        raise CalibrationError(
            f"the network's first output has shape {text} for one sample; class numbers need "
            "one score for each of two or more classes"
        )
    return sizes[0]


def check_labels(origin: str, low: int, high: int, classes: int) -> None:
    """Raises CalibrationError unless labels from `low` to `high` are classes of a network with that many outputs."""
    if low >= 0 and high < classes:
        return
    hint = "; labels that begin at 1 need 1 subtracted" if (low, high) == (1, classes) else ""
    raise CalibrationError(
        f"labels of {origin} are from {low} to {high}, but the network has {classes} outputs: "
        f"expected 0 to {classes - 1}{hint}"
    )
