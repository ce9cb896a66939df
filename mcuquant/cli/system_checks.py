"""The tools and packages that mcuquant calls, with the commands that install them."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from serial.tools import list_ports

from ..boards.board import board_names, load_board
from ..device import cycle_model
from ..errors import ToolError

OLDEST_PYTHON = (3, 11)


@dataclass(frozen=True, slots=True)
class Check:
    """A tool or package. `version` is None when it is missing; `remedy` is the command that installs it."""

    name: str
    purpose: str
    version: str | None
    remedy: str
    required: bool

    @property
    def ok(self) -> bool:
        return self.version is not None


def checks() -> tuple[Check, ...]:
    """All checks, the required ones first."""
    results = [*_python_checks(), *_tool_checks(), *_port_checks()]
    return tuple(sorted(results, key=lambda check: not check.required))


def missing(results: Iterable[Check]) -> tuple[Check, ...]:
    """The required items that are missing. Without them no model runs on an emulated board."""
    return tuple(check for check in results if check.required and not check.ok)


def _python_checks() -> list[Check]:
    version = platform.python_version() if sys.version_info >= OLDEST_PYTHON else None
    return [
        Check("Python", "everything", version, "install Python 3.11 or newer", True),
        *(_package(name, "everything", f"pip install {name}", required=True) for name in _dependencies()),
        _package("seglearn", "the demo's recordings", "pip install --no-deps seglearn==1.2.5"),
        *(_extra(name, purpose) for name, purpose in EXTRAS.items()),
    ]


EXTRAS: Mapping[str, str] = {
    "torch": "PyTorch networks, the demo",
    "compress": "compress, search, quantization-aware training",
    "pyocd": "flashing with a debug probe",
    "pico": "emulation of the Raspberry Pi Pico",
    "evaluate": "measures of a node's decisions",
    "hil": "tests on a board with pytest",
    "labgrid": "board farms; in an environment of its own",
    "docs": "the documents as a site",
    "dev": "the test suite",
}
"""Groups of optional packages of pyproject.toml, with their purposes."""


def _requirements() -> list[str]:
    """The groups in mcuquant's metadata; empty if it runs from sources without installation."""
    try:
        return importlib.metadata.requires("mcuquant") or []
    except importlib.metadata.PackageNotFoundError:
        return []


def _dependencies() -> list[str]:
    """mcuquant and the packages that it requires."""
    return ["mcuquant", *(_project_name(r) for r in _requirements() if "extra ==" not in r)]


def _project_name(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement)[0]


def _extra(extra: str, purpose: str) -> Check:
    """Whether all packages of an extra are installed, with the version that the extra pins, if any."""
    requirements = [r for r in _requirements() if re.search(rf"extra == ['\"]{extra}['\"]", r)]
    problems = [text for r in requirements if (text := _lacking(r))]
    names = ", ".join(map(_project_name, requirements)) if requirements and not problems else None
    reasons = f" (missing: {', '.join(problems)})" if names is None and problems else ""
    return Check(f"mcuquant[{extra}]", purpose, names, f"pip install 'mcuquant[{extra}]'{reasons}", False)


def _lacking(requirement: str) -> str:
    """The reason why a package does not satisfy a requirement; "" if it does."""
    name, pin = _project_name(requirement), re.match(r"[\w.-]+ *==([\w.]+)", requirement)
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return name
    is_other = pin is not None and version.partition("+")[0] != pin[1]
    return f"{name} {pin[1]}, found {version}" if is_other and pin else ""


def _package(name: str, purpose: str, remedy: str, required: bool = False) -> Check:
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        version = None
    return Check(name, purpose, version, remedy, required)


def _tool_checks() -> list[Check]:
    return [
        _tool("make", "building firmware", ("make",), _version("make", "--version")),
        _tool(
            "arm-none-eabi-gcc",
            "building firmware",
            ("gcc-arm-none-eabi",),
            _version("arm-none-eabi-gcc", "-dumpversion"),
        ),
        _tool("newlib", "building firmware", ("libnewlib-arm-none-eabi",), _newlib()),
        _tool("qemu-system-arm", "emulated boards", ("qemu-system-arm",), _version("qemu-system-arm", "--version")),
        _machines(),
        _cycle_model(),
        _tool("cc", "running the C on this machine", ("gcc", "libc6-dev"), _version("cc", "--version"), required=False),
    ]


def _tool(name: str, purpose: str, packages: tuple[str, ...], version: str | None, required: bool = True) -> Check:
    return Check(name, purpose, version, install_command(packages), required)


def install_command(packages: tuple[str, ...]) -> str:
    """The install command for Debian packages; on other systems their names."""
    if shutil.which("apt-get"):
        return ("" if os.geteuid() == 0 else "sudo ") + "apt-get install " + " ".join(packages)
    return f"install what Debian calls {' '.join(packages)}"


def _output(*command: str) -> str | None:
    """The output of a command, or None if it does not exist or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _version(*command: str) -> str | None:
    """The first number with a dot in the output of a command, or the whole output."""
    text = _output(*command)
    if text is None:
        return None
    number = re.search(r"\d+(\.\d+)+", text)
    return number.group() if number else text


def _newlib() -> str | None:
    """The version of newlib from its header, if the library that firmware links is there too."""
    library = _output("arm-none-eabi-gcc", "-print-file-name=libc_nano.a")
    if not library or not os.path.isabs(library):  # gcc answers with the bare name if the file does not exist
        return None
    macros = _output("arm-none-eabi-gcc", "-dM", "-E", "-include", "newlib.h", "-x", "c", os.devnull) or ""
    version = re.search(r'#define _NEWLIB_VERSION "(.*)"', macros)
    return version.group(1) if version else None


def _machines() -> Check:
    """The emulated boards that this QEMU supports."""
    known = {line.split()[0] for line in (_output("qemu-system-arm", "-machine", "help") or "").splitlines() if line}
    boards = [load_board(name) for name in board_names()]
    emulated = {b.name: b.qemu.machine for b in boards if b.qemu}
    runs = [name for name, machine in emulated.items() if machine in known]
    lacks = [name for name in emulated if name not in runs]
    remedy = f"a newer QEMU (7.2 has all): it cannot run {', '.join(lacks)}"
    version = ", ".join(runs) if runs and not lacks else None
    return Check("emulated boards", "tests on every core", version, remedy, False)


def _cycle_model() -> Check:
    """Whether this QEMU supports the plugin that models cycles, which is compiled on first use."""
    version, remedy = None, ""
    try:
        version = cycle_model.plugin().name
    except ToolError as error:
        remedy = f"bench counts instructions alone: {error}"
    return Check("cycle model", "cycles of Cortex-M3 and M4", version, remedy, False)


def _port_checks() -> list[Check]:
    """Serial ports of connected boards (USB only; a PC's ttyS ports are not boards)."""
    ports = [port for port in list_ports.comports() if port.vid is not None]
    if not ports:
        return [
            Check("serial port", "a board on the desk", None, "plug the board in (not needed for emulated ones)", False)
        ]
    return [_port(port.device, port.description, os.access) for port in ports]


def _port(device: str, description: str, access: Callable[[str, int], bool]) -> Check:
    allowed = access(device, os.R_OK | os.W_OK)
    remedy = f"no permission for {device}: sudo usermod -aG dialout $USER, then log in again"
    return Check("serial port", "a board on the desk", f"{device} {description}" if allowed else None, remedy, False)
