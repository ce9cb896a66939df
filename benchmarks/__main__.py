"""Measure MLPerf Tiny's int8 models, networks of other kinds and any .tflite file; write benchmarks/results.md."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from mcuquant.errors import McuquantError, ModelError
from mcuquant.planner.objective import Objective

from .accuracy import section_of, with_section
from .cases import Case, run_case
from .networks import written
from .peers import TFLM
from .tables import results

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results.md"
RUNS = {"qemu-mps2-an386": tuple(Objective), "qemu-mps3-an547": (Objective.SPEED,)}
"""Cortex-M4, whose cycles are modelled, in all ways kernels are chosen; Cortex-M55, whose instructions are counted."""


def main(arguments: Sequence[str]) -> int:
    """`arguments` are .tflite files to measure besides MLPerf Tiny's and those of `networks`."""
    try:
        with tempfile.TemporaryDirectory(prefix="mq-bench-") as folder:
            models = [*mlperf_tiny(), *written(Path(folder)), *map(Path, arguments)]
            text = results(list(_cases(models)), tools())
    except McuquantError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    old = RESULTS.read_text(encoding="utf-8") if RESULTS.is_file() else ""
    RESULTS.write_text(with_section(text, section_of(old)), encoding="utf-8")
    print(f"Wrote {RESULTS.relative_to(ROOT)}.")
    return 0


def mlperf_tiny() -> list[Path]:
    """Its four models. ModelError when they are not on this machine: the repository does not hold them."""
    folder = Path(os.environ.get("MCUQUANT_MLPERF_TINY") or ROOT.parent / "shared" / "mlperf-tiny")
    paths = [folder / f"{name}.tflite" for name in TFLM]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise ModelError(
            f"{folder} holds no {', '.join(missing)}; they are MLPerf Tiny's reference models (mlcommons/tiny): "
            "MCUQUANT_MLPERF_TINY names the folder that has them"
        )
    return paths


def _cases(models: Sequence[Path]) -> Iterator[Case]:
    runs = [
        (path, board, objective) for path in models for board, objectives in RUNS.items() for objective in objectives
    ]
    with tempfile.TemporaryDirectory(prefix="mq-bench-") as folder:
        for path, board, objective in runs:
            case = run_case(path, board, objective, Path(folder))
            counted = f"{case.measurement.count:,} {case.measurement.counter.unit}"
            print(f"{case.model} on {board} for {objective}: {counted}", flush=True)
            yield case


def tools() -> tuple[str, ...]:
    """What counts and what compiles, in the words of the tools."""
    commands = (["arm-none-eabi-gcc", "--version"], ["qemu-system-arm", "--version"])
    return tuple(
        subprocess.run(command, capture_output=True, text=True, check=True).stdout.partition("\n")[0]
        for command in commands
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
