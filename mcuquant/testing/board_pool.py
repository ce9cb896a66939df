"""The boards that a run of pytest is connected to, one for each firmware and location."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ..errors import DeviceError
from ..project.project import Project
from .board_selection import Selected
from .hil import TestDut, connected

MAX_CONNECTIONS = 4
"""Maximum number of connected boards; an emulated one is a process of QEMU."""


@dataclass(frozen=True, slots=True)
class _Key:
    """The key of a connection: a build of a folder, a board, and a location."""

    directory: Path
    digest: str
    board: str
    port: str | None
    probe: str | None


@dataclass(slots=True)
class _Connection:
    device: TestDut
    stack: ExitStack


class BoardPool:
    """Connections by key, the most recently used last. A port has one connection at most."""

    def __init__(self) -> None:
        self._connections: OrderedDict[_Key, _Connection] = OrderedDict()

    def device(self, project: Project, selected: Selected) -> TestDut:
        """The board that runs the present build of `project`, in its initial states.

        Raises DeviceError and the errors of `connected`.
        """
        directory = project.directory.resolve()
        key = _Key(directory, project.firmware.digest, project.board.name, selected.port, selected.probe)
        if key in self._connections:
            self._connections.move_to_end(key)
            try:
                return self._connections[key].device.fresh()
            except DeviceError:  # connect, and flash where needed, again
                self._close(key)
        self._make_way(key)
        stack = ExitStack()
        self._connections[key] = _Connection(stack.enter_context(connected(project, selected)), stack)
        return self._connections[key].device.fresh()

    def drop(self, device: TestDut) -> None:
        """Close the connection of `device`: after a failed test its state is unknown."""
        for key, connection in list(self._connections.items()):
            if connection.device.dut is device.dut:
                self._close(key)

    def close(self) -> None:
        for key in list(self._connections):
            self._close(key)

    def _make_way(self, key: _Key) -> None:
        """Close connections to the same port, which is exclusive, and those to older builds of the same folder."""
        for other in list(self._connections):
            if (key.port is not None and other.port == key.port) or other.directory == key.directory:
                self._close(other)
        while len(self._connections) >= MAX_CONNECTIONS:
            self._close(next(iter(self._connections)))

    def _close(self, key: _Key) -> None:
        self._connections.pop(key).stack.close()
