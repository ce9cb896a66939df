"""What the choice of kernels is to be good at."""

from __future__ import annotations

import enum


class Objective(enum.StrEnum):
    """See docs/planner.md."""

    SPEED = "speed"
    """The fewest cycles."""
    BALANCED = "balanced"
    """The smallest arena in at most 1.25 times the cycles of `speed`; then the least cycles times flash."""
    SIZE = "size"
    """The least flash in at most 2.5 times the cycles of `speed`, layers sharing kernels; then the smallest arena."""

    @property
    def slower(self) -> float:
        """Times the cycles of `speed` that it may take."""
        return {Objective.SPEED: 1.0, Objective.BALANCED: 1.25, Objective.SIZE: 2.5}[self]


DEFAULT = Objective.BALANCED
"""RAM is what most often decides whether a network fits, and little speed buys much of it."""
