"""Flashing without boards: what is called with what, what is verified, and what a failure says of the board's state."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from fake_tools import (
    ONE,
    OPENOCD,
    PARTIAL,
    TWO,
    UNTOUCHED,
    UNVERIFIED,
    FakePyocd,
    bin_folder,
    board,
    firmware,
    message,
    tool,
)

from mcuquant.boards.board import load_board
from mcuquant.device import flash_tool
from mcuquant.device.flash import flash
from mcuquant.device.flash_image import segments
from mcuquant.errors import BoardError, DeviceError, ToolError


@pytest.fixture(scope="module")
def elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return firmware(tmp_path_factory.mktemp("firmware"))


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return bin_folder(tmp_path, monkeypatch)


JLINK = ("Downloading file [firmware.bin]...", "O.K.", "Verify successful.")
BOSSAC = ("Erase flash", "Write 9000 bytes to flash", "Verify successful")


def test_openocd(programs: Path, elf: Path) -> None:
    note = tool(programs, "openocd", OPENOCD)
    done = flash(board("openocd"), elf, ports=[ONE])
    assert (done.method, done.verified) == ("openocd", "verified by openocd")
    assert str(done) == f"{sum(len(s.data) for s in segments(elf)):,} bytes with openocd, verified by openocd"
    assert note.read_text().splitlines() == [
        *("-f", "board/st.cfg", "-c", "adapter serial 066DFF01", "-c", f"program {{{elf}}} verify reset exit")
    ]


def test_st_flash(programs: Path, elf: Path) -> None:
    note = tool(programs, "st-flash", ["Attempting to write", "Flash written and verified! jolly good!"])
    assert flash(board("st-flash"), elf, ports=[ONE]).verified == "verified by st-flash"
    *first, path, address = note.read_text().splitlines()
    assert first == ["--reset", "--serial", "066DFF01", "write"]
    assert (Path(path).name, address) == ("firmware.bin", "0x8000000")


def test_jlink(programs: Path, elf: Path, tmp_path: Path) -> None:
    copy = tmp_path / "script"
    keeping = f'for a; do last=$a; done; while read -r line; do echo "$line"; done <"$last" >{copy}'
    tool(programs, "JLinkExe", JLINK, then=keeping)
    assert flash(board("jlink"), elf, "0123", ports=[]).verified == "verified by JLinkExe"
    arguments = (programs / "JLinkExe.arguments").read_text().splitlines()
    assert arguments[:4] == ["-SelectEmuBySN", "0123", "-device", "STM32L4R5ZI"]
    verbs = [line.split()[0] for line in copy.read_text().splitlines()]
    assert verbs == ["r", "h", "loadbin", "verifybin", "r", "g", "exit"]


def test_bossac(programs: Path, elf: Path) -> None:
    note = tool(programs, "bossac", BOSSAC)
    assert flash(board("bossac"), elf, ports=[TWO]).verified == "verified by bossac"
    arguments = note.read_text().splitlines()
    assert arguments[:5] == ["--port=ttyACM1", "-i", "-e", "-w", "-v"]
    assert message(DeviceError, lambda: flash(board("bossac"), elf, ports=[])) == (
        "desk: its boot loader (0483:374b) is not plugged in: press the reset button twice, quickly; " + UNTOUCHED
    )


def test_the_first_method_that_is_installed_is_taken(programs: Path, elf: Path) -> None:
    tool(programs, "st-flash", ["Flash written and verified!"])
    assert flash(board("pyocd", "openocd", "st-flash"), elf, ports=[]).method == "st-flash"


def test_nothing_is_installed(programs: Path, elf: Path) -> None:
    wanted = board("pyocd", "openocd", "st-flash", "jlink", "bossac")
    assert message(ToolError, lambda: flash(wanted, elf, ports=[])) == (
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
    assert message(DeviceError, lambda: flash(board("openocd"), elf, ports=[ONE])) == f"desk: {sentence}"


@pytest.mark.parametrize(("prints", "state"), [([], UNTOUCHED), (OPENOCD[:1], PARTIAL)])
def test_a_tool_that_does_not_end(
    prints: Sequence[str], state: str, programs: Path, elf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flash_tool, "TIMEOUT_S", 0.5)
    tool(programs, "openocd", prints, then="exec sleep 60")
    assert message(DeviceError, lambda: flash(board("openocd"), elf, ports=[ONE])) == (
        f"desk: openocd did not end within 0.5 s; {state}"
    )


@pytest.mark.parametrize(("prints", "state"), [([], UNTOUCHED), (OPENOCD[:1], PARTIAL)])
def test_an_interrupted_tool_is_ended(prints: Sequence[str], state: str, programs: Path, elf: Path) -> None:
    """Ctrl-C comes from the tool itself, once it runs."""
    note = programs / "pid"
    tool(programs, "openocd", prints, then=f"echo $$ > {note}; kill -INT $PPID; exec sleep 60")
    assert message(DeviceError, lambda: flash(board("openocd"), elf, ports=[ONE])) == (
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
    assert message(DeviceError, lambda: flash(board("openocd"), elf, ports=[ONE])) == (
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
