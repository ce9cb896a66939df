"""Modelled cycles of firmware under QEMU: builds the plugin that counts, configures it, and reads its counts.

`docs/cycle-model.md` describes the model and the sources of its tables. The C source of the plugin is in
`firmware/emulator/`; this machine's C compiler builds it on first use, and the user's cache folder stores it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .._assets import folder
from ..errors import ToolError
from ..firmware_build.symbols import Function, functions, vectors

# Cores with a cycle model, as the plugin names them. Other cores have only the other counts.
_TABLES = {"cortex-m0plus": "m0plus", "cortex-m3": "m3", "cortex-m4": "m4"}

_WITHOUT_BOARD = ("cortex-m0plus",)
"""Cores of which QEMU has no board."""

# The plugin interface to declare to QEMU from a version on; not always the newest that it supports.
_INTERFACES = {(0, 0): 1, (9, 0): 2, (9, 1): 3, (11, 0): 6, (11, 1): 7}

_SOURCES = ("mq_cycles.c", "mq_qemu.h", "mq_setup.h", "mq_blocks.h", "mq_frames.h", "mq_thumb.h")
_FLAGS = ("-shared", "-fPIC", "-O2", "-std=gnu11", "-fvisibility=hidden")
_LOADED = "mq_cycles: loaded"
_TIMEOUT_S = 120


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts of executed code. A load or store is one transfer of up to 4 bytes, so that LDRD and a 64-bit VLDR are
    two.

    `cycles` is None on a core without a model. `flash_bytes_read` counts data loads only, not instructions.
    """

    cycles: int | None
    instructions: int
    loads: int
    stores: int
    flash_bytes_read: int


@dataclass(frozen=True, slots=True)
class FunctionCounts:
    """One function in a window: number of calls, its own counts, and counts including its callees."""

    name: str
    calls: int
    own: Counts
    total: Counts


@dataclass(frozen=True, slots=True)
class CycleCounts:
    """One window: from a call of `function` to its return, without interrupt handlers.

    The functions' own counts add up to `total`.
    """

    function: str
    total: Counts
    functions: tuple[FunctionCounts, ...]

    def of(self, name: str) -> FunctionCounts | None:
        """Counts of the function `name`, or None if it did not run."""
        return next((f for f in self.functions if f.name == name), None)


def is_modelled(cpu: str) -> bool:
    """Whether `bench` gives modelled cycles of the core, named as in a board profile: "cortex-m4"."""
    return cpu in _TABLES and cpu not in _WITHOUT_BOARD


def plugin(qemu: str = "qemu-system-arm") -> Path:
    """The plugin for this QEMU, built if it is not in the cache.

    Raises ToolError with the reason if there is none: QEMU or a C compiler is missing, or this QEMU supports no
    plugins. The caller then uses instruction counts.
    """
    version = _qemu_version(qemu)
    source = folder("firmware") / "emulator"
    target = _cache() / f"mq_cycles-{_digest(source, version)}.so"
    if not target.is_file():
        _build(source, version, qemu, target)
    return target


def qemu_args(
    plugin: Path,
    elf: Path,
    counts: Path,
    *,
    cpu: str,
    flash: Iterable[tuple[int, int]],
    windows: Sequence[str] = ("mq_model_run",),
) -> list[str]:
    """Arguments that make QEMU count while it runs `elf`, and write a line to `counts` at the end of each window.

    A window is the time from a call of one of the functions `windows` to its return. `flash` are (origin, bytes) of the
    regions whose reads are counted. Writes the request into a file beside `counts`. Raises ToolError if the firmware
    has no such function.
    """
    symbols = functions(elf, windows)
    missing = sorted(set(windows) - {f.name for f in symbols})
    if missing:
        raise ToolError(f"{elf} has no function {', '.join(missing)}, whose cycles were to be counted")
    counts = counts.resolve()
    request = counts.with_name(counts.name + ".request")
    request.write_text("\n".join(_request(elf, counts, cpu, flash, symbols, windows)) + "\n")
    return ["-plugin", f"{_escaped(plugin.resolve())},config={_escaped(request)}"]


def read(counts: Path) -> tuple[CycleCounts, ...]:
    """Every completed window so far, in order; QEMU may still be running. An incomplete line is left out."""
    try:
        lines = counts.read_text().split("\n")[:-1]
    except FileNotFoundError:
        raise ToolError(f"QEMU wrote no cycle counts: {counts} is missing") from None
    return tuple(map(window_of, lines))


def _request(
    elf: Path,
    counts: Path,
    cpu: str,
    flash: Iterable[tuple[int, int]],
    symbols: Sequence[Function],
    windows: Sequence[str],
) -> list[str]:
    lines = [f"counts {counts}", f"core {_TABLES.get(cpu, 'none')}"]
    lines += [f"flash {origin:x} {size_bytes:x}" for origin, size_bytes in flash]
    table = vectors(elf, symbols)
    if table:
        lines += [f"reset {table.reset:x}", *(f"handler {address:x}" for address in table.handlers)]
    lines += [f"function {f.address:x} {f.size_bytes:x} {int(f.name in windows)} {_plain(f.name)}" for f in symbols]
    return lines


def _plain(name: str) -> str:
    """A symbol's name without characters that have a meaning in the request or in JSON."""
    return re.sub(r"[^\w.$@]", "?", name)


def _escaped(path: Path) -> str:
    """A path for QEMU's option parser, which splits at single commas."""
    return str(path).replace(",", ",,")


def window_of(text: str) -> CycleCounts:
    """The counts of one line of the plugin."""
    line = json.loads(text)
    entries = line["functions"]
    assert isinstance(entries, list)
    rows = (FunctionCounts(e["name"], e["calls"], Counts(*e["own"]), Counts(*e["total"])) for e in entries)
    total = line["total"]
    assert isinstance(total, list)
    return CycleCounts(str(line["function"]), Counts(*total), tuple(rows))


def _qemu_version(qemu: str) -> str:
    if shutil.which(qemu) is None:
        raise ToolError(f"cycles are counted in {qemu}, which is not installed")
    return _output([qemu, "--version"]).partition("\n")[0].strip()


def _api(version: str) -> int:
    """The plugin interface to declare to a QEMU version."""
    match = re.search(r"version (\d+)\.(\d+)", version)
    if match is None:
        raise ToolError(f"cannot tell which QEMU this is, whose plugin is to count cycles: it calls itself {version!r}")
    number = (int(match[1]), int(match[2]))
    return max(api for first, api in _INTERFACES.items() if first <= number)


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "mcuquant"


def _digest(source: Path, version: str) -> str:
    parts = [version.encode(), " ".join(_FLAGS).encode(), *((source / name).read_bytes() for name in _SOURCES)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _build(source: Path, version: str, qemu: str, target: Path) -> None:
    """Compiles in a separate folder and moves the result into place atomically, so that no reader
    sees a partial file.
    """
    compiler = next((path for name in ("cc", "gcc", "clang") if (path := shutil.which(name))), None)
    if compiler is None:
        raise ToolError("counting cycles needs a C compiler for this machine; found none of cc, gcc, clang")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            built = Path(scratch) / target.name
            _compile(compiler, source / _SOURCES[0], _api(version), built)
            _probe(qemu, version, built)
            built.replace(target)
    except OSError as error:
        raise ToolError(f"cannot keep the plugin that counts cycles in {target.parent}: {error.strerror}") from error


def _compile(compiler: str, source: Path, api: int, built: Path) -> None:
    flags = [*_FLAGS, *(["-undefined", "dynamic_lookup"] if sys.platform == "darwin" else [])]
    _output([compiler, *flags, f"-DMQ_QEMU_API={api}", str(source), "-o", str(built)])


def _probe(qemu: str, version: str, built: Path) -> None:
    """Loads the plugin without a request, which the plugin refuses with a known message; other messages are QEMU's."""
    command = [qemu, "-M", "none", "-display", "none", "-plugin", _escaped(built)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    if _LOADED not in result.stderr:
        raise ToolError(f"{version} does not take the plugin that counts cycles: {_last_line(result.stderr)}")


def _output(command: Sequence[str]) -> str:
    result = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    if result.returncode != 0:
        raise ToolError(f"{command[0]} failed for the plugin that counts cycles: {_last_line(result.stderr)}")
    return result.stdout


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "it said nothing")
