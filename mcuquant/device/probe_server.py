"""A GDB server for a debug probe: pyOCD's, started here and ended with its context."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from types import TracebackType
from typing import BinaryIO

from ..errors import ToolError
from .processes import end

AUTO = "auto"
"""A value for `probe` that selects the only connected probe."""
_START_TIMEOUT_S = 20.0
_END_TIMEOUT_S = 3.0
_COMMAND = (sys.executable, "-m", "pyocd")


class ProbeServer:
    """Context manager whose value is the server's address, HOST:PORT.

    `probe` is the serial number of a probe, or AUTO. Raises ToolError if pyOCD is missing, or ends before it listens.
    """

    def __init__(self, probe: str = AUTO, command: Sequence[str] = _COMMAND) -> None:
        self._probe = probe
        self._command = tuple(command)
        self._process: subprocess.Popen[bytes] | None = None
        self._log: BinaryIO | None = None

    def __enter__(self) -> str:
        port = _free_port()
        which = () if self._probe == AUTO else ("--probe", self._probe)
        arguments = (
            "gdbserver",
            "--no-wait",
            "--target",
            "cortex_m",
            "--port",
            str(port),
            "--telnet-port",
            "0",
            *which,
        )
        self._log = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [*self._command, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        try:
            self._await(port)
        except BaseException:
            self.stop()
            raise
        return f"localhost:{port}"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the server. Without effect if none runs."""
        if self._process is not None:
            end(self._process, _END_TIMEOUT_S)
        if self._log is not None:
            self._log.close()
        self._process = self._log = None

    def _await(self, port: int) -> None:
        """Waits until the server listens, which its log reports. A trial connection would count as a client."""
        assert self._process is not None
        end = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < end:
            if f"port {port}" in self._log_text():
                return
            if self._process.poll() is not None:
                raise ToolError(f"pyOCD ended: {self._last_line()}; `pyocd list` shows the connected probes")
            time.sleep(0.05)
        raise ToolError(f"pyOCD did not listen within {_START_TIMEOUT_S:g} s: {self._last_line()}")

    def _log_text(self) -> str:
        assert self._log is not None
        self._log.seek(0)
        return self._log.read().decode(errors="replace")

    def _last_line(self) -> str:
        lines = self._log_text().strip().splitlines()
        return lines[-1] if lines else "it printed nothing"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port: int = probe.getsockname()[1]
        return port
