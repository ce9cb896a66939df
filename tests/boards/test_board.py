"""Board profiles: what ships is valid; every mistake in a file is told word for word."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from mcuquant.boards.board import Flashing, FloatAbi, Region, Usb, Verified, board_names, load_board
from mcuquant.boards.pins import pin_complaints
from mcuquant.errors import BoardError

NAMES = ("qemu-mps2-an385", "qemu-mps2-an386", "qemu-mps2-an500", "qemu-mps2-an505", "qemu-mps3-an547")

PROFILE = """
title = "A board"
cpu = "cortex-m4"
fpu = "fpv4-sp-d16"
float_abi = "hard"
clock_hz = 80_000_000
port = "mps2"
verified = "registers"

[flash]
origin = 0x0800_0000
bytes = 0x10_0000

[ram]
origin = 0x2000_0000
bytes = 0x1_0000

[uart]
base = 0x4000_4000
irq = 38
"""


def written(tmp_path: Path, text: str = PROFILE, name: str = "mine.toml") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_five_emulated_boards_ship() -> None:
    assert [name for name in board_names() if name.startswith("qemu-mps")] == list(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_shipped_profiles_are_valid_and_say_they_are_emulated(name: str) -> None:
    board = load_board(name)
    assert board.name == name
    assert board.is_emulated
    assert board.verified is Verified.EMULATED
    assert board.qemu is not None
    assert name == f"qemu-{board.qemu.machine}"


def test_every_core_of_the_family_is_there() -> None:
    cpus = {load_board(name).cpu for name in NAMES}
    assert cpus == {"cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55"}


def test_a_file_of_the_users_is_read_whole(tmp_path: Path) -> None:
    board = load_board(written(tmp_path))
    assert board.name == "mine"
    assert board.flash == Region(0x0800_0000, 1 << 20)
    assert board.ram.end == 0x2001_0000
    assert (board.uart.irq, board.uart.baud, board.stack_bytes) == (38, 115_200, 4096)
    assert board.float_abi is FloatAbi.HARD
    assert board.core.dsp
    assert not board.is_emulated
    with pytest.raises(dataclasses.FrozenInstanceError):
        board.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize(("text", "pin"), [("PD8", (3, 8)), ("P1.03", (1, 3)), ("GP29", (0, 29))])
def test_pins_as_vendors_name_them(tmp_path: Path, text: str, pin: tuple[int, int]) -> None:
    board = load_board(written(tmp_path, PROFILE + f'tx = "{text}"\n'))
    assert board.pins == {"TX": pin}


def test_compiler_flags() -> None:
    assert load_board("qemu-mps2-an386").compiler_flags == (
        "-mcpu=cortex-m4",
        "-mthumb",
        "-mfloat-abi=hard",
        "-mfpu=fpv4-sp-d16",
        "-mno-unaligned-access",
    )
    assert load_board("qemu-mps3-an547").compiler_flags[-2:] == ("-mno-unaligned-access", "-fno-tree-vectorize")
    assert "-mfloat-abi=soft" in load_board("qemu-mps2-an385").compiler_flags


def test_a_misspelt_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(BoardError) as caught:
        load_board("qemu-mps2-an836")
    assert str(caught.value) == (
        "board 'qemu-mps2-an836' is not known (did you mean 'qemu-mps2-an386'?); "
        f"known boards: {', '.join(board_names())}"
    )


def test_a_name_like_no_other_gets_the_list_alone() -> None:
    with pytest.raises(BoardError) as caught:
        load_board("xyzzy")
    assert str(caught.value) == f"board 'xyzzy' is not known; known boards: {', '.join(board_names())}"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "no.toml"
    with pytest.raises(BoardError) as caught:
        load_board(path)
    assert str(caught.value) == f"{path}: the board file cannot be read: No such file or directory"


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BoardError, match="not a TOML file: 'utf-8' codec can't decode byte 0xff"):
        load_board(path)


def test_a_file_name_that_cannot_be_a_board_name(tmp_path: Path) -> None:
    path = written(tmp_path, name="my board.toml")
    with pytest.raises(BoardError) as caught:
        load_board(path)
    assert str(caught.value) == f"{path}: the file's name is the board's: letters, digits, '-' and '_' only"


TITLE = "'title' must be one line of at most 100 ASCII characters without \"*/\" and backslash"
MISTAKES = [
    ("clock_hz = 80_000_000", "vendor = 1", "unknown key 'vendor'"),
    ("clock_hz = 80_000_000", "clock = 1", "unknown key 'clock' (did you mean 'clock_hz'?)"),
    ("irq = 38", "irqs = 38", "unknown key 'uart.irqs' (did you mean 'irq'?)"),
    ("irq = 38", "", "key 'uart.irq' is missing"),
    ("clock_hz = 80_000_000", "", "key 'clock_hz' is missing"),
    ("80_000_000", '"80 MHz"', "'clock_hz' must be an integer, found the string '80 MHz'"),
    ("80_000_000", "8e7", "'clock_hz' must be an integer, found the float 80000000.0"),
    ("80_000_000", "true", "'clock_hz' must be an integer, found the boolean True"),
    ("80_000_000", "2026-01-01", "'clock_hz' must be an integer, found the date or time datetime.date(2026, 1, 1)"),
    ("0x2000_0000", '"0x20000000"', "'ram.origin' must be an integer, found the string '0x20000000'"),
    ('"A board"', "7", "'title' must be a string, found the integer 7"),
    ("[uart]\nbase = 0x4000_4000\nirq = 38", "", "key 'uart' is missing"),
    ('"A board"', '"A */ board"', TITLE),
    ('"A board"', '"A\\nboard"', TITLE),
    ('"A board"', '"A board \\\\"', TITLE),
    ('"A board"', '""', TITLE),
    ('"registers"', '"yes"', "'verified' must be one of untested, emulated, registers, hardware, found 'yes'"),
    ('"hard"', '"Hard"', "'float_abi' must be one of soft, softfp, hard, found 'Hard'"),
    (
        'fpu = "fpv4-sp-d16"',
        "",
        "'float_abi' is hard but there is no 'fpu'; name gcc's -mfpu or set float_abi = \"soft\"",
    ),
    (
        '"cortex-m4"',
        '"cortex-a53"',
        "'cpu': core 'cortex-a53' is not known; known cores: "
        "cortex-m0, cortex-m0plus, cortex-m3, cortex-m4, cortex-m7, cortex-m33, cortex-m55",
    ),
    ("80_000_000", "0", "'clock_hz' must be positive, found 0"),
    ("0x2000_0000", "0x0808_0000", "'flash' and 'ram' overlap"),
    (
        "0x2000_0000",
        "0xFFFF_F000",
        "'ram' must be a region inside 32 bits of address, found 65536 bytes from 0xfffff000",
    ),
    ("0x2000_0000", "0x2000_0004", "'ram' must begin and end on a multiple of 128 bytes, found 65536 from 0x20000004"),
    ("irq = 38", "irq = 480", "'uart.irq' must be from 0 to 479, found 480"),
    ("irq = 38", 'irq = 38\ntx = "D8"', "'uart.tx' must be a pin like PD8, P0.06 or GP0, found 'D8'"),
    (
        "irq = 38",
        "irq = 38\n[chip]\nPLL = 1",
        "key 'chip.PLL' must be of letters a to z, digits and '_'",
    ),
    ("irq = 38", "irq = 38\n[chip]\npll_n = -1", "'chip.pll_n' must be from 0 to 4294967295, found -1"),
    ("irq = 38", "irq = 38\n[chip]\npll_n = '1'", "'chip.pll_n' must be an integer, found the string '1'"),
    (
        'port = "mps2"',
        'port = "mps2"\nwatchdog_ms = 0',
        "'watchdog_ms' must be from 1 to 86400000 (a day), found 0",
    ),
    ("irq = 38", "irq = 38\nbaud = 0", "'uart.baud' must be positive, found 0"),
    ("0x1_0000\n", "0x1_0000\n[qemu]\n", "key 'qemu.machine' is missing"),
    (
        "0x1_0000\n",
        '0x1_0000\n[qemu]\nmachine = "m"\narguments = "-s"\n',
        "'qemu.arguments' must be a list of strings, found the string '-s'",
    ),
    (
        "0x1_0000\n",
        '0x1_0000\n[qemu]\nmachine = "m"\narguments = [3]\n',
        "'qemu.arguments[0]' must be a string, found the integer 3",
    ),
    ('"mps2"', '"mps"', "'port' 'mps' is not a chip family of firmware/port (did you mean 'mps2'?)"),
    (
        'port = "mps2"',
        'port = "mps2"\nmemory_factor = 0.9\nmemory_factor_source = "hope"',
        "'memory_factor' must be from 1 (zero wait states) to 100, found 0.9",
    ),
    (
        'port = "mps2"',
        'port = "mps2"\nmemory_factor = 2',
        "'memory_factor' and 'memory_factor_source' go together: a number, and where it comes from",
    ),
    (
        'port = "mps2"',
        'port = "mps2"\nmemory_factor = "2"',
        "'memory_factor' must be a number, found the string '2'",
    ),
    (
        'port = "mps2"',
        'port = "mps2"\nstack_bytes = 100',
        "'stack_bytes' must be a multiple of 32 from 1024 to half the RAM, found 100",
    ),
]


@pytest.mark.parametrize(("old", "new", "complaint"), MISTAKES, ids=[m[2][:40] for m in MISTAKES])
def test_a_mistake_names_file_and_key(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    assert old in PROFILE
    path = written(tmp_path, PROFILE.replace(old, new, 1))
    with pytest.raises(BoardError) as caught:
        load_board(path)
    assert str(caught.value) == f"{path}: {complaint}"


def test_a_table_where_a_value_is_due_and_the_reverse(tmp_path: Path) -> None:
    path = written(tmp_path, "ram = 1\n" + PROFILE.replace("[ram]\norigin = 0x2000_0000\nbytes = 0x1_0000\n", ""))
    with pytest.raises(BoardError) as caught:
        load_board(path)
    assert str(caught.value) == f"{path}: 'ram' must be a table, found the integer 1"


def test_broken_toml_says_where(tmp_path: Path) -> None:
    path = written(tmp_path, "title = \n")
    with pytest.raises(BoardError) as caught:
        load_board(path)
    assert str(caught.value) == f"{path}: not a TOML file: Invalid value (at line 1, column 9)"


DESK = PROFILE + "[usb]\nvid = 0x0483\npid = 0x374b\n"


def test_usb_and_flashing_are_optional_tables(tmp_path: Path) -> None:
    bare = load_board(written(tmp_path))
    assert (bare.usb, bare.flashing) == (None, None)
    text = DESK + '[flashing]\nmethods = ["pyocd", "uf2"]\npyocd = "stm32l475xg"\nuf2_family = 0xe48bff56\n'
    board = load_board(written(tmp_path, text))
    assert board.usb == Usb(0x0483, 0x374B)
    assert board.flashing == Flashing(("pyocd", "uf2"), pyocd="stm32l475xg", uf2_family=0xE48BFF56)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[usb]\nvid = 0\npid = 1\n", "'usb.vid' must be from 1 to 0xffff, found 0x0"),
        ("[usb]\nvid = 1\npid = 0x10000\n", "'usb.pid' must be from 1 to 0xffff, found 0x10000"),
        (
            '[flashing]\nmethods = ["dfu"]\n',
            "'flashing.methods' must be of pyocd, openocd, st-flash, jlink, uf2, bossac, found 'dfu'",
        ),
        (
            '[flashing]\nmethods = ["uf2"]\n',
            "'flashing.methods' names 'uf2': say what that calls the board in 'flashing.uf2_family'",
        ),
    ],
)
def test_mistakes_about_the_desk(text: str, complaint: str, tmp_path: Path) -> None:
    path = written(tmp_path, PROFILE + text)
    with pytest.raises(BoardError) as caught:
        load_board(path)
    assert str(caught.value) == f"{path}: {complaint}"


@pytest.mark.parametrize(
    ("family", "tx", "rx", "complaints"),
    [
        ("rp2040", "GP0", "GP29", []),
        (
            "rp2040",
            "GP77",
            "GP1",
            ["'uart.tx' is 'GP77'; chips of the family rp2040 have at most the pins GP0 to GP29"],
        ),
        ("rp2040", "PA2", "GP1", ["'uart.tx' is 'PA2'; chips of the family rp2040 have at most the pins GP0 to GP29"]),
        (
            "rp2350",
            "GP47",
            "GP48",
            ["'uart.rx' is 'GP48'; chips of the family rp2350 have at most the pins GP0 to GP47"],
        ),
        (
            "stm32f4",
            "PA9",
            "PA16",
            ["'uart.rx' is 'PA16'; chips of the family stm32f4 have at most the pins PA0 to PK15"],
        ),
        (
            "nrf52",
            "P1.15",
            "P1.16",
            ["'uart.rx' is 'P1.16'; chips of the family nrf52 have at most the pins P0.00 to P1.15"],
        ),
        (
            "nrf51",
            "P1.00",
            "P0.31",
            ["'uart.tx' is 'P1.00'; chips of the family nrf51 have at most the pins P0.00 to P0.31"],
        ),
        ("lm3s", "PA0", "PI1", ["'uart.rx' is 'PI1'; chips of the family lm3s have at most the pins PA0 to PH7"]),
        ("stm32f4", "PA9", "PA9", ["'uart.tx' and 'uart.rx' are the same pin, 'PA9'"]),
        ("stm32f4", "A9", "", ["'uart.tx' must be a pin like PD8, P0.06 or GP0, found 'A9'"]),
        ("mps2", "PZ31", "", []),
    ],
)
def test_pins_that_a_chip_does_not_have(family: str, tx: str, rx: str, complaints: list[str]) -> None:
    """Firmware for such a pin writes to other registers."""
    assert list(pin_complaints(family, tx, rx)) == complaints
