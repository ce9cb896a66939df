"""A compiled project: its folder, and the board that runs its firmware."""

from __future__ import annotations

from .dut import Dut
from .folder import ProjectFolder


class Project(ProjectFolder):
    """A folder that `compile` wrote, and the way to its board."""

    __slots__ = ()

    def connect(self, port: str | None = None) -> Dut:
        """The board, for a `with` statement: emulated, or at a serial port."""
        return Dut(self, port)
