"""The bytes of each object file in a firmware, from the linker map that GNU ld writes with -Map."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..errors import ToolError

_BEGIN = "\nLinker script and memory map\n"
_PLACED = re.compile(r"^ \.(?P<section>\S+)\s+0x(?P<address>[0-9a-f]+)\s+0x(?P<size>[0-9a-f]+) (?P<file>\S.*)$", re.M)
_NOT_LOADED = ("debug", "comment", "ARM.attributes", "stab")
"""Prefixes of sections that are not loaded; their addresses count from 0, where flash may be."""
_NETWORK = re.compile(r"build/mq\w*\.o")
"""Object files of the model and of code that models share. Those of application, port and libraries are elsewhere."""


def sizes(path: Path, origin: int, end: int) -> Mapping[str, int]:
    """Bytes of each object file between the addresses `origin` and `end` (exclusive), in the linker's order.

    Discarded sections do not count; padding between sections belongs to no file. Raises ToolError if `path` is not a
    linker map.
    """
    sizes: dict[str, int] = {}
    for file, address, size in _placed(path):
        if size and origin <= address < end:
            sizes[file] = sizes.get(file, 0) + size
    return sizes


def network_bytes(path: Path, origin: int, end: int) -> int:
    """Bytes of the network itself, code and constants, without the application and the port."""
    return sum(size for file, size in sizes(path, origin, end).items() if _NETWORK.fullmatch(file))


def _placed(path: Path) -> Iterator[tuple[str, int, int]]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ToolError(f"the linker's map {path} cannot be read: {error.strerror}; build the project again") from error
    _, begin, rest = text.partition(_BEGIN)
    if not begin:
        raise ToolError(f"{path} is not a map of GNU ld: it has no line {_BEGIN.strip()!r}")
    for match in _PLACED.finditer(rest):
        if not match["section"].startswith(_NOT_LOADED):
            yield match["file"], int(match["address"], 16), int(match["size"], 16)
