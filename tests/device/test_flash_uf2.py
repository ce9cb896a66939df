"""Firmware as a file: the image, UF2, and the drive of a boot loader that takes it."""

from __future__ import annotations

import os
import shutil
import struct
import threading
import time
from pathlib import Path

import pytest
from fake_tools import (
    PARTIAL,
    UNTOUCHED,
    UNVERIFIED,
    board,
    firmware,
    message,
)

from mcuquant.device import flash_uf2
from mcuquant.device.flash import flash
from mcuquant.device.flash_image import Segment, flat, segments, uf2
from mcuquant.errors import DeviceError, ToolError


@pytest.fixture(scope="module")
def elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return firmware(tmp_path_factory.mktemp("firmware"))


def test_the_image_is_what_objcopy_makes(elf: Path, tmp_path: Path) -> None:
    made = tmp_path / "firmware.bin"
    assert os.system(f"arm-none-eabi-objcopy -O binary {elf} {made}") == 0
    whole = flat(segments(elf))
    assert whole.address == 0x0800_0000
    assert whole.data == made.read_bytes()


def test_files_that_hold_no_firmware(tmp_path: Path) -> None:
    path = tmp_path / "a.elf"
    said = message(ToolError, lambda: segments(path))
    assert said.startswith(f"{path} is not firmware that can be flashed: [Errno 2] No such file")
    path.write_bytes(b"text")
    assert message(ToolError, lambda: segments(path)) == (
        f"{path} is not firmware that can be flashed: Magic number does not match"
    )


def test_a_uf2_file_is_as_documented() -> None:
    parts = (Segment(0x1000_0010, bytes(range(200))), Segment(0x1000_0200, b"end"))
    data = uf2(parts, 0xE48BFF56)
    blocks = [data[i : i + 512] for i in range(0, len(data), 512)]
    heads = [struct.unpack("<8I", block[:32]) for block in blocks]
    assert heads == [
        (0x0A324655, 0x9E5D5157, 0x2000, 0x1000_0000, 256, 0, 2, 0xE48BFF56),
        (0x0A324655, 0x9E5D5157, 0x2000, 0x1000_0200, 256, 1, 2, 0xE48BFF56),
    ]
    assert blocks[0][32:288] == b"\xff" * 16 + bytes(range(200)) + b"\xff" * 40
    assert blocks[1][32:288] == b"end" + b"\xff" * 253
    assert {block[288:] for block in blocks} == {bytes(220) + struct.pack("<I", 0x0AB16F30)}


@pytest.fixture
def drive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(flash_uf2, "DRIVES", (f"{tmp_path}/drives/*",))
    monkeypatch.setattr(flash_uf2, "REBOOT_TIMEOUT_S", 0.5)
    made = tmp_path / "drives" / "RPI-RP2"
    made.mkdir(parents=True)
    (made / "INFO_UF2.TXT").write_text("UF2 Bootloader v3.0\nBoard-ID: RPI-RP2\n")
    return made


def restarting(drive: Path, nbytes: int) -> threading.Thread:
    """A boot loader that goes away when it has all of the file."""

    def watch() -> None:
        end = time.monotonic() + 10
        while time.monotonic() < end:
            made = drive / "firmware.uf2"
            if made.is_file() and made.stat().st_size == nbytes:
                (drive / "INFO_UF2.TXT").unlink()
                return
            time.sleep(0.01)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def test_uf2_is_copied_and_the_restart_awaited(drive: Path, elf: Path) -> None:
    data = uf2(segments(elf), 0xE48BFF56)
    thread = restarting(drive, len(data))
    done = flash(board("uf2"), elf)
    thread.join()
    assert (drive / "firmware.uf2").read_bytes() == data
    assert done.verified == f"all {len(data) // 512} blocks taken by its boot loader"


def test_a_boot_loader_that_does_not_restart(drive: Path, elf: Path) -> None:
    assert message(DeviceError, lambda: flash(board("uf2"), elf)) == (
        f"desk: its boot loader did not restart within 0.5 s after the last block; {UNVERIFIED}"
    )


def test_uf2_drives_are_looked_for(drive: Path, elf: Path) -> None:
    other = drive.parent / "OTHER"
    other.mkdir()
    assert message(DeviceError, lambda: flash(board("uf2"), elf, str(other))) == (
        f"desk: {other} is not the drive of a UF2 boot loader (no INFO_UF2.TXT); {UNTOUCHED}"
    )
    (other / "INFO_UF2.TXT").write_text("")
    assert message(DeviceError, lambda: flash(board("uf2"), elf)) == (
        f"desk: 2 UF2 drives are mounted: {other}, {drive}; choose one with --probe; {UNTOUCHED}"
    )
    shutil.rmtree(drive.parent)
    assert message(DeviceError, lambda: flash(board("uf2"), elf)) == (
        "desk: the drive of its boot loader is not mounted: hold BOOTSEL while plugging the board in, or name the "
        f"drive's folder with --probe; {UNTOUCHED}"
    )


@pytest.mark.parametrize(("after", "state"), [(0, UNTOUCHED), (1, PARTIAL)])
def test_a_full_or_vanished_drive(
    after: int, state: str, drive: Path, elf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Vanishing:
        writes = 0

        def __enter__(self) -> Vanishing:
            return self

        def __exit__(self, *_: object) -> None:
            return

        def write(self, data: bytes) -> int:
            if self.writes == after:
                raise OSError(5, "Input/output error")
            self.writes += 1
            return 512

    desk = board("uf2")
    monkeypatch.setattr(Path, "open", lambda *_, **__: Vanishing())
    monkeypatch.setattr("mcuquant.device.flash.segments", lambda _: (Segment(0x1000_0000, bytes(4096)),))
    assert message(DeviceError, lambda: flash(desk, elf)) == (
        f"desk: copying to {drive} failed: Input/output error; {state}"
    )
