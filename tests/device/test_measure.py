"""Counts, their kinds, and the time that follows from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import tinyfw

from mcuquant.boards.board import load_board
from mcuquant.device.cycle_model import Counts, CycleCounts, FunctionCounts
from mcuquant.device.fake import FakeBoard, FakeFirmware
from mcuquant.device.link import Link
from mcuquant.device.measure import counter_of, counts, measure, modelled
from mcuquant.device.measurement import Counter, Layer
from mcuquant.errors import DeviceError

FIRMWARE = FakeFirmware(tinyfw.INPUTS, tinyfw.OUTPUTS, 4, tinyfw.network, digest=tinyfw.DIGEST)


def greeted(board: FakeBoard) -> Link:
    link = Link(board)
    link.hello()
    return link


def message(action: Callable[[], object]) -> str:
    with pytest.raises(DeviceError) as caught:
        action()
    return str(caught.value)


LAYERS = tuple(Layer(f"layer{i}", "Conv2D:conv2d_s8", (1, 4, 4, 8), 100 * i) for i in range(4))


def test_a_measurement_says_what_it_counts() -> None:
    board = replace(load_board("qemu-mps2-an386"), qemu=None)
    link = greeted(FakeBoard(FIRMWARE))
    link.seed(1)
    made = measure(link, board, LAYERS, is_counting=False, flash_bytes=1000, ram_bytes=2000)
    assert made.to_json() == {
        "board": "qemu-mps2-an386",
        "core": "cortex-m4",
        "digest": tinyfw.DIGEST,
        "network": "",
        "structure_digest": "",
        "counter": "cycles (DWT CYCCNT)",
        "clock_hz": 80_000_000,
        "cycles": 4000,
        "latency_us": 50.0,
        "latency_source": "measured at 80 MHz",
        "macs": 600,
        "flash_bytes": 1000,
        "ram_bytes": 2000,
        "arena_bytes": 708,
        "state_bytes": 0,
        "stack_bytes": 400,
        "layers": [
            {
                "name": f"layer{i}",
                "op": "Conv2D:conv2d_s8",
                "shape": [1, 4, 4, 8],
                "macs": 100 * i,
                "cycles": 1000,
                "latency_us": 12.5,
            }
            for i in range(4)
        ],
        "notes": [],
    }


def test_modelled_cycles_are_those_of_the_step_functions() -> None:
    board = load_board("qemu-mps2-an386")
    link = greeted(FakeBoard(FIRMWARE))
    link.seed(1)
    whole, step = Counts(1000, 700, 300, 20, 400), Counts(200, 140, 60, 4, 80)
    steps = tuple(FunctionCounts(f"mq_model_step_{i}", 1, step, step) for i in range(3))
    window = CycleCounts("mq_model_run", whole, steps)
    names = [f"mq_model_step_{i}" for i in range(4)]
    made = modelled(window, link, board, LAYERS, names, flash_bytes=1000, ram_bytes=2000)
    found = made.to_json()
    assert (found["cycles"], found["instructions"], found["loads"], found["flash_bytes_read"]) == (1000, 700, 300, 400)
    assert [row["cycles"] for row in found["layers"]] == [200, 200, 200, 0]
    assert made.latency_us == 40.0
    assert made.latency_source == "modelled cycles at 25 MHz; not a board's time"


def test_a_core_without_a_model_counts_instructions() -> None:
    board = load_board("qemu-mps2-an500")
    link = greeted(FakeBoard(FIRMWARE))
    link.seed(1)
    window = CycleCounts("mq_model_run", Counts(None, 700, 300, 20, 400), ())
    made = modelled(window, link, board, (), (), flash_bytes=1000, ram_bytes=2000)
    assert made.counter is Counter.COUNTED_INSTRUCTIONS
    assert made.to_json()["instructions"] == 700
    assert made.latency_source == "modelled: one instruction a clock at 25 MHz; not a board's time"


def test_the_kind_of_a_count_follows_from_board_and_counter() -> None:
    emulated = load_board("qemu-mps2-an386")
    real = replace(emulated, qemu=None)
    info = Link(FakeBoard(FIRMWARE)).hello()
    systick = replace(info, counter="systick")
    assert counter_of(emulated, systick, True) is Counter.QEMU_INSTRUCTIONS
    assert counter_of(real, info, False) is Counter.CYCCNT_CYCLES
    assert counter_of(real, systick, False) is Counter.SYSTICK_CYCLES
    assert message(lambda: counter_of(emulated, systick, False)) == (
        "qemu-mps2-an386 is emulated and not counting instructions: its timer shows this computer's time, which says "
        "nothing of the network; let mcuquant start the emulator"
    )


def test_ticks_become_instructions_or_cycles() -> None:
    info = replace(Link(FakeBoard(FIRMWARE)).hello(), clock_hz=32_000_000, counter_hz=32_000_000, counter_overhead=2)
    assert counts(102, Counter.QEMU_INSTRUCTIONS, info) == 3125
    assert counts(102, Counter.CYCCNT_CYCLES, info) == 100
    assert counts(1, Counter.CYCCNT_CYCLES, info) == 0


def test_other_layers_than_the_boards_are_refused() -> None:
    board = replace(load_board("qemu-mps2-an386"), qemu=None)
    link = greeted(FakeBoard(FIRMWARE))
    said = message(lambda: measure(link, board, LAYERS[:2], is_counting=False, flash_bytes=0, ram_bytes=0))
    assert said == "qemu-mps2-an386: the firmware has 4 steps, the project 2 layers"
