"""The end of programs that mcuquant has started."""

from __future__ import annotations

import subprocess

_END_TIMEOUT_S = 2.0


def end(process: subprocess.Popen[bytes], timeout_s: float = _END_TIMEOUT_S) -> None:
    """End a program, first by a signal that it can handle. Without effect if it has ended."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
