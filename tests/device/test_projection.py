"""Modelled cycles projected onto a board: what is said, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mcuquant.boards.board import Board, FloatAbi, Region, load_board
from mcuquant.device.measurement import Counter, Measurement
from mcuquant.device.projection import project_onto
from mcuquant.errors import BoardError, DeviceError

MEASURED = Measurement(
    board="qemu-mps2-an386",
    core="cortex-m4",
    digest="",
    counter=Counter.MODELLED_CYCLES,
    clock_hz=25_000_000,
    count=3_600_000,
    layers=(),
    flash_bytes=55_000,
    ram_bytes=14_000,
    arena_bytes=8_000,
    stack_bytes=900,
)


def board(**changes: object) -> Board:
    return replace(load_board("nucleo-f446re"), **changes)  # type: ignore[arg-type]


def test_a_known_memory_is_a_factor_with_its_source() -> None:
    target = board(memory_factor=1.5, memory_factor_source="the vendor's manual, table 7")
    made = project_onto(target, MEASURED)
    assert made.latency_us == 30_000
    assert str(made) == (
        "One inference, projected onto nucleo-f446re (cortex-m4): 30,000.0 µs\n"
        "  Projected, not measured: 3,600,000 modelled cycles at 180 MHz, times 1.5 for its memory.\n"
        "  Memory factor: the vendor's manual, table 7."
    )


def test_an_unknown_memory_is_said_to_be_unknown() -> None:
    made = project_onto(board(), MEASURED)
    assert str(made) == (
        "One inference, projected onto nucleo-f446re (cortex-m4): 20,000.0 µs\n"
        "  Projected for zero wait states, not measured: 3,600,000 modelled cycles at 180 MHz; what this\n"
        "  board's memory adds is unknown."
    )
    assert made.to_json() == {
        "board": "nucleo-f446re",
        "clock_hz": 180_000_000,
        "cycles": 3_600_000,
        "memory_factor": None,
        "memory_factor_source": "unknown",
        "latency_us": 20_000.0,
        "latency_source": made.source,
        "complaints": [],
    }


def test_a_firmware_too_large_is_projected_and_said_so() -> None:
    small = board(flash=Region(0x0800_0000, 0x8000), ram=Region(0x2000_0000, 0x2000))
    assert project_onto(small, MEASURED).complaints == (
        "It would not fit: 55,000 B of flash, the board has 32,768",
        "It would not fit: 14,000 B of RAM, the board has 8,192",
    )


def test_cycles_of_one_core_say_nothing_of_another() -> None:
    with pytest.raises(BoardError) as error:
        project_onto(load_board("nucleo-h743zi"), MEASURED)
    assert str(error.value) == (
        "nucleo-h743zi has a cortex-m7, whose cycles are not modelled: nothing can be projected onto it; "
        "measure on the board with --port"
    )
    with pytest.raises(BoardError) as error:
        project_onto(board(cpu="cortex-m3", fpu="", float_abi=FloatAbi.SOFT), MEASURED)
    assert str(error.value) == (
        "nucleo-f446re has a cortex-m3, the project is for a cortex-m4: compile it for an emulated cortex-m3 first"
    )


def test_only_modelled_cycles_are_projected() -> None:
    counted = replace(MEASURED, counter=Counter.QEMU_INSTRUCTIONS, notes=("No compiler.",))
    with pytest.raises(DeviceError) as error:
        project_onto(board(), counted)
    assert str(error.value) == (
        "qemu-mps2-an386 counted instructions (QEMU -icount); only modelled cycles can be projected. No compiler."
    )


def test_shipped_factors_have_sources() -> None:
    reference = load_board("nucleo-l4r5zi")
    assert reference.memory_factor == 1.3
    assert reference.memory_factor_source.startswith(
        "MLPerf Tiny v1.0's results of microTVM with CMSIS-NN on this board"
    )
    assert load_board("nucleo-f446re").memory_factor is None
