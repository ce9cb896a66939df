"""Connected USB serial ports, and the board profiles with their ids."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from serial.tools import list_ports

from ..boards.board import Board, Usb
from ..errors import DeviceError


@dataclass(frozen=True, slots=True)
class Plugged:
    """A USB serial port. `serial` is the serial number of the debug probe ("": none)."""

    port: str
    usb: Usb
    serial: str
    description: str

    def __str__(self) -> str:
        return f"{self.serial or 'no serial number'} on {self.port}"


def plugged() -> tuple[Plugged, ...]:
    """Every USB serial port of this machine, by name."""
    ports = [
        Plugged(p.device, Usb(p.vid, p.pid), p.serial_number or "", p.description or "")
        for p in list_ports.comports()
        if p.vid is not None and p.pid is not None
    ]
    return tuple(sorted(ports, key=lambda p: p.port))


def profiles(one: Plugged, boards: Iterable[Board]) -> tuple[str, ...]:
    """Names of the boards with these ids. Probes of one vendor share ids, so that there may be several."""
    return tuple(board.name for board in boards if board.usb == one.usb)


def choose(board: Board, probe: str | None, ports: Sequence[Plugged]) -> Plugged | None:
    """The connected port of `board`: the one with `probe` in its serial number, or the only one.

    None if none is connected; raises DeviceError if several match, or none has that number.
    """
    if board.usb is None:
        return None
    alike = [one for one in ports if one.usb == board.usb]
    candidates = [one for one in alike if probe is None or probe.casefold() in one.serial.casefold()]
    if len(candidates) == 1:
        return candidates[0]
    usb, listed = f"{board.usb.vid:04x}:{board.usb.pid:04x}", ", ".join(map(str, candidates or alike))
    if candidates:
        raise DeviceError(
            f"{board.name}: {len(candidates)} boards of its USB id ({usb}) are plugged in: {listed}; "
            "choose one with --probe"
        )
    if alike:
        raise DeviceError(f"{board.name}: no probe {probe!r} is plugged in; those of its USB id ({usb}): {listed}")
    return None
