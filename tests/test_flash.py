"""Flashing without boards: what is called with what, what is verified, and what a failure says of the board's state."""

from __future__ import annotations

import os
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import graphs
import numpy as np
import pytest
import tinyfw
from click.testing import CliRunner, Result
from fake_tools import IDS, FakePyocd, board, tool

import mcuquant as mq
from mcuquant.board import Usb, board_names, load_board
from mcuquant.cli import main
from mcuquant.device import flash_tool, flash_uf2
from mcuquant.device.flash import flash
from mcuquant.device.image import Segment, flat, segments, uf2
from mcuquant.device.plugged import Plugged, choose, plugged, profiles
from mcuquant.errors import BoardError, DeviceError, McuquantError, ToolError
from mcuquant.project import Project

ROOT = Path(__file__).resolve().parent.parent

ONE = Plugged("/dev/ttyACM0", IDS, "066DFF01", "STM32 STLink")
TWO = Plugged("/dev/ttyACM1", IDS, "066DFF02", "STM32 STLink")
UNTOUCHED = "nothing was written: the board has the firmware that it had"
PARTIAL = "its flash is partly written: flash it again before using it"
UNVERIFIED = "its flash is written but was not found to be right: flash it again before using it"


@pytest.fixture(scope="module")
def elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("firmware")
    return tinyfw.firmware(replace(load_board("qemu-mps2-an386"), flash=board().flash), folder)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH; pyOCD is not installed."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "sleep").symlink_to(shutil.which("sleep") or "sleep")
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setitem(sys.modules, "pyocd.core.helpers", None)
    return folder


def message(kind: type[McuquantError], action: Callable[[], object]) -> str:
    with pytest.raises(kind) as caught:
        action()
    return str(caught.value)


# The image.


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


# Programs.

OPENOCD = ("** Programming Started **", "** Programming Finished **", "** Verify Started **", "** Verified OK **")
JLINK = ("Downloading file [firmware.bin]...", "O.K.", "Verify successful.")
BOSSAC = ("Erase flash", "Write 9000 bytes to flash", "Verify successful")


def test_openocd(programs: Path, elf: Path) -> None:
    note = tool(programs, "openocd", OPENOCD)
    done = flash(board("openocd"), elf, found=[ONE])
    assert (done.method, done.verified) == ("openocd", "verified by openocd")
    assert str(done) == f"{sum(len(s.data) for s in segments(elf)):,} bytes with openocd, verified by openocd"
    assert note.read_text().splitlines() == [
        *("-f", "board/st.cfg", "-c", "adapter serial 066DFF01", "-c", f"program {{{elf}}} verify reset exit")
    ]


def test_st_flash(programs: Path, elf: Path) -> None:
    note = tool(programs, "st-flash", ["Attempting to write", "Flash written and verified! jolly good!"])
    assert flash(board("st-flash"), elf, found=[ONE]).verified == "verified by st-flash"
    *first, path, address = note.read_text().splitlines()
    assert first == ["--reset", "--serial", "066DFF01", "write"]
    assert (Path(path).name, address) == ("firmware.bin", "0x8000000")


def test_jlink(programs: Path, elf: Path, tmp_path: Path) -> None:
    copy = tmp_path / "script"
    keeping = f'for a; do last=$a; done; while read -r line; do echo "$line"; done <"$last" >{copy}'
    tool(programs, "JLinkExe", JLINK, then=keeping)
    assert flash(board("jlink"), elf, "0123", found=[]).verified == "verified by JLinkExe"
    arguments = (programs / "JLinkExe.arguments").read_text().splitlines()
    assert arguments[:4] == ["-SelectEmuBySN", "0123", "-device", "STM32L4R5ZI"]
    verbs = [line.split()[0] for line in copy.read_text().splitlines()]
    assert verbs == ["r", "h", "loadbin", "verifybin", "r", "g", "exit"]


def test_bossac(programs: Path, elf: Path) -> None:
    note = tool(programs, "bossac", BOSSAC)
    assert flash(board("bossac"), elf, found=[TWO]).verified == "verified by bossac"
    arguments = note.read_text().splitlines()
    assert arguments[:5] == ["--port=ttyACM1", "-i", "-e", "-w", "-v"]
    assert message(DeviceError, lambda: flash(board("bossac"), elf, found=[])) == (
        "desk: its boot loader (0483:374b) is not plugged in: press the reset button twice, quickly; " + UNTOUCHED
    )


def test_the_first_method_that_is_installed_is_taken(programs: Path, elf: Path) -> None:
    tool(programs, "st-flash", ["Flash written and verified!"])
    assert flash(board("pyocd", "openocd", "st-flash"), elf, found=[]).method == "st-flash"


def test_nothing_is_installed(programs: Path, elf: Path) -> None:
    wanted = board("pyocd", "openocd", "st-flash", "jlink", "bossac")
    assert message(ToolError, lambda: flash(wanted, elf, found=[])) == (
        "nothing that flashes desk is installed; any one of: pyocd (pip install 'mcuquant[pyocd]'); "
        "openocd (apt-get install openocd); st-flash (apt-get install stlink-tools); "
        "jlink (SEGGER's J-Link software); bossac (apt-get install bossa-cli)"
    )


def test_a_profile_that_says_no_way(elf: Path) -> None:
    assert message(BoardError, lambda: flash(load_board("qemu-mps2-an386"), elf)) == (
        "board qemu-mps2-an386 does not say how it is flashed; add [flashing] to its profile"
    )


@pytest.mark.parametrize(
    ("prints", "status", "sentence"),
    [
        (["Error: open failed"], 1, f"openocd failed with status 1: Error: open failed; {UNTOUCHED}"),
        ([], 1, f"openocd failed with status 1: it printed nothing; {UNTOUCHED}"),
        (
            [OPENOCD[0], "Error: timed out while waiting for target halted", "shutdown"],
            1,
            f"openocd failed with status 1: Error: timed out while waiting for target halted; {PARTIAL}",
        ),
        (
            [*OPENOCD[:3], "Error: checksum mismatch"],
            0,
            f"openocd ended without verifying what it wrote: Error: checksum mismatch; {UNVERIFIED}",
        ),
    ],
)
def test_failures_say_what_state_the_board_is_in(
    prints: Sequence[str], status: int, sentence: str, programs: Path, elf: Path
) -> None:
    tool(programs, "openocd", prints, status)
    assert message(DeviceError, lambda: flash(board("openocd"), elf, found=[ONE])) == f"desk: {sentence}"


@pytest.mark.parametrize(("prints", "state"), [([], UNTOUCHED), (OPENOCD[:1], PARTIAL)])
def test_a_tool_that_does_not_end(
    prints: Sequence[str], state: str, programs: Path, elf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flash_tool, "TIMEOUT_S", 0.5)
    tool(programs, "openocd", prints, then="exec sleep 60")
    assert message(DeviceError, lambda: flash(board("openocd"), elf, found=[ONE])) == (
        f"desk: openocd did not end within 0.5 s; {state}"
    )


@pytest.mark.parametrize(("prints", "state"), [([], UNTOUCHED), (OPENOCD[:1], PARTIAL)])
def test_an_interrupted_tool_is_ended(prints: Sequence[str], state: str, programs: Path, elf: Path) -> None:
    """Ctrl-C comes from the tool itself, once it runs."""
    note = programs / "pid"
    tool(programs, "openocd", prints, then=f"echo $$ > {note}; kill -INT $PPID; exec sleep 60")
    assert message(DeviceError, lambda: flash(board("openocd"), elf, found=[ONE])) == (
        f"desk: openocd was interrupted; {state}"
    )
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)


def test_an_interrupt_while_the_tool_is_started_ends_it(
    programs: Path, elf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []

    class Interrupted(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            started.append(self.pid)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    tool(programs, "openocd", [], then="exec sleep 60")
    assert message(DeviceError, lambda: flash(board("openocd"), elf, found=[ONE])) == (
        f"desk: openocd was interrupted; {UNTOUCHED}"
    )
    with pytest.raises(ProcessLookupError):
        os.kill(started[0], 0)


# pyOCD.


def test_pyocd_programs_reads_back_and_resets(elf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakePyocd(segments(elf))
    fake.install(monkeypatch)
    done = flash(board("pyocd", "openocd"), elf)
    assert (done.method, done.verified) == ("pyocd", "read back through probe 066DFF01 and equal")
    options = {"target_override": "stm32l4r5zitx", "hide_programming_progress": True}
    assert fake.did == [
        {"blocking": False, "unique_id": "066DFF01", "options": options},
        ("program", str(elf)),
        "halt",
        "reset",
        "closed",
    ]


@pytest.mark.parametrize(
    ("fake", "probe", "sentence"),
    [
        ({"ids": ()}, None, f"no debug probe is plugged in, or none may be opened (on Linux: udev rules); {UNTOUCHED}"),
        ({"ids": ("A1", "B2")}, None, f"2 debug probes are plugged in: A1, B2; choose one with --probe; {UNTOUCHED}"),
        ({"ids": ("A1", "A2")}, "a", f"2 debug probes are plugged in: A1, A2; choose one with --probe; {UNTOUCHED}"),
        ({"ids": ("A1", "B2")}, "C", f"no probe 'C' is plugged in, only A1, B2; {UNTOUCHED}"),
        ({"ids": ("A1", "A12")}, "A1", f"probe A1 cannot be told from others: A1, A12; unplug one; {UNTOUCHED}"),
        ({"gone": True}, None, f"probe 066DFF01 is gone; {UNTOUCHED}"),
        (
            {"opens": RuntimeError("Target type not recognized")},
            None,
            "pyOCD failed: Target type not recognized (is target stm32l4r5zitx known? pyocd pack install "
            f"stm32l4r5zitx); {UNTOUCHED}",
        ),
        ({"programs": RuntimeError("flash erase failure")}, None, f"pyOCD failed: flash erase failure; {PARTIAL}"),
        ({"programs": KeyboardInterrupt()}, None, f"pyOCD was interrupted; {PARTIAL}"),
        ({"damage": 0x0800_0041}, None, f"what was read back differs from address 0x08000041 on; {UNVERIFIED}"),
    ],
)
def test_pyocd_failures(
    fake: dict[str, Any], probe: str | None, sentence: str, elf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FakePyocd(segments(elf), **fake).install(monkeypatch)
    assert message(DeviceError, lambda: flash(board("pyocd"), elf, probe)) == f"desk: {sentence}"


def test_pyocd_takes_a_part_of_the_number(elf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakePyocd(segments(elf), ids=("A1", "B2"))
    fake.install(monkeypatch)
    assert flash(board("pyocd"), elf, "b").verified == "read back through probe B2 and equal"
    assert fake.did[0]["unique_id"] == "B2"


def test_pyocds_own_interface_is_the_one_used_here() -> None:
    pytest.importorskip("pyocd", reason="pyOCD is not installed")
    import inspect

    from pyocd.core.helpers import ConnectHelper
    from pyocd.core.target import Target
    from pyocd.flash.file_programmer import FileProgrammer

    chosen = inspect.signature(ConnectHelper.session_with_chosen_probe).parameters
    assert {"blocking", "unique_id", "options"} <= set(chosen)
    assert "blocking" in inspect.signature(ConnectHelper.get_all_connected_probes).parameters
    assert "no_reset" in inspect.signature(FileProgrammer).parameters
    assert all(hasattr(Target, name) for name in ("reset", "reset_and_halt", "read_memory_block8"))


# UF2 drives.


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


# What is plugged in.


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
    assert "choose one with --probe" in message(DeviceError, lambda: flash(board("openocd"), elf, found=[ONE, TWO]))
    assert not note.exists()
    flash(board("openocd"), elf, "02", found=[ONE, TWO])
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
    assert lines[0].split() == ["port", "USB", "id", "serial", "number", "it", "says", "it", "is", "profiles"]
    assert lines[2].split() == ["/dev/ttyACM1", "2e8a:374b", "AB", "STM32", "STLink", "none"]
    monkeypatch.setattr("mcuquant.device.plugged.list_ports.comports", list)
    assert mcuquant("boards", "--connected").stdout == (
        "No USB serial port is plugged in. Boards that are only emulated need none.\n\nNext: mcuquant boards\n"
    )
    result = mcuquant("boards", "pico", "--connected")
    assert result.exit_code == 2
    assert result.stderr.endswith("Error: --connected lists all that is plugged in: leave the name out\n")


@pytest.mark.emulator
def test_an_emulated_board_is_booted_afresh(tmp_path: Path) -> None:
    project = mq.compile(graphs.GENERATORS["relu6"](np.random.default_rng(3)), output=tmp_path / "net")
    result = mcuquant("flash", tmp_path / "net")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0] == (
        "qemu-mps2-an386 is emulated: booted afresh, it runs the project's build "
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
