"""The schema of a chip family: the keys of `[chip]`, the UARTs that its port drives, and its clocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from ..errors import suggestion

Chip = Mapping[str, int]
"""The table `[chip]` of a profile."""

Clock = Callable[[Chip, int], Iterator[str]]
"""The complaints about the clock settings: a function of `[chip]` and `clock_hz`."""


@dataclass(frozen=True, slots=True)
class ChipKey:
    """A key of `[chip]`: its values, as a range (both ends included) or as a tuple of choices, and its meaning."""

    name: str
    values: range | tuple[int, ...]
    meaning: str

    def admits(self, value: int) -> bool:
        return value in self.values

    @property
    def words(self) -> str:
        """The values, such as "from 2 to 8" or "one of 2, 4, 6, 8"."""
        if isinstance(self.values, range):
            return f"from {self.values.start} to {self.values.stop - 1}"
        if len(self.values) == 1:
            return str(self.values[0])
        return "one of " + ", ".join(str(each) for each in self.values)


@dataclass(frozen=True, slots=True)
class UartPort:
    """A UART that a family's port drives: the base address of its registers and the number of its interrupt."""

    base: int
    irq: int


@dataclass(frozen=True, slots=True)
class ChipFamily:
    """A folder of firmware/port. `uarts` is empty where any address is possible (images of an FPGA)."""

    name: str
    keys: tuple[ChipKey, ...] = ()
    uarts: Mapping[str, UartPort] | None = None
    clock: Clock | None = None

    def key(self, name: str) -> ChipKey | None:
        return next((key for key in self.keys if key.name == name), None)

    def uart_name(self, base: int) -> str:
        """The name of the UART at this address, "" for none."""
        return next((name for name, uart in (self.uarts or {}).items() if uart.base == base), "")


def chip_complaints(family: ChipFamily, chip: Chip, clock_hz: int, base: int, irq: int) -> Iterator[str]:
    """Every fault of a profile's `[chip]`, `clock_hz` and UART, for the family of its port, one sentence each."""
    key_faults = tuple(_key_complaints(family, chip))
    yield from key_faults
    if not key_faults and family.clock is not None:
        yield from family.clock(chip, clock_hz)
    yield from _uart_complaints(family, chip, base, irq)


def _key_complaints(family: ChipFamily, chip: Chip) -> Iterator[str]:
    names = [key.name for key in family.keys]
    for name in chip:
        if name not in names:
            keys = ", ".join(names) or "none"
            yield f"unknown key 'chip.{name}'{suggestion(name, names)}; keys of the family {family.name}: {keys}"
    for key in family.keys:
        if key.name not in chip:
            yield f"key 'chip.{key.name}' is missing ({key.meaning})"
        elif not key.admits(chip[key.name]):
            yield f"'chip.{key.name}' must be {key.words}, found {chip[key.name]} ({key.meaning})"


def _uart_complaints(family: ChipFamily, chip: Chip, base: int, irq: int) -> Iterator[str]:
    if family.uarts is None:
        return
    name = family.uart_name(base)
    if not name:
        known = ", ".join(f"{each} {uart.base:#010x}" for each, uart in family.uarts.items())
        yield f"'uart.base' {base:#010x} is none of the UARTs that the port {family.name} drives: {known}"
        return
    if irq != family.uarts[name].irq:
        yield f"'uart.irq' must be {family.uarts[name].irq}, the interrupt of {name}, found {irq}"
    if chip.get("uart_is_lp", 0) != name.startswith("LP") and "uart_is_lp" in chip:
        yield f"'chip.uart_is_lp' must be {int(name.startswith('LP'))} for {name}"
