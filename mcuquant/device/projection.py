"""Modelled cycles → the time on a board that was not measured. It is a projection and always called so."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any

from ..boards.board import Board
from ..errors import BoardError, DeviceError
from .cycle_model import is_modelled
from .measurement import Counter, Measurement

WIDTH = 100


@dataclass(frozen=True, slots=True)
class Projection:
    """One inference on `board`, projected from the cycles of the model and the memory factor of the board."""

    board: Board
    cycles: int
    """Modelled cycles at zero wait states."""
    complaints: tuple[str, ...] = ()
    """The reason why the firmware does not fit the board; "" if it fits."""

    @property
    def latency_us(self) -> float:
        """Cycles x memory factor / clock; with zero wait states if the factor is unknown."""
        return self.cycles * (self.board.memory_factor or 1.0) * 1e6 / self.board.clock_hz

    @property
    def source(self) -> str:
        """The kind of `latency_us`."""
        clock = f"{self.cycles:,} modelled cycles at {self.board.clock_hz / 1e6:g} MHz"
        if self.board.memory_factor is None:
            return f"Projected for zero wait states, not measured: {clock}; what this board's memory adds is unknown"
        return f"Projected, not measured: {clock}, times {self.board.memory_factor:g} for its memory"

    def __str__(self) -> str:
        facts = [f"{self.source}."]
        if self.board.memory_factor is not None:
            facts.append(f"Memory factor: {self.board.memory_factor_source}.")
        wrapped = [textwrap.fill(text, WIDTH, initial_indent="  ", subsequent_indent="  ") for text in facts]
        head = f"One inference, projected onto {self.board.name} ({self.board.cpu}): {self.latency_us:,.1f} µs"
        return "\n".join([head, *wrapped, *(f"  {text}." for text in self.complaints)])

    def to_json(self) -> dict[str, Any]:
        return {
            "board": self.board.name,
            "clock_hz": self.board.clock_hz,
            "cycles": self.cycles,
            "memory_factor": self.board.memory_factor,
            "memory_factor_source": self.board.memory_factor_source or "unknown",
            "latency_us": round(self.latency_us, 3),
            "latency_source": self.source,
            "complaints": list(self.complaints),
        }


def check_projects(board: Board, core: str) -> None:
    """Raises BoardError if cycles modelled for `core` do not apply to `board`."""
    if not is_modelled(board.cpu):
        raise BoardError(
            f"{board.name} has a {board.cpu}, whose cycles are not modelled: nothing can be projected onto it; "
            "measure on the board with --port"
        )
    if board.cpu != core:
        raise BoardError(
            f"{board.name} has a {board.cpu}, the project is for a {core}: compile it for an emulated {board.cpu} first"
        )


def project_onto(board: Board, measurement: Measurement) -> Projection:
    """Raises BoardError as above, and DeviceError if the measurement has no modelled cycles."""
    check_projects(board, measurement.core)
    if measurement.counter is not Counter.MODELLED_CYCLES:
        why = " ".join(measurement.notes)
        raise DeviceError(
            f"{measurement.board} counted {measurement.counter}; only modelled cycles can be projected"
            + (f". {why}" if why else "")
        )
    used = (("flash", measurement.flash_bytes, board.flash), ("RAM", measurement.ram_bytes, board.ram))
    return Projection(
        board,
        measurement.count,
        tuple(
            f"It would not fit: {n:,} B of {what}, the board has {region.bytes:,}"
            for what, n, region in used
            if n > region.bytes
        ),
    )
