"""The firmware, booted on every emulated board: dialogue, inference, crashes, bad lines."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tinyfw
from elftools.elf.elffile import ELFFile
from faulty import FaultyTransport
from tinyfw import ask

from mcuquant.boards.board import Board, load_board
from mcuquant.device.conversation import Timing
from mcuquant.device.emulator import Emulator
from mcuquant.device.link import Link
from mcuquant.device.measure import measure
from mcuquant.device.measurement import Layer
from mcuquant.device.wire import request
from mcuquant.errors import DeviceError

pytestmark = pytest.mark.emulator

BOARDS = ("qemu-mps2-an385", "qemu-mps2-an386", "qemu-mps2-an500", "qemu-mps2-an505", "qemu-mps3-an547")
MAIN = "qemu-mps2-an386"
TIMING = Timing(reply_s=5.0)
BOOT_LINES = ["m-timestamp-mode-performance", "m-lap-us-1", "m-init-done"]

Elves = Callable[[Board], Path]


@pytest.fixture(scope="module")
def elves(tmp_path_factory: pytest.TempPathFactory) -> Elves:
    """The firmware of a board, built once."""
    built: dict[str, Path] = {}

    def elf(board: Board) -> Path:
        if board.name not in built:
            built[board.name] = tinyfw.firmware(board, tmp_path_factory.mktemp(board.name))
        return built[board.name]

    return elf


@dataclass(frozen=True)
class Desk:
    """A running board with somebody before it."""

    board: Board
    emulator: Emulator
    link: Link


@pytest.fixture
def desk(request: pytest.FixtureRequest, elves: Elves) -> Iterator[Desk]:
    """The board that the test is parametrised with, or the main one."""
    board = load_board(getattr(request, "param", MAIN))
    with Emulator(board, elves(board)) as emulator:
        link = Link(emulator.transport, timing=TIMING)
        link.hello(tinyfw.DIGEST)
        yield Desk(board, emulator, link)


on_every_board = pytest.mark.parametrize("desk", BOARDS, indirect=True)


@on_every_board
def test_outputs_steps_and_seeds(desk: Desk) -> None:
    link, rng = desk.link, np.random.default_rng(1)
    info = link.info
    assert (info.board, info.core, info.clock_hz) == (desk.board.name, desk.board.cpu, desk.board.clock_hz)
    assert (info.inputs, info.outputs, info.steps) == (tinyfw.INPUTS, tinyfw.OUTPUTS, tinyfw.STEPS)
    assert (info.counter, info.counter_hz, info.crashed) == ("systick", desk.board.clock_hz, False)
    for _ in range(3):
        x = tinyfw.samples(rng)
        link.load(x)
        assert link.run().outputs == link.run().outputs == tinyfw.network(x)[3]
        assert [link.step(i).outputs for i in (0, 1, 2, 2, 0)] == [tinyfw.network(x)[i] for i in (0, 1, 2, 2, 0)]
    for seed in (0, 1, 0xFFFFFFFF):
        x = (link.seed(seed)[:700], link.seed(seed)[700:])
        assert link.run().outputs == tinyfw.network(x)[3]


CORES = {"cortex-m3": 0xC23, "cortex-m4": 0xC24, "cortex-m7": 0xC27, "cortex-m33": 0xD21, "cortex-m55": 0xD22}


@on_every_board
def test_every_kind_of_crash_is_reported_and_survived(desk: Desk) -> None:
    link, rng = desk.link, np.random.default_rng(2)
    assert (link.info.cpuid >> 4) & 0xFFF == CORES[desk.board.cpu]
    assert link.fault() is None
    for kind, cause in (
        (tinyfw.UNALIGNED, "unaligned access at "),
        (tinyfw.DIVIDE, "division by zero at "),
        (tinyfw.JUMP, ""),
        (tinyfw.OVERFLOW, "stack overflow (registers lost), in step 0 of the network"),
        (tinyfw.STORE, "bus error of 0xf0000000 at "),
    ):
        link.load(tinyfw.samples(rng, kind))
        with pytest.raises(DeviceError) as caught:
            link.step(0)
        assert str(caught.value).startswith(f"{desk.board.name} (QEMU): the board crashed: {cause}")
        assert "in step 0 of the network" in str(caught.value)
        assert link.hello().crashed
    x = tinyfw.samples(rng)
    link.load(x)
    assert link.run().outputs == tinyfw.network(x)[3]
    assert not link.reboot().crashed
    assert link.fault() is not None
    link.clear_fault()
    assert link.fault() is None


@on_every_board
def test_stack_and_arena_are_measured(desk: Desk) -> None:
    link, rng = desk.link, np.random.default_rng(3)
    link.load(tinyfw.samples(rng))
    shallow = link.memory()
    assert shallow.stack == desk.board.stack_bytes - 32
    assert shallow.arena_used in (tinyfw.ARENA_BYTES - 4, tinyfw.ARENA_BYTES)
    link.load(tinyfw.samples(rng, tinyfw.DEEP))
    deep = link.memory()
    assert 2048 < deep.stack_inference < 2300
    assert shallow.stack_inference < 200
    assert deep.stack_inference < deep.stack_peak < deep.stack_inference + 500


@on_every_board
def test_ticks_are_instructions(desk: Desk) -> None:
    """A pass of the slow network's loop is a store and its counting: two to four instructions, 5 million times."""
    link = desk.link
    link.load(tinyfw.samples(np.random.default_rng(4), tinyfw.SLOW))
    layers = [Layer(name, "op", (1,), 1) for name in ("flip", "increment", "sums")]
    made = measure(link, desk.board, layers, is_counting=True, flash_bytes=0, ram_bytes=0, runs=1)
    assert made.counter == "instructions (QEMU -icount)"
    assert any(abs(made.count - each * 5_000_000) < 50_000 for each in (2, 3, 4))
    assert abs(made.layers[0].count + made.layers[1].count + made.layers[2].count - made.count) < 500
    assert link.run(read=False).ticks in range(link.run(read=False).ticks - 2, link.run(read=False).ticks + 3)
    assert made.to_json()["instructions"] == made.count


def test_the_dialogue_of_mlperf_tiny(desk: Desk) -> None:
    port = desk.emulator.transport
    assert ask(port, "name%") == ["m-name-dut-[mcuquant]"]
    assert ask(port, "profile%") == ["m-profile-[ULPMark for tinyML Firmware V0.0.1]", "m-model-[tiny]"]
    assert ask(port, "timestamp%")[0].removeprefix("m-lap-us-").isdecimal()
    assert len(ask(port, "help%")) > 3
    assert ask(port, "results%") == ["e-[No inference has run]"]
    assert ask(port, "db load 10%") == ["m-[Expecting 10 bytes]"]
    assert ask(port, "db 00112233445566%") == []
    assert ask(port, "db AAbbCC99%") == ["m-load-done"]
    assert ask(port, "db print%") == ["m-buffer-00-11-22-33-44-55-66-aa", "m-buffer-bb-cc"]
    assert ask(port, "\r\nname%\n") == ["m-name-dut-[mcuquant]"]
    assert ask(port, "%") == []


def test_inferences_of_mlperf_tiny(desk: Desk) -> None:
    port, x = desk.emulator.transport, tinyfw.samples(np.random.default_rng(5))
    data = b"".join(x)
    ask(port, "db load 708%")
    replies = [ask(port, f"db {data[i : i + 31].hex()}%") for i in range(0, 708, 31)]
    assert replies == [[]] * 22 + [["m-load-done"]]
    outputs = tinyfw.network(x)[3]
    for command, warmups, count in (("infer 1 0%", 0, 1), ("infer 7 2%", 2, 7), ("infer 3%", 10, 3), ("infer%", 10, 1)):
        lines = ask(port, command)
        laps_us = [int(line.removeprefix("m-lap-us-")) for line in lines[3:5]]
        assert lines[:3] == [f"m-warmup-start-{warmups}", "m-warmup-done", f"m-infer-start-{count}"]
        assert abs(laps_us[1] - laps_us[0] - 11.4 * count) < 4
        assert lines[5:] == ["m-infer-done", results_line(outputs)]
    assert ask(port, "results%") == [results_line(outputs)]


def results_line(outputs: tuple[bytes, ...]) -> str:
    x, y = np.frombuffer(outputs[0], np.int8), np.frombuffer(outputs[1], np.int32)
    reals = [*(np.float32(0.00390625) * (x.astype(np.float32) + 128)), *(np.float32(0.001) * y.astype(np.float32))]
    return f"m-results-[{','.join(f'{real:.3f}' for real in reals)}]"


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("bogus 1%", "e-[Unknown command: bogus]"),
        ("b\x01gus%", "e-[Unknown command: b?gus]"),
        ("db%", "e-[Command 'db' requires a subcommand]"),
        ("db load%", "e-[Command 'db load' requires the # of bytes]"),
        ("db load 0%", "e-[Command 'db load' must be >0 bytes]"),
        ("db load x%", "e-[Command 'db load' must be >0 bytes]"),
        ("db load 709%", "e-[Supplied buffer size 709 exceeds maximum of 708]"),
        ("db 00%", "e-[Command 'db load' must come first]"),
        ("db 000%", "e-[Insufficent number of hex digits]"),
        ("infer 0%", "e-[Inference iterations must be >0]"),
        ("infer -1%", "e-[Inference iterations must be >0]"),
        ("infer 1 -1%", "e-[Inference warmup must be >=0]"),
        ("x" * 81 + "%", "e-[Command too long]"),
        ("mq #00000001 info *00000000%", "e-[Damaged request]"),
        ("mq #00000001 inf", "e-[Incomplete request]"),
    ],
)
def test_a_mistake_is_one_line(desk: Desk, command: str, line: str) -> None:
    assert ask(desk.emulator.transport, command) == [line]
    assert ask(desk.emulator.transport, "name%") == ["m-name-dut-[mcuquant]"]


def test_a_bad_digit_stops_the_line(desk: Desk) -> None:
    port = desk.emulator.transport
    ask(port, "db load 4%")
    assert ask(port, "db 01zz03%") == ["e-[Invalid hex digit 'zz']"]
    assert ask(port, "db 020304%") == ["m-load-done"]
    assert ask(port, "db print%") == ["m-buffer-01-02-03-04"]


def test_our_commands_by_hand(desk: Desk) -> None:
    port = desk.emulator.transport
    assert ask(port, "mq seed 7%")[0].startswith("mq #- ok crc=")
    assert ask(port, "mq run%")[0].startswith("mq #- ok ticks=")
    assert ask(port, "mq bogus%")[0].startswith("mq #- error verb *")
    assert ask(port, "mq in 0 4%")[0].startswith("mq #- error arguments *")
    assert ask(port, "mq out 0 0 4%")[0].startswith("mq #- error arguments *")
    reply, *others = ask(port, "mq reboot%", replies=2)
    assert reply.startswith("mq #- ok *")
    assert others == ["m-ready", *BOOT_LINES]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("in", 700, 9), "range"),
        (("in", 0, 513), "range"),
        (("in", 709, 0), "range"),
        (("in", 4294967295, 2), "range"),
        (("in", 4294967296, 2), "arguments"),
        (("out", "00000000", 0, 4), "result"),
        (("step", 3), "arguments"),
        (("run", "00000000"), "input"),
        (("baud", 5000000), "baud"),
        (("baud", 0), "baud"),
    ],
)
def test_what_cannot_be_done_is_refused(desk: Desk, words: tuple[object, ...], code: str) -> None:
    line = ask(desk.emulator.transport, request(7, *words).decode())[0]
    assert line.startswith(f"mq #00000007 error {code} *")


def test_raw_bytes_may_look_like_anything(desk: Desk) -> None:
    tricky = b"name%mq #00000001 reboot *%\r\nm-ready\r\n%%%"
    x = ((tricky * 20)[:700], tricky[:8])
    desk.link.load(x)
    assert desk.link.run().outputs == tinyfw.network(x)[3]


def test_garbage_and_broken_off_transfers_are_got_over(desk: Desk) -> None:
    port, link, noise = desk.emulator.transport, desk.link, random.Random(6)
    x = tinyfw.samples(np.random.default_rng(6))
    link.load(x)
    for _ in range(5):
        port.write(noise.randbytes(noise.randrange(1, 200)))
        assert link.run().outputs == tinyfw.network(x)[3]
        port.write(request(1, "in", 0, 512, payload=bytes(512))[: noise.randrange(1, 500)])
        link.load(x)
        assert link.run().outputs == tinyfw.network(x)[3]


def test_a_bad_line_gives_right_answers_or_errors(desk: Desk) -> None:
    timing = Timing(reply_s=2.0, run_s=5.0, ping_s=0.3)
    line = FaultyTransport(desk.emulator.transport, 7, 0.004)
    link, rng, right, errors = Link(line, timing=timing), np.random.default_rng(7), 0, 0
    end = time.monotonic() + 6
    while right + errors < 40 and time.monotonic() < end:
        x = tinyfw.samples(rng)
        try:
            link.load(x)
            assert link.run().outputs == tinyfw.network(x)[3]
            right += 1
        except DeviceError:
            errors += 1
    assert line.faults > 0
    assert right > 0  # how many depends on the time that this machine has for it; none is wrong


def test_time_goes_on_asleep_and_past_the_timer_s_wrap(desk: Desk) -> None:
    """SysTick has 24 bits: 0.67 s at 25 MHz."""
    port = desk.emulator.transport
    laps_us = [int(ask(port, "timestamp%")[0].removeprefix("m-lap-us-"))]
    for _ in range(2):
        time.sleep(0.9)
        laps_us.append(int(ask(port, "timestamp%")[0].removeprefix("m-lap-us-")))
    assert all(800_000 < b - a < 3_000_000 for a, b in itertools.pairwise(laps_us))


def test_another_rate(desk: Desk) -> None:
    assert desk.link.set_baud(921_600)
    desk.link.seed(1)
    assert desk.link.set_baud(115_200)
    assert desk.link.run(read=False).ticks > 0


def test_a_rate_not_taken_up_is_given_up(desk: Desk) -> None:
    port = desk.emulator.transport
    assert ask(port, "mq baud 921600%")[0].startswith("mq #- ok *")
    time.sleep(1.3)
    assert ask(port, "name%") == ["m-name-dut-[mcuquant]"]


def test_code_for_the_smallest_core_runs_on_a_larger_one(tmp_path: Path) -> None:
    board = load_board("qemu-mps2-an385")
    elf = tinyfw.firmware(board, tmp_path, ("-mcpu=cortex-m0plus", "-mthumb", "-mfloat-abi=soft"))
    with Emulator(board, elf) as emulator, Link(emulator.transport, timing=TIMING) as link:
        x = tinyfw.samples(np.random.default_rng(8))
        link.load(x)
        assert link.run().outputs == tinyfw.network(x)[3]
        link.load(tinyfw.samples(np.random.default_rng(8), tinyfw.UNALIGNED))
        with pytest.raises(DeviceError, match="crashed: unaligned access at 0x"):
            link.run()


def test_the_firmware_around_the_network_is_small(elves: Elves) -> None:
    """Application, port and start-up; the network by hand is in it too, with less than 1 KiB."""
    with elves(load_board(MAIN)).open("rb") as file:
        sizes = {section.name: section["sh_size"] for section in ELFFile(file).iter_sections()}
    assert sizes[".text"] + sizes[".rodata"] + sizes[".vectors"] < 11_900
    assert sizes[".data"] == 0
    assert sizes[".bss"] + sizes[".noinit"] - tinyfw.ARENA_BYTES - 708 < 1024
