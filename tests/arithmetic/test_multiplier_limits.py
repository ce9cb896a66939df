"""Rescale factors at the limit of what a kernel takes."""

from __future__ import annotations

import pytest

from mcuquant.arithmetic.parameters.factors import multiplier
from mcuquant.errors import GraphError
from mcuquant.ir import DType, QParams, Role, Tensor

Y = Tensor(0, (1,), DType.INT16, Role.ACTIVATION, q=QParams.of(0.5), name="y")


def test_the_largest_factor_below_the_limit_keeps_its_shift() -> None:
    assert multiplier("Conv2D", Y, 2.0**14 * (1 - 2.0**-31), below=2.0**14).shift == 14


@pytest.mark.parametrize("factor", [2.0**14 * (1 - 2.0**-33), 2.0**14])
def test_a_factor_that_rounds_up_to_the_limit_is_refused(factor: float) -> None:
    with pytest.raises(GraphError) as caught:
        multiplier("Conv2D", Y, factor, below=2.0**14)
    assert str(caught.value) == (
        "Conv2D: the scale 0.5 of output 0 ('y') is too small for that of the input: the rescale factor is 16384, "
        "expected below 16384; quantize the output with a larger scale"
    )
