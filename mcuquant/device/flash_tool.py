"""Flashing with external programs: OpenOCD, st-flash, J-Link Commander, bossac."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .flash_job import Job, State
from .processes import end

TIMEOUT_S = 180.0
_END_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Tool:
    """`begun` and `verified` are patterns of its output at the start of writing, and after verification."""

    programs: tuple[str, ...]
    install: str
    arguments: Callable[[Job], list[str]]
    begun: str
    verified: str

    def run(self, job: Job) -> str:
        """Runs the program to its end and returns the kind of verification. Raises DeviceError with the state of the
        board.
        """
        program = next(path for name in self.programs if (path := shutil.which(name)))
        log = job.folder / "output"
        try:
            status = _run([program, *self.arguments(job)], job.folder, log)
        except KeyboardInterrupt:
            raise job.error(f"{Path(program).name} was interrupted", self._state(_log_text(log))) from None
        text = _log_text(log)
        name = Path(program).name
        if status is None:
            raise job.error(f"{name} did not end within {TIMEOUT_S:g} s", self._state(text))
        if status:
            raise job.error(f"{name} failed with status {status}: {_gist(text)}", self._state(text))
        if not re.search(self.verified, text):
            raise job.error(f"{name} ended without verifying what it wrote: {_gist(text)}", State.UNVERIFIED)
        return f"verified by {name}"

    def _state(self, text: str) -> State:
        return State.PARTIAL if re.search(self.begun, text) else State.UNTOUCHED


def _run(command: list[str], folder: Path, log: Path) -> int | None:
    """The exit status; None if the program had to be stopped. It is never left running."""
    process: subprocess.Popen[bytes] | None = None
    with log.open("wb") as out:
        try:
            with _interrupt_held():
                process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
            return process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process:
                end(process, _END_TIMEOUT_S)


@contextmanager
def _interrupt_held() -> Iterator[None]:
    """Delays Ctrl-C to the end of the block. At the start of a program, Ctrl-C would lose its process id."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    blocks: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: blocks.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if blocks:
        raise KeyboardInterrupt


def _log_text(log: Path) -> str:
    return log.read_text(errors="replace") if log.is_file() else ""


def _gist(text: str) -> str:
    """Lines that mention an error, else the last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"error|fail|cannot|couldn't|no device", line, re.IGNORECASE)]
    return " / ".join((errors or lines)[-2:]) or "it printed nothing"


def _openocd(job: Job) -> list[str]:
    files = [word for name in job.names.openocd.split() for word in ("-f", name)]
    serial = ["-c", f"adapter serial {job.serial}"] if job.serial else []
    return [*files, *serial, "-c", f"program {{{job.elf.resolve()}}} verify reset exit"]


def _st_flash(job: Job) -> list[str]:
    path, address = job.binary()
    serial = ["--serial", job.serial] if job.serial else []
    return ["--reset", *serial, "write", str(path), f"{address:#x}"]


def _jlink(job: Job) -> list[str]:
    path, address = job.binary()
    script = job.folder / "script.jlink"
    lines = ("r", "h", f"loadbin {path}, {address:#x}", f"verifybin {path}, {address:#x}", "r", "g", "exit")
    script.write_text("\n".join(lines) + "\n")
    serial = ["-SelectEmuBySN", job.serial] if job.serial else []
    device = ["-device", job.names.jlink, "-if", "SWD", "-speed", "4000", "-autoconnect", "1"]
    return [*serial, *device, "-NoGui", "1", "-ExitOnError", "1", "-CommandFile", str(script)]


def _bossac(job: Job) -> list[str]:
    if job.port is None:
        usb = job.board.usb
        ids = f" ({usb.vid:04x}:{usb.pid:04x})" if usb else ""
        raise job.error(
            f"its boot loader{ids} is not plugged in: press the reset button twice, quickly", State.UNTOUCHED
        )
    path, _ = job.binary()
    return [f"--port={Path(job.port.port).name}", "-i", "-e", "-w", "-v", str(path), "-R"]


TOOLS: Mapping[str, Tool] = {
    "openocd": Tool(
        ("openocd",),
        "apt-get install openocd",
        _openocd,
        r"\*\* Programming Started \*\*",
        r"\*\* Verified OK \*\*",
    ),
    "st-flash": Tool(
        ("st-flash",),
        "apt-get install stlink-tools",
        _st_flash,
        r"Attempting to write|EraseFlash|Erasing|Flash page",
        r"Flash written and verified",
    ),
    "jlink": Tool(
        ("JLinkExe", "JLink"),
        "SEGGER's J-Link software",
        _jlink,
        r"Downloading file|Erasing|Programming",
        r"Verify successful",
    ),
    "bossac": Tool(
        ("bossac",),
        "apt-get install bossa-cli",
        _bossac,
        r"Erase flash|Write \d+ bytes",
        r"Verify successful",
    ),
}
