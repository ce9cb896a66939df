"""Estimated cycles beside those that the cycle model counts."""

from __future__ import annotations

from pathlib import Path

import mlperf
import pytest

from mcuquant import flow
from mcuquant.device.measurement import Counter


@pytest.mark.emulator
@pytest.mark.parametrize("optimize", ["speed", "balanced"])
def test_layers_take_about_what_was_estimated(optimize: str, tmp_path: Path) -> None:
    """Of KWS: a convolution of one channel, depthwise and pointwise convolutions, a mean, a product."""
    graph = flow.from_tflite(mlperf.path("kws_int8.tflite"))
    project = flow.compile(graph, output=tmp_path / "kws", optimize=optimize)
    with project.connect() as dut:
        measured = dut.bench()
    if measured.counter is not Counter.MODELLED_CYCLES:
        pytest.skip("cycles are not modelled here: " + " ".join(measured.notes))
    for layer, row in zip(project.manifest["layers"], measured.layers, strict=True):
        assert abs(layer["estimated_cycles"] - row.count) <= 0.2 * row.count, (layer, row.count)
