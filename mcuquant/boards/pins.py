"""Names of pins, as the vendors write them: PD8 (STM32, Stellaris), P0.06 (nRF), GP0 (RP)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import BoardError

_PIN = re.compile(r"P([A-Z])(\d{1,2})|P(\d)\.(\d{1,2})|GP(\d{1,2})")


@dataclass(frozen=True, slots=True)
class Pins:
    """The pins of a chip family: the beginning of their names, and the number of pins of each port."""

    start: re.Pattern[str]
    counts: tuple[int, ...]
    extent: str

    def has(self, text: str) -> bool:
        port, pin = pin_of(text)
        return bool(self.start.match(text)) and port < len(self.counts) and pin < self.counts[port]


_LETTER, _NUMBER, _GPIO = re.compile(r"P[A-Z]"), re.compile(r"P\d"), re.compile(r"GP")
_STM32 = Pins(_LETTER, (16,) * 11, "PA0 to PK15")
_FAMILIES = {
    "lm3s": Pins(_LETTER, (8,) * 8, "PA0 to PH7"),
    "nrf51": Pins(_NUMBER, (32,), "P0.00 to P0.31"),
    "nrf52": Pins(_NUMBER, (32, 16), "P0.00 to P1.15"),
    "rp2040": Pins(_GPIO, (30,), "GP0 to GP29"),
    "rp2350": Pins(_GPIO, (48,), "GP0 to GP47"),
}


def pin_of(text: str) -> tuple[int, int]:
    """(port, pin) of a name; port A is 0. Raises BoardError for other text."""
    match = _PIN.fullmatch(text)
    if match is None:
        raise BoardError(f"{text!r} is not a valid pin name; write it like PD8, P0.06 or GP0")
    letter, number, port, pin, gpio = match.groups()
    if letter:
        return ord(letter) - ord("A"), int(number)
    return (int(port), int(pin)) if port else (0, int(gpio))


def pin_complaints(family: str, tx: str, rx: str) -> Iterator[str]:
    """Every fault of the pins of a UART, one sentence each. `family` is the port of a profile."""
    pins = _STM32 if family.startswith("stm32") else _FAMILIES.get(family)
    for key, text in (("uart.tx", tx), ("uart.rx", rx)):
        if text and not _PIN.fullmatch(text):
            yield f"'{key}' must be a pin like PD8, P0.06 or GP0, found {text!r}"
        elif text and pins is not None and not pins.has(text):
            yield f"'{key}' is {text!r}; chips of the family {family} have at most the pins {pins.extent}"
    if tx and tx == rx:
        yield f"'uart.tx' and 'uart.rx' are the same pin, {tx!r}"
