"""Objectives of the selection of kernels."""

from __future__ import annotations

import enum


class Objective(enum.StrEnum):
    """The objective of a plan; see docs/planner.md."""

    SPEED = "speed"
    """The fewest cycles."""
    BALANCED = "balanced"
    """A compromise between arena, cycles and flash, within 1.25 times the cycles of `speed`."""
    SIZE = "size"
    """The least flash within 2.5 times the cycles of `speed`, where layers share kernels; then the smallest arena."""

    @property
    def slower(self) -> float:
        """Limit of the cycles, as a multiple of those of `speed`."""
        return {Objective.SPEED: 1.0, Objective.BALANCED: 1.25, Objective.SIZE: 2.5}[self]


DEFAULT = Objective.BALANCED
"""Default objective. RAM decides most often whether a network fits, so `balanced` accepts slower kernels that save much
of it.
"""
