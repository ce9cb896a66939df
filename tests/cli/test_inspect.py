"""`mcuquant inspect` of a .tflite: what cannot be taken first, else layers, quantization and what sets the arena."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlperf
import numpy as np
import pytest
from click.testing import CliRunner, Result
from rich.console import Console
from tflite_rows import Rows

from mcuquant.cli import main
from mcuquant.reporting import tables


def inspect(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["inspect", *map(str, arguments)], prog_name="mcuquant")


def small(path: Path) -> Path:
    """A pointwise convolution with a scale per channel, then a maximum over all pixels."""
    rows, rng = Rows(), np.random.default_rng(0)
    x = rows.input((1, 4, 4, 2))
    w = rows.constant(rng.integers(-127, 128, (3, 1, 1, 2)), "INT8", (0.25, 0.5, 0.125))
    bias = rows.constant([1, 2, 3], "INT32", (0.125, 0.25, 0.0625))
    y = rows.op("CONV_2D", [x, w, bias], (1, 4, 4, 3))
    y = rows.op("MAX_POOL_2D", [y], (1, 1, 1, 3), filter_width=4, filter_height=4)
    path.write_bytes(rows.bytes(y))
    return path


TEXT = """\
small: integer, 9 parameters, 96 MACs; for qemu-mps2-an386
#   layer   op          output         MACs     share   weights
───────────────────────────────────────────────────────────────
0   x3      Conv2D      1x4x4x3 int8     96   100.0 %         9
1   x4      MaxPool2D   1x1x1x3 int8      0     0.0 %         0

#   output of   scale   zero point   weights   their scale    scales
────────────────────────────────────────────────────────────────────
    input x0      0.5            3
0   Conv2D        0.5            3    8 bits   0.125 to 0.5        3
1   MaxPool2D     0.5            3

#   op              kernel        cycles   constants   code   scratch
─────────────────────────────────────────────────────────────────────
0   Conv2D      *   conv2d_s8      4,140          33    530         0
1   MaxPool2D   *   max_pool_s8      275           0    400         0

Selected for balanced; estimated (Cortex-M4, no wait states): 4,415 cycles, 963 B of flash.
arena: ARENA B (planned)
constants: FLASH B (planned, without code)
The arena is fullest at 0, Conv2D, with:
  x3 1x4x4x3: 48 B
  x0 1x4x4x2: 32 B

Next: mcuquant compile PATH -o build/small
"""


def test_a_model_is_shown_with_its_quantization_and_its_largest_tensors(tmp_path: Path) -> None:
    path = small(tmp_path / "small.tflite")
    facts = json.loads(inspect(path, "--json", "-").stdout)
    result = inspect(path)
    assert (result.exit_code, result.stderr) == (0, "")
    expected = TEXT.replace("PATH", str(path)).replace("FLASH", str(facts["constant_bytes"]))
    lines = [line.rstrip() for line in result.stdout.splitlines()]
    assert "\n".join(lines) + "\n" == expected.replace("ARENA", str(facts["arena_bytes"]))


def test_json_holds_the_same(tmp_path: Path) -> None:
    facts = json.loads(inspect(small(tmp_path / "small.tflite"), "--json", "-").stdout)
    assert facts["layers"][0] == {
        "name": "x3",
        "op": "Conv2D",
        "dtype": "int8",
        "shape": [1, 4, 4, 3],
        "macs": 96,
        "weights": 9,
    }
    none: dict[str, Any] = {"weight_bits": None, "weight_scales": None, "weight_channels": 0}
    activation = {"scale": 0.5, "zero_point": 3}
    assert facts["quantization"] == [
        {"layer": None, "name": "x0", "op": "", **activation, **none},
        {
            "layer": 0,
            "name": "x3",
            "op": "Conv2D",
            **activation,
            "weight_bits": 8,
            "weight_scales": [0.125, 0.5],
            "weight_channels": 3,
        },
        {"layer": 1, "name": "x4", "op": "MaxPool2D", **activation, **none},
    ]
    assert facts["arena_peak"]["tensors"][0] == {"name": "x3", "shape": [1, 4, 4, 3], "bytes": 48}


def test_what_cannot_be_taken_is_all_that_is_said(tmp_path: Path) -> None:
    rows = Rows()
    x = rows.op("RELU", [rows.input((1, 4))], (1, 4))
    y = rows.op("UNIQUE", [rows.op("SEGMENT_SUM", [x], (1, 4)), x], (1, 4))
    path = tmp_path / "net.tflite"
    path.write_bytes(rows.bytes(y))
    result = inspect(path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "Error: net.tflite needs what mcuquant does not translate (2 of 3 operators):\n"
        "  operator 1 SEGMENT_SUM that writes 'x2': replace it, or end the model before it and compute the rest where "
        "the result is read\n"
        "  operator 2 UNIQUE that writes 'x3': replace it, or end the model before it and compute the rest where the "
        "result is read\n"
    )
    assert inspect(path, "--json", tmp_path / "facts.json").exit_code == 1
    assert not (tmp_path / "facts.json").exists()


@pytest.mark.parametrize("name", [*mlperf.INT8, *mlperf.FLOAT])
def test_mlperf_tiny_s_models_fit_the_page(name: str) -> None:
    result = inspect(mlperf.path(f"{name}.tflite"))
    assert result.exit_code == 0, result.output
    *shown, _, last = result.stdout.splitlines()
    assert last.startswith("Next: mcuquant compile ")
    assert max(map(len, shown)) <= 100
    for kind in ("FullyConnected", "DepthwiseConv2D" if name[:3] in ("kws", "vww") else "FullyConnected"):
        assert any(f" {kind} " in line for line in shown)


def test_the_widest_column_alone_gives_way() -> None:
    made = tables.table("*name", "shape", ">count")
    made.add_row("x" * 300, "1x96x96x3", "7,489,664")
    console = Console(width=100)
    with console.capture() as captured:
        console.print(made)
    row = captured.get().splitlines()[2]
    assert "…" in row
    assert row.split()[1:] == ["1x96x96x3", "7,489,664"]


@pytest.mark.parametrize(
    ("text", "shown"), [("short", "short"), ("a" * 24, "a" * 24), ("b" * 5 + "a" * 20, "…" + "a" * 20 + "")]
)
def test_names_keep_their_ends(text: str, shown: str) -> None:
    assert tables.clip(text, 24 if len(text) < 25 else 21) == shown
