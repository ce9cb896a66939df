"""Tables: what they say, how wide they are."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from rich.console import Console
from rich.table import Table

from mcuquant.boards.board import load_board
from mcuquant.device.cycle_model import Counts
from mcuquant.device.measurement import Counter, Layer, LayerMeasurement, Measurement
from mcuquant.quantization import LayerSnr
from mcuquant.reporting import tables

LAYERS = (
    LayerMeasurement(Layer("conv", "Conv2D", (1, 1, 12, 4), 432), 4000),
    LayerMeasurement(Layer("linear", "FullyConnected", (1, 5), 240), 1000),
)
EMULATED = Measurement(
    board="qemu-mps2-an386",
    core="cortex-m4",
    digest="ab" * 32,
    counter=Counter.QEMU_INSTRUCTIONS,
    clock_hz=25_000_000,
    count=5040,
    layers=LAYERS,
    flash_bytes=12_345,
    ram_bytes=6_789,
    arena_bytes=1_024,
    stack_bytes=348,
)
TEXT = """\
#  layer   op              output    MACs  instructions     µs   share
-  ------  --------------  --------  ----  ------------  -----  ------
0  conv    Conv2D          1x1x12x4   432         4,000  160.0  79.4 %
1  linear  FullyConnected  1x5        240         1,000   40.0  19.8 %

One inference on qemu-mps2-an386 (cortex-m4):
  672 MACs, 5,040 instructions (7.50 per MAC), 201.6 µs
  flash 12,345 B; RAM 6,789 B, including 1,024 B of arena; stack used 348 B
Counted: instructions (QEMU -icount).
Time: modelled: one instruction a clock at 25 MHz; not a board's time."""


def printed(table: Table) -> list[str]:
    console = Console(width=100)
    with console.capture() as captured:
        console.print(table)
    return [line.rstrip() for line in captured.get().splitlines()]


def test_a_measurement_under_emulation_says_that_its_times_are_modelled() -> None:
    assert str(EMULATED) == TEXT


def test_a_measurement_on_hardware_counts_cycles() -> None:
    text = str(replace(EMULATED, counter=Counter.CYCCNT_CYCLES))
    assert "5,040 cycles (7.50 per MAC)" in text
    assert text.endswith("\nCounted: cycles (DWT CYCCNT).\nTime: measured at 25 MHz.")


def test_what_else_was_counted_and_what_a_person_should_know_follow() -> None:
    counts = Counts(cycles=5040, instructions=4000, loads=300, stores=20, flash_bytes_read=1000)
    noted = replace(EMULATED, counter=Counter.MODELLED_CYCLES, counts=counts, notes=("Built without the plugin.",))
    lines = str(noted).splitlines()
    assert "  4,000 instructions, 300 loads, 20 stores, 1,000 B read from flash" in lines
    assert lines[-3:] == [
        "Counted: cycles (modelled from Arm's instruction timings, no wait states).",
        "Time: modelled cycles at 25 MHz; not a board's time.",
        "Built without the plugin.",
    ]


def test_long_names_lose_their_middle_and_no_line_is_too_long() -> None:
    name = "features.0.block.conv_with_a_long_name.and_longer_still.weight_fake_quant.output_of_the_layer.relu_17"
    layers = (replace(LAYERS[0], layer=replace(LAYERS[0].layer, name=name)), LAYERS[1])
    lines = str(replace(EMULATED, layers=layers)).splitlines()
    assert max(map(len, lines)) == 100
    _, short, *_ = lines[2].split()
    assert short.startswith("features.0.block.")
    assert short.endswith("layer.relu_17")


def test_a_network_without_macs_and_counts_is_no_division_by_zero() -> None:
    empty = LayerMeasurement(Layer("pool", "MaxPool2D", (1, 4), 0), 0)
    text = str(replace(EMULATED, layers=(empty,), count=0))
    assert "  0 MACs, 0 instructions, 0.0 µs\n" in text
    assert text.splitlines()[2].endswith("0.0      -")


def test_layers_are_a_timeline_for_perfetto() -> None:
    trace = EMULATED.to_trace()
    first, second = trace["traceEvents"]
    assert (first["name"], first["cat"], first["ph"], first["ts"]) == ("0 conv", "Conv2D", "X", 0.0)
    assert second["ts"] == first["dur"] == EMULATED.microseconds(4000)
    assert first["args"] == {"instructions": 4000, "macs": 432, "output": "1x1x12x4"}
    assert trace["otherData"]["time"] == EMULATED.latency_source


def test_memory_is_shown_against_the_boards_limits() -> None:
    lines = printed(tables.memory_table(load_board("qemu-mps3-an547"), 262_144, 4_096, 1_024))
    assert lines == [
        "memory         used       limit    share",
        "────────────────────────────────────────",
        "flash     262,144 B   524,288 B   50.0 %",
        "RAM         4,096 B   524,288 B    0.8 %",
        "  arena     1,024 B",
    ]


def test_layers_are_shown_with_their_share_of_the_macs() -> None:
    rows = [
        {"name": "a", "op": "Conv2D", "dtype": "int8", "shape": [1, 2, 3], "macs": 3000, "weights": 30},
        {"name": "b", "op": "Mean", "dtype": "float32", "shape": [], "macs": 1000, "weights": 0},
    ]
    assert printed(tables.layer_table(rows))[2:] == [
        "0   a       Conv2D   1x2x3 int8       3,000   75.0 %        30",
        "1   b       Mean     scalar float32   1,000   25.0 %         0",
    ]


def test_the_layer_that_matters_most_is_marked() -> None:
    def row(index: int, own: float, effect: float) -> LayerSnr:
        return LayerSnr(index, "name", "Conv2D", (1, 4), cumulative_db=25.04, own_db=own, effect_db=effect)

    lines = printed(tables.snr_table([row(0, 20.0, 30.0), row(1, 40.0, 21.5), row(-1, math.inf, math.inf)]))
    assert [" ".join(line.split()[4:]) for line in lines[2:]] == [
        "20.0 dB 25.0 dB 30.0 dB",
        "40.0 dB 25.0 dB 21.5 dB <- largest effect",
        "25.0 dB exact",
    ]


@pytest.mark.parametrize(
    ("nbytes", "text"), [(0, "0 B"), (1000, "1000 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (4 << 20, "4 MiB")]
)
def test_sizes_read_as_in_data_sheets(nbytes: int, text: str) -> None:
    assert tables.size_text(nbytes) == text


@pytest.mark.parametrize(
    ("name", "core"),
    [("qemu-mps2-an385", "Cortex-M3"), ("qemu-mps3-an547", "Cortex-M55 with FPU and MVE")],
)
def test_cores_are_named_with_what_they_have(name: str, core: str) -> None:
    assert tables.core_text(load_board(name)) == core
