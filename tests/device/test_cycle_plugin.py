"""Building and keeping the plugin that counts cycles, and why there may be none; with fake programs."""

from __future__ import annotations

import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mcuquant.device import cycle_model
from mcuquant.errors import ToolError

EMULATOR = Path(__file__).resolve().parents[2] / "firmware" / "emulator"
TAKES = "echo 'mq_cycles: loaded, but no config is given' >&2; exit 1"
Program = Callable[[str, str], Path]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Writes programs, each a line of shell, and lets no others be found; the cache is empty."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def write(name: str, script: str) -> Path:
        path = folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    return write


def fake_qemu(version: str, otherwise: str) -> str:
    return f'if [ "$1" = --version ]; then echo "QEMU emulator version {version}"; exit 0; fi; {otherwise}'


def fake_compiler(log: Path) -> str:
    """Notes its arguments and writes the file behind -o."""
    return f'echo "$@" >> {log}; while [ "$1" != -o ]; do shift; done; echo built > "$2"'


def refusal() -> str:
    with pytest.raises(ToolError) as caught:
        cycle_model.plugin()
    return str(caught.value)


@pytest.mark.parametrize(
    ("version", "api"),
    [
        ("4.2.1", 1),
        ("7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)", 1),
        ("8.2.9", 1),
        ("9.0.4", 2),
        ("9.1.0", 3),
        ("10.2.0", 3),
        ("11.0.1", 6),
        ("11.1.3", 7),
        ("12.0.0", 7),
    ],
)
def test_the_interface_follows_the_version(program: Program, tmp_path: Path, version: str, api: int) -> None:
    program("qemu-system-arm", fake_qemu(version, TAKES))
    program("cc", fake_compiler(tmp_path / "log"))
    cycle_model.plugin()
    assert f"-DMQ_QEMU_API={api} " in (tmp_path / "log").read_text()


def test_it_is_built_once_for_a_version_and_kept(program: Program, tmp_path: Path) -> None:
    program("qemu-system-arm", fake_qemu("7.2.0", TAKES))
    program("cc", fake_compiler(tmp_path / "log"))
    first = cycle_model.plugin()
    assert cycle_model.plugin() == first
    assert len((tmp_path / "log").read_text().splitlines()) == 1
    assert first.parent == tmp_path / "cache" / "mcuquant"
    program("qemu-system-arm", fake_qemu("7.2.1", TAKES))
    second = cycle_model.plugin()
    assert sorted(first.parent.iterdir()) == sorted([first, second])


def test_other_compilers_do(program: Program, tmp_path: Path) -> None:
    program("qemu-system-arm", fake_qemu("7.2.0", TAKES))
    program("clang", fake_compiler(tmp_path / "log"))
    assert cycle_model.plugin().read_text() == "built\n"


def test_no_qemu(program: Program) -> None:
    assert refusal() == "cycles are counted in qemu-system-arm, which is not installed"


def test_a_qemu_of_unknown_version(program: Program) -> None:
    program("qemu-system-arm", "echo Bochs")
    program("cc", "exit 0")
    assert refusal() == "cannot tell which QEMU this is, whose plugin is to count cycles: it calls itself 'Bochs'"


def test_no_compiler(program: Program) -> None:
    program("qemu-system-arm", fake_qemu("7.2.0", TAKES))
    assert refusal() == "counting cycles needs a C compiler for this machine; found none of cc, gcc, clang"


def test_a_compiler_that_fails(program: Program, tmp_path: Path) -> None:
    program("qemu-system-arm", fake_qemu("7.2.0", TAKES))
    compiler = program("cc", "echo 'cc: no headers' >&2; exit 1")
    assert refusal() == f"{compiler} failed for the plugin that counts cycles: cc: no headers"
    assert list((tmp_path / "cache" / "mcuquant").iterdir()) == []


def test_a_qemu_without_plugins(program: Program, tmp_path: Path) -> None:
    program("qemu-system-arm", fake_qemu("7.2.0", "echo 'qemu: -plugin: invalid option' >&2; exit 1"))
    program("cc", fake_compiler(tmp_path / "log"))
    said = "qemu: -plugin: invalid option"
    assert refusal() == f"QEMU emulator version 7.2.0 does not take the plugin that counts cycles: {said}"
    assert list((tmp_path / "cache" / "mcuquant").iterdir()) == []


def test_a_cache_that_cannot_be_written(program: Program, tmp_path: Path) -> None:
    program("qemu-system-arm", fake_qemu("7.2.0", TAKES))
    program("cc", fake_compiler(tmp_path / "log"))
    (tmp_path / "cache").write_text("a file")
    folder = tmp_path / "cache" / "mcuquant"
    assert refusal() == f"cannot keep the plugin that counts cycles in {folder}: Not a directory"


def test_every_source_is_in_the_digest() -> None:
    """Else a changed source would go on with the plugin that was built before."""
    assert sorted(cycle_model._SOURCES) == sorted(path.name for path in EMULATOR.iterdir())


@pytest.mark.parametrize("api", [1, 2, 3, 6, 7])
def test_the_source_is_free_of_warnings(tmp_path: Path, api: int) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler for this machine")
    strict = ["-Wall", "-Wextra", "-Wconversion", "-Werror", f"-DMQ_QEMU_API={api}"]
    command = [compiler, *cycle_model._FLAGS, *strict, str(EMULATOR / "mq_cycles.c"), "-o", str(tmp_path / "plugin.so")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
