"""Averages over an image whose rows come one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...ir import Array, Graph
from ...ir.row_ops import OfSums, RowSum
from .. import fixedpoint as fx
from ..parameters import params
from .reduction_ops import of_total


def row_sum(_: Graph, __: RowSum, inputs: Sequence[Array]) -> Array:
    """The sums of one row, which the sweep adds to those of the rows above."""
    return np.asarray(inputs[0].sum(axis=(0, 1, 2), dtype=np.int64))


def of_sums(graph: Graph, op: OfSums, inputs: Sequence[Array]) -> Array:
    x = replace(graph[op.reduction.inputs[0]], shape=op.shape)
    whole = replace(graph, tensors={**graph.tensors, x.id: x})
    return of_total(params(whole, op.reduction), fx.as_int64(inputs[0]), op.count)
