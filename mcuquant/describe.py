"""What a network is and takes, as plain values: for `inspect`, for scripts, for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .board import Board
from .ir import DType, Graph
from .lower import lower
from .metrics import macs, parameters, total_macs
from .plan import plan
from .quantization import quantize

ARENA = "planned"
FLASH = "constants, without code"


def describe(graph: Graph, board: Board) -> Mapping[str, Any]:
    """Layers and sizes of a network as it would be on a board.

    A float network is planned as the int8 network it will become: sizes do not depend on the values of a calibration.
    Keys: title, float, board, parameters, macs, arena_bytes and flash_bytes (each with a `_source` that says what it
    counts), layers (name, op, shape, macs), graph (its text).
    """
    arena_bytes, constant_bytes = _sizes(graph, board)
    as_int8 = ", as int8" if graph.is_float else ""
    return {
        "title": graph.name,
        "float": graph.is_float,
        "board": board.name,
        "parameters": parameters(graph),
        "macs": total_macs(graph),
        "arena_bytes": arena_bytes,
        "arena_bytes_source": ARENA + as_int8,
        "flash_bytes": constant_bytes,
        "flash_bytes_source": FLASH + as_int8,
        "layers": [
            {"name": graph.out(op).name, "op": op.kind, "shape": list(graph.out(op).shape), "macs": macs(graph, op)}
            for op in graph.ops
        ],
        "graph": str(graph),
    }


def _sizes(graph: Graph, board: Board) -> tuple[int, int]:
    """(arena, constants) in bytes."""
    integers = quantize(graph, _stand_in(graph)) if graph.is_float else graph
    steps = plan(integers, board.core)
    return steps.arena_bytes, lower(integers, steps).constant_bytes


def _stand_in(graph: Graph) -> list[np.ndarray[Any, Any]]:
    """Two samples of noise for each input: some calibration, where only sizes are asked for."""
    rng = np.random.default_rng(0)
    shapes = [graph[i].shape[1:] for i in graph.inputs]
    return [rng.standard_normal((2, *shape)).astype(DType.FLOAT32.numpy) for shape in shapes]
