"""Rounds weights and corrects biases so that each layer's output stays close to that of the float network.

Layers are processed in order. The output for the layer's actual inputs in the integer network on the calibration data
is compared with the float layer's output in the float network; `statistics` describes the rounding.

Bias correction: the mean difference over the data is added to the bias; M. Nagel et al., "Data-Free Quantization
Through Weight Equalization and Bias Correction" (ICCV 2019), section 4.2, the empirical form.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ..arithmetic.interpreter import evaluate
from ..arithmetic.interpreter.patches import patches
from ..errors import GraphError
from ..ir import Array, Graph, Op, Tensor, ops
from .layer_rounding import Rows, rounded
from .samples import single, spread_evenly
from .snr import counterparts, quantized_inputs, real
from .statistics import Statistics
from .weight_scales import FittedLayers, bias_limit, channel_axis, data_of, least_scales, stored_bias, to_rows

MOST_SAMPLES = 256
"""Maximum number of samples, evenly spaced among those given."""
Layer = ops.Conv2D | ops.DepthwiseConv2D | ops.FullyConnected


def reconstructed(
    float_graph: Graph,
    int_graph: Graph,
    samples: tuple[Array, ...],
    adaptive: bool,
    correct_bias: bool,
    fitted: FittedLayers,
) -> Graph:
    """`int_graph`, the quantized `float_graph`, with adaptive rounding of weights, bias correction, or both.

    `samples` is one (N, ...) float32 array per input, in the graph's layout. A layer without bias gets none;
    TransposeConv does not change.
    """
    walk = _Walk(float_graph, int_graph, spread_evenly(samples, MOST_SAMPLES), fitted)
    for index, op in enumerate(int_graph.ops):
        if isinstance(op, Layer) and (adaptive or correct_bias):
            walk.correct(index, adaptive, correct_bias)
        walk.advance(index)
    return walk.graph


class _Walk:
    """Both networks over all samples, operation by operation."""

    def __init__(self, float_graph: Graph, graph: Graph, samples: tuple[Array, ...], fitted: FittedLayers) -> None:
        self.float_graph, self.graph, self.fitted = float_graph, graph, fitted
        self.twins = counterparts(float_graph, graph)
        inputs = list(single(samples))
        self.exact = [dict(zip(float_graph.inputs, x, strict=True)) for x in inputs]
        self.stored = [dict(zip(graph.inputs, quantized_inputs(graph, x), strict=True)) for x in inputs]

    def advance(self, index: int) -> None:
        """Compute operation `index` for every sample, and delete values without later readers."""
        self._compute(self.graph, self.graph.ops[index:], self.stored)
        if self.twins[index] is not None:
            self._compute(self.float_graph, [op for op in self.twins[index:] if op is not None], self.exact)

    @staticmethod
    def _compute(graph: Graph, pending: Sequence[Op], samples: Sequence[dict[int, Array]]) -> None:
        op, *later = pending
        needed = {i for other in later for i in other.inputs}
        for values in samples:
            values[op.output] = evaluate(graph, op, [_value(t, values) for t in graph.ins(op)])
            for dead in values.keys() - needed:
                del values[dead]

    def correct(self, index: int, adaptive: bool, correct_bias: bool) -> None:
        """Replace weights and bias of operation `index`."""
        op, twin = self.graph.ops[index], self.twins[index]
        if twin is None:
            raise GraphError(f"{self.graph.name}: {op.kind} has no counterpart in the float network")
        _, w, *bias = self.graph.ins(op)
        moves_bias = bool(bias) and correct_bias
        stats = Statistics.total(self._statistics(op, twin))
        if adaptive:
            w = self._rounded(op, twin, stats.centred() if moves_bias else stats)
        changed = {w.id: w}
        if bias:
            real_bias = data_of(self.float_graph[twin.inputs[2]])
            missing = stats.missing(Rows.of(w, channel_axis(op)).real) if moves_bias else 0.0
            changed[bias[0].id] = self._with_bias(op, bias[0], real_bias + missing, w)
        self.graph = self.graph.with_(tensors={**self.graph.tensors, **changed})

    def _rounded(self, op: Op, twin: Op, stats: Statistics) -> Tensor:
        x, w = self.graph.ins(op)[:2]
        exact = to_rows(data_of(self.float_graph[twin.inputs[1]]), channel_axis(op))
        limit = bias_limit(w, channel_axis(op), x.dtype, int(np.abs(w.integer_values).max(initial=0)))
        floor = least_scales(self.float_graph, twin, x.qparams, self.graph.out(op).qparams, limit)
        return rounded(exact, w, channel_axis(op), stats, self.fitted[twin.output], floor)

    def _statistics(self, op: Op, twin: Op) -> Iterator[Statistics]:
        if not isinstance(op, Layer):
            raise GraphError(f"{self.graph.name}: {op.kind} has no weights, expected a layer with weights")
        x, y = self.graph[op.inputs[0]], self.graph.out(op).shape
        w = self.float_graph[twin.inputs[1]]
        rows = to_rows(data_of(w), channel_axis(op))
        for exact, stored in zip(self.exact, self.stored, strict=True):
            columns = patches(op, real(x, stored[x.id]).astype(np.float64), w.shape, y)
            exact_columns = patches(op, exact[twin.inputs[0]].astype(np.float64), w.shape, y)
            yield Statistics.of(columns, exact_columns @ rows.reshape(len(columns), -1, rows.shape[1]).swapaxes(1, 2))

    def _with_bias(self, op: Op, bias: Tensor, values: Array, w: Tensor) -> Tensor:
        x = self.graph[op.inputs[0]]
        limit = bias_limit(w, channel_axis(op), x.dtype, int(np.abs(w.integer_values).max(initial=0)))
        return stored_bias(bias, values, x.qparams, w, limit, x.dtype)


def _value(t: Tensor, known: Mapping[int, Array]) -> Array:
    return known[t.id] if t.data is None else t.data
