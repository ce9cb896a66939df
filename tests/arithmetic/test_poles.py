"""Results where the real function is infinite: the nearest stored value, for every zero point."""

from __future__ import annotations

import numpy as np
import pytest
from nets import Net
from tflm import run as run_tflm

from mcuquant.arithmetic.interpreter import run
from mcuquant.ir import DType, Graph, QParams, Role, ops
from mcuquant.tflite.writer.to_tflite import to_tflite

ALL = np.arange(-128, 128, dtype=np.int8).reshape(1, -1)
SCALES = ((0.05, -128, 0.04, 20), (0.05, -128, 0.04, 0), (0.05, -128, 0.04, -30), (0.02, 5, 0.04, -128))
"""(scale, zero point) of the input, whose stored zero point is the real value 0, and of the output."""


def _logarithm(x_scale: float, x_zero: int, y_scale: float, y_zero: int) -> Graph:
    """One Log of all 256 values."""
    net = Net(np.random.default_rng(0))
    x = net.tensor(ALL.shape, DType.INT8, Role.INPUT, q=QParams.of(x_scale, x_zero))
    net.inputs.append(x)
    return net.graph(net.apply(ops.Log, (x,), ALL.shape, QParams.of(y_scale, y_zero)))


@pytest.mark.parametrize("scales", SCALES)
def test_the_logarithm_of_zero_is_the_lowest_value(scales: tuple[float, int, float, int]) -> None:
    """TensorFlow Lite Micro adds a negative zero point to the smallest int32, which wraps around to the largest
    value; it gives the lowest one for other zero points.
    """
    graph = _logarithm(*scales)
    y = run(graph, [ALL])[0].ravel()
    theirs = run_tflm(to_tflite(graph), [ALL])[0].ravel()
    at_zero, above = ALL.ravel() == scales[1], ALL.ravel() > scales[1]
    assert (y[at_zero] == -128).all()
    assert np.array_equal(y[above], theirs[above])
    if scales[3] >= 0:
        assert np.array_equal(y[at_zero], theirs[at_zero])
