"""Sources → Firmware: writes a project folder and runs the cross compiler."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

from ..boards.board import Board
from ..codegen.sources import Sources
from ..errors import BudgetError, OutputError, ToolError
from .manifest_file import MANIFEST
from .step_calls import Steps, check_calls

COMPILER = "arm-none-eabi-gcc"
OBJDUMP = "arm-none-eabi-objdump"
INSTALL = {
    COMPILER: "apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi",
    "make": "apt-get install make",
    "cc": "apt-get install gcc",
}
_OVERFLOW = re.compile(r"region `?([A-Za-z]+)'? overflowed by (\d+) bytes")


@dataclass(frozen=True, slots=True)
class Firmware:
    """The built firmware. Sizes come from the ELF file; `ram_bytes` is all static RAM (arena, application, stack
    reserve).
    """

    elf: Path
    digest: str
    flash_bytes: int
    ram_bytes: int
    sections: Mapping[str, tuple[int, int]]
    """Size and address in bytes."""


@contextmanager
def output_folder(directory: Path) -> Iterator[Path]:
    """A temporary folder that replaces `directory` after success and is deleted after failure.

    Raises OutputError if `directory` exists and contains anything else than a project of mcuquant.
    """
    check_free(directory)
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    except OSError as error:
        raise OutputError(f"cannot write to {directory.parent}: {error.strerror}") from error
    try:
        staging.chmod(0o755)
        yield staging
        _swap(staging, directory)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def check_free(directory: Path) -> None:
    """Raises OutputError unless `directory` is absent, empty or a project of mcuquant."""
    if directory.is_dir() and (not any(directory.iterdir()) or (directory / MANIFEST).is_file()):
        return
    if directory.exists():
        raise OutputError(
            f"{directory} exists and is not a project of mcuquant (no {MANIFEST} in it); "
            "choose another folder with -o, or remove it"
        )


def _swap(staging: Path, directory: Path) -> None:
    """Move `staging` to `directory`. The old folder is deleted only after the new one is in place."""
    if directory.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
        os.replace(directory, old)
        os.replace(staging, directory)
        shutil.rmtree(old)
    else:
        os.replace(staging, directory)


def write(files: Mapping[str, str | bytes], directory: Path) -> None:
    """Write texts and binaries below `directory`. Files with equal content keep their time."""
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        path = directory / name
        if path.is_file() and path.read_bytes() == data:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def make(directory: Path, *targets: str, **variables: str) -> None:
    """Run the project's own Makefile. Raises ToolError with the compiler's output."""
    for tool in ("make", "cc" if "host" in targets else COMPILER):
        need(tool)
    command = ["make", "-s", "-j2", *targets, *(f"{k}={v}" for k, v in variables.items())]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, env=_clean_environment(), check=False)
    if overflow := _OVERFLOW.search(done.stderr):
        region, excess = overflow[1].upper(), int(overflow[2])
        raise BudgetError(f"the firmware does not fit: {region} overflows by {excess:,} bytes")
    if done.returncode:
        raise ToolError(f"make failed:\n{_tail(done.stderr or done.stdout)}")


def need(tool: str) -> str:
    """Path of a program. Raises ToolError with the command that installs it."""
    path = shutil.which(tool)
    if path is None:
        raise ToolError(f"{tool} is not installed; on Debian or Ubuntu: sudo {INSTALL[tool]}")
    return path


def need_firmware_tools() -> None:
    """Raises ToolError if firmware cannot be built here, so that the error precedes long work."""
    for tool in ("make", COMPILER):
        need(tool)


def _clean_environment() -> dict[str, str]:
    """Variables of an outer make that would change this one."""
    return {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "CFLAGS", "CC")}


def _tail(text: str, lines: int = 30) -> str:
    all_lines = text.strip().splitlines()
    return "\n".join(all_lines[-lines:])


def build(sources: Sources, board: Board, directory: Path, steps: Steps) -> Firmware:
    """Write `sources` to `directory` and compile them with the cross compiler."""
    write(sources.files, directory)
    make(directory, WERROR="-Werror")
    return firmware(directory, board, steps)


def build_host(directory: Path, steps: Steps, sanitize: bool = False) -> Path:
    """The program of the project in `directory` for this computer."""
    make(directory, "host", WERROR="-Werror", SANITIZE="1" if sanitize else "")
    runner = directory / "build" / ("host_sanitized" if sanitize else "host") / "mq_host"
    if runner.read_bytes()[:4] == b"\x7fELF":  # does not exist on macOS
        check_calls(runner, steps, "objdump", _compiler(runner.parent))
    return runner


def try_library(sources: Sources, board: Board, steps: Steps) -> None:
    """Compile a library as a user's program would, to verify that the cross compiler keeps all of it."""
    need(COMPILER)
    c_files = [name for name in sources.files if name.endswith(".c") and name.startswith("src/")]
    flags = ["-std=c11", *board.compiler_flags, "-O2", "-ffunction-sections", "-fdata-sections"]
    with tempfile.TemporaryDirectory() as folder:
        write(sources.files, Path(folder))
        elf = Path(folder, "library.elf")
        # The executable starts at the network; references to the C library stay unresolved.
        ends = ["-nostdlib", f"-Wl,-e,{steps.callers[0]},--unresolved-symbols=ignore-all", "-o", str(elf)]
        command = [COMPILER, *flags, "-Isrc", *c_files, *ends]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ToolError(f"{COMPILER} failed:\n{_tail(done.stderr)}")
        version = subprocess.run([COMPILER, "--version"], capture_output=True, text=True, check=False).stdout
        check_calls(elf, steps, OBJDUMP, f"{version.partition(chr(10))[0]} with {' '.join(flags)}")


def firmware(directory: Path, board: Board, steps: Steps) -> Firmware:
    """The firmware in `directory`.

    Raises BudgetError if it is larger than the board, OutputError if it was built from other files than the present
    ones, BuildError if the compiler dropped a step.
    """
    digest = _checked_digest(directory)
    check_calls(directory / "firmware.elf", steps, OBJDUMP, _compiler(directory / "build"))
    sections = _sections(directory / "firmware.elf")
    flash, ram = _usage(sections, board)
    for what, used, there in (("flash", flash, board.flash.bytes), ("RAM", ram, board.ram.bytes)):
        if used > there:
            raise BudgetError(f"the firmware takes {used:,} bytes of {what}, {board.name} has {there:,}")
    return Firmware(directory / "firmware.elf", digest, flash, ram, sections)


def _compiler(directory: Path) -> str:
    """Version and flags of the compiler, as written by the Makefile."""
    version, _, flags = (directory / "compiler.txt").read_text().strip().partition("\n")
    return f"{version} with {flags}"


def _checked_digest(directory: Path) -> str:
    """The digest of the firmware, if the sources, the Makefile and the ELF file belong to one build; else None."""
    out, again = directory / "build", f"build it again: make -B -C {directory}"
    try:
        listed = [line.split(maxsplit=1) for line in (out / "sources.sha256").read_text().splitlines()]
        digest, elf_hash = (out / "firmware.id").read_text().split()
        current = (out / "digest.txt").read_text().strip()
    except (OSError, ValueError) as error:
        raise OutputError(
            f"{directory} has no record of what its firmware was built from; compile the network again: "
            f"mcuquant compile MODEL -o {directory}"
        ) from error
    for expected, name in listed:
        path = directory / name
        if not path.is_file() or _sha256(path) != expected:
            raise OutputError(f"{path} has changed since the firmware was built; {again}")
    if digest != current or _sha256(directory / "firmware.elf") != elf_hash:
        raise OutputError(f"{directory / 'firmware.elf'} is not the result of the last build; {again}")
    return digest


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _sections(elf: Path) -> dict[str, tuple[int, int]]:
    """Size and address of every section that is loaded or reserved in memory."""
    with elf.open("rb") as file:
        sections = ELFFile(file).iter_sections()
        loaded = [s for s in sections if s["sh_flags"] & SH_FLAGS.SHF_ALLOC and s["sh_size"]]
        return {s.name: (s["sh_size"], s["sh_addr"]) for s in loaded}


def _usage(sections: Mapping[str, tuple[int, int]], board: Board) -> tuple[int, int]:
    """(flash, RAM) in bytes. Initialized data counts in both, because it is copied at boot."""
    ram = [name for name, (_, address) in sections.items() if board.ram.origin <= address < board.ram.end]
    initialised = [name for name in ram if name == ".data"]
    flash = sum(size for name, (size, _) in sections.items() if name not in ram or name in initialised)
    return flash, sum(sections[name][0] for name in ram)
