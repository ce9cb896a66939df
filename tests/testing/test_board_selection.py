"""Which board is meant: every source, their order, and every mistake in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mcuquant.boards.board import DEFAULT_BOARD, load_board
from mcuquant.device.plugged import Plugged
from mcuquant.errors import BoardError, DeviceError, McuquantError
from mcuquant.testing.board_selection import NoBoardError, Row, Selected, Wish, board_name, load_map, select

DESK = load_board("nucleo-f411re")
EMULATED = load_board("qemu-mps2-an386")
assert DESK.usb is not None
ONE = Plugged("/dev/ttyACM0", DESK.usb, "066DFF01", "STLink")
TWO = Plugged("/dev/ttyACM1", DESK.usb, "066DFF02", "STLink")
ROW = Row(True, "0661", "nucleo_f411re", "STLink", "pyocd", "/dev/ttyACM7", 9600)
OTHER = Row(True, "0662", "nucleo_f411re/stm32f411xe", "STLink", "pyocd", "/dev/ttyACM8", None)

MAP = """
- connected: true
  id: '0661'
  platform: nucleo_f411re
  product: STLink
  runner: pyocd
  serial: /dev/ttyACM7
  baud: 9600
- connected: false
  platform: rpi_pico
  fixtures:
    - probe
"""


def message(action: Callable[[], object], kind: type[Exception] = BoardError) -> str:
    with pytest.raises(kind) as caught:
        action()
    return str(caught.value)


def wish(**said: Any) -> Wish:
    return Wish(map_name="map.yml", **said)


def test_the_port_of_the_command_line_comes_first() -> None:
    said = wish(board="nucleo-f411re", port="COM3", probe="02", variable="pico", rows=(ROW,))
    assert select(DESK, said, [ONE, TWO]) == Selected("COM3", "02", None, "--mq-port")
    assert select(EMULATED, wish(port="tcp:a:1"), []) == Selected("tcp:a:1", None, None, "--mq-port")


def test_then_the_map() -> None:
    assert select(DESK, wish(rows=(ROW,)), [ONE]) == Selected("/dev/ttyACM7", "0661", 9600, "map.yml")
    assert select(DESK, wish(rows=(ROW, OTHER), probe="0662"), []) == Selected("/dev/ttyACM8", "0662", None, "map.yml")


def test_then_the_only_board_plugged_in() -> None:
    assert select(DESK, wish(), [ONE]) == Selected("/dev/ttyACM0", "066DFF01", None, "the only one plugged in")
    assert select(DESK, wish(probe="02"), [ONE, TWO]) == Selected("/dev/ttyACM1", "066DFF02", None, "--mq-probe")
    unplugged = Row(False, "", "nucleo_f411re", "", "", "/dev/ttyACM9", None)
    assert select(DESK, wish(rows=(unplugged,)), [ONE]).port == "/dev/ttyACM0"


def test_emulated_boards_need_nothing() -> None:
    assert select(EMULATED, wish(), [ONE, TWO]) == Selected(None, None, None, "emulated")
    unplugged = Row(False, "", "nucleo_f411re", "", "", "/dev/ttyACM9", None)
    assert select(EMULATED, wish(rows=(unplugged,)), []) == Selected(None, None, None, "emulated")


def test_a_board_on_the_desk_is_not_taken_for_an_emulated_one() -> None:
    end = f"names a board on the desk, but the firmware is for {EMULATED.name}, which is emulated; compile it for the"
    assert message(lambda: select(EMULATED, wish(probe="02"), [ONE])) == f"--mq-probe {end} board on the desk"
    assert message(lambda: select(EMULATED, wish(rows=(ROW,)), [])) == f"map.yml {end} board on the desk: nucleo-f411re"


def test_none_is_there() -> None:
    assert message(lambda: select(DESK, wish(), []), NoBoardError) == (
        "no nucleo-f411re is plugged in, and no --mq-port or hardware map names one"
    )


@pytest.mark.parametrize(
    ("rows", "probe", "why"),
    [
        ((Row(False, "0661", "nucleo_f411re", "", "", "/dev/ttyACM9", None),), None, "lists it as not connected"),
        ((Row(True, "0661", "nucleo_f411re", "", "", "", None),), None, "names no serial port of it"),
        ((ROW, OTHER), "9", "lists none with the probe '9'"),
    ],
)
def test_none_of_a_map_is_there(rows: tuple[Row, ...], probe: str | None, why: str) -> None:
    assert message(lambda: select(DESK, wish(rows=rows, probe=probe), []), NoBoardError) == (
        f"no nucleo-f411re is plugged in, and map.yml {why}"
    )


@pytest.mark.parametrize(("name", "common"), [("pico", "pico"), ("feather-rp2040", "pico"), ("pico-2-w", "pico-2")])
def test_profiles_that_run_the_same_firmware_count_as_one(name: str, common: str) -> None:
    """The boards of one USB id and one chip: the firmware for the smallest flash runs on all of them."""
    usb = load_board(name).usb
    assert usb is not None
    one = Plugged("/dev/ttyACM0", usb, "E660", "Pico")
    assert board_name(wish(), [one]) == common
    assert board_name(wish(board=name), [one]) == name
    row = Row(True, "0661", name, "", "", "/dev/ttyACM7", None)
    assert board_name(wish(rows=(row,)), [one]) == name


def test_several_are_there() -> None:
    assert "2 boards of its USB id" in message(lambda: select(DESK, wish(), [ONE, TWO]), DeviceError)
    assert message(lambda: select(DESK, wish(rows=(ROW, OTHER)), [])) == (
        "map.yml lists 2 of nucleo-f411re: 0661 on /dev/ttyACM7, 0662 on /dev/ttyACM8; choose one with --mq-probe"
    )


@pytest.mark.parametrize(("said", "by"), [({"board": "pico"}, "--mq-board"), ({"variable": "pico"}, "MCUQUANT_BOARD")])
def test_firmware_for_another_board(said: dict[str, str], by: str) -> None:
    assert message(lambda: select(DESK, wish(**said), [ONE])) == (
        f"{by} says pico, but the firmware is for nucleo-f411re; compile it for pico"
    )


def test_the_command_line_overrides_the_variable() -> None:
    assert select(DESK, wish(board="nucleo-f411re", variable="pico"), [ONE]).port == "/dev/ttyACM0"


def test_the_board_to_compile_for() -> None:
    assert board_name(wish(board="a", variable="b", rows=(ROW,)), [ONE]) == "a"
    assert board_name(wish(variable="b", rows=(ROW,)), [ONE]) == "b"
    assert board_name(wish(rows=(ROW, OTHER)), []) == "nucleo-f411re"
    assert board_name(wish(), []) == DEFAULT_BOARD
    xiao = load_board("xiao-nrf52840")
    assert xiao.usb is not None
    assert board_name(wish(), [Plugged("COM4", xiao.usb, "", "")]) == "xiao-nrf52840"
    assert message(lambda: board_name(wish(rows=(ROW, Row(True, "", "rpi_pico", "", "", "", None))), [])) == (
        "map.yml lists several boards: nucleo-f411re, pico; choose one with --mq-board or MCUQUANT_BOARD"
    )
    assert message(lambda: board_name(wish(), [ONE])).startswith("several profiles match what is plugged in: ")


def test_a_map_of_twisters_is_read(tmp_path: Path) -> None:
    path = tmp_path / "map.yml"
    path.write_text(MAP)
    assert load_map(path) == (ROW, Row(False, "", "rpi_pico", "", "", "", None))
    assert [row.board for row in load_map(path)] == ["nucleo-f411re", "pico"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: 1", "a hardware map is a list of boards, found dict"),
        ("- 3", "row 0 is not a table of keys, found int"),
        ("- connected: true", "row 0 has no 'platform'"),
        ("- {connected: 1, platform: a}", "row 0: 'connected' must be true or false, found 1"),
        ("- {connected: true, platform: a, baud: fast}", "row 0: 'baud' must be a positive integer, found 'fast'"),
    ],
)
def test_mistakes_in_a_map(text: str, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "map.yml"
    path.write_text(text)
    assert message(lambda: load_map(path)) == f"{path}: {complaint}"


def test_a_map_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "map.yml"
    assert message(lambda: load_map(path), McuquantError) == (
        f"{path}: the hardware map cannot be read: No such file or directory"
    )
    path.write_text("- [")
    assert message(lambda: load_map(path)).startswith(f"{path}: the hardware map is not YAML: while parsing")
