"""The part of an ELF file that goes into flash, in the formats of flash tools and boot loaders."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from ..errors import ToolError

ERASED = b"\xff"
PAGE_BYTES = 256
_BLOCK_BYTES = 512
_FIRST, _SECOND, _LAST = 0x0A324655, 0x9E5D5157, 0x0AB16F30
_FAMILY_PRESENT = 0x2000


@dataclass(frozen=True, slots=True)
class Segment:
    """Bytes and the flash address they are loaded to."""

    address: int
    data: bytes

    @property
    def end(self) -> int:
        return self.address + len(self.data)


def segments(elf: Path) -> tuple[Segment, ...]:
    """The loaded segments by physical address, in ascending order. ToolError when there are none."""
    try:
        with elf.open("rb") as file:
            loads = [s for s in ELFFile(file).iter_segments("PT_LOAD") if s["p_filesz"]]
            image_segments = [Segment(s["p_paddr"], s.data()) for s in loads]
    except (OSError, ELFError) as error:
        raise ToolError(f"{elf} is not firmware that can be flashed: {error}") from error
    if not image_segments:
        raise ToolError(f"{elf} is not firmware that can be flashed: nothing in it is loaded")
    return tuple(sorted(image_segments, key=lambda s: s.address))


def flat(parts: tuple[Segment, ...]) -> Segment:
    """The whole image as one piece, with gaps filled as erased flash."""
    start, end = parts[0].address, max(s.end for s in parts)
    data = bytearray(ERASED * (end - start))
    for part in parts:
        data[part.address - start : part.end - start] = part.data
    return Segment(start, bytes(data))


def uf2(parts: tuple[Segment, ...], family: int) -> bytes:
    """The file for a UF2 boot loader's drive (format: microsoft/uf2, README.md), in whole pages of 256 bytes."""
    pages = list(_pages(parts))
    return b"".join(_block(address, data, i, len(pages), family) for i, (address, data) in enumerate(pages))


def _pages(parts: tuple[Segment, ...]) -> Iterator[tuple[int, bytes]]:
    pages: dict[int, bytearray] = {}
    for part in parts:
        for offset, byte in enumerate(part.data):
            page, at = divmod(part.address + offset, PAGE_BYTES)
            pages.setdefault(page, bytearray(ERASED * PAGE_BYTES))[at] = byte
    return ((page * PAGE_BYTES, bytes(pages[page])) for page in sorted(pages))


def _block(address: int, data: bytes, index: int, count: int, family: int) -> bytes:
    head = struct.pack("<8I", _FIRST, _SECOND, _FAMILY_PRESENT, address, PAGE_BYTES, index, count, family)
    return (head + data).ljust(_BLOCK_BYTES - 4, b"\0") + struct.pack("<I", _LAST)
