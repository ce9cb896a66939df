"""The ports of chips that an emulator has with their own peripherals: clock, serial port, timer, crashes.

The Pico runs under rp2040py, the others under QEMU.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tinyfw
from tinyfw import ask

from mcuquant.boards.board import Board, Verified, board_names, load_board
from mcuquant.device.board_process import BoardProcess
from mcuquant.device.conversation import Timing
from mcuquant.device.emulator import Emulator
from mcuquant.device.link import Link
from mcuquant.device.pico_emulator import PicoEmulator
from mcuquant.errors import DeviceError

pytestmark = pytest.mark.emulator

BOARDS = ("qemu-netduinoplus2", "qemu-stm32vldiscovery", "qemu-microbit", "qemu-lm3s6965evb", "pico")
COUNTERS = {"qemu-microbit": "timer"}
CORES = {"cortex-m0": 0xC20, "cortex-m3": 0xC23, "cortex-m4": 0xC24, "cortex-m0plus": 0xC60}
TIMING = Timing(reply_s=5.0, run_s=30.0)

Elves = Callable[[Board], Path]


def emulated(board: Board, elf: Path, is_counting: bool = True) -> BoardProcess:
    return PicoEmulator(board, elf) if board.emulator_port else Emulator(board, elf, is_counting=is_counting)


def label(board: Board) -> str:
    """The name of the connection in messages."""
    return f"{board.name} ({'rp2040py' if board.port == 'rp2040' else 'QEMU'})"


def hasty(name: str) -> Board:
    """A board that gives its main loop a second."""
    return replace(load_board(name), watchdog_ms=1000)


@pytest.fixture(scope="module")
def elves(tmp_path_factory: pytest.TempPathFactory) -> Elves:
    """The firmware of a board, built once."""
    built: dict[str, Path] = {}

    def elf(board: Board) -> Path:
        if board.name not in built:
            built[board.name] = tinyfw.firmware(board, tmp_path_factory.mktemp(board.name))
        return built[board.name]

    return elf


@pytest.fixture(params=BOARDS)
def board(request: pytest.FixtureRequest) -> Board:
    return hasty(request.param)


@pytest.fixture
def emulator(board: Board, elves: Elves) -> Iterator[BoardProcess]:
    with emulated(board, elves(board)) as running:
        yield running


@pytest.fixture
def link(emulator: BoardProcess) -> Link:
    made = Link(emulator.transport, timing=TIMING)
    made.hello(tinyfw.DIGEST)
    return made


@pytest.mark.parametrize("name", [name for name in board_names() if not load_board(name).is_emulated])
def test_every_board_s_firmware_builds_without_a_warning(name: str, tmp_path: Path) -> None:
    board = load_board(name)
    elf = tinyfw.firmware(board, tmp_path)
    _, crc_at, size = tinyfw.section(elf, ".image_crc")
    assert size == 4
    assert board.flash.origin < crc_at < board.flash.origin + 16_384
    assert tinyfw.section(elf, ".stack")[1] == board.ram.origin


def test_the_image_has_no_gaps(elves: Elves) -> None:
    """What a programmer leaves out would be as flash is when erased, and not as it was when the CRC was computed."""
    for name in BOARDS:
        elf = elves(hasty(name))
        sections = [tinyfw.section(elf, each) for each in (".vectors", ".text", ".rodata", ".image_crc")]
        for (_, address, size), (_, following, _) in itertools.pairwise(sections):
            assert address + size == following


def test_it_says_what_it_is(board: Board, link: Link) -> None:
    info = link.info
    assert board.verified is Verified.EMULATED
    assert (info.board, info.core, info.clock_hz) == (board.name, board.cpu, board.clock_hz)
    assert (info.counter, info.counter_hz) == (COUNTERS.get(board.name, "systick"), board.clock_hz)
    assert (info.cpuid >> 4) & 0xFFF == CORES[board.cpu]
    assert not info.crashed


def test_its_answers_are_right(link: Link) -> None:
    rng = np.random.default_rng(1)
    for _ in range(3):
        x = tinyfw.samples(rng)
        link.load(x)
        assert link.run().outputs == tinyfw.network(x)[3]
        assert [link.step(i).outputs for i in (0, 1, 2, 2, 0)] == [tinyfw.network(x)[i] for i in (0, 1, 2, 2, 0)]
    assert len(link.seed(0xFFFFFFFF)) == 708
    memory = link.memory()
    assert memory.stack == load_board(link.info.board).stack_bytes - 32
    assert memory.stack_inference < 200


def test_ticks_are_the_core_s_clocks(board: Board, link: Link) -> None:
    """QEMU's clock advances 1 ns an instruction; the timer's ticks last 10^9 / clock_hz of them."""
    if board.emulator_port:
        pytest.skip("rp2040py's clock advances by cycles")
    link.load(tinyfw.samples(np.random.default_rng(2), tinyfw.SLOW))
    ns = link.run(read=False).ticks * 1_000_000_000 / board.clock_hz
    assert any(abs(ns - each * 5_000_000) < 100_000 for each in (2, 3, 4, 5))


@pytest.mark.usefixtures("link")
def test_time_goes_on_asleep(emulator: BoardProcess) -> None:
    laps_us = [int(ask(emulator.transport, "timestamp%")[0].removeprefix("m-lap-us-"))]
    for _ in range(2):
        time.sleep(1.3)
        laps_us.append(int(ask(emulator.transport, "timestamp%")[0].removeprefix("m-lap-us-")))
    assert all(1_200_000 < b - a < 5_000_000 for a, b in itertools.pairwise(laps_us))


@pytest.mark.usefixtures("link")
def test_a_broken_off_request_is_given_up_in_time(emulator: BoardProcess) -> None:
    assert ask(emulator.transport, "mq #00000001 inf") == ["e-[Incomplete request]"]
    assert ask(emulator.transport, "name%") == ["m-name-dut-[mcuquant]"]


def test_another_rate(link: Link) -> None:
    link.seed(1)
    assert link.set_baud(230_400)
    assert link.set_baud(115_200)
    assert link.run(read=False).ticks > 0
    with pytest.raises(DeviceError, match="cannot make this rate"):
        link.set_baud(100_000_000)


# QEMU lets an nRF51 and a Stellaris write where nothing is, and the former run there.
ON_ARMV6M = {
    tinyfw.UNALIGNED: "unknown cause at ",
    tinyfw.OVERFLOW: "stack overflow (registers lost), in step 0 of the network",
    tinyfw.BREACH: "stack overflow at ",
}
ON_ARMV7M = {
    tinyfw.UNALIGNED: "unaligned access at ",
    tinyfw.DIVIDE: "division by zero at ",
    tinyfw.JUMP: "",
    tinyfw.OVERFLOW: "stack overflow (registers lost), in step 0 of the network",
    tinyfw.STORE: "bus error of 0xf0000000 at ",
    tinyfw.BREACH: "access refused of 0x20000008 at ",
}


def test_every_kind_of_crash_is_reported_and_survived(board: Board, link: Link) -> None:
    rng = np.random.default_rng(3)
    crashes = dict(ON_ARMV6M if board.cpu in ("cortex-m0", "cortex-m0plus") else ON_ARMV7M)
    if board.emulator_port:  # rp2040py raises no HardFault
        crashes = {tinyfw.BREACH: crashes[tinyfw.BREACH]}
    if board.name == "qemu-lm3s6965evb":
        del crashes[tinyfw.STORE]
    for kind, cause in crashes.items():
        link.load(tinyfw.samples(rng, kind))
        with pytest.raises(DeviceError) as caught:
            link.step(0)
        assert str(caught.value).startswith(f"{label(board)}: the board crashed: {cause}")
        assert kind == tinyfw.BREACH or "in step 0 of the network" in str(caught.value)
        assert link.hello().crashed
    x = tinyfw.samples(rng)
    link.load(x)
    assert link.run().outputs == tinyfw.network(x)[3]
    assert not link.reboot().crashed
    link.clear_fault()
    assert link.fault() is None


@pytest.mark.parametrize("board", [*BOARDS[:-1], pytest.param("pico", marks=pytest.mark.slow)], indirect=True)
def test_a_main_loop_that_hangs_is_reported(board: Board, elves: Elves) -> None:
    """The Pico's emulator needs a minute for its second."""
    with emulated(board, elves(board), is_counting=False) as emulator:
        link = Link(emulator.transport, timing=TIMING)
        link.hello(tinyfw.DIGEST)
        link.load(tinyfw.samples(np.random.default_rng(4), tinyfw.HANG))
        with pytest.raises(DeviceError) as caught:
            link.run()
        said = f"{label(board)}: the board crashed: no sign of life from the main loop (watchdog) at 0x"
        assert str(caught.value).startswith(said)
        assert ", in the network" in str(caught.value)


def test_damaged_flash_is_found_at_boot(board: Board, elves: Elves, tmp_path: Path) -> None:
    elf = elves(board)
    bad = tinyfw.damaged(elf, ".rodata", tinyfw.section(elf, ".rodata")[2] - 40, tmp_path / "bad.elf")
    with emulated(board, bad) as emulator, pytest.raises(DeviceError) as caught:
        Link(emulator.transport, timing=TIMING).hello(tinyfw.DIGEST)
    assert str(caught.value).startswith(f"{label(board)}: the board's flash does not hold what was built (CRC ")
