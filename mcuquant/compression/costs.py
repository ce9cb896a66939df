"""What a float network will take on a board, by the compiler's own plan of the int8 network it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..boards.board import Board
from ..codegen.budget import goal
from ..codegen.lower import lower
from ..errors import BudgetError
from ..ir import Graph
from ..ir.metrics import total_macs, weight_bytes
from ..passes import run_passes
from ..planner import plan
from ..quantization import with_palettes
from ..reporting.describe import as_integers
from ..torch_import import from_torch as frontend


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one inference. Sizes do not depend on how training ends, so an untrained network shows them too."""

    macs: int
    weight_bytes: int
    """Weights and biases in as many bits as they have."""
    constant_bytes: int
    """Weights and all other constants in flash, as the kernels read them; no code."""
    arena_bytes: int
    """The arena in RAM: activations and scratch of the plan; no stack."""
    cycles: int
    """Estimated by the kernels' cost model."""

    def __str__(self) -> str:
        return ", ".join(UNITS[key].format(value) for key, value in asdict(self).items())


UNITS: Mapping[str, str] = {
    "macs": "{:,} MACs",
    "weight_bytes": "{:,} bytes of weights",
    "constant_bytes": "{:,} bytes of constants",
    "arena_bytes": "{:,} bytes of arena",
    "cycles": "{:,} cycles",
}


def cost(net: Any, example: Any, board: Board) -> Cost:
    """Of a torch.nn.Module in evaluation mode on a board, as the int8 network it becomes; shared weights stay shared.

    UnsupportedOpError where mcuquant cannot take the network.
    """
    real = run_passes(frontend.from_torch(net, example))
    return cost_of(with_palettes(real, as_integers(real)), board)


def cost_of(graph: Graph, board: Board) -> Cost:
    """Of an integer network on a board, by the kernels that `compile` chooses where it is not told."""
    steps = plan(graph, board.core, goal(graph, board))
    return Cost(
        macs=total_macs(graph),
        weight_bytes=weight_bytes(graph),
        constant_bytes=lower(steps).constant_bytes,
        arena_bytes=steps.arena_bytes,
        cycles=steps.cycles,
    )


@dataclass(frozen=True, slots=True)
class Target:
    """At most `most` of what UNITS names by `metric`."""

    metric: str
    most: int

    def __post_init__(self) -> None:
        if self.metric not in UNITS:
            raise BudgetError(f"target {self.metric!r} is not known, expected one of: {', '.join(UNITS)}")

    def is_met(self, reached: Cost) -> bool:
        return int(getattr(reached, self.metric)) <= self.most

    def __str__(self) -> str:
        return "at most " + UNITS[self.metric].format(self.most)
