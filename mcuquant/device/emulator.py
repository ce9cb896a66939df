"""A board under QEMU, with its serial port at the other end of a socket. It ends with its context."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from ..boards.board import Board
from ..errors import BoardError, ToolError
from .board_process import BoardProcess

PROGRAM = "qemu-system-arm"
_INSTALL = "on Debian or Ubuntu: sudo apt-get install qemu-system-arm"


def not_emulated(board: Board) -> str:
    """The message for a board that QEMU does not emulate, where no port is given."""
    instead = f", or emulate it (--port {board.emulator_port})" if board.emulator_port else ""
    return f"board {board.name} is not emulated; connect one and name its port (--port){instead}"


class Emulator(BoardProcess):
    """Context manager: `with Emulator(board, elf) as emulator: Link(emulator.transport)`.

    With `is_counting`, QEMU advances its clock by 1 ns per instruction (-icount shift=0), so that the firmware's timer
    counts instructions. Without, it runs a little faster and its timer has no meaning. `arguments` are additional
    arguments of QEMU.

    Raises ToolError if QEMU or the firmware is missing, or QEMU does not start; BoardError for a board without
    emulation.
    """

    def __init__(
        self,
        board: Board,
        elf: Path,
        *,
        is_counting: bool = True,
        arguments: Sequence[str] = (),
        program: str = PROGRAM,
    ) -> None:
        if board.qemu is None:
            raise BoardError(not_emulated(board))
        super().__init__(f"{board.name} (QEMU)", "QEMU", program, elf)
        self.board = board
        self.is_counting = is_counting
        self._qemu = board.qemu
        self._arguments = tuple(arguments)

    def check(self) -> None:
        if shutil.which(self._program) is None:
            raise ToolError(f"{self._program} is not installed; {_INSTALL}")

    def command(self, port: Path) -> list[str]:
        counting = ["-icount", "shift=0"] if self.is_counting else []
        chardev = f"socket,id=serial,path={str(port).replace(',', ',,')}"
        return [
            *(self._program, "-machine", self._qemu.machine, *self._qemu.arguments),
            *("-display", "none", "-monitor", "none"),
            *("-chardev", chardev, "-serial", "chardev:serial", "-kernel", str(self._elf)),
            *counting,
            *self._arguments,
        ]

    def gist(self, text: str) -> str:
        """QEMU's own message, without the registers that it may print after it."""
        lines = text.strip().splitlines()
        own = [line for line in lines if line.startswith("qemu")]
        return " / ".join((own or lines)[-3:])
