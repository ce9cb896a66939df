"""Where the MLPerf Tiny models are on this machine, if they are: the repository does not hold them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

INT8 = ("ad_int8", "ic_int8", "kws_int8", "vww_int8")
FLOAT = ("ad_float", "ic_float", "kws_float_hybrid", "vww_float")


def folder() -> Path:
    beside = Path(__file__).resolve().parents[3] / "shared" / "mlperf-tiny"
    return Path(os.environ.get("MCUQUANT_MLPERF_TINY", beside))


def path(name: str) -> Path:
    """The file `name` of the set; skips the test where there is none."""
    found = folder() / name
    if not found.is_file():
        pytest.skip(f"no {name} in {folder()}: MCUQUANT_MLPERF_TINY may name the folder of the MLPerf Tiny models")
    return found


def models() -> list[Path]:
    """All models of the set that are there."""
    return sorted(folder().glob("*.tflite"))
