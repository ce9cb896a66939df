"""Estimated and counted cycles of layers as a table, by kernel."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CLOSE, SMALL = 0.2, 40
"""An estimate is close within this part of the count, or within so many cycles."""


@dataclass(frozen=True, slots=True)
class Row:
    text: str
    kernel: str
    cycles: int
    estimate: int

    @property
    def error(self) -> float:
        return self.estimate / self.cycles - 1

    @property
    def is_close(self) -> bool:
        return abs(self.estimate - self.cycles) <= max(CLOSE * self.cycles, SMALL)


def table(rows: Sequence[Row]) -> str:
    """By kernel: layers, share of close estimates (within 20 % or 40 cycles), largest errors."""
    kernels = defaultdict[str, list[Row]](list)
    for row in rows:
        kernels[row.kernel].append(row)
    lines = ["| kernel | layers | close | lowest | highest | the worst |", "|---|---|---|---|---|---|"]
    for kernel, own in sorted(kernels.items(), key=lambda item: -max(abs(row.error) for row in item[1])):
        close = np.mean([row.is_close for row in own])
        errors = [row.error for row in own]
        worst = max(own, key=lambda row: abs(row.error))
        lines.append(
            f"| {kernel} | {len(own)} | {close:.0%} | {min(errors):+.0%} | {max(errors):+.0%} | {worst.text}, "
            f"{worst.cycles:,} counted |"
        )
    return "\n".join(lines)
