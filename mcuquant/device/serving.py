"""An emulated board behind a TCP port, one client at a time, with the counts of its inferences."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from ..boards.board import Board
from ..errors import DeviceError
from .counting import Counting
from .emulator import Emulator
from .transport import Transport
from .wire import COUNTS_REPLY, COUNTS_REQUEST

_READ_BYTES = 4096
_POLL_S = 0.05


def serve(board: Board, elf: Path, function: str, host: str, port: int, started: Callable[[int], None]) -> None:
    """Run the emulated board and pass bytes between its serial port and clients, until KeyboardInterrupt.

    `started` is called with the port: a free one if `port` is 0. COUNTS_REQUEST is answered here, with the counts of
    the last call of `function`. Raises DeviceError if the port cannot be opened.
    """
    with TemporaryDirectory(prefix="mq-") as folder, _listening(host, port) as listener:
        counting = Counting.of(board, elf, function, Path(folder))
        with Emulator(board, elf, arguments=counting.arguments) as emulator:
            started(int(listener.getsockname()[1]))
            while True:
                connection, _ = listener.accept()
                with connection:
                    _Client(connection, emulator.transport, counting.file).serve()


def _listening(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port))
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise DeviceError(f"{host}:{port} cannot be opened for clients: {reason}") from error


class _Client:
    """One connection, until the client closes it."""

    def __init__(self, connection: socket.socket, board: Transport, counts: Path | None) -> None:
        self._connection = connection
        self._board = board
        self._counts = counts
        self._is_open = threading.Event()

    def serve(self) -> None:
        self._is_open.set()
        thread = threading.Thread(target=self._to_client)
        thread.start()
        try:
            while data := self._received():
                if data == COUNTS_REQUEST:
                    self._connection.sendall(COUNTS_REPLY + self._last_counts() + b"\r\n")
                else:
                    self._board.write(data)
        finally:
            self._is_open.clear()
            thread.join()

    def _received(self) -> bytes:
        try:
            return self._connection.recv(_READ_BYTES)
        except OSError:
            return b""

    def _last_counts(self) -> bytes:
        """The last line of the plugin; empty without counts."""
        if self._counts is None or not self._counts.is_file():
            return b""
        return (b"", *self._counts.read_bytes().split(b"\n")[:-1])[-1]

    def _to_client(self) -> None:
        while self._is_open.is_set():
            try:
                self._connection.sendall(self._board.read(_POLL_S))
            except (OSError, DeviceError):
                return
