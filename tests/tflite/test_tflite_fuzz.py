"""A hostile .tflite cannot hurt: damaged files and files that ask for much, all the way to sources.

`MCUQUANT_FUZZ=20000 pytest tests/test_tflite_fuzz.py` damages so many files of either kind instead of a few hundred;
`MCUQUANT_FUZZ_SEED` (default 0) is where the seeds begin.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlperf
import numpy as np
import pytest
from graphs import FLOAT_GENERATORS, GENERATORS, random_network
from tflite_bombs import bombs
from tflite_fuzzer import LIMIT_BYTES, outcome
from tflite_mutations import mutant
from tflite_rows import Rows

from mcuquant.errors import CalibrationWarning
from mcuquant.tflite.writer.to_tflite import to_tflite

FUZZER = Path(__file__).parents[1] / "support" / "tflite_fuzzer.py"
WIDE = int(os.environ.get("MCUQUANT_FUZZ", "0"))
FIRST = int(os.environ.get("MCUQUANT_FUZZ_SEED", "0"))

FORMS = (
    *("conv2d", "conv2d_int4", "depthwise_multiplier", "transpose_conv", "fully_connected_int16", "batch_matmul"),
    *("avg_pool", "max_pool_padded", "add_broadcast", "mul", "leaky_relu", "tanh", "hard_swish_int16", "softmax"),
    *("pad_value", "mean", "arg_max", "concat_rescaled", "slice", "transpose", "resize_nearest", "quantize"),
)
FLOAT_FORMS = ("conv2d", "fully_connected", "mul_broadcast", "softmax", "pad", "slice")


@pytest.fixture(scope="module")
def small_models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One file of each form of operation, and some whole networks."""
    folder = tmp_path_factory.mktemp("models")
    graphs = {name: GENERATORS[name](np.random.default_rng(1)) for name in FORMS}
    graphs |= {f"{name}_float": FLOAT_GENERATORS[name](np.random.default_rng(1)) for name in FLOAT_FORMS}
    graphs |= {f"network_{seed}": random_network(np.random.default_rng(seed)) for seed in range(5)}
    for name, graph in graphs.items():
        (folder / f"{name}.tflite").write_bytes(to_tflite(graph))
    return sorted(folder.iterdir())


def run(arguments: Sequence[object], timeout_seconds: float) -> dict[str, Any]:
    """The fuzzer's verdict, from a process of its own; one that it survives."""
    command = [sys.executable, str(FUZZER), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_seconds, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    verdict: dict[str, Any] = json.loads(done.stdout)
    assert verdict["findings"] == []
    assert verdict["peak_bytes"] < LIMIT_BYTES
    return verdict


def test_damaged_small_models(small_models: list[Path]) -> None:
    count = WIDE or 300
    ends = run([FIRST, count, *small_models], 60 + count)["ends"]
    assert sum(ends.values()) == count
    assert ends["refused on import"] > count / 3
    assert ends["sources"] > count / 30


def test_damaged_mlperf_models() -> None:
    models = mlperf.models()
    if not models:
        mlperf.path("kws_int8.tflite")
    count = WIDE or 80
    ends = run([FIRST, count, *models], 60 + count)["ends"]
    assert sum(ends.values()) == count
    assert ends["refused on import"] > count / 3
    assert ends["sources"] > count / 30


def test_files_that_ask_for_much(tmp_path: Path) -> None:
    for name, make in bombs().items():
        (tmp_path / f"{name}.tflite").write_bytes(make())
    ends = run(sorted(tmp_path.iterdir()), 120)["ends"]
    assert sum(ends.values()) == len(bombs())
    assert ends["sources"] >= 6


# --- what the fuzzer has found ---------------------------------------------------------------------------------------


def test_a_float_network_that_its_input_does_not_reach() -> None:
    """A layer's operand made a bias: the rest of the network was constant, and calibration looked for its scale."""
    assert outcome(mutant(mlperf.path("ad_float.tflite").read_bytes(), 128)).startswith("refused by")


@pytest.mark.parametrize("seed", [1003996, 1008212, 2003004, 2006412])
def test_float_weights_so_large_that_sums_overflow(seed: int) -> None:
    """numpy warned of infinities in the middle of calibration; now they count as what they are."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", CalibrationWarning)
        assert outcome(mutant(mlperf.path("kws_float_hybrid.tflite").read_bytes(), seed)) in (
            "sources",
            "refused by CalibrationError",
        )


def test_a_signalling_nan_for_a_scale() -> None:
    """Converted to double precision it made numpy warn before the scale was looked at."""
    rows = Rows()
    model = rows.bytes(rows.op("RELU", [rows.input((1, 2))], (1, 2)))
    assert outcome(model.replace(struct.pack("<f", 0.5), b"\x01\x00\x80\x7f")) == "refused on import"


def test_the_same_seed_does_the_same_damage(small_models: list[Path]) -> None:
    model = small_models[0].read_bytes()
    damaged = [mutant(model, seed) for seed in range(40)]
    assert damaged == [mutant(model, seed) for seed in range(40)]
    assert len(set(damaged)) > 30
