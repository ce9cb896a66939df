"""What the choice of kernels is to be good at."""

from __future__ import annotations

import enum


class Objective(enum.StrEnum):
    """See docs/planner.md."""

    SPEED = "speed"
    """The fewest cycles."""
    BALANCED = "balanced"
    """Arena against cycles against flash, in at most 1.25 times the cycles of `speed`."""
    SIZE = "size"
    """The least flash in at most 2.5 times the cycles of `speed`, layers sharing kernels; then the smallest arena."""

    @property
    def slower(self) -> float:
        """Times the cycles of `speed` that it may take."""
        return {Objective.SPEED: 1.0, Objective.BALANCED: 1.25, Objective.SIZE: 2.5}[self]


DEFAULT = Objective.BALANCED
"""RAM is what most often decides whether a network fits; `balanced` pays for it in speed where that buys much."""
