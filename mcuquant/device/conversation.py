"""One request and its reply, over a line that may lose, change or repeat bytes.

Requests are idempotent and may be repeated. A reply counts only with the number of its request and a correct CRC.
Noise, old and duplicate replies are ignored, and a lost reply is requested again.
"""

from __future__ import annotations

import secrets
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ..errors import DeviceError
from .transport import Transport, read_until_silent
from .wire import BOOTED, CORRUPTED, CRASHED, READY, Reply, parse_reply, request

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Timing:
    """Waiting times in seconds, and the number of attempts."""

    reply_s: float = 1.0
    run_s: float = 60.0
    """Timeout of requests that compute an inference."""
    tries: int = 5
    ping_s: float = 0.25
    """After this time of silence the other end of the line is pinged."""
    silence_s: float = 0.05
    ready_s: float = 0.1


class LostError(Exception):
    """The board has reset itself, or lacks an input or result that it should have."""


class _NoReplyError(Exception):
    """No bytes, or no valid bytes, arrived."""


_HEARD_BYTES = 200
_REFUSALS = {
    "verb": "does not know it; its firmware is older than this program",
    "arguments": "does not take these arguments",
    "range": "has no such range of bytes",
    "baud": "cannot make this rate",
    "sensor": "reads a sensor of its own, and takes no samples over the serial port",
}


class Conversation:
    """Requests to the board at the other end of `transport`."""

    def __init__(self, transport: Transport, timing: Timing) -> None:
        self.timing = timing
        self._transport = transport
        self._number = secrets.randbits(32)
        self._buffer = b""
        self._heard = b""
        self._told: list[bytes] = []

    def ask(
        self, *words: object, payload: bytes | None = None, timeout_s: float | None = None, greeting: bool = False
    ) -> Reply:
        """The reply to a request. `payload` are raw bytes that follow it; a `greeting` accepts a reset of the board.

        Raises LostError if the board has lost earlier requests, DeviceError if it refuses or no attempt gives a valid
        reply.
        """
        wait_s = timeout_s or self.timing.reply_s
        return self._attempts(words, wait_s, greeting, lambda: self._reply(words, payload, wait_s, greeting))

    def ask_bytes(self, count: int, *words: object) -> bytes:
        """The `count` raw bytes that follow the reply. Errors as in `ask`."""
        wait_s = self.timing.reply_s
        return self._attempts(words, wait_s, False, lambda: self._raw(self._reply(words, None, wait_s, False), count))

    def ask_with_lines(self, *words: object, payload: bytes, timeout_s: float) -> tuple[Reply, tuple[str, ...]]:
        """The reply, and the lines of JSON before it, whose CRC-32 the reply has in `lines`. Errors as in `ask`."""
        return self._attempts(
            words, timeout_s, False, lambda: self._telling(self._reply(words, payload, timeout_s, False))
        )

    def _telling(self, reply: Reply) -> tuple[Reply, tuple[str, ...]]:
        if zlib.crc32(b"".join(line + b"\r\n" for line in self._told)) != reply.integer("lines", 16):
            raise _NoReplyError
        return reply, tuple(line.decode("ascii") for line in self._told)

    def ask_line(self, text: bytes, start: bytes) -> bytes | None:
        """The rest of the line that begins with `start`, for a request that firmware does not know; None if the other
        end does not know it either.
        """
        self.drain()
        self._transport.write(text)
        end = time.monotonic() + self.timing.reply_s
        try:
            while not (line := self._line(end)).startswith(start):
                if line.endswith(READY):
                    return None
        except _NoReplyError:
            return None
        return line.removeprefix(start)

    def await_boot(self) -> None:
        """Waits for the start message of the board, at most as long as for a reply."""
        self._await_line(BOOTED, self.timing.reply_s)

    def drain(self) -> bytes:
        """Discards and returns received bytes until the line is silent."""
        limit_s = max(2.0, self.timing.reply_s)
        drained = self._buffer + read_until_silent(self._transport, self.timing.silence_s, limit_s)
        self._note(drained)
        self._buffer = b""
        return drained

    def _attempts(self, words: tuple[object, ...], wait_s: float, greeting: bool, attempt: Callable[[], T]) -> T:
        for _ in range(self.timing.tries):
            try:
                result = attempt()
                self._await_line(READY, self.timing.ready_s)
                return result
            except _NoReplyError:
                self._resync(greeting)
        raise self._no_answer(str(words[0]), wait_s)

    def _reply(self, words: tuple[object, ...], payload: bytes | None, timeout_s: float, greeting: bool) -> Reply:
        self._number = (self._number + 1) & 0xFFFFFFFF
        self._told = []
        self._transport.write(request(self._number, *words, payload=payload))
        end, pinged = time.monotonic() + timeout_s, False
        while True:
            line = self._line_or_ping(end, pinged)
            pinged = pinged or line is None
            if line is None:
                continue
            reply = parse_reply(line)
            if reply is not None and reply.number == self._number:
                return self._judged(reply, str(words[0]))
            if line.startswith(b"{"):
                self._told.append(line)
            self._look_for_trouble(line, pinged, greeting)

    def _line_or_ping(self, end: float, pinged: bool) -> bytes | None:
        """The next line; None if the line was silent and a ping was sent.

        An idle board answers an empty command with READY alone. A busy board answers later; one that waits for the rest
        of a request takes the ping for a part of it and detects the damage.
        """
        if pinged:
            return self._line(end)
        try:
            return self._line(min(end, time.monotonic() + self.timing.ping_s))
        except _NoReplyError:
            self._transport.write(b"%")
            return None

    def _look_for_trouble(self, line: bytes, pinged: bool, greeting: bool) -> None:
        if line.startswith(CORRUPTED):
            text = line[len(CORRUPTED) :].decode("ascii", "replace").rstrip("]")
            raise DeviceError(
                f"{self._transport.name}: the board's flash does not hold what was built ({text}): flash the firmware "
                "again; if it comes back, the flash is worn or the supply unstable"
            )
        if BOOTED in line and not greeting:
            raise LostError
        if line.endswith(READY) and pinged:
            raise _NoReplyError
        if line.startswith(b"e-[") and not line.startswith(CRASHED):
            raise _NoReplyError

    def _judged(self, reply: Reply, verb: str) -> Reply:
        match reply.error:
            case "":
                return reply
            case "crc" | "silence":
                raise _NoReplyError
            case "input" | "result" | "order":
                raise LostError
            case code:
                why = _REFUSALS.get(code, f"says {code!r}")
                raise DeviceError(f"{self._transport.name}: the board refuses '{verb}': it {why}")

    def _raw(self, reply: Reply, count: int) -> bytes:
        end = time.monotonic() + self.timing.reply_s
        while len(self._buffer) < count + 4:
            self._receive(end)
        data, crc = self._buffer[:count], self._buffer[count : count + 4]
        self._buffer = self._buffer[count + 4 :]
        if zlib.crc32(data, reply.crc) != int.from_bytes(crc, "little"):
            raise _NoReplyError
        return data

    def _await_line(self, line: bytes, timeout_s: float) -> None:
        """Waits for a line. If it was lost, the board has passed it when the wait ends."""
        end = time.monotonic() + timeout_s
        try:
            while line not in self._line(end):
                pass
        except _NoReplyError:
            return

    def _line(self, end: float) -> bytes:
        """The next line, without its end."""
        while b"\n" not in self._buffer:
            self._receive(end)
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.rstrip(b"\r")

    def _receive(self, end: float) -> None:
        left_s = end - time.monotonic()
        data = self._transport.read(left_s) if left_s > 0 else b""
        if not data:
            raise _NoReplyError
        self._note(data)
        self._buffer += data

    def _note(self, data: bytes) -> None:
        self._heard = (self._heard + data)[-_HEARD_BYTES:]

    def _resync(self, greeting: bool) -> None:
        """Abort the present command of the board, and wait until the line is silent."""
        self._transport.write(b"%")
        if BOOTED in self.drain() and not greeting:
            raise LostError

    def _no_answer(self, verb: str, timeout_s: float) -> DeviceError:
        tries = f"{self.timing.tries} tries of at most {timeout_s:g} s"
        subject = f"{self._transport.name}: no valid answer to '{verb}' in {tries}"
        if self._heard:
            return DeviceError(
                f"{subject}; last heard {self._heard[-60:]!r}: a bad line, another rate or another firmware"
            )
        return DeviceError(f"{subject}, and nothing heard: is the board powered, flashed, and its rate the right one?")
