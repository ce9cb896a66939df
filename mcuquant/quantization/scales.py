"""Scale and zero point of every activation, from its observed values and the limits of the kernels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..ir import DType, Graph, Op, QParams, ops
from .methods import METHODS
from .scale_groups import Sharing, shares_scale
from .value_histogram import Histogram
from .weight_scales import FittedLayers, from_range, operand

_ABOVE = 1 + 2.0**-16
"""Margin that keeps a rescale factor below one after its roundings."""
_MAX_GAIN = 2.0**15
"""Limit of the factor of a stored 16-bit difference, so that the product fits 32 bits."""
_MAX_QUOTIENT_FACTOR = 2.0**22
_PASSES = 8
"""Maximum number of rounds. Raising a scale may raise the next bound; a chain settles in one round, a loop of shared
scales in few.
"""


def choose(
    graph: Graph, sharing: Sharing, histograms: Mapping[int, Histogram], method: str, dtype: DType, fitted: FittedLayers
) -> dict[int, QParams]:
    """QParams of every tensor in `seen`; `method` is a key of `METHODS`."""
    groups: dict[int, Histogram] = {}
    for tensor_id, histogram in histograms.items():
        root = sharing.group[tensor_id]
        groups[root] = groups[root] + histogram if root in groups else histogram
    low, high = dtype.range()
    steps = high - low if dtype is DType.INT8 else 2 * high
    scales = {root: from_range(*METHODS[method](histogram, steps), dtype) for root, histogram in groups.items()}
    solver = _Solver(graph, sharing, {**scales, **sharing.fixed}, dtype, fitted)
    solver.raise_to_bounds()
    return {tensor_id: solver.params[sharing.group[tensor_id]] for tensor_id in histograms}


class _Solver:
    """Raises scales that integer kernels do not support to their bound, if possible.

    A bound is the real value of one unit of the kernel's accumulator. A finer output scale shows nothing more, but
    needs a rescale factor of one or above, which overflows 32 bits or is rejected by TFLite Micro.
    """

    def __init__(
        self, graph: Graph, sharing: Sharing, params: dict[int, QParams], dtype: DType, fitted: FittedLayers
    ) -> None:
        self.graph, self.sharing, self.dtype, self.fitted = graph, sharing, dtype, fitted
        self.params = params

    def raise_to_bounds(self) -> None:
        for _ in range(_PASSES):
            before = dict(self.params)
            for index, op in self._real_operations():
                for tensor_id, bound in (*self._bounds(op), *self._cut_bounds(index, op)):
                    self._raise(tensor_id, bound * _ABOVE)
            if self.params == before:
                return

    def _real_operations(self) -> Iterator[tuple[int, Op]]:
        """Operations on real numbers, with their indices. Truth values and whole numbers have no scale."""
        return ((i, op) for i, op in enumerate(self.graph.ops) if self.graph.out(op).dtype is DType.FLOAT32)

    def _raise(self, tensor_id: int, bound: float) -> None:
        root = self.sharing.group[tensor_id]
        q = self.params[root]
        if root not in self.sharing.fixed and q.scale[0] < bound:
            self.params[root] = QParams.of(bound, q.zero_point)

    def _scale(self, op: Op, position: int) -> float:
        t = self.graph[op.inputs[position]]
        q = operand(op, t, self.dtype) if t.is_constant else self.params[self.sharing.group[t.id]]
        return q.scale[0]

    def _bounds(self, op: Op) -> Iterator[tuple[int, float]]:
        """(tensor id, smallest scale) for the tensors of `op` that its kernel restricts."""
        match op:
            case ops.Conv2D() | ops.DepthwiseConv2D() | ops.FullyConnected() | ops.TransposeConv():
                yield op.output, self._scale(op, 0) * float(self.fitted[op.output].grid.scales.max())
            case ops.BatchMatMul() | ops.Mul():
                yield op.output, self._scale(op, 0) * self._scale(op, 1)
            case ops.Add() | ops.Sub():
                left_shift = 20 if self.dtype is DType.INT8 else 15
                yield op.output, 2 * max(self._scale(op, 0), self._scale(op, 1)) / (1 << left_shift)
            case ops.Mean():
                count = self.graph[op.inputs[0]].elements // self.graph.out(op).elements
                yield op.output, self._scale(op, 0) / count
            case ops.HardSwish():
                x = self._scale(op, 0)
                yield op.output, x / 128 if self.dtype is DType.INT8 else x * x / 6
            case ops.SquaredDifference():
                left_shift = 14 if self.dtype is DType.INT8 else 0
                yield op.output, (2 * max(self._scale(op, 0), self._scale(op, 1))) ** 2 / (1 << left_shift)
            case ops.Div():
                yield op.output, self._scale(op, 0) / self._scale(op, 1) / _MAX_QUOTIENT_FACTOR
            case ops.Prelu():
                yield op.output, self._scale(op, 0) / _MAX_GAIN
                yield op.output, self._scale(op, 0) * self._scale(op, 1)
            case ops.Sum():
                yield op.output, self._scale(op, 0) / _MAX_GAIN
            case ops.LeakyRelu() | ops.Relu() | ops.Abs() if not shares_scale(op):
                yield op.output, self._scale(op, 0) / _MAX_GAIN
            case ops.LogSoftmax():
                yield op.inputs[0], 2.0**-26
            case ops.Softmax():
                yield op.inputs[0], 2.0**-26 / op.beta

    def _cut_bounds(self, index: int, op: Op) -> Iterator[tuple[int, float]]:
        for position in range(len(op.inputs)):
            if (index, position) in self.sharing.cuts:
                yield op.output, self._scale(op, position) / _MAX_GAIN
