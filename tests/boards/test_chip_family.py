"""Schemas of chip families, and the chips that profiles name: each impossible setting is one sentence."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcuquant._assets import folder
from mcuquant.boards.board import Board, Verified, board_of, load_board
from mcuquant.boards.chip_families import FAMILIES
from mcuquant.boards.chip_family import ChipFamily, chip_complaints
from mcuquant.boards.new_profile import NewProfile
from mcuquant.boards.soc import open_chip_keys, soc_names, soc_table, uart_names
from mcuquant.codegen.emit import port_files
from mcuquant.errors import BoardError

F446 = """
title = "A board"
soc = "stm32f446re"
verified = "untested"
[uart]
name = "USART2"
tx = "PA2"
rx = "PA3"
"""
CRYSTAL = "[chip]\nhse_hz = 8_000_000\nhse_is_bypassed = 0\n"


def load(tmp_path: Path, text: str) -> Board:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return load_board(path)


def complaint(tmp_path: Path, text: str) -> str:
    with pytest.raises(BoardError) as caught:
        load(tmp_path, text)
    return str(caught.value).removeprefix(f"{tmp_path / 'mine.toml'}: ")


def faults(board: Board) -> list[str]:
    uart = board.uart
    return list(chip_complaints(FAMILIES[board.port], board.chip, board.clock_hz, uart.base, uart.irq))


def test_every_port_has_a_schema() -> None:
    ports = folder("firmware") / "port"
    assert set(FAMILIES) == {path.parent.name for path in ports.glob("*/mq_chip.c")}


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_the_sources_of_a_port_read_the_keys_of_its_schema(name: str) -> None:
    """A key that no source reads would be a question without a purpose; a macro without a key would not compile."""
    board = replace(load_board("qemu-mps2-an386"), port=name)
    paths = [path for path in port_files(board) if not path.startswith("port/cortexm/")]
    sources = "\n".join((folder("firmware") / path).read_text() for path in paths)
    macros = set(re.findall(r"\bMQ_CHIP_([A-Z0-9_]{2,})\b", sources))
    assert macros == {key.name.upper() for key in FAMILIES[name].keys}


def test_a_profile_of_a_known_chip_is_whole(tmp_path: Path) -> None:
    board = load(tmp_path, F446 + CRYSTAL)
    nucleo = load_board("nucleo-f446re")
    assert (board.cpu, board.flash, board.ram, board.clock_hz) == (nucleo.cpu, nucleo.flash, nucleo.ram, 180_000_000)
    assert board.chip == {**nucleo.chip, "hse_is_bypassed": 0}
    assert (board.uart, board.flashing) == (nucleo.uart, None)
    assert board_of(board.to_table(), Path("mine.toml")) == board


def test_values_of_the_profile_take_precedence(tmp_path: Path) -> None:
    own = F446.replace("verified", "stack_bytes = 2048\nclock_hz = 90_000_000\nverified")
    board = load(tmp_path, own + CRYSTAL + "pll_p = 4\n")
    settings = (board.clock_hz, board.chip["pll_p"], board.chip["pll_n"], board.stack_bytes)
    assert settings == (90_000_000, 4, 180, 2048)


KEYS = (
    "hse_hz, hse_is_bypassed, pll_input_hz, pll_n, pll_p, apb1_divider, apb2_divider, flash_wait_states, "
    "voltage_scale, needs_overdrive, uart_alternate"
)
OSCILLATOR = "[chip] makes the PLL's oscillator run at"
BY_ADDRESS = F446.replace('name = "USART2"', "base = 0x4000_4400\nirq = 38") + CRYSTAL + "uart_alternate = 7\n"
MISTAKES = (
    (
        F446 + CRYSTAL + "pll_n = 900\n",
        "'chip.pll_n' must be from 50 to 432, found 900 "
        "(PLL multiplier; the build stops when the PLL does not produce clock_hz)",
    ),
    (
        F446 + CRYSTAL + "pll_nn = 4\n",
        f"unknown key 'chip.pll_nn' (did you mean 'pll_n'?); keys of the family stm32f4: {KEYS}",
    ),
    (
        F446 + "[chip]\nhse_hz = 8_000_000\n",
        "key 'chip.hse_is_bypassed' is missing "
        "(1 when the external clock is a signal (an ST-LINK's MCO), 0 for a crystal)",
    ),
    (
        F446 + CRYSTAL + "pll_p = 4\n",
        "[chip] makes a clock of 90 MHz (pll_input_hz * pll_n / pll_p), but 'clock_hz' is 180 MHz",
    ),
    (F446 + CRYSTAL + "pll_n = 240\n", f"{OSCILLATOR} 480 MHz; its limits are 100 to 432 MHz"),
    (
        F446 + CRYSTAL.replace("8_", "25_"),
        "'chip.pll_input_hz' 2000000 does not divide 'chip.hse_hz' 25000000",
    ),
    (
        F446.replace("USART2", "USART6") + CRYSTAL,
        "'uart.name' must be one of USART1, USART2, USART3 (chip stm32f446re), found 'USART6'",
    ),
    (
        F446.replace("f446re", "f446") + CRYSTAL,
        "chip 'stm32f446' of key 'soc' is not known (did you mean 'stm32f446re'?); "
        f"known chips: {', '.join(soc_names())}",
    ),
    (
        BY_ADDRESS.replace("0x4000_4400", "0x4001_1400"),
        "'uart.base' 0x40011400 is none of the UARTs that the port stm32f4 drives: "
        "USART1 0x40011000, USART2 0x40004400, USART3 0x40004800",
    ),
    (BY_ADDRESS.replace("38", "37"), "'uart.irq' must be 38, the interrupt of USART2, found 37"),
    ('title = "A board"\nsoc = "stm32g071rb"\nverified = "untested"\n', "key 'uart' is missing"),
)


@pytest.mark.parametrize(("text", "sentence"), MISTAKES, ids=[sentence[:40] for _, sentence in MISTAKES])
def test_a_mistake_is_one_sentence(text: str, sentence: str, tmp_path: Path) -> None:
    assert complaint(tmp_path, text) == sentence


OTHER_FAMILIES = (
    ("nucleo-l476rg", {"pll_n": 80}, "[chip] makes a clock of 160 MHz (4 MHz * pll_n / 2), but 'clock_hz' is 80 MHz"),
    ("nucleo-l496zg", {"uart_is_lp": 0}, "'chip.uart_is_lp' must be 1 for LPUART1"),
    (
        "nucleo-h743zi",
        {"hse_hz": 25_000_000},
        "'chip.hse_hz' must be a multiple of 2000000 (the PLL's input), found 25000000",
    ),
    (
        "pico",
        {"pll_postdiv1": 5},
        "[chip] makes a clock of 150 MHz (12 MHz * pll_multiplier / pll_postdiv1 / 2), but 'clock_hz' is 125 MHz",
    ),
    ("pico-2", {"pll_multiplier": 40}, f"{OSCILLATOR} 480 MHz; its limits are 750 to 1600 MHz"),
    (
        "qemu-stm32vldiscovery",
        {"hse_hz": 5_000_000},
        "'clock_hz' must be 2 to 16 times 'chip.hse_hz' 5000000, found 24000000",
    ),
)


@pytest.mark.parametrize(("name", "change", "sentence"), OTHER_FAMILIES)
def test_each_family_checks_its_clock(name: str, change: Mapping[str, int], sentence: str) -> None:
    board = load_board(name)
    assert faults(replace(board, chip={**board.chip, **change}))[0] == sentence


def test_a_fixed_clock_is_the_only_one() -> None:
    board = replace(load_board("nrf52840-dk"), clock_hz=32_000_000)
    assert faults(board) == ["'clock_hz' must be 64000000, the only clock of this chip family's port, found 32000000"]


@given(family=st.sampled_from([f for f in FAMILIES.values() if f.keys]), data=st.data())
def test_every_key_has_limits(family: ChipFamily, data: st.DataObject) -> None:
    """A value beside the limits of any key is a complaint that names the key; all others are checked too."""
    key = data.draw(st.sampled_from(family.keys))
    values = {each.name: data.draw(st.sampled_from(each.values)) for each in family.keys}
    beside = data.draw(st.integers(0, 2**32 - 1).filter(lambda value: value not in key.values))
    uart = next(iter((family.uarts or {}).values()))
    told = list(chip_complaints(family, {**values, key.name: beside}, 1, uart.base, uart.irq))
    assert f"'chip.{key.name}' must be {key.words}, found {beside} ({key.meaning})" in told
    assert not any("must be" in text and f"'chip.{key.name}'" not in text and "uart_is_lp" not in text for text in told)


@pytest.mark.parametrize("name", soc_names())
def test_every_chip_makes_a_board_with_each_of_its_uarts(name: str) -> None:
    family = FAMILIES[soc_table(name)["port"]]
    keys = open_chip_keys(name, [key.name for key in family.keys])
    assert set(keys) <= {"hse_hz", "hse_is_bypassed"}
    chip = {key: {"hse_hz": 8_000_000, "hse_is_bypassed": 1}[key] for key in keys}
    tx, rx = {"rp": ("GP0", "GP1"), "nr": ("P0.06", "P0.08")}.get(name[:2], ("PA9", "PA10"))
    for uart in uart_names(name):
        profile = NewProfile('The "new" board', name, uart, tx, rx, chip, ("pyocd",) if name != "rp2350" else ())
        board = board_of(tomllib.loads(profile.text), Path("new.toml"))
        assert (board.title, board.verified) == ('The "new" board', Verified.UNTESTED)
        assert FAMILIES[board.port].uart_name(board.uart.base) == uart
