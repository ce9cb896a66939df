"""The cycle model of the Cortex-M0+ against rp2040py, instruction by instruction and over whole networks."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import mlperf
import numpy as np
import pytest
from graphs import GENERATORS
from test_thumb_timings import M0PLUS, NEXT, Line, Table

from mcuquant import flow
from mcuquant.boards.board import load_board
from mcuquant.device.flash_image import flat, segments
from mcuquant.device.measurement import Counter
from mcuquant.device.pico_emulator import PORT
from mcuquant.device.pico_process import Pico

pytestmark = pytest.mark.emulator
WIDE = (0b11101, 0b11110, 0b11111)
"""First five bits of an instruction of four bytes."""


class Executed(NamedTuple):
    code: int
    cycles: int
    modelled: int


def is_stacked_return(code: int) -> bool:
    """PUSH with LR or POP with PC: rp2040py does not count that register, Arm's table does."""
    return code & 0xFF00 in (0xB500, 0xBD00)


def address_of(elf: Path, name: str) -> int:
    listing = subprocess.run(["arm-none-eabi-nm", str(elf)], capture_output=True, text=True, check=True).stdout
    return next(int(line.split()[0], 16) for line in listing.splitlines() if line.split()[-1] == name) & ~1


def inference(elf: Path, table: Table) -> Iterator[Executed]:
    """Every instruction of the network's first inference."""
    pico = Pico(flat(segments(elf)).data)
    core, start = pico.chip.core, address_of(elf, "mq_model_run")
    pico.received.extend(b"mq run%")
    while core.pc != start:
        pico.feed()
        pico.step()
    end = core.lr & ~1
    while core.pc != end:
        pc, code, size = core.pc, pico.chip.read_uint16(core.pc), 2
        if code >> 11 in WIDE:
            code, size = code << 16 | pico.chip.read_uint16(pc + 2), 4
        cycles = pico.step()
        timing = table.timing(Line(code, size, "", ""), M0PLUS)
        is_taken = timing.flow != NEXT and core.pc != pc + size
        yield Executed(code, cycles, timing.cycles + is_taken)


@pytest.mark.parametrize("kind", ["softmax", "conv2d", "depthwise_multiplier", "fully_connected_int16"])
def test_each_executed_instruction(kind: str, tmp_path: Path) -> None:
    logging.disable(logging.WARNING)
    project = flow.compile(GENERATORS[kind](np.random.default_rng(3)), "pico", tmp_path / "net", optimize="speed")
    executed = list(inference(project.firmware.elf, Table(tmp_path)))
    assert len(executed) > 1000
    differing = [one for one in executed if one.modelled != one.cycles]
    assert all(is_stacked_return(one.code) and one.modelled == one.cycles + 1 for one in differing)


@pytest.mark.slow
def test_keywords_within_a_per_cent(tmp_path: Path) -> None:
    """The code for the Cortex-M0+ on QEMU's M3, counted by the plugin, and on rp2040py, by SysTick."""
    graph = flow.from_tflite(mlperf.path("kws_int8.tflite"))
    board = replace(load_board("qemu-mps2-an385"), cpu="cortex-m0plus")
    with flow.compile(graph, board, tmp_path / "qemu", optimize="speed").connect() as dut:
        modelled = dut.bench()
    with flow.compile(graph, "pico", tmp_path / "pico", optimize="speed").connect(PORT) as dut:
        counted = dut.bench(runs=1)
    assert modelled.counter is Counter.MODELLED_CYCLES
    assert abs(modelled.count / counted.count - 1) < 0.01
