"""Cost of a float network on a board, from the compiler's plan of its int8 form."""

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
    """Costs of one inference. Sizes do not depend on weights: an untrained network has the same sizes."""

    macs: int
    weight_bytes: int
    """Bytes of weights and biases, stored with their number of bits."""
    constant_bytes: int
    """Bytes of weights and all other constants in flash, as the kernels read them, without code."""
    arena_bytes: int
    """Bytes of the arena in RAM: activations and scratch of the plan, without the stack."""
    cycles: int
    """Cycles by the kernels' cost model."""

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
    """Cost of a torch.nn.Module in evaluation mode on a board, as an int8 network. Shared weights stay shared.

    Raises UnsupportedOpError if mcuquant does not support the network.
    """
    real = run_passes(frontend.from_torch(net, example))
    return cost_of(with_palettes(real, as_integers(real)), board)


def cost_of(graph: Graph, board: Board) -> Cost:
    """Cost of an integer network on a board, with the kernels that `compile` selects by default."""
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
    """An upper limit `most` of the cost `metric`, in the unit that UNITS names."""

    metric: str
    most: int

    def __post_init__(self) -> None:
        if self.metric not in UNITS:
            raise BudgetError(f"target {self.metric!r} is not known, expected one of: {', '.join(UNITS)}")

    def is_met(self, reached: Cost) -> bool:
        return int(getattr(reached, self.metric)) <= self.most

    def __str__(self) -> str:
        return "at most " + UNITS[self.metric].format(self.most)
