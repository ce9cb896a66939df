"""Ranges of scores that only a softmax reads: values that a mask excludes do not widen them.

A mask adds a large negative number, -10,000 or less; a range that contains it leaves few integers for all other scores.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..ir import Array, Graph, Op, ops

_WITHOUT_WEIGHT = 100.0
"""exp(-100) of the largest weight is 0 in single precision for every practical sum."""
_BELOW_ALL = 8.0
"""exp(-8) is less than half a unit of a softmax of int8."""


def softmax_scores(graph: Graph) -> Mapping[int, float]:
    """Tensor id -> beta of the softmax that is its only reader, directly or through operations that
    only move values.
    """
    betas: dict[int, float] = {}
    readers: dict[int, list[float | None]] = {i: [None] for i in graph.outputs}
    for op in reversed(graph.ops):
        if op.outputs[0] in readers and len(set(readers[op.output])) == 1 and readers[op.output][0] is not None:
            betas[op.output] = float(readers[op.output][0] or 0.0)
        beta = op.beta if isinstance(op, ops.Softmax) else None
        if op.output in betas and (factor := _factor(graph, op)):
            beta = betas[op.output] * factor
        for i in op.inputs:
            readers.setdefault(i, []).append(beta)
    return betas


def _factor(graph: Graph, op: Op) -> float:
    """The factor by which `op` multiplies its input; 0 for other operations."""
    if isinstance(op, ops.Reshape | ops.Transpose):
        return 1.0
    constants = [t.data for t in graph.ins(op) if t.data is not None]
    alone = isinstance(op, ops.Mul) and len(constants) == 1 and constants[0].size == 1
    return max(float(constants[0].item()), 0.0) if alone else 0.0


def with_masks_near(values: Array, beta: float) -> Array:
    """Moves excluded scores to just below all others."""
    masked = values < values.max(initial=-np.inf) - _WITHOUT_WEIGHT / beta
    if not masked.any():
        return values
    lowest = values[~masked].min() - _BELOW_ALL / beta
    return np.where(masked, lowest, values)
