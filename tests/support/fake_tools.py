"""Flash tools that are not there: programs on PATH that print what is wanted, and a pyOCD made of two modules."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

import pytest
import tinyfw

from mcuquant.boards.board import Board, Flashing, Region, Usb, load_board
from mcuquant.device.flash_image import Segment
from mcuquant.device.plugged import Plugged
from mcuquant.errors import McuquantError

IDS = Usb(0x0483, 0x374B)
ONE = Plugged("/dev/ttyACM0", IDS, "066DFF01", "STM32 STLink")
TWO = Plugged("/dev/ttyACM1", IDS, "066DFF02", "STM32 STLink")
UNTOUCHED = "nothing was written: the board has the firmware that it had"
PARTIAL = "its flash is partly written: flash it again before using it"
UNVERIFIED = "its flash is written but was not found to be right: flash it again before using it"
OPENOCD = ("** Programming Started **", "** Programming Finished **", "** Verify Started **", "** Verified OK **")
"""What OpenOCD prints."""


def board(*methods: str) -> Board:
    """A board on the desk that is flashed by `methods`."""
    names = {"pyocd": "stm32l4r5zitx", "openocd": "board/st.cfg", "jlink": "STM32L4R5ZI", "uf2_family": 0xE48BFF56}
    flashing = Flashing(methods, **names)  # type: ignore[arg-type]
    emulated = load_board("qemu-mps2-an386")
    return replace(emulated, name="desk", qemu=None, usb=IDS, flashing=flashing, flash=Region(0x0800_0000, 1 << 20))


def tool(folder: Path, name: str, prints: Sequence[str], status: int = 0, then: str = "") -> Path:
    """A program that notes its arguments, prints, does `then` (shell) and ends. Returns the note's path."""
    note = folder / f"{name}.arguments"
    lines = "\n".join(f"echo {shlex.quote(line)}" for line in prints)
    script = folder / name
    script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {shlex.quote(str(note))}\n{lines}\n{then}\nexit {status}\n')
    script.chmod(0o755)
    return note


def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH; pyOCD is not installed."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "sleep").symlink_to(shutil.which("sleep") or "sleep")
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setitem(sys.modules, "pyocd.core.helpers", None)
    return folder


def firmware(folder: Path) -> Path:
    """For the board on the desk."""
    return tinyfw.firmware(replace(load_board("qemu-mps2-an386"), flash=board().flash), folder)


def message(kind: type[McuquantError], action: Callable[[], object]) -> str:
    """Of the error that it ends with."""
    with pytest.raises(kind) as caught:
        action()
    return str(caught.value)


@dataclass
class FakeProbe:
    unique_id: str


@dataclass
class FakePyocd:
    """`ids` are plugged in; `opens` and `programs` may be errors to raise; `damage` is an address read back wrongly."""

    parts: tuple[Segment, ...]
    ids: tuple[str, ...] = ("066DFF01",)
    opens: BaseException | None = None
    programs: BaseException | None = None
    damage: int | None = None
    gone: bool = False
    did: list[Any] = field(default_factory=list)

    @property
    def target(self) -> FakePyocd:
        return self

    def get_all_connected_probes(self, blocking: bool) -> list[FakeProbe]:
        assert not blocking
        return [FakeProbe(i) for i in self.ids]

    def session_with_chosen_probe(self, **options: Any) -> FakePyocd | None:
        self.did.append(options)
        return None if self.gone else self

    def __enter__(self) -> FakePyocd:
        if self.opens:
            raise self.opens
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, t: TracebackType | None) -> None:
        self.did.append("closed")

    def program(self, path: str) -> None:
        self.did.append(("program", path))
        if self.programs:
            raise self.programs

    def reset_and_halt(self) -> None:
        self.did.append("halt")

    def reset(self) -> None:
        self.did.append("reset")

    def read_memory_block8(self, address: int, count: int) -> list[int]:
        (part,) = [p for p in self.parts if p.address == address]
        data = bytearray(part.data[:count])
        if self.damage is not None and address <= self.damage < part.end:
            data[self.damage - address] ^= 0x10
        return list(data)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        helpers, programmer = ModuleType("pyocd.core.helpers"), ModuleType("pyocd.flash.file_programmer")
        helpers.ConnectHelper = self  # type: ignore[attr-defined]
        programmer.FileProgrammer = lambda session, no_reset: session  # type: ignore[attr-defined]
        for name in ("pyocd", "pyocd.core", "pyocd.flash"):
            monkeypatch.setitem(sys.modules, name, ModuleType(name))
        monkeypatch.setitem(sys.modules, "pyocd.core.helpers", helpers)
        monkeypatch.setitem(sys.modules, "pyocd.flash.file_programmer", programmer)
