"""Reductions over rows of a stream, whose sums continue."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...ir import Array, Graph
from ...ir.running_sum import RunningSum
from .. import fixedpoint as fx
from ..parameters import MeanParams, params
from .pooling_ops import finish
from .reduction_ops import rescaled_sum


def running_sum(graph: Graph, op: RunningSum, inputs: Sequence[Array]) -> tuple[Array, Array]:
    """The reduction's output, and the sums for the next inference."""
    x, kept = inputs[0], inputs[1].reshape(-1).astype(np.int64)
    rows = x.reshape(x.shape[op.axis], -1, kept.size).sum(axis=1, dtype=np.int64)
    entering, leaving = (rows[at : at + op.step].sum(axis=0) for at in (op.stop, op.start))
    beside = rows[: op.start].sum(axis=0) + rows[op.stop + op.step :].sum(axis=0)
    p, total = params(graph, op.reduction), kept + entering + beside
    count = x.size // kept.size
    y = rescaled_sum(p, total) if isinstance(p, MeanParams) else finish(p, fx.divide_rounding(total, count))
    return y, kept + entering - leaving
