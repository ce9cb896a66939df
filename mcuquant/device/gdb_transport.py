"""A board without a serial port: firmware is loaded, started and controlled through a debug probe's GDB server.

The console of the firmware is a mailbox in RAM (firmware/port/probe/mq_probe.h). The firmware calls `mq_probe_exchange`
to send bytes or to wait for bytes. A breakpoint stops the core in this function; memory is read and written only then.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from ..boards.board import Region
from ..errors import ToolError
from .gdb_remote import LR, PC, SP, GdbRemote

_EXCHANGE, _MAILBOX = "mq_probe_exchange", "mq_probe_mailbox"
_FLUSH, _WAIT, _RESET = 0, 1, 2
_FOREVER = 0xFFFF_FFFF
_BUFFER_BYTES = 1024
_SENT_OFFSET = 16
_RECEIVED_OFFSET = _SENT_OFFSET + _BUFFER_BYTES
_THUMB = 1 << 24
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class ProbeImage:
    """An ELF file as a probe loads it. `stack` and `entry` are the initial values of the core."""

    segments: tuple[tuple[int, bytes], ...]
    stack: int
    entry: int
    exchange: int
    mailbox: int

    @classmethod
    def of(cls, elf: Path) -> ProbeImage:
        """Raises ToolError for a file that is not firmware for a probe."""
        try:
            with elf.open("rb") as file:
                return cls._read(ELFFile(file), elf)
        except (OSError, ELFError) as error:
            raise ToolError(f"{elf} cannot be read as an ELF file: {error}") from error

    @classmethod
    def _read(cls, elf: ELFFile, path: Path) -> ProbeImage:
        table = elf.get_section_by_name(".symtab")
        symbols = (
            {s.name: int(s["st_value"]) for s in table.iter_symbols()} if isinstance(table, SymbolTableSection) else {}
        )
        missing = [name for name in (_EXCHANGE, _MAILBOX, "mq_stack_top") if name not in symbols]
        if missing:
            raise ToolError(f"{path} has no {missing[0]}: compile it for a board of port 'probe' (--board generic:...)")
        return cls(
            segments=tuple(_segments(elf)),
            stack=symbols["mq_stack_top"],
            entry=int(elf.header["e_entry"]) & ~1,
            exchange=symbols[_EXCHANGE] & ~1,
            mailbox=symbols[_MAILBOX],
        )


def _segments(elf: ELFFile) -> Iterator[tuple[int, bytes]]:
    for segment in elf.iter_segments("PT_LOAD"):
        if segment["p_filesz"]:
            yield int(segment["p_paddr"]), segment.data()


class GdbTransport:
    """Bytes to and from the firmware's mailbox. `flash` is programmed, other memory written; None:
    the image is in RAM.
    """

    def __init__(self, remote: GdbRemote, image: ProbeImage, flash: Region | None = None) -> None:
        self._remote: Final = remote
        self._image: Final = image
        self._flash: Final = flash
        self._to_send = b""
        self._received = b""
        self._deadline: float | None = None
        """Timeout in ms of the firmware's wait, if it has one."""
        self._is_running = False
        remote.halt()
        remote.reset_and_halt()
        self._load()
        remote.set_breakpoint(image.exchange)
        self._start()

    @property
    def name(self) -> str:
        return self._remote.name

    def write(self, data: bytes) -> None:
        self._to_send += data
        self._serve(0.0)

    def read(self, timeout_s: float) -> bytes:
        end = time.monotonic() + timeout_s
        while not self._received:
            left = end - time.monotonic()
            if left <= 0:
                break
            self._serve(left)
        data, self._received = self._received, b""
        return data

    def set_baud(self, baud: int) -> None:
        return

    def close(self) -> None:
        self._remote.close()

    def _load(self) -> None:
        for address, data in self._image.segments:
            if self._flash is not None and self._flash.origin <= address < self._flash.end:
                if self._remote.read(address, len(data)) != data:
                    self._remote.program(address, data)
            else:
                self._remote.write(address, data)
                if self._remote.read(address, len(data)) != data:
                    raise self._remote.error(f"memory at {address:#010x} does not keep what is written: is it RAM?")

    def _start(self) -> None:
        remote = self._remote
        remote.set_register(SP, self._image.stack)
        remote.set_register(PC, self._image.entry)
        if not remote.register(remote.xpsr) & _THUMB:
            remote.set_register(remote.xpsr, _THUMB)
        self._resume()

    def _resume(self) -> None:
        self._remote.go()
        self._is_running = True
        self._deadline = None

    def _serve(self, timeout_s: float) -> None:
        """Wait for a running core, or answer its request if there are bytes for it."""
        if self._is_running:
            self._await_stop(timeout_s)
        if not self._is_running:
            self._answer(timeout_s)

    def _await_stop(self, timeout_s: float) -> None:
        if self._remote.wait(timeout_s) is None:
            return
        self._is_running = False
        pc = self._remote.register(PC) & ~1
        if pc != self._image.exchange:
            raise self._remote.error(
                f"the core stopped at {pc:#010x} by itself: locked up, or stopped by another client"
            )
        self._take()

    def _take(self) -> None:
        """The bytes that the firmware has sent, and the request that it waits for."""
        box = self._image.mailbox
        request, timeout_us, sent, _ = (
            int.from_bytes(word, "little") for word in _words(self._remote.read(box, _SENT_OFFSET))
        )
        if sent > _BUFFER_BYTES or request > _RESET:
            raise self._remote.error("the mailbox holds nonsense: the firmware has overwritten it")
        if sent:
            self._received += self._remote.read(box + _SENT_OFFSET, sent)
        if request == _FLUSH:
            self._return()
        elif request == _RESET:
            self._remote.reset_and_halt()
            self._load()
            self._start()
        else:
            self._deadline = None if timeout_us == _FOREVER else time.monotonic() + timeout_us / 1e6

    def _answer(self, timeout_s: float) -> None:
        if self._to_send:
            part, self._to_send = self._to_send[:_BUFFER_BYTES], self._to_send[_BUFFER_BYTES:]
            self._remote.write(self._image.mailbox + _RECEIVED_OFFSET, part)
            self._remote.write(self._image.mailbox + 12, len(part).to_bytes(4, "little"))
            self._return()
        elif self._deadline is not None and time.monotonic() >= self._deadline:
            self._return()
        elif not self._received:
            limit = timeout_s if self._deadline is None else max(0.0, self._deadline - time.monotonic())
            time.sleep(min(timeout_s, limit, _POLL_S))

    def _return(self) -> None:
        """Let the firmware return from its call of the exchange."""
        self._remote.set_register(PC, self._remote.register(LR) & ~1)
        self._resume()


def _words(data: bytes) -> list[bytes]:
    return [data[i : i + 4] for i in range(0, len(data), 4)]
