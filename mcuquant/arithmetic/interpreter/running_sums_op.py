"""Reductions over rows of a stream, whose sums continue."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...ir import Array, Graph
from ...ir.running_sum import RunningSum
from ..parameters import params
from .reduction_ops import of_total


def running_sum(graph: Graph, op: RunningSum, inputs: Sequence[Array]) -> tuple[Array, Array]:
    """The reduction's output, and the sums for the next inference."""
    x, kept = inputs[0], inputs[1].reshape(-1).astype(np.int64)
    rows = x.reshape(x.shape[op.axis], -1, kept.size).sum(axis=1, dtype=np.int64)
    entering, leaving = (rows[at : at + op.step].sum(axis=0) for at in (op.stop, op.start))
    beside = rows[: op.start].sum(axis=0) + rows[op.stop + op.step :].sum(axis=0)
    y = of_total(params(graph, op.reduction), kept + entering + beside, x.size // kept.size)
    return y, kept + entering - leaving
