"""What `doctor` finds and what it says about the rest, on machines made up for the test."""

from __future__ import annotations

import importlib.metadata
import os
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from mcuquant.cli import main, system_checks
from mcuquant.errors import ToolError

OUTPUTS = {
    ("make", "--version"): "GNU Make 4.3\nBuilt for x86_64",
    ("arm-none-eabi-gcc", "-dumpversion"): "12.2.1",
    ("arm-none-eabi-gcc", "-print-file-name=libc_nano.a"): "/usr/lib/arm-none-eabi/newlib/libc_nano.a",
    ("arm-none-eabi-gcc", "-dM", "-E", "-include", "newlib.h", "-x", "c", os.devnull): (
        '#define __ARM 1\n#define _NEWLIB_VERSION "3.3.0"'
    ),
    ("qemu-system-arm", "--version"): "QEMU emulator version 7.2.22 (Debian 1:7.2)",
    ("qemu-system-arm", "-machine", "help"): (
        "Supported machines are:\n"
        + "\n".join(f"mps2-an{n} x" for n in (385, 386, 500, 505))
        + "\nlm3s6965evb x\nmicrobit x\nnetduinoplus2 x\nstm32vldiscovery x\nmps3-an547 x"
    ),
    ("cc", "--version"): "cc (Debian 12.2.0-14) 12.2.0",
}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, ...], str]:
    """A machine that has everything; tests take things away from the returned table of commands."""
    commands = dict(OUTPUTS)
    monkeypatch.setattr(system_checks, "_output", lambda *command: commands.get(command))
    monkeypatch.setattr(system_checks.list_ports, "comports", list)
    monkeypatch.setattr(system_checks.cycle_model, "plugin", lambda: Path("mq_cycles-1.so"))
    monkeypatch.setattr(system_checks.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(system_checks.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(system_checks.importlib.metadata, "version", lambda name: "1.0")
    monkeypatch.setattr(
        system_checks.importlib.metadata, "requires", lambda name: ["numpy>=1.26", 'torch==2.13.0; extra == "torch"']
    )
    return commands


def found(name: str) -> system_checks.Check:
    (check,) = [c for c in system_checks.checks() if c.name == name]
    return check


def test_a_machine_with_everything_misses_nothing(machine: dict[tuple[str, ...], str]) -> None:
    assert system_checks.missing(system_checks.checks()) == ()
    assert {
        c.name: c.version for c in system_checks.checks() if c.name in ("make", "newlib", "qemu-system-arm", "cc")
    } == {
        "make": "4.3",
        "newlib": "3.3.0",
        "qemu-system-arm": "7.2.22",
        "cc": "12.2.0",
    }


def test_the_required_ones_come_first(machine: dict[tuple[str, ...], str]) -> None:
    required = [c.required for c in system_checks.checks()]
    assert required == sorted(required, reverse=True)
    assert True in required
    assert False in required


@pytest.mark.parametrize(
    ("name", "command", "remedy"),
    [
        ("make", ("make", "--version"), "sudo apt-get install make"),
        ("arm-none-eabi-gcc", ("arm-none-eabi-gcc", "-dumpversion"), "sudo apt-get install gcc-arm-none-eabi"),
        (
            "newlib",
            ("arm-none-eabi-gcc", "-print-file-name=libc_nano.a"),
            "sudo apt-get install libnewlib-arm-none-eabi",
        ),
        ("qemu-system-arm", ("qemu-system-arm", "--version"), "sudo apt-get install qemu-system-arm"),
    ],
)
def test_a_missing_tool_is_required_and_has_its_command(
    machine: dict[tuple[str, ...], str], name: str, command: tuple[str, ...], remedy: str
) -> None:
    del machine[command]
    (check,) = system_checks.missing(system_checks.checks())
    assert (check.name, check.remedy) == (name, remedy)


def test_gcc_answers_with_the_bare_name_where_newlib_is_missing(machine: dict[tuple[str, ...], str]) -> None:
    machine["arm-none-eabi-gcc", "-print-file-name=libc_nano.a"] = "libc_nano.a"
    assert found("newlib").version is None


def test_a_host_compiler_is_optional(machine: dict[tuple[str, ...], str]) -> None:
    del machine["cc", "--version"]
    assert system_checks.missing(system_checks.checks()) == ()
    assert found("cc").remedy == "sudo apt-get install gcc libc6-dev"


def test_root_needs_no_sudo(machine: dict[tuple[str, ...], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_checks.os, "geteuid", lambda: 0)
    assert system_checks.install_command(("make",)) == "apt-get install make"


def test_other_systems_are_told_the_names_to_look_for(
    machine: dict[tuple[str, ...], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system_checks.shutil, "which", lambda name: None)
    assert system_checks.install_command(("gcc", "make")) == "install what Debian calls gcc make"


def test_the_required_packages_are_those_of_the_metadata(
    machine: dict[tuple[str, ...], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(name: str) -> str:
        if name == "numpy":
            raise importlib.metadata.PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(system_checks.importlib.metadata, "version", version)
    (check,) = system_checks.missing(system_checks.checks())
    assert (check.name, check.remedy) == ("numpy", "pip install numpy")


def test_every_extra_of_the_project_is_checked(
    machine: dict[tuple[str, ...], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert list(system_checks.EXTRAS) == list(project["optional-dependencies"])
    assert found("mcuquant[torch]").remedy == "pip install 'mcuquant[torch]' (missing: torch 2.13.0, found 1.0)"
    monkeypatch.setattr(system_checks.importlib.metadata, "version", lambda name: "2.13.0+cpu")
    assert (found("mcuquant[torch]").version, found("mcuquant[torch]").required) == ("torch", False)

    def absent(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(system_checks.importlib.metadata, "version", absent)
    check = found("mcuquant[torch]")
    assert (check.version, check.remedy) == (None, "pip install 'mcuquant[torch]' (missing: torch)")


def test_an_old_qemu_is_told_by_the_boards_it_lacks(machine: dict[tuple[str, ...], str]) -> None:
    help_text = machine["qemu-system-arm", "-machine", "help"]
    machine["qemu-system-arm", "-machine", "help"] = help_text.replace("mps3-an547 x", "")
    assert found("emulated boards").remedy == "a newer QEMU (7.2 has all): it cannot run qemu-mps3-an547"


def test_a_qemu_without_plugins_is_told_with_the_reason(
    machine: dict[tuple[str, ...], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def plugin() -> Path:
        raise ToolError("this QEMU takes no plugins")

    assert found("cycle model").version == "mq_cycles-1.so"
    monkeypatch.setattr(system_checks.cycle_model, "plugin", plugin)
    assert found("cycle model").remedy == "bench counts instructions alone: this QEMU takes no plugins"
    assert system_checks.missing(system_checks.checks()) == ()


def test_a_port_without_permission_is_told_how_to_get_it(
    machine: dict[tuple[str, ...], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    port = SimpleNamespace(device="/dev/ttyACM0", description="STLink", vid=0x0483)
    monkeypatch.setattr(system_checks.list_ports, "comports", lambda: [port])
    monkeypatch.setattr(system_checks.os, "access", lambda path, mode: False)
    check = found("serial port")
    assert check.version is None
    assert check.remedy == "no permission for /dev/ttyACM0: sudo usermod -aG dialout $USER, then log in again"


def test_a_port_is_named_with_what_it_is(machine: dict[tuple[str, ...], str], monkeypatch: pytest.MonkeyPatch) -> None:
    ports = [
        SimpleNamespace(device="/dev/ttyACM0", description="STLink", vid=0x0483),
        SimpleNamespace(device="/dev/ttyS0", description="n/a", vid=None),
    ]
    monkeypatch.setattr(system_checks.list_ports, "comports", lambda: ports)
    monkeypatch.setattr(system_checks.os, "access", lambda path, mode: True)
    assert found("serial port").version == "/dev/ttyACM0 STLink"


def test_a_command_that_is_not_there_or_fails_gives_nothing() -> None:
    assert system_checks._output("mcuquant-no-such-program") is None
    assert system_checks._output("false") is None
    assert system_checks._output("echo", "hello") == "hello"


def test_the_command_exits_with_0_and_names_the_next_one(machine: dict[tuple[str, ...], str]) -> None:
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 0
    assert result.stdout.endswith("All required items are installed.\n\nNext: mcuquant demo\n")


def test_the_command_exits_with_1_and_says_what_to_type(machine: dict[tuple[str, ...], str]) -> None:
    del machine["make", "--version"]
    del machine["qemu-system-arm", "--version"]
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 1
    assert result.stdout.endswith(
        "Missing: make, qemu-system-arm.\n\n"
        "Next: sudo apt-get install make\n      sudo apt-get install qemu-system-arm\n"
    )
    assert max(map(len, result.stdout.splitlines())) <= 100
