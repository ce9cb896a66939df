"""Writes and verifies firmware on a board. An error names the state in which the board is left."""

from __future__ import annotations

import importlib
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..boards.board import Board
from ..errors import BoardError, ToolError
from . import flash_pyocd, flash_tool, flash_uf2
from .flash_image import segments
from .flash_job import Job
from .plugged import Plugged, choose, plugged


@dataclass(frozen=True, slots=True)
class Flashed:
    """Report of flashing: `method` of board.FLASH_METHODS, the number of bytes, and the kind of verification."""

    method: str
    nbytes: int
    verified: str

    def __str__(self) -> str:
        return f"{self.nbytes:,} bytes with {self.method}, {self.verified}"


_METHODS: Mapping[str, Callable[[Job], str]] = {
    "pyocd": flash_pyocd.run,
    "uf2": flash_uf2.run,
    **{method: tool.run for method, tool in flash_tool.TOOLS.items()},
}


def flash(board: Board, elf: Path, probe: str | None = None, ports: Sequence[Plugged] | None = None) -> Flashed:
    """Write `elf` to the board with the first of its methods that is installed on this machine.

    `probe` is (a part of) the serial number of its probe, or the folder of its UF2 drive; `ports` are the serial ports
    of connected boards. Raises BoardError if the profile names no method, ToolError if none is installed, DeviceError
    if the board is absent, several are connected, or writing fails; the message names the state of the board.
    """
    if board.flashing is None or not board.flashing.methods:
        raise BoardError(f"board {board.name} does not say how it is flashed; add [flashing] to its profile")
    method = _available(board)
    parts = segments(elf)
    board_port = None
    if method not in ("pyocd", "uf2"):  # these methods select the board themselves
        board_port = choose(board, probe, plugged() if ports is None else ports)
    with tempfile.TemporaryDirectory(prefix="mq-") as folder:
        job = Job(board, elf, parts, probe, board_port, Path(folder))
        return Flashed(method, sum(len(part.data) for part in parts), _METHODS[method](job))


def _available(board: Board) -> str:
    assert board.flashing is not None
    for method in board.flashing.methods:
        if _is_installed(method):
            return method
    needs = "; ".join(_install(method) for method in board.flashing.methods)
    raise ToolError(f"nothing that flashes {board.name} is installed; any one of: {needs}")


def _is_installed(method: str) -> bool:
    if method == "uf2":
        return True
    if method != "pyocd":
        return any(shutil.which(program) for program in flash_tool.TOOLS[method].programs)
    try:
        importlib.import_module("pyocd.core.helpers")
    except ImportError:
        return False
    return True


def _install(method: str) -> str:
    if method == "pyocd":
        return "pyocd (pip install 'mcuquant[pyocd]')"
    return f"{method} ({flash_tool.TOOLS[method].install})"
