"""The objective and the limits of a plan."""

from __future__ import annotations

from dataclasses import dataclass, field

from .objective import Objective


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits in bytes of the arena, and of flash for the network (constants and code). None: no limit."""

    arena_bytes: int | None = None
    network_flash_bytes: int | None = None

    def excess(self, arena_bytes: int, network_flash_bytes: int) -> int:
        """Bytes above the limits, both together."""
        return _above(arena_bytes, self.arena_bytes) + _above(network_flash_bytes, self.network_flash_bytes)


@dataclass(frozen=True, slots=True)
class Goal:
    """`limits` are hard: without a plan within them planning fails. `board_limits`, estimated from the board, are
    preferences.
    """

    objective: Objective = Objective.SPEED
    limits: Limits = field(default=Limits())
    board_limits: Limits = field(default=Limits())


def _above(nbytes: int, limit: int | None) -> int:
    return 0 if limit is None else max(0, nbytes - limit)
