"""Which of the boards that are plugged in is flashed, and the commands `flash` and `boards`."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import graphs
import numpy as np
import pytest
from click.testing import CliRunner, Result
from fake_tools import (
    ONE,
    OPENOCD,
    TWO,
    bin_folder,
    board,
    firmware,
    message,
    tool,
)

import mcuquant as mq
from mcuquant.boards.board import Usb, board_names, load_board
from mcuquant.cli import main
from mcuquant.device.flash import flash
from mcuquant.device.flash_image import segments
from mcuquant.device.plugged import Plugged, choose, plugged, profiles
from mcuquant.errors import DeviceError
from mcuquant.project.project import Project

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return firmware(tmp_path_factory.mktemp("firmware"))


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return bin_folder(tmp_path, monkeypatch)


def port(device: str, vid: int | None, serial: str | None = None) -> SimpleNamespace:
    return SimpleNamespace(
        device=device, vid=vid, pid=None if vid is None else 0x374B, serial_number=serial, description="STM32 STLink"
    )


def test_one_of_several_is_chosen() -> None:
    desk = board("openocd")
    other = Plugged("/dev/ttyUSB0", Usb(1, 2), "", "other")
    assert choose(desk, None, [other]) is None
    assert choose(desk, None, [other, ONE]) is ONE
    assert choose(desk, "dff02", [ONE, TWO]) is TWO
    assert choose(replace(desk, usb=None), None, [ONE, TWO]) is None
    assert message(DeviceError, lambda: choose(desk, None, [ONE, TWO])) == (
        "desk: 2 boards of its USB id (0483:374b) are plugged in: 066DFF01 on /dev/ttyACM0, 066DFF02 on /dev/ttyACM1; "
        "choose one with --probe"
    )
    assert message(DeviceError, lambda: choose(desk, "99", [ONE])) == (
        "desk: no probe '99' is plugged in; those of its USB id (0483:374b): 066DFF01 on /dev/ttyACM0"
    )


def test_several_boards_stop_the_flashing(programs: Path, elf: Path) -> None:
    note = tool(programs, "openocd", OPENOCD)
    assert "choose one with --probe" in message(DeviceError, lambda: flash(board("openocd"), elf, ports=[ONE, TWO]))
    assert not note.exists()
    flash(board("openocd"), elf, "02", ports=[ONE, TWO])
    assert "adapter serial 066DFF02" in note.read_text()


def test_what_is_plugged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = [port("/dev/ttyS0", None), port("/dev/ttyACM1", 0x0483, "066DFF02"), port("/dev/ttyACM0", 0x0483)]
    monkeypatch.setattr("mcuquant.device.plugged.list_ports.comports", lambda: ports)
    assert plugged() == (replace(ONE, serial=""), TWO)
    known = [load_board(name) for name in board_names()]
    assert "nucleo-l4r5zi" in profiles(ONE, known)
    assert profiles(Plugged("/dev/ttyUSB0", Usb(1, 2), "", ""), known) == ()


# The commands.


def mcuquant(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def test_boards_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcuquant.device.plugged.list_ports.comports", lambda: [port("/dev/ttyACM1", 0x2E8A, "AB")])
    lines = mcuquant("boards", "--connected").stdout.splitlines()
    assert lines[0].split() == ["port", "USB", "id", "serial", "number", "description", "profiles"]
    assert lines[2].split() == ["/dev/ttyACM1", "2e8a:374b", "AB", "STM32", "STLink", "none"]
    monkeypatch.setattr("mcuquant.device.plugged.list_ports.comports", list)
    assert mcuquant("boards", "--connected").stdout == (
        "No USB serial port is connected. Emulated boards need none.\n\nNext: mcuquant boards\n"
    )
    result = mcuquant("boards", "pico", "--connected")
    assert result.exit_code == 2
    assert result.stderr.endswith("Error: --connected lists all connected boards: leave the name out\n")


@pytest.mark.emulator
def test_an_emulated_board_is_booted_afresh(tmp_path: Path) -> None:
    project = mq.compile(graphs.GENERATORS["relu6"](np.random.default_rng(3)), output=tmp_path / "net")
    result = mcuquant("flash", tmp_path / "net")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0] == (
        "qemu-mps2-an386 is emulated: it was rebooted and runs the project's build "
        f"(digest {project.firmware.digest[:12]})."
    )
    result = mcuquant("flash", tmp_path / "net", "--board", "pico")
    assert (result.exit_code, result.stderr) == (
        1,
        f"Error: {tmp_path / 'net'} was compiled for qemu-mps2-an386, not for pico; "
        "compile it again with --board pico\n",
    )


@pytest.mark.emulator
def test_flash_says_what_it_did(programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile of the user's own, for a board on the desk."""
    monkeypatch.undo()
    profile = tmp_path / "desk.toml"
    text = (ROOT / "boards" / "qemu-mps2-an386.toml").read_text().partition("[qemu]")[0]
    profile.write_text(text + '[flashing]\nmethods = ["openocd"]\nopenocd = "board/mps2.cfg"\n')
    project = mq.compile(graphs.GENERATORS["relu6"](np.random.default_rng(3)), board=profile, output=tmp_path / "net")
    assert not project.board.is_emulated
    nbytes = sum(len(part.data) for part in segments(project.firmware.elf))
    tool(programs, "openocd", OPENOCD)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setattr(Project, "open", lambda _: project)
    result = mcuquant("flash", tmp_path / "net")
    assert result.stdout.splitlines()[0] == f"Flashed desk: {nbytes:,} bytes with openocd, verified by openocd."
