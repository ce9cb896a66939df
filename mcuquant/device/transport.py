"""Bytes to and from a board: a serial port, or the socket of an emulated one."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Callable
from typing import Protocol

import serial

from ..errors import AbsentPortError, DeviceError

_PORT_ERRORS: tuple[type[Exception], ...] = (serial.SerialException, OSError)
"""Exceptions of pyserial, and system errors that it does not convert."""

if os.name == "posix":
    import termios

    _PORT_ERRORS = (*_PORT_ERRORS, termios.error)

_SETTING_ERRORS: tuple[type[Exception], ...] = (ValueError, *_PORT_ERRORS)


class Transport(Protocol):
    """The interface that `Link` needs. `name` identifies the connection in messages."""

    @property
    def name(self) -> str: ...

    def write(self, data: bytes) -> None:
        """Send all of `data`. Raises DeviceError if the connection is lost."""

    def read(self, timeout_s: float) -> bytes:
        """The bytes received so far, without waiting if there are any; b"" after the timeout. Raises DeviceError as
        above.
        """

    def set_baud(self, baud: int) -> None:
        """Change the rate of the host's side alone. Without effect for sockets."""

    def close(self) -> None: ...


_READ_BYTES = 65536
_WRITE_TIMEOUT_S = 10.0


class SocketTransport:
    """A stream socket. `why_closed` may add the reason why the other side closed it."""

    def __init__(self, connection: socket.socket, name: str, why_closed: Callable[[], str] | None = None) -> None:
        self.name = name
        self._socket = connection
        self._why_closed = why_closed

    def write(self, data: bytes) -> None:
        self._socket.settimeout(_WRITE_TIMEOUT_S)
        try:
            self._socket.sendall(data)
        except TimeoutError as error:
            raise DeviceError(f"{self.name}: nothing was taken for {_WRITE_TIMEOUT_S:g} s") from error
        except OSError as error:
            raise self._closed() from error

    def read(self, timeout_s: float) -> bytes:
        self._socket.settimeout(max(timeout_s, 0.001))
        try:
            data = self._socket.recv(_READ_BYTES)
        except TimeoutError:
            return b""
        except OSError as error:
            raise self._closed() from error
        if not data:
            raise self._closed()
        return data

    def set_baud(self, baud: int) -> None:
        return

    def close(self) -> None:
        self._socket.close()

    def _closed(self) -> DeviceError:
        reason = self._why_closed() if self._why_closed else ""
        return DeviceError(f"{self.name}: the connection was closed" + (f": {reason}" if reason else ""))


class SerialTransport:
    """A serial port of the operating system, opened exclusively. A pseudo-terminal is one too."""

    def __init__(self, port: str, baud: int) -> None:
        self.name = port
        try:
            self._serial = _opened(port, baud)
        except _SETTING_ERRORS as error:
            raise _not_opened(port, error) from error

    def write(self, data: bytes) -> None:
        try:
            self._serial.write(data)
            self._serial.flush()
        except serial.SerialTimeoutException as error:
            raise DeviceError(f"{self.name}: nothing was taken for {_WRITE_TIMEOUT_S:g} s") from error
        except _PORT_ERRORS as error:
            raise self._port_error(error) from error

    def read(self, timeout_s: float) -> bytes:
        try:
            self._serial.timeout = timeout_s
            first: bytes = self._serial.read(1)
            waiting = self._serial.in_waiting if first else 0
            rest: bytes = self._serial.read(waiting) if waiting else b""
        except _PORT_ERRORS as error:
            raise self._port_error(error) from error
        return first + rest

    def set_baud(self, baud: int) -> None:
        try:
            self._serial.baudrate = baud
        except _SETTING_ERRORS as error:
            raise DeviceError(f"{self.name}: {baud} baud cannot be set: {_reason(error)}") from error

    def close(self) -> None:
        self._serial.close()

    def _port_error(self, error: Exception) -> DeviceError:
        return DeviceError(f"{self.name}: the port is gone (unplugged, or taken by another program): {_reason(error)}")


def _opened(port: str, baud: int) -> serial.SerialBase:
    """rfc2217://HOST:PORT and pyserial's other URLs too; their servers control exclusive access."""
    if "://" in port:
        return serial.serial_for_url(port, baud, timeout=0, write_timeout=_WRITE_TIMEOUT_S)
    return serial.Serial(port, baud, timeout=0, write_timeout=_WRITE_TIMEOUT_S, exclusive=True)


def _errno(error: Exception) -> int | None:
    number = getattr(error, "errno", None)
    if number is None and error.args and isinstance(error.args[0], int):
        number = error.args[0]
    return number


def _reason(error: Exception) -> str:
    """The system's error message, with advice."""
    number = _errno(error)
    if number is None:
        return str(error)
    return os.strerror(number) + _HELP.get(number, "")


def _not_opened(port: str, error: Exception) -> DeviceError:
    kind = AbsentPortError if _errno(error) in _ABSENT else DeviceError
    return kind(f"{port}: cannot be opened: {_reason(error)}")


_ABSENT = (errno.ENOENT, errno.ENXIO, errno.ENODEV, errno.ECONNREFUSED)
_HELP = {
    errno.EAGAIN: " (another program holds the port; close it)",
    errno.EBUSY: " (another program holds the port; close it)",
    errno.EACCES: " (on Linux: sudo usermod -aG dialout $USER, then log in again)",
}


def open_port(port: str, baud: int) -> Transport:
    """Open a port by name: /dev/ttyACM0 or COM3; unix:PATH and tcp:HOST:PORT are sockets of an emulator or a port
    server; gdb:HOST:PORT is a GDB server; rfc2217://HOST:PORT is a serial port of another machine (ser2net, labgrid).
    """
    kind, _, rest = port.partition(":")
    if kind == "unix":
        return SocketTransport(_connected(port, lambda s: s.connect(rest), socket.AF_UNIX), port)
    if kind in ("tcp", "gdb"):
        host, _, number = rest.rpartition(":")
        if not host or not number.isdecimal():
            raise DeviceError(f"{port}: a network port is written {kind}:HOST:PORT")
        return SocketTransport(_connected(port, lambda s: s.connect((host, int(number))), socket.AF_INET), port)
    return SerialTransport(port, baud)


_CONNECT_TIMEOUT_S = 5.0


def _connected(name: str, connect: Callable[[socket.socket], None], family: socket.AddressFamily) -> socket.socket:
    connection = socket.socket(family)
    connection.settimeout(_CONNECT_TIMEOUT_S)
    try:
        connect(connection)
    except OSError as error:
        connection.close()
        raise _not_opened(name, error) from error
    return connection


def read_until_silent(transport: Transport, silence_s: float, limit_s: float) -> bytes:
    """The received bytes until `silence_s` without any, at most for `limit_s`."""
    end, received = time.monotonic() + limit_s, b""
    while time.monotonic() < end:
        data = transport.read(silence_s)
        if not data:
            break
        received += data
    return received
