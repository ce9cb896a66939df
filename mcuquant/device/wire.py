"""The format of requests and replies between host and board, with checksums, and of the values in them.

    mq #SSSSSSSS VERB ARGUMENTS *CCCCCCCC%        request: its number, the hexadecimal CRC-32 of the text before " *"
    mq #SSSSSSSS ok NAME=VALUE ... *CCCCCCCC      reply, with the request's number and its own CRC
    mq #SSSSSSSS error CODE *CCCCCCCC

Raw bytes follow a request `in` and a reply to `out`. After them follows, little endian, their CRC-32 continued from
that of the text, so that bytes and text belong to one request.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

CHUNK_BYTES = 512
PROTOCOL = "1"
READY = b"m-ready"
BOOTED = b"m-init-done"
COUNTS_REQUEST = b"mq counts%"
"""A request that `device.serving` answers, not the firmware."""
COUNTS_REPLY = b"mq counts "
CRASHED = b"e-[Crash"
CORRUPTED = b"e-[Corrupted flash: "

_REPLY = re.compile(rb"mq #([0-9a-f]{8}) (ok|error [a-z]+)((?: [a-z0-9_]+=[^ =*]*)*) \*([0-9a-f]{8})")


def request(number: int, *words: object, payload: bytes | None = None) -> bytes:
    """The bytes of a request; `payload` are the raw bytes that follow `in`."""
    text = " ".join([f"mq #{number:08x}", *map(str, words)]).encode("ascii")
    crc = zlib.crc32(text)
    sent = text + b" *%08x%%" % crc
    return sent if payload is None else sent + payload + struct.pack("<I", zlib.crc32(payload, crc))


@dataclass(frozen=True, slots=True)
class Reply:
    """A valid line. `error` is the error code, or ""; `crc` is that of the text, for continuation."""

    number: int
    error: str
    fields: Mapping[str, str]
    crc: int

    def integer(self, name: str, base: int = 10) -> int:
        return int(self.fields[name], base)


def parse_reply(line: bytes) -> Reply | None:
    """The reply at the end of `line` (without line end), or None. Text before it is ignored."""
    start = line.rfind(b"mq #")
    match = _REPLY.fullmatch(line, start) if start >= 0 else None
    if match is None or zlib.crc32(line[start : match.start(4) - 2]) != int(match[4], 16):
        return None
    pairs = (word.split("=", 1) for word in match[3].decode("ascii", "replace").split())
    status = match[2].decode("ascii")
    return Reply(int(match[1], 16), status.partition(" ")[2], dict(pairs), int(match[4], 16))


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """An input or output as the firmware declares it: "int8", "int16", "int32", "int64", "bool" or "float32", and its
    size."""

    dtype: str
    nbytes: int


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """The firmware's description. `core` is the core that it was compiled for, `cpuid` the one that it runs on."""

    digest: str
    board: str
    core: str
    cpuid: int
    clock_hz: int
    """The core clock that actually runs."""
    counter: str
    """"cyccnt", "systick" or "timer"."""
    counter_hz: int
    counter_overhead: int
    """Ticks of an empty measurement."""
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    steps: int
    arena_bytes: int
    crashed: bool
    """Whether the last reset of the board followed a crash."""
    state_bytes: int = 0
    """Bytes of the states between inferences."""

    @property
    def input_bytes(self) -> int:
        return sum(t.nbytes for t in self.inputs)


def device_info(reply: Reply) -> DeviceInfo:
    f = reply.fields
    return DeviceInfo(
        digest=f["digest"],
        board=f["board"],
        core=f["core"],
        cpuid=reply.integer("cpuid", 16),
        clock_hz=reply.integer("clock_hz"),
        counter=f["counter"],
        counter_hz=reply.integer("counter_hz"),
        counter_overhead=reply.integer("counter_overhead"),
        inputs=_tensors(f["inputs"]),
        outputs=_tensors(f["outputs"]),
        steps=reply.integer("steps"),
        arena_bytes=reply.integer("arena"),
        crashed=f["crashed"] == "1",
        state_bytes=int(f.get("state", 0)),
    )


def _tensors(text: str) -> tuple[TensorInfo, ...]:
    rows = (row.partition(":") for row in text.split(","))
    return tuple(TensorInfo(dtype, int(nbytes)) for dtype, _, nbytes in rows)


@dataclass(frozen=True, slots=True)
class Run:
    """One inference or step: ticks of the board's counter, and the bytes of each output (none if not read)."""

    ticks: int
    crc: int
    """CRC-32 of all outputs, one after the other."""
    outputs: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of painted memory that one inference changed. `stack_peak` is the maximum since boot, including all
    callers.
    """

    stack: int
    stack_peak: int
    stack_inference: int
    arena: int
    arena_used: int


@dataclass(frozen=True, slots=True)
class Streamed:
    """The result of a stream in a node: `lines` of JSON, one per decision; CRC-32 of the first output of all
    inferences.
    """

    samples: int
    inferences: int
    outputs_crc: int
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FaultRecord:
    """The core at a crash. `registers` have the names of the architecture; `frame` is 0 if the
    stacked ones are lost.
    """

    registers: Mapping[str, int] = field(default_factory=dict)

    @property
    def pc(self) -> int | None:
        """The address of the crash; None if the stacked registers are lost."""
        return self.registers["pc"] if self.registers["frame"] else None

    @property
    def causes(self) -> tuple[str, ...]:
        """Bits of CFSR and HFSR as text (Armv8-M ARM, D1.2.12 and D1.2.118)."""
        cfsr, hfsr = self.registers["cfsr"], self.registers["hfsr"]
        if (cause := self.registers.get("cause", 0)) in _CAUSES:
            return (_CAUSES[cause],)
        if cfsr & _STACK_OVERFLOW:
            return ("stack overflow",)
        named = [text for bit, text in _CFSR.items() if cfsr >> bit & 1]
        return tuple(named or (["vector table read"] if hfsr >> 1 & 1 else ["unknown cause"]))

    def __str__(self) -> str:
        where = "(registers lost)" if self.pc is None else f"at {self.pc:#010x}"
        caller = "" if self.pc is None else f", called from {self.registers['lr'] & ~1:#010x}"
        return f"{', '.join(self.causes)}{self._address()} {where}{caller}{self._activity()}"

    def _address(self) -> str:
        cfsr = self.registers["cfsr"]
        if cfsr & _STACK_OVERFLOW:
            return ""
        if cfsr >> 15 & 1:
            return f" of {self.registers['bfar']:#010x}"
        return f" of {self.registers['mmfar']:#010x}" if cfsr >> 7 & 1 else ""

    def _activity(self) -> str:
        match self.registers["activity"]:
            case 0:
                return ""
            case n if n == _WHOLE_NETWORK:
                return ", in the network"
            case n:
                return f", in step {n - 1} of the network"


_WHOLE_NETWORK = 1_000_000
_CAUSES = {1: "no sign of life from the main loop (watchdog)", 2: "stack overflow"}
_STACK_OVERFLOW = 1 << 4 | 1 << 12 | 1 << 20
"""MSTKERR, STKERR and STKOF: the core could not save its registers, or reached the stack limit."""
_CFSR = {
    0: "instruction fetch refused",
    1: "access refused",
    3: "access refused on return from an exception",
    5: "access refused while saving floating-point registers",
    8: "bus error on instruction fetch",
    9: "bus error",
    10: "bus error (imprecise)",
    11: "bus error on return from an exception",
    13: "bus error while saving floating-point registers",
    16: "undefined instruction",
    17: "invalid state (a jump to an even address)",
    18: "invalid return from an exception",
    19: "coprocessor or FPU not enabled",
    24: "unaligned access",
    25: "division by zero",
}


def fault_record(reply: Reply) -> FaultRecord | None:
    if reply.fields["recorded"] != "1":
        return None
    return FaultRecord({k: int(v, 16) for k, v in reply.fields.items() if k != "recorded"})


def seeded_input(seed: int, tensors: Sequence[TensorInfo]) -> bytes:
    """All inputs, one after the other, as the board generates them from `seed` (0 to 2^32 - 1).

    Word i of tensor t is mix(mix(mix(seed) + t) + i * 0x9E3779B9). For integers these are the bytes, little endian; for
    bool, the lowest bit of each byte; for float32, a real number in [-1, 1), a multiple of 2^-23, from the lower 24
    bits.
    """
    words = np.array([seed], np.uint32)
    return b"".join(_seeded(_mix(_mix(words) + np.uint32(t)), tensor) for t, tensor in enumerate(tensors))


def _seeded(state: npt.NDArray[np.uint32], tensor: TensorInfo) -> bytes:
    count = -(-tensor.nbytes // 4)
    words = _mix(state + np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B9))
    if tensor.dtype == "float32":
        reals = ((words & 0xFFFFFF).astype(np.int32) - (1 << 23)) * np.float32(2.0**-23)
        return reals.astype("<f4").tobytes()
    if tensor.dtype == "bool":
        words &= np.uint32(0x01010101)
    return words.astype("<u4").tobytes()[: tensor.nbytes]


def _mix(x: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """C. Wellons' "lowbias32" (hash prospector): every bit of the result depends on every bit of x."""
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D)
    x = (x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B)
    return x ^ (x >> np.uint32(16))
