"""Every register address and bit that a port uses is the one that the chip's vendor gives.

Where a profile says `verified = "registers"`, this test is why it may.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import tinyfw
from svd import Description, from_data, from_svd

from mcuquant._assets import folder
from mcuquant.boards.board import Board, Verified, board_names, load_board
from mcuquant.boards.chip_families import FAMILIES
from mcuquant.codegen.emit import port_files

SOURCES = (
    ("qemu-stm32vldiscovery", "stm32f100xb"),
    ("qemu-stm32vldiscovery", "STM32F103xx.svd"),
    ("qemu-netduinoplus2", "stm32f405xx"),
    ("qemu-netduinoplus2", "STM32F41x.svd"),
    ("qemu-microbit", "nrf51.svd"),
    ("nucleo-f401re", "stm32f401xe"),
    ("nucleo-f411re", "stm32f411xe"),
    ("nucleo-f446re", "stm32f446xx"),
    ("nucleo-f746zg", "stm32f746xx"),
    ("nucleo-h743zi", "stm32h743xx"),
    ("nucleo-l4r5zi", "stm32l4r5xx"),
    ("b-l475e-iot01a", "stm32l475xx"),
    ("b-l475e-iot01a", "STM32L4x5.svd"),
    ("nucleo-g071rb", "stm32g071xx"),
    ("nucleo-u575zi-q", "stm32u575xx"),
    ("nrf52840-dk", "nrf52840.svd"),
    ("nano-33-ble", "nrf52840.svd"),
    ("nrf52832-dk", "nrf52.svd"),
    ("microbit-v1", "nrf51.svd"),
    ("nucleo-f412zg", "stm32f412zx"),
    ("nucleo-f429zi", "stm32f429xx"),
    ("nucleo-f429zi", "STM32F429x.svd"),
    ("stm32f4-discovery", "stm32f407xx"),
    ("weact-blackpill-f411", "stm32f411xe"),
    ("nucleo-f767zi", "stm32f767xx"),
    ("nucleo-l452re", "stm32l452xx"),
    ("nucleo-l476rg", "stm32l476xx"),
    ("nucleo-l496zg", "stm32l496xx"),
    ("nucleo-g0b1re", "stm32g0b1xx"),
    ("b-u585i-iot02a", "stm32u585xx"),
    ("microbit-v2", "nrf52833.svd"),
    ("xiao-nrf52840", "nrf52840.svd"),
    ("feather-nrf52840", "nrf52840.svd"),
    ("pico", "rp2040"),
    ("pico-w", "rp2040"),
    ("feather-rp2040", "rp2040"),
    ("pico-2", "rp2350"),
    ("pico-2-w", "rp2350"),
)

ABSENT = {
    "needs_overdrive": ("PWR_CR_ODEN", "PWR_CR_ODSWEN", "PWR_CSR_ODRDY", "PWR_CSR_ODSWRDY"),
    "voltage_scale": ("PWR_CR_VOS",),
    "needs_boost": ("PWR_CR5", "PWR_CR5_R1MODE"),
}
"""What a chip does not have is not touched where its profile has 0 under this key."""

UART_ENABLE = re.compile(r"RCC_\w+_((?:LP)?USART\d|LPUART\d)EN")
PORT_G = 6
OF_PORT_G = ("PWR_CR2_IOSV", "RCC_AHB2ENR_GPIOGEN")

ALIASES = {
    "RCC_CFGR_PLLMULL": ("RCC_CFGR_PLLMUL",),
    "UART0_PSELTXD": ("UART0_PSEL_TXD",),
    "UART0_PSELRXD": ("UART0_PSEL_RXD",),
}


@cache
def description(name: str) -> Description:
    return from_svd(name) if name.endswith(".svd") else from_data(name)


@dataclass(frozen=True)
class Line:
    """`#define NAME(parameters) KIND(text)`"""

    name: str
    parameters: tuple[str, ...]
    kind: str
    text: str


_LINE = re.compile(r"^#define (\w+)(?:\(([a-z, ]+)\))? (MQ_REGISTER|MQ_BIT|MQ_BITS)\((.*)\)$", re.MULTILINE)
_BASE = re.compile(r"^#define (\w+)_BASE (0x[0-9A-F]{8})u$", re.MULTILINE)


def headers(board: Board) -> str:
    """The headers of the board's own family and what it shares with others; port/cortexm is the core's."""
    paths = [p for p in port_files(board) if p.endswith(".h") and not p.startswith("port/cortexm/")]
    return "\n".join((folder("firmware") / path).read_text() for path in paths)


def lines(text: str) -> Iterator[Line]:
    for name, parameters, kind, inner in _LINE.findall(text):
        yield Line(name, tuple(p.strip() for p in parameters.split(",") if p), kind, inner)


def value(expression: str, names: Mapping[str, int]) -> int:
    """A C expression of sums and products of unsigned numbers."""
    python = re.sub(r"\b(0x[0-9A-Fa-f]+|\d+)u\b", r"\1", expression)
    assert re.fullmatch(r"[\w\s+*()]+", python), expression
    return int(eval(python, {"__builtins__": {}}, dict(names)))


def placed(board: Board, line: Line) -> list[dict[str, int]]:
    """The arguments that a register's macro is used with: the UART's pins."""
    pins = sorted(set(board.pins.values()))
    return [dict(zip(("port", "pin"), at, strict=True)) for at in pins] if line.parameters else [{}]


def candidates(board: Board, uart: str, name: str, at: Mapping[str, int]) -> Iterator[str]:
    """What the vendor may call it."""
    yield name
    yield from ALIASES.get(name, ())
    if name.startswith("USART_"):
        yield uart + name[5:]
    if name.startswith("UART0_"):
        yield uart + name[5:]
    if name.startswith("GPIO_") and at:
        yield f"GPIO{'ABCDEFGH'[at['port']]}{name[4:]}"
        yield f"P{at['port']}{name[4:]}{at['pin'] if 'PIN_CNF' in name else ''}"
        yield f"{name}{at['pin']}"
    if at and "pin" in at:
        yield name.replace("_GPIO", f"_GPIO{at['pin']}")


def uart_of(board: Board, of: Description) -> str:
    names = [name for name, base in of.peripherals.items() if base == board.uart.base]
    return next((name for name in names if re.fullmatch(r"(LP)?US?ART\d", name)), names[0])


def look_up(table: Mapping[str, object], names: Iterator[str]) -> object:
    return next((table[name] for name in names if name in table), None)


def bits_of(of: Description, names: Iterator[str]) -> tuple[int, int] | None:
    """(lowest bit, width). Some files describe a field bit by bit: PLLN0, PLLN1, ..."""
    for name in names:
        if name in of.fields:
            return of.fields[name]
        single = [of.fields[f"{name}{i}"] for i in range(32) if f"{name}{i}" in of.fields]
        if single:
            return min(low for low, _ in single), len(single)
    return None


def is_absent(board: Board, name: str) -> bool:
    """Whether the port leaves this alone on the board: by `[chip]`, as another UART, or as the supply of port G."""
    if any(board.chip.get(key) == 0 and name in names for key, names in ABSENT.items()):
        return True
    enable = UART_ENABLE.fullmatch(name)
    if enable is not None:
        return enable[1] != FAMILIES[board.port].uart_name(board.uart.base)
    return name in OF_PORT_G and all(port != PORT_G for port, _ in board.pins.values())


each = pytest.mark.parametrize(("name", "source"), SOURCES)


def complaints(board: Board, of: Description, text: str) -> Iterator[str]:
    """Lines of the headers that differ from the vendor's description."""
    uart = uart_of(board, of)
    names = {f"{name}_BASE": int(base, 16) for name, base in _BASE.findall(text)}
    names["MQ_BOARD_UART_BASE"] = board.uart.base
    for line in lines(text):
        if is_absent(board, line.name):
            continue
        check: Callable[..., Iterator[str]] = _register if line.kind == "MQ_REGISTER" else _field
        for at in placed(board, line):
            yield from check(board, of, uart, line, names | at, at)


def _register(
    board: Board, of: Description, uart: str, line: Line, names: Mapping[str, int], at: Mapping[str, int]
) -> Iterator[str]:
    found, theirs = value(line.text, names), look_up(of.registers, candidates(board, uart, line.name, at))
    if found != theirs:
        yield f"{line.name}: {found:#010x}, {of.source} has {theirs if theirs is None else hex(int(str(theirs)))}"


def _field(
    board: Board, of: Description, uart: str, line: Line, names: Mapping[str, int], at: Mapping[str, int]
) -> Iterator[str]:
    numbers = [int(text) for text in line.text.split(",")]
    low, width = numbers[-1], numbers[0] - numbers[-1] + 1
    theirs = bits_of(of, candidates(board, uart, line.name, at))
    if theirs is None or theirs[0] != low or not 1 <= width <= theirs[1]:
        yield f"{line.name}: {width} bits from {low}, {of.source} has {theirs}"


@each
def test_registers_and_bits_are_the_vendor_s(name: str, source: str) -> None:
    board = load_board(name)
    text = headers(board)
    assert len(list(lines(text))) > 15
    assert list(complaints(board, description(source), text)) == []


@each
def test_serial_port_and_interrupt_are_the_vendor_s(name: str, source: str) -> None:
    board, of = load_board(name), description(source)
    uart = uart_of(board, of)
    assert {number for name, number in of.interrupts.items() if uart in name.split("_")} == {board.uart.irq}
    for peripheral, base in _BASE.findall(headers(board)):
        found = of.peripherals.get(peripheral, of.peripherals.get(f"{peripheral}A"))
        assert found in (int(base, 16), None)
    if "timer_irq" in board.chip:
        assert of.interrupts["TIMER0"] == board.chip["timer_irq"]


def test_no_line_of_the_headers_is_passed_over() -> None:
    """All that defines something is of a form that is compared, a base, a guard, or the name of a bit's mask."""
    for path in sorted((folder("firmware") / "port").glob("*/*.h")):
        if path.parent.name == "cortexm":
            continue
        for line in path.read_text().splitlines():
            if line.startswith("#define") and not re.fullmatch(r"#define MQ_[A-Z0-9_]+_H", line):
                assert _LINE.match(line) or _BASE.match(line), f"{path.name}: {line}"


def test_no_profile_claims_more_than_was_checked() -> None:
    checked = {name for name, _ in SOURCES}
    for name in board_names():
        board = load_board(name)
        match board.verified:
            case Verified.EMULATED:
                assert board.is_emulated or board.emulator_port
            case Verified.REGISTERS:
                assert name in checked
            case Verified.UNTESTED:
                pytest.fail(f"{name}: a supplied profile was compared at least")
            case Verified.HARDWARE:
                pytest.fail(f"{name}: nobody has reported a run on hardware")


WRONG = (
    ("RCC_CR MQ_REGISTER(0x40023800u)", "RCC_CR MQ_REGISTER(0x40023804u)", "RCC_CR: 0x40023804"),
    ("RCC_CR_HSEON MQ_BIT(16)", "RCC_CR_HSEON MQ_BIT(17)", "RCC_CR_HSEON: 1 bits from 17"),
    ("RCC_CFGR_PPRE1 MQ_BITS(12, 10)", "RCC_CFGR_PPRE1 MQ_BITS(13, 10)", "RCC_CFGR_PPRE1: 4 bits from 10"),
    ("RCC_CFGR_PPRE1 MQ_BITS(12, 10)", "RCC_CFGR_PPRE3 MQ_BITS(12, 10)", "RCC_CFGR_PPRE3: 3 bits from 10"),
    ("GPIO_BASE 0x40020000u", "GPIO_BASE 0x40020004u", "GPIO_MODER: 0x40020004"),
    ("MQ_BOARD_UART_BASE + 0x0Cu", "MQ_BOARD_UART_BASE + 0x10u", "USART_CR1: 0x40004410"),
)


@pytest.mark.parametrize(("right", "wrong", "complaint"), WRONG)
def test_a_wrong_line_is_found(right: str, wrong: str, complaint: str) -> None:
    board = load_board("nucleo-f401re")
    text = headers(board)
    assert text.count(right) == 1
    found = list(complaints(board, description("stm32f401xe"), text.replace(right, wrong)))
    assert found
    assert found[0].startswith(complaint)


def boot_crc(stage: bytes) -> int:
    """As the RP2040's boot ROM computes it (data sheet, section 2.8.1.3.1)."""
    crc = 0xFFFFFFFF
    for byte in stage:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc >> 31 else 0)) & 0xFFFFFFFF
    return crc


@pytest.mark.emulator
def test_the_second_stage_of_rp2040_has_the_crc_that_its_boot_rom_wants(tmp_path: Path) -> None:
    elf = tinyfw.firmware(load_board("pico"), tmp_path)
    offset, address, size = tinyfw.section(elf, ".boot")
    stage = elf.read_bytes()[offset : offset + size]
    assert (address, size) == (0x1000_0000, 256)
    assert int.from_bytes(stage[252:], "little") == boot_crc(stage[:252])
    assert tinyfw.section(elf, ".vectors")[1] == 0x1000_0100


@pytest.mark.emulator
def test_the_image_definition_of_rp2350_is_where_its_boot_rom_looks(tmp_path: Path) -> None:
    elf = tinyfw.firmware(load_board("pico-2"), tmp_path)
    offset, address, size = tinyfw.section(elf, ".vectors")
    data = elf.read_bytes()[offset : offset + size]
    assert address == 0x1000_0000
    words = (0xFFFFDED3, 0x10210142, 0x000001FF, 0, 0xAB123579)
    at = data.find(b"".join(word.to_bytes(4, "little") for word in words))
    assert 0 < at < 4096 - 20
    assert at % 4 == 0
