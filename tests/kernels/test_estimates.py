"""Estimated cycles beside those that the cycle model counts."""

from __future__ import annotations

from pathlib import Path

import mlperf
import numpy as np
import pytest

from benchmarks import network_estimates, published
from benchmarks.drawn_networks import drawn_network
from benchmarks.estimate_table import table
from benchmarks.estimates import KINDS, drawn, measured, weighted
from mcuquant import flow
from mcuquant.device.measurement import Counter

CLOSE = {"qemu-mps2-an385": 0.93, "qemu-mps2-an386": 0.95, "qemu-mps3-an547": 0.9}
"""Part of random layers, all kinds of operations, whose estimates are within 20 % or 40 cycles of the counts:
Cortex-M3, M4 and M55.
"""


@pytest.mark.emulator
@pytest.mark.slow
@pytest.mark.parametrize("board", CLOSE)
def test_random_layers_take_about_what_was_estimated(board: str) -> None:
    layers = [*drawn(11, 4, list(KINDS)), *weighted(11, 20)]
    rows = list(measured(layers, board))
    assert len(rows) == len(layers)
    assert np.mean([row.is_close for row in rows]) >= CLOSE[board], table(rows)


@pytest.mark.emulator
@pytest.mark.slow
@pytest.mark.parametrize("board", CLOSE)
def test_networks_take_about_what_was_estimated(board: str) -> None:
    """Other networks than those that costs were fitted to, and other objectives."""
    drawn = [(f"drawn {seed}", drawn_network(seed)) for seed in range(40, 46)]
    for name, graph in (*drawn, ("4k", published.network("4k"))):
        for optimize in ("speed", "balanced"):
            row = network_estimates.measured(name, graph, board, optimize)
            assert abs(row.error) <= 0.1, (optimize, row)


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
