"""The host's side of the dialogue, against a fake board: right answers or one clear sentence on any line."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np
import pytest
import tinyfw
from faulty import FaultyTransport
from hypothesis import given, settings
from hypothesis import strategies as st

from mcuquant.device.conversation import Timing
from mcuquant.device.fake import FakeBoard, FakeFirmware
from mcuquant.device.link import Link
from mcuquant.device.wire import CHUNK_BYTES, TensorInfo, parse_reply, request, seeded_input
from mcuquant.errors import DeviceError

FIRMWARE = FakeFirmware(tinyfw.INPUTS, tinyfw.OUTPUTS, 4, tinyfw.network, digest=tinyfw.DIGEST)
"""The fourth step of the fake are the network's own outputs."""

_FIELDS = "exception frame r0 r1 r2 r3 r12 lr pc xpsr sp cfsr hfsr mmfar bfar activity cause"
CRASH = dict.fromkeys(_FIELDS.split(), 0)


def greeted(board: FakeBoard) -> Link:
    link = Link(board)
    link.hello(tinyfw.DIGEST)
    return link


def message(action: Callable[[], object]) -> str:
    with pytest.raises(DeviceError) as caught:
        action()
    return str(caught.value)


def test_hello_says_who_is_there() -> None:
    info = Link(FakeBoard(FIRMWARE)).hello()
    assert (info.digest, info.board, info.core, info.counter) == (tinyfw.DIGEST, "fake", "cortex-m4", "cyccnt")
    assert (info.inputs, info.outputs, info.steps, info.input_bytes) == (tinyfw.INPUTS, tinyfw.OUTPUTS, 4, 708)
    assert not info.crashed


def test_outputs_are_those_of_the_network() -> None:
    link = greeted(FakeBoard(FIRMWARE))
    rng = np.random.default_rng(1)
    for _ in range(3):
        x = tinyfw.samples(rng)
        link.load(x)
        made = link.run()
        assert made.outputs == tinyfw.network(x)[3]
        assert made.ticks == 4000
        assert [link.step(i).outputs for i in range(3)] == tinyfw.network(x)[:3]


def test_a_result_can_be_left_unread() -> None:
    link = greeted(FakeBoard(FIRMWARE))
    link.seed(3)
    assert link.run(read=False).outputs == ()
    assert link.run(read=False).crc == link.run().crc


def test_seeds_make_inputs_that_both_sides_know() -> None:
    board = FakeBoard(FIRMWARE)
    link = greeted(board)
    x = link.seed(77)
    assert link.run().outputs == tinyfw.network((x[:700], x[700:]))[3]
    assert x == seeded_input(77, tinyfw.INPUTS)
    assert x != seeded_input(78, tinyfw.INPUTS)


def test_seeded_bytes_spread_over_all_values_and_reals_over_their_range() -> None:
    data = seeded_input(0, (TensorInfo("int8", 65536), TensorInfo("float32", 40000)))
    histogram = np.bincount(np.frombuffer(data[:65536], np.uint8), minlength=256)
    assert 150 < histogram.min() < histogram.max() < 370
    reals = np.frombuffer(data[65536:], np.float32)
    assert -1 <= reals.min() < -0.99 < 0.99 < reals.max() < 1
    assert abs(float(reals.mean())) < 0.02


def test_inputs_of_the_wrong_size() -> None:
    link = greeted(FakeBoard(FIRMWARE))
    assert message(lambda: link.load([b"abc"])) == "fake: the board takes inputs of [700, 8] bytes, found [3]"


def test_another_build_is_refused() -> None:
    link = Link(FakeBoard(FIRMWARE))
    assert message(lambda: link.hello("f" * 64)) == (
        "fake: the board runs another build: the digest of its firmware begins 0123456789ab, that of the project "
        "ffffffffffff; flash the project's firmware first"
    )


class Silent(FakeBoard):
    """A board without power."""

    def read(self, timeout_s: float) -> bytes:
        return b""


class Chatty(FakeBoard):
    """Some other program."""

    said = b"login: \r\n"

    def read(self, timeout_s: float) -> bytes:
        data, self.said = self.said, b""
        return data


class Old(FakeBoard):
    """Firmware of an earlier protocol."""

    def _do_info(self, number: str) -> str:
        return "ok protocol=0"


def test_nobody_answers() -> None:
    link = Link(Silent(FIRMWARE), timing=Timing(tries=2))
    assert message(link.hello) == (
        "fake: no valid answer to 'info' in 2 tries of at most 1 s, and nothing heard: is the board powered, "
        "flashed, and its rate the right one?"
    )


def test_something_else_answers() -> None:
    link = Link(Chatty(FIRMWARE), timing=Timing(tries=2))
    assert message(link.hello) == (
        "fake: no valid answer to 'info' in 2 tries of at most 1 s; last heard b'login: \\r\\n': "
        "a bad line, another rate or another firmware"
    )


def test_another_protocol() -> None:
    assert message(Link(Old(FIRMWARE)).hello) == (
        "fake: the board speaks protocol 0, this program 1; build and flash it again"
    )


def test_a_request_that_the_firmware_does_not_know() -> None:
    class Older(FakeBoard):
        def _do_seed(self, number: str, seed: str) -> str:
            return "error verb"

    link = greeted(Older(FIRMWARE))
    assert message(lambda: link.seed(1)) == (
        "fake: the board refuses 'seed': it does not know it; its firmware is older than this program"
    )


def test_a_step_that_is_not_there() -> None:
    link = greeted(FakeBoard(FIRMWARE))
    link.seed(1)
    assert message(lambda: link.step(9)) == "fake: the board refuses 'step': it does not take these arguments"


class ResettingBoard(FakeBoard):
    """Resets itself instead of taking in one of the host's writes."""

    writes_left = -1
    resets = 0

    def write(self, data: bytes) -> None:
        if self.writes_left == 0:
            self.reset()
            self.resets += 1
        else:
            super().write(data)
        self.writes_left -= 1


def test_a_reset_in_the_middle_of_anything_is_recovered_from() -> None:
    """An inference takes five requests: two chunks in, the run, two chunks out."""
    x = tinyfw.samples(np.random.default_rng(2))
    for k in range(6):
        board = ResettingBoard(FIRMWARE)
        link = greeted(board)
        board.writes_left = k
        link.load(x)
        assert link.run().outputs == tinyfw.network(x)[3]
        assert board.resets == (k < 5)


class Restless(FakeBoard):
    """Resets itself at every inference."""

    def _do_run(self, number: str, crc: str) -> None:
        self.reset()


def test_a_board_that_never_stops_resetting_is_reported() -> None:
    link = greeted(Restless(FIRMWARE))
    link.seed(1)
    assert message(link.run) == (
        "fake: the board has reset itself 3 times at the same request; look at its supply and its watchdog"
    )


@pytest.mark.parametrize(
    ("registers", "sentence"),
    [
        (
            {"frame": 1, "pc": 0x1F2C, "lr": 0x1E63, "cfsr": 1 << 24, "activity": 1},
            "unaligned access at 0x00001f2c, called from 0x00001e62, in step 0 of the network; "
            "arm-none-eabi-addr2line -fe firmware.elf 0x1f2c names the line",
        ),
        (
            {"frame": 1, "pc": 0x800, "lr": 0x901, "cfsr": 1 << 9 | 1 << 15, "bfar": 0xF0000000},
            "bus error of 0xf0000000 at 0x00000800, called from 0x00000900; "
            "arm-none-eabi-addr2line -fe firmware.elf 0x800 names the line",
        ),
        (
            {"frame": 1, "pc": 0x800, "lr": 0x901, "cfsr": 1 << 1 | 1 << 7, "mmfar": 0x10},
            "access refused of 0x00000010 at 0x00000800, called from 0x00000900; "
            "arm-none-eabi-addr2line -fe firmware.elf 0x800 names the line",
        ),
        ({"cfsr": 1 << 20, "activity": 1_000_000}, "stack overflow (registers lost), in the network"),
        (
            {"frame": 1, "pc": 0x800, "lr": 0x901, "cause": 1, "activity": 3},
            "no sign of life from the main loop (watchdog) at 0x00000800, called from 0x00000900, "
            "in step 2 of the network; arm-none-eabi-addr2line -fe firmware.elf 0x800 names the line",
        ),
        ({"cause": 2, "activity": 1}, "stack overflow (registers lost), in step 0 of the network"),
        ({"hfsr": 2}, "vector table read (registers lost)"),
        ({}, "unknown cause (registers lost)"),
    ],
)
def test_a_crash_is_reported_with_its_place(registers: dict[str, int], sentence: str) -> None:
    class Crashing(FakeBoard):
        def _do_run(self, number: str, crc: str) -> None:
            self.reset(CRASH | registers)

    link = greeted(Crashing(FIRMWARE))
    link.seed(1)
    assert message(link.run) == f"fake: the board crashed: {sentence}"
    record = link.fault()
    assert record is not None
    assert record.registers["cfsr"] == registers.get("cfsr", 0)
    link.clear_fault()
    assert link.fault() is None


def test_a_crash_whose_record_is_lost() -> None:
    class Crashing(FakeBoard):
        def _do_run(self, number: str, crc: str) -> None:
            self.reset(CRASH)
            self.fault = None

    link = greeted(Crashing(FIRMWARE))
    link.seed(1)
    assert message(link.run) == "fake: the board crashed, and its record of it is lost"


def test_the_same_inputs_serve_again_after_a_crash() -> None:
    board = FakeBoard(FIRMWARE)
    link = greeted(board)
    x = tinyfw.samples(np.random.default_rng(4))
    link.load(x)
    board.reset(CRASH)
    assert "the board crashed" in message(link.run)
    assert link.run().outputs == tinyfw.network(x)[3]


def test_stale_replies_are_never_taken() -> None:
    """Every reply is repeated before the next one, as by a line that stores and forwards."""

    class Repeating(FakeBoard):
        last = b""

        def _reply(self, number: str, status: str, raw: bytes | None = None) -> None:
            before = self._outgoing
            super()._reply(number, status, raw)
            fresh = self._outgoing[len(before) :]
            self._outgoing = before + self.last + fresh
            self.last = fresh

    link = greeted(Repeating(FIRMWARE))
    rng = np.random.default_rng(3)
    for _ in range(20):
        x = tinyfw.samples(rng)
        link.load(x)
        assert link.run().outputs == tinyfw.network(x)[3]


def exchanges(transport: FaultyTransport, count: int) -> tuple[int, int]:
    """(right answers, errors) of inferences over a bad line. A wrong answer fails."""
    rng = np.random.default_rng(transport.seed)
    timing = Timing(reply_s=0.3, run_s=5.0, ping_s=0.1, silence_s=0.03, ready_s=0.02)
    link, right, errors = Link(transport, timing=timing), 0, 0
    for _ in range(count):
        x = tinyfw.samples(rng)
        try:
            link.load(x)
            assert link.run().outputs == tinyfw.network(x)[3]
            assert link.step(1).outputs == tinyfw.network(x)[1]
            right += 1
        except DeviceError:
            errors += 1
    return right, errors


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_a_bad_line_gives_right_answers_or_errors(seed: int) -> None:
    line = FaultyTransport(FakeBoard(FIRMWARE), seed, 0.05)
    right, errors = exchanges(line, 10)
    assert right + errors == 10
    assert right >= (6 if line.faults else 10)


def test_a_terrible_line_gives_no_wrong_answer() -> None:
    """At this rate of faults some exchanges fail, and some still succeed."""
    results = [exchanges(FaultyTransport(FakeBoard(FIRMWARE), seed, 0.4), 10) for seed in range(20)]
    assert all(right + errors == 10 for right, errors in results)
    assert sum(errors for _, errors in results) > 20
    assert sum(right for right, _ in results) > 20


def test_rates_are_agreed_on() -> None:
    board = FakeBoard(FIRMWARE)
    link = greeted(board)
    assert link.set_baud(921_600)
    assert board.baud == 921_600
    assert link.set_baud(921_600)
    link.reboot()
    assert board.baud == 115_200
    assert message(lambda: link.set_baud(50)) == "fake: the board refuses 'baud': it cannot make this rate"


def test_a_rate_at_which_nothing_is_heard_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(FakeBoard):
        def read(self, timeout_s: float) -> bytes:
            data = super().read(timeout_s)
            return data if self.baud == 115_200 else b""

    monkeypatch.setattr("mcuquant.device.link._TRIAL_S", 0.0)
    board = Slow(FIRMWARE)
    link = greeted(board)
    assert not link.set_baud(921_600)
    assert board.baud == 115_200
    link.seed(1)
    assert link.run(read=False).ticks == 4000


def test_memory_is_what_the_board_says() -> None:
    link = greeted(FakeBoard(FIRMWARE))
    link.seed(1)
    memory = link.memory()
    assert (memory.stack, memory.stack_peak, memory.arena_used) == (4064, 400, 708)


def test_chunks_are_of_the_agreed_size() -> None:
    seen: list[int] = []

    class Watching(FakeBoard):
        def _do_in(self, number: str, offset: str, nbytes: str) -> str | None:
            seen.append(int(nbytes))
            return super()._do_in(number, offset, nbytes)

    link = greeted(Watching(FIRMWARE))
    link.load((bytes(700), bytes(8)))
    assert seen == [CHUNK_BYTES, 708 - CHUNK_BYTES]


# Frames.


def test_a_request_is_as_documented() -> None:
    assert request(0x2A, "step", 3) == b"mq #0000002a step 3 *a4fb8982%"
    assert request(1, "in", 0, 2, payload=b"%\n").startswith(b"mq #00000001 in 0 2 *")
    assert len(request(1, "in", 0, 2, payload=b"%\n")) == len(request(1, "in", 0, 2)) + 6


@given(st.integers(0, 2**32 - 1), st.integers(0, 200), st.integers(1, 255))
@settings(deadline=None, max_examples=200)
def test_a_changed_byte_makes_no_reply(number: int, at: int, change: int) -> None:
    line = b"mq #%08x ok ticks=286 bytes=700,8" % number
    line += b" *%08x" % (zlib.crc32(line))
    reply = parse_reply(line)
    assert reply is not None
    assert reply.number == number
    assert reply.fields == {"ticks": "286", "bytes": "700,8"}
    at %= len(line)
    assert parse_reply(line[:at] + bytes([line[at] ^ change]) + line[at + 1 :]) in (None, reply)


def test_noise_before_a_reply_is_passed_over() -> None:
    line = b"mq #0000002a error input"
    line += b" *%08x" % (zlib.crc32(line))
    for before in (b"", b"\x00\xff", b"mq #", b"mq #00000001 ok *00000000"):
        reply = parse_reply(before + line)
        assert reply is not None
        assert (reply.number, reply.error) == (0x2A, "input")
    assert parse_reply(b"m-ready") is None
