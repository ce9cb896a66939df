"""A board under QEMU, with its serial port at the other end of a socket. It ends with its context."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from ..boards.board import Board
from ..errors import BoardError, ToolError
from .transport import SocketTransport, Transport

PROGRAM = "qemu-system-arm"
_INSTALL = "on Debian or Ubuntu: sudo apt-get install qemu-system-arm"
_BOOT_TIMEOUT_S = 20.0
_END_TIMEOUT_S = 2.0


class Emulator:
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
            raise BoardError(f"board {board.name} is not emulated; connect one and name its port (--port)")
        self.board = board
        self.is_counting = is_counting
        self._qemu = board.qemu
        self._elf = elf
        self._arguments = tuple(arguments)
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._transport: Transport | None = None

    @property
    def transport(self) -> Transport:
        """The serial port of the running board."""
        assert self._transport is not None, "not running"
        return self._transport

    def __enter__(self) -> Emulator:
        if shutil.which(self._program) is None:
            raise ToolError(f"{self._program} is not installed; {_INSTALL}")
        if not self._elf.is_file():
            raise ToolError(f"{self._elf} is not there; build the firmware first")
        self._folder = tempfile.TemporaryDirectory(prefix="mq-")
        try:
            self._boot(Path(self._folder.name))
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End QEMU, first by a signal that it can handle. Without effect if it is not running."""
        if self._transport is not None:
            self._transport.close()
        if self._process is not None:
            _end(self._process)
        if self._folder is not None:
            self._folder.cleanup()
        self._transport = self._process = self._folder = None

    def command(self, port: Path) -> list[str]:
        """The command line. The serial port is the TCP port `port`, on which mcuquant listens."""
        counting = ["-icount", "shift=0"] if self.is_counting else []
        chardev = f"socket,id=serial,path={str(port).replace(',', ',,')}"
        return [
            *(self._program, "-machine", self._qemu.machine, *self._qemu.arguments),
            *("-display", "none", "-monitor", "none"),
            *("-chardev", chardev, "-serial", "chardev:serial", "-kernel", str(self._elf)),
            *counting,
            *self._arguments,
        ]

    def _boot(self, folder: Path) -> None:
        with socket.socket(socket.AF_UNIX) as listener, (folder / "stderr").open("wb") as log:
            listener.bind(str(folder / "port"))
            listener.listen(1)
            self._process = subprocess.Popen(
                self.command(folder / "port"), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
            connection = self._accept(listener, self._process)
        self._transport = SocketTransport(connection, f"{self.board.name} (QEMU)", self._why_closed)

    def _accept(self, listener: socket.socket, process: subprocess.Popen[bytes]) -> socket.socket:
        listener.settimeout(0.1)
        end = time.monotonic() + _BOOT_TIMEOUT_S
        while time.monotonic() < end:
            try:
                return listener.accept()[0]
            except TimeoutError:
                if process.poll() is not None:
                    raise ToolError(f"{self._program} did not start: {self._why_closed()}") from None
        raise ToolError(f"{self._program} opened no serial port within {_BOOT_TIMEOUT_S:g} s")

    def _why_closed(self) -> str:
        """QEMU's last message."""
        if self._process is None or self._folder is None:
            return "the emulator was stopped"
        try:
            status = self._process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return "QEMU is still running"
        message = _gist((Path(self._folder.name) / "stderr").read_text(errors="replace"))
        return f"QEMU ended with status {status}" + (f": {message}" if message else "")


def _gist(text: str) -> str:
    """QEMU's own message, without the registers that it may print after it."""
    lines = text.strip().splitlines()
    own = [line for line in lines if line.startswith("qemu")]
    return " / ".join((own or lines)[-3:])


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
