"""A board that runs mcuquant's firmware: inputs, inferences, outputs, times, crashes. Every wait has a timeout."""

from __future__ import annotations

import itertools
import secrets
import time
import zlib
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TypeVar

from ..errors import DeviceError
from . import cycle_model
from .conversation import Conversation, LostError, Timing
from .cycle_model import CycleCounts
from .transport import Transport
from .wire import (
    CHUNK_BYTES,
    COUNTS_REPLY,
    COUNTS_REQUEST,
    PROTOCOL,
    DeviceInfo,
    FaultRecord,
    Memory,
    Reply,
    Run,
    Streamed,
    device_info,
    fault_record,
    seeded_input,
)

T = TypeVar("T")

_RESTARTS = 3
_TRIAL_S = 1.2
"""After 1 s without a valid request, a board returns to its default rate."""


class Link:
    """The board at the other end of `transport`; call `hello` first. `default_baud` is its rate after a reset.

    Errors are DeviceErrors with one sentence that begins with the port. If the board resets in between, the link greets
    it again and repeats the requests; a crash is reported with its record.
    """

    def __init__(self, transport: Transport, *, default_baud: int = 115_200, timing: Timing | None = None) -> None:
        self._transport = transport
        self._talk = Conversation(transport, timing or Timing())
        self._default_baud = self._baud = default_baud
        self._digest: str | None = None
        self._info: DeviceInfo | None = None
        self._input = b""
        self._seed: int | None = None
        self._is_loaded = False
        self._turn: int | None = None
        self._fed_bytes = 0

    def __enter__(self) -> Link:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._transport.close()

    @property
    def info(self) -> DeviceInfo:
        """The board's description from the last `hello`."""
        return self._info or self.hello()

    def hello(self, digest: str | None = None) -> DeviceInfo:
        """Greet the board and return its description. With `digest` (64 hexadecimal digits), any other build is
        refused.
        """
        self._talk.drain()
        reply = self._talk.ask("info", greeting=True)
        protocol = reply.fields.get("protocol")
        if protocol != PROTOCOL:
            raise self._error(f"speaks protocol {protocol}, this program {PROTOCOL}; build and flash it again")
        info = device_info(reply)
        if digest is not None and info.digest != digest:
            raise self._error(
                f"runs another build: the digest of its firmware begins {info.digest[:12]}, that of the project "
                f"{digest[:12]}; flash the project's firmware first"
            )
        self._info, self._digest = info, info.digest
        return info

    def load(self, inputs: Sequence[bytes]) -> None:
        """Send the stored values of every input."""
        sizes, expected = [len(x) for x in inputs], [t.nbytes for t in self.info.inputs]
        if sizes != expected:
            raise self._error(f"takes inputs of {expected} bytes, found {sizes}")
        self._put(b"".join(inputs), None)

    def seed(self, seed: int) -> bytes:
        """Let the board generate its inputs from `seed` (0 to 2^32 - 1); returns them, one after the other."""
        self._put(seeded_input(seed, self.info.inputs), seed)
        return self._input

    def run(self, read: bool = True) -> Run:
        """Run and time one inference with the last inputs; returns its outputs.

        A network with states continues from the preceding inference; start with `reset_state`.
        """
        result = self._recovering(lambda: self._run(("run",), read))
        self._count_turn()
        return result

    def step(self, i: int, read: bool = True) -> Run:
        """Run and time step `i` alone; returns its outputs. Earlier steps are run first unless they have just been run.

        The last step ends the inference.
        """
        result = self._recovering(lambda: self._run(("step", i), read))
        if i == self.info.steps - 1:
            self._count_turn()
        return result

    def reset_state(self) -> None:
        """Set the states to their initial values. Without effect for a network without states."""
        if self.info.state_bytes:
            self._turn = None
            self._recovering(lambda: self._talk.ask("reset"))
            self._turn = 0

    def _count_turn(self) -> None:
        if self._turn is not None:
            self._turn += 1

    def stream(self, samples: Sequence[bytes], per_request: int) -> Streamed:
        """Send raw samples, at least one, to a node with initial state; `per_request` of them at a time."""
        return self._recovering(lambda: self._stream(samples, per_request))

    def feed(self, rows: bytes) -> Run | None:
        """Feed the next bytes of an image to a network that takes rows. Returns the result after its last byte.

        The byte after that, or after `begin_image`, is the first of the next image.
        """
        total = self.info.inputs[0].nbytes
        if self._fed_bytes + len(rows) > total:
            raise self._error(f"lacks {total - self._fed_bytes:,} bytes of the image, {len(rows):,} were given")
        for at in range(0, len(rows), CHUNK_BYTES):
            reply = self._feed_chunk(rows[at : at + CHUNK_BYTES])
        if self._fed_bytes < total:
            return None
        self._fed_bytes = 0
        return Run(reply.integer("ticks"), reply.integer("crc", 16), self._read(reply))

    def begin_image(self) -> None:
        """Make the next row the first of an image."""
        self._fed_bytes = 0

    def _feed_chunk(self, chunk: bytes) -> Reply:
        try:
            offset, wait_s = self._fed_bytes, self._talk.timing.run_s
            reply = self._talk.ask("feed", offset, len(chunk), payload=chunk, timeout_s=wait_s)
        except LostError:
            self._fed_bytes = 0
            self._greet_again()
            raise self._error("has reset itself within an image: feed the image again from its first row") from None
        self._fed_bytes += len(chunk)
        return reply

    def memory(self) -> Memory:
        """Peak stack and arena of one inference in bytes."""
        return self._recovering(self._memory)

    def served_counts(self) -> CycleCounts | None:
        """Counts of the last inference, from `device.serving`; None from any other board."""
        line = self._talk.ask_line(COUNTS_REQUEST, COUNTS_REPLY)
        return cycle_model.window_of(line.decode("ascii")) if line else None

    def now_us(self) -> int:
        """The board's time since boot, in microseconds."""
        line = self._talk.ask_line(b"timestamp%", b"m-lap-us-")
        if line is None:
            raise self._error("does not tell its time")
        return int(line)

    def fault(self) -> FaultRecord | None:
        """The record of the last crash. It survives resets, until it is cleared or power fails."""
        return fault_record(self._talk.ask("fault", greeting=True))

    def clear_fault(self) -> None:
        self._talk.ask("fault", "clear", greeting=True)

    def reboot(self) -> DeviceInfo:
        """Reset the board by software, and greet it again."""
        self._talk.ask("reboot", greeting=True)
        self._use_baud(self._default_baud)
        self._is_loaded = False
        self._talk.await_boot()
        return self.hello(self._digest)

    def set_baud(self, baud: int) -> bool:
        """Change the baud rate. False if nothing is received at the new rate; both sides then use the default rate."""
        if baud == self._baud:
            return True
        self._talk.ask("baud", baud, greeting=True)
        self._use_baud(baud)
        try:
            self.hello(self._digest)
        except DeviceError:
            self._use_baud(self._default_baud)
            time.sleep(_TRIAL_S)
            self.hello(self._digest)
        return self._baud == baud

    def _use_baud(self, baud: int) -> None:
        self._transport.set_baud(baud)
        self._baud = baud

    def _put(self, data: bytes, seed: int | None) -> None:
        self._input, self._seed, self._is_loaded = data, seed, False
        self._recovering(self._ensure_input)

    def _ensure_input(self) -> None:
        if self._is_loaded:
            return
        if self._seed is None:
            self._send_input()
        elif self._talk.ask("seed", self._seed).integer("crc", 16) != zlib.crc32(self._input):
            raise self._error(f"makes another input from seed {self._seed} than this program")
        self._is_loaded = True

    def _send_input(self) -> None:
        for offset in range(0, len(self._input), CHUNK_BYTES):
            chunk = self._input[offset : offset + CHUNK_BYTES]
            self._talk.ask("in", offset, len(chunk), payload=chunk)

    def _run(self, words: tuple[object, ...], read: bool) -> Run:
        self._ensure_input()
        input_crc = f"{zlib.crc32(self._input):08x}"
        turn = () if self._turn is None else (self._turn,)
        reply = self._talk.ask(*words, input_crc, *turn, timeout_s=self._talk.timing.run_s)
        return Run(reply.integer("ticks"), reply.integer("crc", 16), self._read(reply) if read else ())

    def _read(self, result: Reply) -> tuple[bytes, ...]:
        """The tensors of a result, in chunks, with a check of the whole."""
        sizes = [int(n) for n in result.fields["bytes"].split(",")]
        total = sum(sizes)
        data = b"".join(self._chunk(result, at, min(CHUNK_BYTES, total - at)) for at in range(0, total, CHUNK_BYTES))
        if zlib.crc32(data) != result.integer("crc", 16):
            raise LostError
        ends = itertools.accumulate(sizes)
        return tuple(data[end - size : end] for end, size in zip(ends, sizes, strict=True))

    def _chunk(self, result: Reply, offset: int, count: int) -> bytes:
        return self._talk.ask_bytes(count, "out", f"{result.number:08x}", offset, count)

    def _stream(self, samples: Sequence[bytes], per_request: int) -> Streamed:
        number = f"{secrets.randbits(32):08x}"
        decision_lines: list[str] = []
        for start in range(0, len(samples), per_request):
            part = samples[start : start + per_request]
            words = ("samples", number, start, len(part))
            reply, lines = self._talk.ask_with_lines(*words, payload=b"".join(part), timeout_s=self._talk.timing.run_s)
            decision_lines += lines
        return Streamed(
            reply.integer("samples"), reply.integer("inferences"), reply.integer("outputs", 16), tuple(decision_lines)
        )

    def _memory(self) -> Memory:
        self._ensure_input()
        reply = self._talk.ask("memory", timeout_s=self._talk.timing.run_s)
        self._turn = None if self._turn is None else 0
        names = ("stack", "stack_peak", "stack_inference", "arena", "arena_used")
        return Memory(*(reply.integer(name) for name in names))

    def _recovering(self, action: Callable[[], T]) -> T:
        """Execute requests. If the board has lost earlier ones, greet it and start again."""
        for _ in range(_RESTARTS):
            try:
                return action()
            except LostError:
                self._greet_again()
                self._check_state()
        raise self._error(
            f"has reset itself {_RESTARTS} times at the same request; look at its supply and its watchdog"
        )

    def _check_state(self) -> None:
        """After lost requests: whether the states of the network may be lost too."""
        if self._turn:
            turn, self._turn = self._turn, None
            raise self._error(
                f"has reset itself after {turn} inferences, and the network has lost what it kept of them: reset the "
                "state and start the stream again"
            )

    def _greet_again(self) -> None:
        self._is_loaded = False
        try:
            info = self.hello(self._digest)
        except DeviceError:
            if self._baud == self._default_baud:
                raise
            self._use_baud(self._default_baud)
            info = self.hello(self._digest)
        if info.crashed:
            raise self._crash()

    def _crash(self) -> DeviceError:
        record = self.fault()
        if record is None:
            return self._error("crashed, and its record of it is lost")
        hint = "" if record.pc is None else f"; arm-none-eabi-addr2line -fe firmware.elf {record.pc:#x} names the line"
        return self._error(f"crashed: {record}{hint}")

    def _error(self, text: str) -> DeviceError:
        return DeviceError(f"{self._transport.name}: the board {text}")
