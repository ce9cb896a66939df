"""The GDB remote serial protocol, as needed to load, start and stop a core (GDB manual, appendix E).

Servers of QEMU, OpenOCD, pyOCD, J-Link and probe-rs, and the Black Magic Probe, use it.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Final

from ..errors import DeviceError
from .transport import Transport

_PACKET = re.compile(rb"\$((?:[^#$])*)#([0-9a-fA-F]{2})")
_ELEMENT = re.compile(r"<(?:xi:)?(include|reg)\b([^>]*)>")
"""Servers use the prefix xi without declaring it, so that XML parsers reject their documents."""
_ATTRIBUTE = re.compile(r"""(\w+)\s*=\s*["']([^"']*)["']""")
_REPLY_TIMEOUT_S = 10.0
_LEAST_PACKET_BYTES = 256
SP, LR, PC = 13, 14, 15
_XPSR = 25
"""Register numbers of servers that describe no registers, as in GDB."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Reason of a stop as a signal number (5: breakpoint or step, 2: interrupted, 11: fault)."""

    signal: int


class GdbRemote:
    """A core behind a server. An error reply and a lost connection are DeviceErrors."""

    def __init__(self, transport: Transport) -> None:
        self._transport: Final = transport
        self._received = b""
        self._is_quiet = False
        """Whether acknowledgements are off."""
        features = self._supported()
        size = re.search(r"PacketSize=([0-9a-fA-F]+)", features)
        self._packet_bytes = max(_LEAST_PACKET_BYTES, int(size[1], 16)) if size else _LEAST_PACKET_BYTES
        self.xpsr = self._xpsr_number() if "qXfer:features:read+" in features else _XPSR

    @property
    def name(self) -> str:
        return self._transport.name

    @property
    def is_qemu(self) -> bool:
        return self.ask("qqemu.sstepbits") != ""

    def halt(self) -> None:
        """Stop the core if it runs."""
        if self.ask("?").startswith(("T", "S")):
            return
        self.interrupt()
        if self.wait(_REPLY_TIMEOUT_S) is None:
            raise self.error("the core does not stop")

    def interrupt(self) -> None:
        self._transport.write(b"\x03")

    def register(self, number: int) -> int:
        """A 32-bit register."""
        reply = self.ask(f"p{number:x}")
        if not re.fullmatch(r"[0-9a-fA-F]{8}", reply):
            raise self.error(f"register {number} cannot be read (reply {reply!r})")
        return int.from_bytes(bytes.fromhex(reply), "little")

    def set_register(self, number: int, value: int) -> None:
        self._expect_ok(f"P{number:x}={value.to_bytes(4, 'little').hex()}", f"register {number} cannot be written")

    def read(self, address: int, count: int) -> bytes:
        """`count` bytes of memory."""
        data = b""
        while len(data) < count:
            part = min(count - len(data), self._packet_bytes // 2 - 8)
            reply = self.ask(f"m{address + len(data):x},{part:x}")
            if not reply or reply.startswith("E") or len(reply) % 2:
                raise self.error(f"memory at {address + len(data):#010x} cannot be read (reply {reply!r})")
            data += bytes.fromhex(reply)
        return data

    def write(self, address: int, data: bytes) -> None:
        part = self._packet_bytes // 2 - 24
        for i in range(0, len(data), part):
            chunk = data[i : i + part]
            self._expect_ok(
                f"M{address + i:x},{len(chunk):x}:{chunk.hex()}", f"memory at {address + i:#010x} cannot be written"
            )

    def program(self, address: int, data: bytes) -> None:
        """Erase and write flash; the server must know its layout."""
        self._expect_ok(f"vFlashErase:{address:x},{len(data):x}", f"flash at {address:#010x} cannot be erased")
        part = self._packet_bytes // 2 - 32
        for i in range(0, len(data), part):
            command = f"vFlashWrite:{address + i:x}:".encode() + _escaped(data[i : i + part])
            if self._ask(command) != "OK":
                raise self.error(f"flash at {address + i:#010x} cannot be written")
        self._expect_ok("vFlashDone", "flash cannot be finished")

    def set_breakpoint(self, address: int) -> None:
        """Set a breakpoint: by software in RAM, else by the core's comparators."""
        if "OK" not in (self.ask(f"Z0,{address:x},2"), self.ask(f"Z1,{address:x},2")):
            raise self.error(f"no breakpoint can be set at {address:#010x}")

    def reset_and_halt(self) -> None:
        """Reset the core and keep the memory, with the command of OpenOCD and pyOCD, else with that of QEMU."""
        if "unknown" in self._monitor("reset halt").lower():
            self._monitor("system_reset")

    def go(self) -> None:
        """Resume the core; `wait` returns when it stops."""
        self._send(b"c")

    def wait(self, timeout_s: float) -> Stop | None:
        """The next stop, or None after the timeout."""
        reply = self._packet(timeout_s)
        while reply is not None and reply[:1] == "O":  # text that the core prints over semihosting
            reply = self._packet(timeout_s)
        if reply is None:
            return None
        if not re.match(r"[TS][0-9a-fA-F]{2}", reply):
            raise self.error(f"the core ended (reply {reply!r})")
        return Stop(int(reply[1:3], 16))

    def close(self) -> None:
        self._transport.close()

    def error(self, text: str) -> DeviceError:
        return DeviceError(f"{self.name}: {text}")

    def ask(self, command: str) -> str:
        """The reply to a command; "" if the server does not support it."""
        return self._ask(command.encode("ascii"))

    def _ask(self, command: bytes) -> str:
        self._send(command)
        reply = self._packet(_REPLY_TIMEOUT_S)
        if reply is None:
            raise self.error("the GDB server does not answer; it may have another client")
        return reply

    def _expect_ok(self, command: str, failure: str) -> None:
        reply = self.ask(command)
        if reply != "OK":
            raise self.error(f"{failure} (reply {reply!r})")

    def _monitor(self, command: str) -> str:
        """The text in the reply to a monitor command."""
        self._send(f"qRcmd,{command.encode().hex()}".encode())
        text = ""
        while True:
            reply = self._packet(_REPLY_TIMEOUT_S)
            if reply is None or reply in ("OK", "") or reply.startswith("E"):
                return text
            hexadecimal = reply.removeprefix("O")
            if re.fullmatch(r"(?:[0-9a-fA-F]{2})+", hexadecimal):
                text += bytes.fromhex(hexadecimal).decode(errors="replace")

    def _supported(self) -> str:
        features = self.ask("qSupported:swbreak+;hwbreak+")
        if "QStartNoAckMode+" in features and self.ask("QStartNoAckMode") == "OK":
            self._is_quiet = True
        return features

    def _xpsr_number(self) -> int:
        """The number of a register in the server's description. Registers without a number continue from the previous
        one.
        """
        numbers: dict[str, int] = {}
        self._number("target.xml", numbers, 0)
        return numbers.get("xpsr", numbers.get("cpsr", _XPSR))

    def _number(self, document: str, numbers: dict[str, int], following: int) -> int:
        """Adds the registers of a document and of documents that it includes; returns the next register number."""
        for kind, text in _ELEMENT.findall(self._document(document)):
            attributes = dict(_ATTRIBUTE.findall(text))
            if kind == "reg":
                following = int(attributes.get("regnum", following))
                numbers[attributes.get("name", "")] = following
                following += 1
            elif "href" in attributes:
                following = self._number(attributes["href"], numbers, following)
        return following

    def _document(self, name: str) -> str:
        text, part = "", self._packet_bytes - 16
        while True:
            reply = self.ask(f"qXfer:features:read:{name}:{len(text):x},{part:x}")
            text += reply[1:]
            if not reply.startswith("m"):
                return text

    def _send(self, command: bytes) -> None:
        self._transport.write(b"$" + command + b"#%02x" % (sum(command) % 256))

    def _packet(self, timeout_s: float) -> str | None:
        """The next valid packet. Damaged packets are requested again."""
        end = time.monotonic() + timeout_s
        while True:
            match = _PACKET.search(self._received)
            if match is not None:
                self._received = self._received[match.end() :]
                is_whole = sum(match[1]) % 256 == int(match[2], 16)
                if not self._is_quiet:
                    self._transport.write(b"+" if is_whole else b"-")
                if is_whole:
                    return _plain(match[1])
                continue
            left = end - time.monotonic()
            if left <= 0:
                return None
            self._received += self._transport.read(left)


def _plain(data: bytes) -> str:
    """Decodes escapes (}) and repetitions (*)."""
    out = bytearray()
    it = iter(data)
    for byte in it:
        if byte == ord("}"):
            out.append(next(it, 0) ^ 0x20)
        elif byte == ord("*") and out:
            out += out[-1:] * (next(it, 29) - 29)
        else:
            out.append(byte)
    return out.decode("latin-1")


def _escaped(data: bytes) -> bytes:
    out = bytearray()
    for byte in data:
        out += bytes((ord("}"), byte ^ 0x20)) if byte in b"#$}*" else bytes((byte,))
    return bytes(out)
