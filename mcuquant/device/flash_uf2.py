"""Boot loaders with a USB drive: a UF2 file is copied onto it, and the boot loader writes it to flash."""

from __future__ import annotations

import os
import time
from pathlib import Path

from .flash_image import uf2
from .flash_job import Job, State

DRIVES = ("/media/*/*", "/media/*", "/run/media/*/*", "/mnt/*", "/Volumes/*")
"""Folders in which systems mount such drives."""
REBOOT_TIMEOUT_S = 15.0
_INFO = "INFO_UF2.TXT"
_POLL_S = 0.05


def run(job: Job) -> str:
    """Copies the file. The boot loader restarts the board after the last block."""
    drive = _drive(job)
    data = uf2(job.parts, job.names.uf2_family)
    written = 0
    try:
        with (drive / "firmware.uf2").open("wb", buffering=0) as file:
            while written < len(data):
                written += file.write(data[written : written + 65536])
            os.fsync(file.fileno())
    except KeyboardInterrupt:
        raise job.error(f"copying to {drive} was interrupted", _state(written)) from None
    except OSError as error:
        if (
            written < len(data) or (drive / _INFO).exists()
        ):  # else the board has restarted before the system finished writing
            raise job.error(f"copying to {drive} failed: {error.strerror}", _state(written)) from error
    _await_restart(job, drive)
    return f"all {len(data) // 512} blocks taken by its boot loader"


def _state(written: int) -> State:
    return State.PARTIAL if written else State.UNTOUCHED


def _drive(job: Job) -> Path:
    if job.probe is not None:
        drive = Path(job.probe)
        if not os.path.isfile(drive / _INFO):
            raise job.error(f"{drive} is not the drive of a UF2 boot loader (no {_INFO})", State.UNTOUCHED)
        return drive
    folders = {folder for pattern in DRIVES for folder in Path("/").glob(pattern[1:])}
    drives = sorted(folder for folder in folders if os.path.isfile(folder / _INFO))
    if len(drives) > 1:
        listed = ", ".join(map(str, drives))
        raise job.error(f"{len(drives)} UF2 drives are mounted: {listed}; choose one with --probe", State.UNTOUCHED)
    if not drives:
        raise job.error(
            "the drive of its boot loader is not mounted: hold BOOTSEL while plugging the board in, or name the "
            "drive's folder with --probe",
            State.UNTOUCHED,
        )
    return drives[0]


def _await_restart(job: Job, drive: Path) -> None:
    end = time.monotonic() + REBOOT_TIMEOUT_S
    while (drive / _INFO).exists():
        if time.monotonic() > end:
            raise job.error(
                f"its boot loader did not restart within {REBOOT_TIMEOUT_S:g} s after the last block", State.UNVERIFIED
            )
        time.sleep(_POLL_S)
