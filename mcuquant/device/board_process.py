"""A program that emulates a board, with the board's serial port at the other end of a socket."""

from __future__ import annotations

import abc
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from ..errors import ToolError
from .processes import end
from .transport import SocketTransport, Transport

_BOOT_TIMEOUT_S = 20.0
_END_TIMEOUT_S = 2.0


class BoardProcess(abc.ABC):
    """Context manager; the program ends with it. A subclass states the program's command line.

    `label` names the connection in messages, `name` the emulator, `program` its executable. Raises ToolError if the
    firmware is missing or the program does not start.
    """

    def __init__(self, label: str, name: str, program: str, elf: Path) -> None:
        self._label = label
        self._name = name
        self._program = program
        self._elf = elf
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._transport: Transport | None = None

    @abc.abstractmethod
    def command(self, port: Path) -> list[str]:
        """The command line. The serial port is the Unix socket `port`, on which mcuquant listens."""

    @abc.abstractmethod
    def check(self) -> None:
        """Raise ToolError if the program is not installed."""

    def gist(self, text: str) -> str:
        """The part of the program's messages that says why it ended."""
        return " / ".join(text.strip().splitlines()[-3:])

    @property
    def transport(self) -> Transport:
        """The serial port of the running board."""
        assert self._transport is not None, "not running"
        return self._transport

    def __enter__(self) -> Self:
        self.check()
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
        """End the program, first by a signal that it can handle. Without effect if it is not running."""
        if self._transport is not None:
            self._transport.close()
        if self._process is not None:
            end(self._process)
        if self._folder is not None:
            self._folder.cleanup()
        self._transport = self._process = self._folder = None

    def _boot(self, folder: Path) -> None:
        with socket.socket(socket.AF_UNIX) as listener, (folder / "stderr").open("wb") as log:
            listener.bind(str(folder / "port"))
            listener.listen(1)
            self._process = subprocess.Popen(
                self.command(folder / "port"), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
            connection = self._accept(listener, self._process)
        self._transport = SocketTransport(connection, self._label, self._why_closed)

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
        """The program's last message."""
        if self._process is None or self._folder is None:
            return "the emulator was stopped"
        try:
            status = self._process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return f"{self._name} is still running"
        message = self.gist((Path(self._folder.name) / "stderr").read_text(errors="replace"))
        return f"{self._name} ended with status {status}" + (f": {message}" if message else "")
