"""Class numbers are compared with networks that give a score for each class, and with no others."""

from __future__ import annotations

import pytest

from mcuquant.errors import CalibrationError
from mcuquant.quantization.labels import class_count


@pytest.mark.parametrize(("shape", "count"), [((5,), 5), ((1, 1, 12), 12), ((3, 1, 1), 3)])
def test_one_axis_is_the_classes(shape: tuple[int, ...], count: int) -> None:
    assert class_count(shape) == count


@pytest.mark.parametrize(("shape", "text"), [((), "1"), ((1,), "1"), ((1, 1), "1x1"), ((1, 64, 3), "1x64x3")])
def test_other_outputs_are_no_scores_of_classes(shape: tuple[int, ...], text: str) -> None:
    with pytest.raises(CalibrationError) as caught:
        class_count(shape)
    assert str(caught.value) == (
        f"the network's first output has shape {text} for one sample; class numbers need one score for each of two or "
        "more classes"
    )
