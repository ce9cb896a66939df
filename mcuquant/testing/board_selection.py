"""Board selection, in this order: command line, environment, hardware map, the only connected board."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..boards.board import DEFAULT_BOARD, RP2040PY, Board, Verified, board_names, load_board
from ..device.plugged import Plugged, choose, profiles
from ..errors import BoardError, ToolError

VARIABLE = "MCUQUANT_BOARD"
_PLATFORMS = {
    "nrf52840dk": "nrf52840-dk",
    "nrf52dk": "nrf52832-dk",
    "disco_l475_iot1": "b-l475e-iot01a",
    "arduino_nano_33_ble": "nano-33-ble",
    "rpi_pico": "pico",
    "rpi_pico2": "pico-2",
    "bbc_microbit": "microbit-v1",
}
"""Zephyr's board names that differ from ours in more than underscores."""


class NoBoardError(Exception):
    """The board is absent: a test that needs it is skipped with this message."""


@dataclass(frozen=True, slots=True)
class Row:
    """A board of a hardware map of Zephyr's Twister: `id` is the probe's serial number, `serial` the port."""

    connected: bool
    id: str
    platform: str
    product: str
    runner: str
    serial: str
    baud: int | None

    @property
    def board(self) -> str:
        """The board name for the platform; qualifiers after a slash name a core or a revision."""
        name = self.platform.lower().partition("/")[0]
        return _PLATFORMS.get(name, name.replace("_", "-"))


@dataclass(frozen=True, slots=True)
class Wish:
    """The user's request. `rows` are those of the map file named `map_name`."""

    board: str | None = None
    port: str | None = None
    probe: str | None = None
    variable: str | None = None
    rows: tuple[Row, ...] = ()
    map_name: str = ""


@dataclass(frozen=True, slots=True)
class Selected:
    """`port` is None for an emulated board; `source` names the setting that selected it."""

    port: str | None
    probe: str | None
    baud: int | None
    source: str

    @property
    def is_emulated(self) -> bool:
        """Whether mcuquant starts an emulator, so that there is nothing to flash."""
        return self.port in (None, RP2040PY)


def load_map(path: Path) -> tuple[Row, ...]:
    """The rows of a hardware map (Zephyr, "Test Runner (Twister)"). Raises BoardError for an invalid row."""
    try:
        import yaml
    except ImportError as error:
        raise ToolError("hardware maps are YAML: pip install pyyaml") from error
    try:
        rows = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BoardError(f"{path}: the hardware map cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BoardError(f"{path}: the hardware map is not YAML: {error}") from error
    if not isinstance(rows, list):
        raise BoardError(f"{path}: a hardware map is a list of boards, found {type(rows).__name__}")
    return tuple(_row(path, i, row) for i, row in enumerate(rows))


def _row(path: Path, i: int, row: Any) -> Row:
    if not isinstance(row, Mapping):
        raise BoardError(f"{path}: row {i} is not a table of keys, found {type(row).__name__}")
    for key in ("connected", "platform"):
        if key not in row:
            raise BoardError(f"{path}: row {i} has no {key!r}")
    if not isinstance(row["connected"], bool):
        raise BoardError(f"{path}: row {i}: 'connected' must be true or false, found {row['connected']!r}")
    baud = row.get("baud")
    if baud is not None and (not isinstance(baud, int) or baud <= 0):
        raise BoardError(f"{path}: row {i}: 'baud' must be a positive integer, found {baud!r}")
    ident, platform, product, runner, port = (
        str(row.get(key) or "") for key in ("id", "platform", "product", "runner", "serial")
    )
    return Row(row["connected"], ident, platform, product, runner, port, baud)


def board_name(wish: Wish, ports: Sequence[Plugged]) -> str:
    """The requested board, before its firmware exists; by default the emulated default board."""
    if wish.board or wish.variable:
        return str(wish.board or wish.variable)
    connected = sorted({row.board for row in wish.rows if row.connected})
    if connected:
        return _only(connected, f"{wish.map_name} lists several boards")
    known = [load_board(name) for name in board_names()]
    plugged = {name for one in ports for name in profiles(one, known)}
    names = sorted({_shared_profile(board, known).name for board in known if board.name in plugged})
    return _only(names, "several profiles match what is plugged in") if names else DEFAULT_BOARD


def _shared_profile(board: Board, known: Sequence[Board]) -> Board:
    """The board with the least memory, of those that run the same firmware and have the same USB ids as `board`."""
    alike = [other for other in known if _common(other) == _common(board)]
    return min(alike, key=lambda b: (b.flash.bytes, b.ram.bytes, len(b.name), b.name))


def _common(board: Board) -> Board:
    """The board without its name and the sizes of its memories: firmware for the smallest such board runs on all."""
    return replace(
        board,
        name="",
        title="",
        verified=Verified.UNTESTED,
        flash=replace(board.flash, bytes=0),
        ram=replace(board.ram, bytes=0),
    )


def _only(names: list[str], why: str) -> str:
    if len(names) > 1:
        raise BoardError(f"{why}: {', '.join(names)}; choose one with --mq-board or {VARIABLE}")
    return names[0]


def select(board: Board, wish: Wish, ports: Sequence[Plugged]) -> Selected:
    """The connection to `board`, which the firmware is for.

    Raises BoardError if the user requested another board or several match, NoBoardError if the board is absent.
    """
    for name, by in ((wish.board, "--mq-board"), (wish.variable if not wish.board else None, VARIABLE)):
        if name and _name(name) != board.name:
            raise BoardError(f"{by} says {name}, but the firmware is for {board.name}; compile it for {name}")
    if wish.port:
        return Selected(wish.port, wish.probe, None, "--mq-port")
    if board.is_emulated:
        _check_no_desk_is_named(board, wish)
        return Selected(None, None, None, "emulated")
    if (row := _mapped(board, wish)) is not None:
        return Selected(row.serial, row.id or wish.probe, row.baud, wish.map_name)
    one = choose(board, wish.probe, ports)
    if one is None:
        raise NoBoardError(_why_none(board, wish))
    return Selected(one.port, one.serial or None, None, "--mq-probe" if wish.probe else "the only one plugged in")


def _why_none(board: Board, wish: Wish) -> str:
    """The reason why no board was selected."""
    rows = [row for row in wish.rows if row.board == board.name]
    if not rows:
        return f"no {board.name} is plugged in, and no --mq-port or hardware map names one"
    if not any(row.connected for row in rows):
        return f"no {board.name} is plugged in, and {wish.map_name} lists it as not connected"
    if not any(row.serial for row in rows if row.connected):
        return f"no {board.name} is plugged in, and {wish.map_name} names no serial port of it"
    return f"no {board.name} is plugged in, and {wish.map_name} lists none with the probe {wish.probe!r}"


def _check_no_desk_is_named(board: Board, wish: Wish) -> None:
    """Raises BoardError if the user requested connected boards and the firmware is for an emulated one."""
    connected = sorted({row.board for row in wish.rows if row.connected})
    named = "--mq-probe" if wish.probe else wish.map_name if connected else ""
    if named:
        boards = f": {', '.join(connected)}" if connected else ""
        raise BoardError(
            f"{named} names a board on the desk, but the firmware is for {board.name}, which is emulated; "
            f"compile it for the board on the desk{boards}"
        )


def _name(board: str) -> str:
    return load_board(board).name


def _mapped(board: Board, wish: Wish) -> Row | None:
    rows = [row for row in _with_probe(wish) if row.connected and row.board == board.name and row.serial]
    if len(rows) > 1:
        listed = ", ".join(f"{row.id or 'no id'} on {row.serial}" for row in rows)
        raise BoardError(f"{wish.map_name} lists {len(rows)} of {board.name}: {listed}; choose one with --mq-probe")
    return rows[0] if rows else None


def _with_probe(wish: Wish) -> Iterable[Row]:
    return (row for row in wish.rows if wish.probe is None or wish.probe.casefold() in row.id.casefold())
