"""Defines every operation, in numpy. All other forms of a network are compared with it.

Float tensors are computed in float32. Integer tensors are computed exactly as by the TensorFlow Lite Micro reference
kernels, with the numbers of `integer.params`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...errors import CalibrationError
from ...ir import Array, Graph, Op, Tensor, ops
from ...ir.elementwise_table import ELEMENTWISE
from ...ir.ops import Enter
from ...ir.row_ops import OfSums, RowSum
from ...ir.running_sum import RunningSum
from .binary_ops import batch_norm, binary
from .discrete_ops import cast, compare, gather, gather_nd, select, update_slice
from .front_end_ops import KERNELS as SIGNAL_KERNELS
from .movement_ops import concat, pad, reshape, resize_nearest, slice_, transpose
from .pooling_ops import average_pool, max_pool
from .recurrent_ops import lstm
from .reduction_ops import arg_max, mean, reduce_max, reduce_min, total
from .resize_ops import resize_bilinear
from .row_sum_ops import of_sums, row_sum
from .running_sums_op import running_sum
from .softmax_op import log_softmax, softmax
from .sum_ops import add_n, cum_sum, l2_normalization
from .unary_ops import unary
from .weighted_sums import batch_matmul, weighted

Kernel = Callable[[Graph, Any, Sequence[Array]], Array | tuple[Array, ...]]
"""A kernel's result: one array, or a tuple for several outputs."""


def _both(graph: Graph, op: ops.ConvPool, inputs: Sequence[Array]) -> Array:
    return evaluate(graph, op.pool, [evaluate(graph, op.conv, inputs)])


KERNELS: Mapping[type[Op], Kernel] = {
    ops.Conv2D: weighted,
    ops.DepthwiseConv2D: weighted,
    ops.TransposeConv: weighted,
    ops.FullyConnected: weighted,
    ops.BatchMatMul: batch_matmul,
    ops.ConvPool: _both,
    ops.AvgPool2D: average_pool,
    ops.MaxPool2D: max_pool,
    **{row.op: unary if row.arity == 1 else binary for row in ELEMENTWISE.values()},
    ops.BatchNorm: batch_norm,
    ops.Softmax: softmax,
    ops.LogSoftmax: log_softmax,
    ops.Pad: pad,
    ops.Concat: concat,
    Enter: concat,
    RowSum: row_sum,
    OfSums: of_sums,
    ops.Slice: slice_,
    ops.Reshape: reshape,
    ops.Transpose: transpose,
    ops.ResizeNearest: resize_nearest,
    ops.ResizeBilinear: resize_bilinear,
    ops.Mean: mean,
    ops.Sum: total,
    RunningSum: running_sum,
    ops.ReduceMax: reduce_max,
    ops.ReduceMin: reduce_min,
    ops.ArgMax: arg_max,
    ops.Lstm: lstm,
    ops.Cast: cast,
    ops.Compare: compare,
    ops.Select: select,
    ops.Gather: gather,
    ops.GatherNd: gather_nd,
    **SIGNAL_KERNELS,
    ops.UpdateSlice: update_slice,
    ops.AddN: add_n,
    ops.CumSum: cum_sum,
    ops.L2Normalization: l2_normalization,
}


State = dict[int, Array]
"""The value of each state, by tensor id."""


def run(graph: Graph, inputs: Sequence[Array], state: State | None = None) -> list[Array]:
    """Outputs of one inference. Raises CalibrationError unless `inputs` have the shapes and types of the graph inputs.

    `state` contains the initial values of the states (`reset_state`) and is updated. Without it, each call starts from
    initial states.
    """
    values = trace(graph, inputs, state)
    return [values[i] for i in graph.outputs]


def first_outputs(graph: Graph, samples: Array) -> Array:
    """The first outputs (N, ...) of a network with one input over (N, ...) samples. States continue from sample to
    sample.
    """
    shape, state = graph[graph.inputs[0]].shape, reset_state(graph)
    return np.concatenate([run(graph, [x.reshape(shape)], state)[0] for x in samples])


def trace(graph: Graph, inputs: Sequence[Array], state: State | None = None) -> dict[int, Array]:
    """The value of every tensor in one inference, by id, including constants. For a state it is the value before the
    inference.

    `state` is as for `run`.
    """
    values = {t.id: t.data for t in graph.tensors.values() if t.data is not None}
    values |= {**_named(graph, inputs), **(state or {})}
    for op in graph.ops:
        values.update(zip(op.outputs, evaluate_all(graph, op, [values[i] for i in op.inputs]), strict=True))
    if state is not None:
        state.update({u.state: values[u.value] for u in graph.updates})
    return values


def reset_state(graph: Graph) -> State:
    """The initial states of a network."""
    return {t.id: t.value for t in graph.states}


def evaluate(graph: Graph, op: Op, inputs: Sequence[Array]) -> Array:
    """The first output of one operation for values of its inputs, with the shape and type of its tensor."""
    return evaluate_all(graph, op, inputs)[0]


def evaluate_all(graph: Graph, op: Op, inputs: Sequence[Array]) -> tuple[Array, ...]:
    """All outputs of one operation for values of its inputs, with the shapes and types of their tensors.

    Float values may overflow to infinity, and infinities may become NaN, as in hardware; callers check results if they
    need to.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        result = KERNELS[type(op)](graph, op, inputs)
        values = result if isinstance(result, tuple) else (result,)
        tensors = [graph[i] for i in op.outputs]
        return tuple(v.astype(t.dtype.numpy).reshape(t.shape) for v, t in zip(values, tensors, strict=True))


def _named(graph: Graph, inputs: Sequence[Array]) -> dict[int, Array]:
    if len(inputs) != len(graph.inputs):
        raise CalibrationError(f"graph {graph.name!r} has {len(graph.inputs)} inputs, {len(inputs)} arrays were given")
    for i, (x, tensor_id) in enumerate(zip(inputs, graph.inputs, strict=True)):
        _check_input(i, x, graph[tensor_id])
    return dict(zip(graph.inputs, inputs, strict=True))


def _check_input(i: int, x: Array, t: Tensor) -> None:
    if x.shape != t.shape or x.dtype != t.dtype.numpy:
        raise CalibrationError(
            f"input {i} ({t.name!r}) is {x.dtype} of shape {x.shape}, expected {t.dtype} of shape {t.shape}"
        )
