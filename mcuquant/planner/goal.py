"""What a plan is to be good at, and what it may take."""

from __future__ import annotations

from dataclasses import dataclass, field

from .objective import Objective


@dataclass(frozen=True, slots=True)
class Limits:
    """Most bytes of arena, and of flash for the network: its constants and code. None: no limit."""

    ram_bytes: int | None = None
    flash_bytes: int | None = None

    def excess(self, ram_bytes: int, flash_bytes: int) -> int:
        """Bytes above the limits, both together."""
        return _above(ram_bytes, self.ram_bytes) + _above(flash_bytes, self.flash_bytes)


@dataclass(frozen=True, slots=True)
class Goal:
    """`limits` are kept, or there is no plan; `board_limits`, estimated from the board, where that is possible."""

    objective: Objective = Objective.SPEED
    limits: Limits = field(default=Limits())
    board_limits: Limits = field(default=Limits())


def _above(nbytes: int, limit: int | None) -> int:
    return 0 if limit is None else max(0, nbytes - limit)
