"""Checks that a compiled program calls every step of its network, because optimizers have dropped steps as free of
effects.

The check disassembles the binary with `objdump`, after linking and link-time optimization.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import Symbol, SymbolTableSection

from ..errors import BuildError, ToolError

_TABLE = "functions"
"""The table of steps of a program compiled for size: function pointers, called in one loop."""


@dataclass(frozen=True, slots=True)
class Steps:
    """The calls that a binary must contain: `<prefix>_step_0` to the last step from `<prefix>_run`, or from the
    functions of a network that is fed by rows; `titles` name the steps in messages.
    """

    prefix: str
    titles: tuple[str, ...]
    is_fed: bool = False

    @property
    def callers(self) -> tuple[str, ...]:
        """The functions that call steps; the first is the one that a program calls."""
        return tuple(f"{self.prefix}_{name}" for name in (("feed", "sweep", "rest") if self.is_fed else ("run",)))

    @classmethod
    def of_manifest(cls, manifest: Mapping[str, object]) -> Steps:
        layers = manifest["layers"]
        assert isinstance(layers, list)
        titles = tuple(f"{row['name']}, {row['op']}:{row['kernel']}" for row in layers)
        return cls(f"mq_{manifest['name']}", titles, "feed" in manifest)


def check_calls(binary: Path, steps: Steps, objdump: str, compiled_by: str) -> None:
    """Raises BuildError if a step is not called; `compiled_by` names the compiler and its flags."""
    called = called_steps(binary, steps, objdump)
    missing = [i for i in range(len(steps.titles)) if i not in called]
    if missing:
        raise BuildError(_message(binary, steps, missing, compiled_by))


def called_steps(binary: Path, steps: Steps, objdump: str) -> frozenset[int]:
    """Numbers of the steps that are called, by name or through the table of a program compiled for size."""
    by_name = (number for caller in steps.callers for number in _called_by_name(binary, steps.prefix, caller, objdump))
    return frozenset(by_name) | frozenset(_in_table(binary, steps.prefix))


def _message(binary: Path, steps: Steps, missing: Sequence[int], compiled_by: str) -> str:
    names = "; ".join(f"{i} ({steps.titles[i]})" for i in missing)
    noun = "step" if len(missing) == 1 else "steps"
    return (
        f"{binary}: {steps.callers[0]} does not call {noun} {names}, and would answer wrongly. The compiler left that "
        f"out: {compiled_by}. Use other flags (make OPTIMIZE=-Os) or another version of the compiler"
    )


def _called_by_name(binary: Path, prefix: str, caller: str, objdump: str) -> Iterator[int]:
    command = [objdump, "-d", "--no-show-raw-insn", f"--disassemble={caller}", str(binary)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ToolError(f"{objdump} cannot read {binary}: {done.stderr.strip()}")
    # Linkers change names: a suffix if two files have the same one, a veneer for distant calls.
    step = re.compile(rf"<(?:__)?{re.escape(prefix)}_step_(\d+)(?:\.[\w.]+)?(?:_veneer|_from_thumb)?>")
    return (int(number) for number in step.findall(done.stdout))


def _in_table(binary: Path, prefix: str) -> Iterator[int]:
    step = re.compile(rf"{re.escape(prefix)}_step_(\d+)(?:\.[\w.]+)?")
    with binary.open("rb") as file:
        elf = _parsed(file, binary)
        symbols = list(_symbols(elf))
        numbers = {s["st_value"] & ~1: int(m[1]) for s in symbols if (m := step.fullmatch(s.name))}
        tables = [s for s in symbols if s.name.partition(".")[0] == _TABLE and s["st_info"]["type"] == "STT_OBJECT"]
        words = [word for table in tables for word in _words(elf, table)]
    return (numbers[word & ~1] for word in words if word & ~1 in numbers)


def _parsed(file: BinaryIO, path: Path) -> ELFFile:
    try:
        return ELFFile(file)
    except ELFError as error:
        raise ToolError(f"{path} is not an ELF file: {error}") from error


def _symbols(elf: ELFFile) -> Iterator[Symbol]:
    for section in elf.iter_sections():
        if isinstance(section, SymbolTableSection):
            yield from section.iter_symbols()


def _words(elf: ELFFile, table: Symbol) -> Iterator[int]:
    """The pointers of an array: as stored, or from relocations of a position-independent executable."""
    width = elf.elfclass // 8
    order: Literal["little", "big"] = "little" if elf.little_endian else "big"
    start, end = table["st_value"], table["st_value"] + table["st_size"]
    for section in elf.iter_sections():
        at = section["sh_addr"]
        if isinstance(section, RelocationSection) and section.is_RELA():
            yield from (r["r_addend"] for r in section.iter_relocations() if start <= r["r_offset"] < end)
        elif section["sh_type"] == "SHT_PROGBITS" and at <= start < at + section["sh_size"]:
            data = section.data()[start - at : end - at]
            yield from (int.from_bytes(data[i : i + width], order) for i in range(0, len(data), width))
