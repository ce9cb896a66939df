"""What a float network will take on a board, by the compiler's own plan of the int8 network it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..board import Board
from ..describe import describe
from ..errors import BudgetError
from ..frontends import torch as frontend
from ..passes import run_passes


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one inference. Sizes do not depend on how training ends, so an untrained network shows them too."""

    macs: int
    flash_bytes: int
    """Weights and all other constants, packed as the kernels read them; no code."""
    ram_bytes: int
    """The arena: activations and scratch of the plan; no stack."""

    def __str__(self) -> str:
        return ", ".join(f"{UNITS[key].format(value)}" for key, value in asdict(self).items())


UNITS: Mapping[str, str] = {
    "macs": "{:,} MACs",
    "flash_bytes": "{:,} bytes of flash",
    "ram_bytes": "{:,} bytes of RAM",
}


def cost(net: Any, example: Any, board: Board) -> Cost:
    """Of a torch.nn.Module on a board. UnsupportedOpError where mcuquant cannot take the network."""
    facts = describe(run_passes(frontend.from_torch(net.eval(), example)), board)
    return Cost(macs=facts["macs"], flash_bytes=facts["flash_bytes"], ram_bytes=facts["arena_bytes"])


@dataclass(frozen=True, slots=True)
class Target:
    """At most `most` of what UNITS names by `metric`."""

    metric: str
    most: int

    def __post_init__(self) -> None:
        if self.metric not in UNITS:
            raise BudgetError(f"target {self.metric!r} is not known, expected one of: {', '.join(UNITS)}")

    def is_met(self, found: Cost) -> bool:
        return int(getattr(found, self.metric)) <= self.most

    def __str__(self) -> str:
        return "at most " + UNITS[self.metric].format(self.most)
