"""Functions and vectors of a firmware ELF."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import Symbol, SymbolTableSection

from ..errors import ToolError


@dataclass(frozen=True, slots=True)
class Function:
    """A function's symbol; the address is without the Thumb bit."""

    name: str
    address: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Vectors:
    """Entry points of the core: addresses without the Thumb bit; handlers in ascending order without duplicates."""

    reset: int
    handlers: tuple[int, ...]


def functions(elf: Path, preferred: Collection[str] = ()) -> list[Function]:
    """Functions in ascending order of address, one per address.

    If several names share an address (the compiler merges equal functions), one of `preferred` is used, else a global
    one, else the first in alphabetical order. A symbol without a size, as in hand-written assembly, extends to the next
    symbol. Raises ToolError if the file is not an ELF file.
    """
    best: dict[int, tuple[tuple[bool, bool, str], int]] = {}
    for symbol in _function_symbols(elf):
        rank = (symbol.name not in preferred, symbol["st_info"]["bind"] != "STB_GLOBAL", symbol.name)
        address = symbol["st_value"] & ~1
        best[address] = min(best.get(address, (rank, symbol["st_size"])), (rank, symbol["st_size"]))
    return _with_sizes([Function(rank[2], address, size) for address, (rank, size) in sorted(best.items())])


def vectors(elf: Path, symbols: Sequence[Function]) -> Vectors | None:
    """The vector table at the lowest loaded address; None for firmware that does not begin with one.

    It ends at the first word that is neither zero nor the address of a function.
    """
    starts = {f.address | 1 for f in symbols}
    words = _first_words(elf)
    if len(words) < 2 or words[1] not in starts:
        return None
    table = itertools.takewhile(lambda word: not word or word in starts, words[2:])
    return Vectors(words[1] & ~1, tuple(sorted({word & ~1 for word in table} - {0, words[1] & ~1})))


def _function_symbols(elf: Path) -> Iterator[Symbol]:
    with elf.open("rb") as file:
        for section in _parsed(file, elf).iter_sections():
            if isinstance(section, SymbolTableSection):
                for symbol in section.iter_symbols():
                    if symbol["st_info"]["type"] == "STT_FUNC" and symbol["st_shndx"] != "SHN_UNDEF":
                        yield symbol


def _first_words(elf: Path) -> list[int]:
    with elf.open("rb") as file:
        loaded = [s for s in _parsed(file, elf).iter_segments("PT_LOAD") if s["p_filesz"]]
        data = min(loaded, key=lambda s: s["p_vaddr"]).data() if loaded else b""
    return [word for (word,) in struct.iter_unpack("<I", data[: len(data) & ~3])]


def _parsed(file: BinaryIO, elf: Path) -> ELFFile:
    try:
        return ELFFile(file)
    except ELFError as error:
        raise ToolError(f"{elf} is not an ELF file: {error}") from error


def _with_sizes(symbols: list[Function]) -> list[Function]:
    ends = [f.address for f in symbols[1:]] + [1 << 32]
    return [
        f if f.size_bytes else Function(f.name, f.address, end - f.address)
        for f, end in zip(symbols, ends, strict=True)
    ]
