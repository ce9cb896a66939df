"""QEMU around the board: what is missing, what dies, what is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import tinyfw

from mcuquant.boards.board import load_board
from mcuquant.device.emulator import Emulator
from mcuquant.device.link import Link
from mcuquant.errors import BoardError, DeviceError, ToolError

BOARD = load_board("qemu-mps2-an386")


def test_a_board_that_is_not_emulated() -> None:
    with pytest.raises(BoardError) as caught:
        Emulator(replace(BOARD, qemu=None), Path("firmware.elf"))
    assert str(caught.value) == ("board qemu-mps2-an386 is not emulated; connect one and name its port (--port)")


def test_qemu_is_missing() -> None:
    with pytest.raises(ToolError) as caught, Emulator(BOARD, Path("firmware.elf"), program="qemu-system-none"):
        pass
    assert str(caught.value) == (
        "qemu-system-none is not installed; on Debian or Ubuntu: sudo apt-get install qemu-system-arm"
    )


def test_the_command_line_counts_or_does_not() -> None:
    counting = Emulator(BOARD, Path("a.elf"), arguments=["-d", "int"]).command(Path("/t/port"))
    assert counting == [
        *("qemu-system-arm", "-machine", "mps2-an386", "-display", "none", "-monitor", "none"),
        *("-chardev", "socket,id=serial,path=/t/port", "-serial", "chardev:serial", "-kernel", "a.elf"),
        *("-icount", "shift=0", "-d", "int"),
    ]
    plain = Emulator(BOARD, Path("a.elf"), is_counting=False).command(Path("/t/a,b"))
    assert "-icount" not in plain
    assert "socket,id=serial,path=/t/a,,b" in plain


@pytest.mark.emulator
def test_firmware_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ToolError) as caught, Emulator(BOARD, tmp_path / "no.elf"):
        pass
    assert str(caught.value) == f"{tmp_path}/no.elf is not there; build the firmware first"


@pytest.mark.emulator
def test_qemu_that_does_not_start() -> None:
    emulator = Emulator(BOARD, Path(__file__), arguments=["-bogus"])
    with pytest.raises(ToolError) as caught, emulator:
        pass
    assert str(caught.value) == (
        "qemu-system-arm did not start: QEMU ended with status 1: qemu-system-arm: -bogus: invalid option"
    )


@pytest.mark.emulator
def test_qemu_that_dies_is_reported_with_its_words(tmp_path: Path) -> None:
    """A vector table of ones sends the core into lock-up, at which QEMU gives up."""
    elf = tinyfw.firmware(BOARD, tmp_path)
    broken = tmp_path / "broken.elf"
    subprocess.run(
        ["arm-none-eabi-objcopy", "--update-section", f".vectors={_ones(tmp_path)}", elf, broken],
        check=True,
        capture_output=True,
    )
    with Emulator(BOARD, broken) as emulator, pytest.raises(DeviceError) as caught:
        Link(emulator.transport).hello()
    said = str(caught.value)
    assert said == (
        "qemu-mps2-an386 (QEMU): the connection was closed: QEMU ended with status -6: "
        "qemu: fatal: Lockup: can't escalate 3 to HardFault (current priority -1)"
    )


def _ones(folder: Path) -> Path:
    path = folder / "ones"
    path.write_bytes(b"\xff" * 68)
    return path


@pytest.mark.emulator
def test_qemu_that_is_killed(tmp_path: Path) -> None:
    with Emulator(BOARD, tinyfw.firmware(BOARD, tmp_path)) as emulator:
        link = Link(emulator.transport)
        link.hello()
        assert emulator._process is not None
        emulator._process.send_signal(signal.SIGKILL)
        with pytest.raises(DeviceError) as caught:
            link.seed(1)
        assert str(caught.value) == ("qemu-mps2-an386 (QEMU): the connection was closed: QEMU ended with status -9")


@pytest.mark.emulator
def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elf = tinyfw.firmware(BOARD, tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = set(tmp_path.iterdir())
    with Emulator(BOARD, elf, is_counting=False) as emulator:
        assert Link(emulator.transport).hello().digest == tinyfw.DIGEST
        assert emulator._process is not None
        process = emulator._process.pid
        assert set(tmp_path.iterdir()) != before
    assert set(tmp_path.iterdir()) == before
    if sys.platform == "linux":
        assert not os.path.exists(f"/proc/{process}")
    emulator.stop()
