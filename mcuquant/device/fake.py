"""A board without hardware: the firmware's side of the protocol in Python, for tests of code that talks to boards."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .wire import CHUNK_BYTES, PROTOCOL, TensorInfo, seeded_input

Tensors = tuple[bytes, ...]
Network = Callable[[Tensors], Sequence[Tensors]]
"""All inputs → the outputs of every step; the last entry contains the network's outputs."""

_BOOT = b"m-timestamp-mode-performance\r\nm-lap-us-1\r\nm-init-done\r\nm-ready\r\n"
_MARK = b"mq #"


@dataclass(frozen=True, slots=True)
class FakeFirmware:
    """The firmware of the fake board. Every step takes `ticks` of its counter."""

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    steps: int
    network: Network
    digest: str = "0" * 64
    board: str = "fake"
    core: str = "cortex-m4"
    clock_hz: int = 80_000_000
    counter: str = "cyccnt"
    ticks: int = 1000
    state_bytes: int = 0
    """With states, `network` gets one more tensor: the number of inferences since the reset, little endian."""


@dataclass(slots=True)
class _Result:
    number: str
    tensors: Tensors


@dataclass(frozen=True, slots=True)
class _Payload:
    """An `in` request that waits for its raw bytes."""

    number: str
    offset: int
    nbytes: int
    crc: int


@dataclass(slots=True)
class FakeBoard:
    """A `Transport` with a board in it. Silence takes no time: a read without data returns at once."""

    firmware: FakeFirmware
    name: str = "fake"
    baud: int = 115_200
    fault: dict[str, int] | None = None
    _crashed: bool = False
    _incoming: bytes = b""
    _outgoing: bytes = _BOOT
    _payload: _Payload | None = None
    _input: bytearray = field(default_factory=bytearray)
    _result: _Result | None = None
    _turn: int = 0
    """Inferences since boot or `reset`."""

    def __post_init__(self) -> None:
        self._input = bytearray(self._input_bytes)

    @property
    def _input_bytes(self) -> int:
        return sum(t.nbytes for t in self.firmware.inputs)

    def reset(self, crash: dict[str, int] | None = None) -> None:
        """Resets the board; with `crash`, after a fault with these registers."""
        self._crashed = crash is not None
        self.fault = crash or self.fault
        self._incoming, self._payload, self._result, self._turn = b"", None, None, 0
        self._input = bytearray(self._input_bytes)
        self._outgoing += b"\r\ne-[Crash, program counter 0]\r\n" * self._crashed + _BOOT

    def write(self, data: bytes) -> None:
        self._incoming += data
        while self._take():
            pass

    def read(self, timeout_s: float) -> bytes:
        if not self._outgoing:
            self._silence()
        data, self._outgoing = self._outgoing, b""
        return data

    def set_baud(self, baud: int) -> None:
        self.baud = baud

    def close(self) -> None:
        return

    def _silence(self) -> None:
        """Discards an incomplete request."""
        if self._payload is not None:
            number, self._payload, self._incoming = self._payload.number, None, b""
            self._reply(number, "error silence")
        elif self._incoming.startswith(_MARK):
            self._incoming = b""
            self._outgoing += b"e-[Incomplete request]\r\nm-ready\r\n"

    def _take(self) -> bool:
        """Processes one command, or the raw bytes of one. False if more bytes are needed."""
        if self._payload is not None:
            return self._take_payload(self._payload)
        command, percent, rest = self._incoming.partition(b"%")
        if not percent:
            return False
        self._incoming = rest
        if not command.startswith(_MARK):
            self._outgoing += b"e-[Unknown command: %s]\r\n" % command[:20] if command else b""
            self._outgoing += b"m-ready\r\n"
        else:
            self._checked(command)
        return True

    def _checked(self, command: bytes) -> None:
        text, _, crc = command.rpartition(b" *")
        if crc != b"%08x" % zlib.crc32(text):
            self._incoming = b""
            self._outgoing += b"e-[Damaged request]\r\nm-ready\r\n"
            return
        number, verb, *arguments = text[len(_MARK) :].decode("ascii").split(" ")
        handler: Callable[..., str | None] | None = getattr(self, f"_do_{verb}", None)
        if handler is None:
            self._reply(number, "error verb")
        elif (status := handler(number, *arguments)) is not None:
            self._reply(number, status)

    def _reply(self, number: str, status: str, raw: bytes | None = None) -> None:
        text = f"mq #{number} {status}".encode("ascii")
        crc = zlib.crc32(text)
        self._outgoing += text + b" *%08x\r\n" % crc
        if raw is not None:
            self._outgoing += raw + struct.pack("<I", zlib.crc32(raw, crc)) + b"\r\n"
        self._outgoing += b"m-ready\r\n"

    def _take_payload(self, payload: _Payload) -> bool:
        size = payload.nbytes + 4
        if len(self._incoming) < size:
            return False
        data, crc = self._incoming[: payload.nbytes], self._incoming[payload.nbytes : size]
        self._incoming, self._payload = self._incoming[size:], None
        self._input[payload.offset : payload.offset + payload.nbytes] = data
        right = crc == struct.pack("<I", zlib.crc32(data, payload.crc))
        self._reply(payload.number, "ok" if right else "error crc")
        return True

    def _do_info(self, number: str) -> str:
        f = self.firmware
        return (
            f"ok protocol={PROTOCOL} digest={f.digest} board={f.board} core={f.core} cpuid=410fc241 "
            f"clock_hz={f.clock_hz} "
            f"counter={f.counter} counter_hz={f.clock_hz} counter_overhead=0 inputs={_declared(f.inputs)} "
            f"outputs={_declared(f.outputs)} steps={f.steps} arena={self._input_bytes} state={f.state_bytes} "
            f"crashed={int(self._crashed)}"
        )

    def _do_in(self, number: str, offset: str, nbytes: str) -> str | None:
        if int(nbytes) > CHUNK_BYTES or int(offset) + int(nbytes) > self._input_bytes:
            return "error range"
        text = f"mq #{number} in {offset} {nbytes}".encode("ascii")
        self._payload = _Payload(number, int(offset), int(nbytes), zlib.crc32(text))
        return None

    def _do_seed(self, number: str, seed: str) -> str:
        self._input = bytearray(seeded_input(int(seed), self.firmware.inputs))
        return f"ok crc={zlib.crc32(self._input):08x}"

    def _do_run(self, number: str, crc: str, turn: str = "") -> str:
        return self._ran(number, crc, turn, self.firmware.steps - 1, self.firmware.ticks * self.firmware.steps)

    def _do_step(self, number: str, i: str, crc: str, turn: str = "") -> str:
        if int(i) >= self.firmware.steps:
            return "error arguments"
        return self._ran(number, crc, turn, int(i), self.firmware.ticks)

    def _do_reset(self, number: str) -> str:
        self._turn = 0
        return f"ok state={self.firmware.state_bytes}"

    def _ran(self, number: str, crc: str, turn: str, step: int, ticks: int) -> str:
        if int(crc, 16) != zlib.crc32(self._input):
            return "error input"
        is_last = step == self.firmware.steps - 1
        is_repeated = bool(turn) and int(turn) == self._turn - 1 and is_last and self._result is not None
        if turn and int(turn) != self._turn and not is_repeated:
            return "error order"
        self._turn -= is_repeated
        inputs = self._tensors()
        state = (self._turn.to_bytes(4, "little"),) if self.firmware.state_bytes else ()
        tensors = self.firmware.network((*inputs, *state))[step]
        self._turn += is_last
        self._result = _Result(number, tensors)
        sizes = ",".join(str(len(t)) for t in tensors)
        return f"ok ticks={ticks} bytes={sizes} crc={zlib.crc32(b''.join(tensors)):08x}"

    def _tensors(self) -> Tensors:
        inputs, at = [], 0
        for tensor in self.firmware.inputs:
            inputs.append(bytes(self._input[at : at + tensor.nbytes]))
            at += tensor.nbytes
        return tuple(inputs)

    def _do_out(self, number: str, result: str, offset: str, nbytes: str) -> str | None:
        if self._result is None or self._result.number != result:
            return "error result"
        data = b"".join(self._result.tensors)[int(offset) : int(offset) + int(nbytes)]
        self._reply(number, f"ok bytes={nbytes}", data)
        return None

    def _do_memory(self, number: str) -> str:
        return (
            f"ok stack=4064 stack_peak=400 stack_inference=100 arena={self._input_bytes} arena_used={self._input_bytes}"
        )

    def _do_fault(self, number: str, clear: str = "") -> str:
        self.fault = None if clear else self.fault
        fields = "".join(f" {name}={value:08x}" for name, value in (self.fault or {}).items())
        return f"ok recorded={int(self.fault is not None)}{fields}"

    def _do_baud(self, number: str, baud: str) -> str:
        return "ok" if 1200 <= int(baud) <= 4_000_000 else "error baud"

    def _do_reboot(self, number: str) -> None:
        self._reply(number, "ok")
        self.reset()


def _declared(tensors: Sequence[TensorInfo]) -> str:
    return ",".join(f"{t.dtype}:{t.nbytes}" for t in tensors)
