"""Crashes that the core does not find itself: a hung main loop, a stack without memory protection, damaged flash."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tinyfw
from tinyfw import ask

from mcuquant.boards.board import Board, load_board
from mcuquant.device.conversation import Timing
from mcuquant.device.emulator import Emulator
from mcuquant.device.link import Link
from mcuquant.errors import DeviceError

pytestmark = pytest.mark.emulator

TIMING = Timing(reply_s=5.0, run_s=30.0)
BOARDS = ("qemu-mps2-an386", "qemu-mps2-an505")


def function_at(elf: Path, address: str) -> str:
    command = ["arm-none-eabi-addr2line", "-fe", str(elf), address]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]


def broken_after(link: Link, kind: int) -> str:
    """What is said of a network whose first step is made to misbehave."""
    link.load(tinyfw.samples(np.random.default_rng(1), kind))
    with pytest.raises(DeviceError) as caught:
        link.step(0)
    return str(caught.value)


@pytest.mark.parametrize("name", BOARDS)
def test_a_main_loop_that_hangs_is_reported_with_its_place(name: str, tmp_path: Path) -> None:
    board = replace(load_board(name), watchdog_ms=100)
    elf = tinyfw.firmware(board, tmp_path)
    with Emulator(board, elf, is_counting=False) as emulator:
        link = Link(emulator.transport, timing=TIMING)
        link.hello(tinyfw.DIGEST)
        said = broken_after(link, tinyfw.HANG)
        assert f"{name} (QEMU): the board crashed: no sign of life from the main loop (watchdog) at 0x" in said
        assert "in step 0 of the network" in said
        place = re.search(r"at (0x[0-9a-f]{8})", said)
        assert place is not None
        assert function_at(elf, place[1]) in ("trouble", "step_0")
        x = tinyfw.samples(np.random.default_rng(2))
        link.hello()
        link.load(x)
        assert link.run().outputs == tinyfw.network(x)[3]


def test_a_long_inference_is_no_hang(tmp_path: Path) -> None:
    """The slow network takes some 20 ms of the emulated clock."""
    board = replace(load_board(BOARDS[0]), watchdog_ms=1000)
    with Emulator(board, tinyfw.firmware(board, tmp_path)) as emulator:
        link = Link(emulator.transport, timing=TIMING)
        link.hello(tinyfw.DIGEST)
        link.load(tinyfw.samples(np.random.default_rng(3), tinyfw.SLOW))
        for _ in range(3):
            assert link.run(read=False).ticks > 0
        assert link.fault() is None


def heard_at_boot(board: Board, elf: Path) -> Sequence[str]:
    with Emulator(board, elf) as emulator:
        return [*ask(emulator.transport, "name%"), *ask(emulator.transport, "mq info%")]


@pytest.mark.parametrize("name", BOARDS)
def test_damaged_flash_answers_with_that_alone(name: str, tmp_path: Path) -> None:
    board = load_board(name)
    elf = tinyfw.firmware(board, tmp_path)
    size = tinyfw.section(elf, ".image_crc")[1] - board.flash.origin
    unspoken = elf.read_bytes().index(b"m-warmup-done") - tinyfw.section(elf, ".rodata")[0]
    bad = tinyfw.damaged(elf, ".rodata", unspoken, tmp_path / "bad.elf")
    where = f"of {size} bytes from {board.flash.origin:08x}"
    line = re.compile(rf"e-\[Corrupted flash: CRC [0-9a-f]{{8}} {where}, built with [0-9a-f]{{8}}\]")
    heard = heard_at_boot(board, bad)
    assert heard
    assert all(line.fullmatch(each) or each == "m-ready" for each in heard)
    with Emulator(board, bad) as emulator, pytest.raises(DeviceError) as caught:
        Link(emulator.transport, timing=TIMING).hello(tinyfw.DIGEST)
    assert str(caught.value).startswith(f"{name} (QEMU): the board's flash does not hold what was built (CRC ")
    assert "flash the firmware again" in str(caught.value)


def test_every_bit_of_the_stored_crc_counts(tmp_path: Path) -> None:
    board = load_board(BOARDS[0])
    elf = tinyfw.firmware(board, tmp_path)
    for byte in range(4):
        bad = tinyfw.damaged(elf, ".image_crc", byte, tmp_path / "bad.elf")
        assert heard_at_boot(board, bad)[0].startswith("e-[Corrupted flash: ")
