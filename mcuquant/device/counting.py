"""Counts of inferences on an emulated board: the arguments of QEMU's plugin, and the file that it writes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..boards.board import Board
from ..errors import ToolError
from . import cycle_model


@dataclass(frozen=True, slots=True)
class Counting:
    """`file` receives the counts of each inference; it is None, with the reason, if QEMU supports no plugin."""

    arguments: tuple[str, ...] = ()
    file: Path | None = None
    reason: str = ""

    @classmethod
    def of(cls, board: Board, elf: Path, function: str, folder: Path) -> Counting:
        """Counts of the calls of one C function of the firmware; `folder` is for the files of the plugin."""
        counts = folder / "counts"
        flash = [(board.flash.origin, board.flash.bytes)]
        try:
            plugin = cycle_model.plugin()
            arguments = cycle_model.qemu_args(plugin, elf, counts, cpu=board.cpu, flash=flash, windows=(function,))
        except ToolError as error:
            return cls(reason=f"Instructions alone, 40 at a time: {error}.")
        return cls(tuple(arguments), counts)
