"""All integers that the kernel of an operation needs, derived from the scales and zero points of its tensors.

The interpreter and the C both use them, so that each arithmetic fact has one definition. `requantize`, `requantize64`
and the other functions named here are those of `fixedpoint`. Everything that TensorFlow Lite Micro accepts has the
result of its reference kernels here, to the byte, also where these ignore something (a stand-alone RELU6, MAXIMUM,
MINIMUM, int16 CONCATENATION and all data movement ignore a difference of scales). For what it rejects, the docstring
defines the result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...errors import GraphError
from ...ir import Graph, Op, ops
from ...ir.elementwise_table import ELEMENTWISE
from .conversions import AffineParams as AffineParams
from .conversions import affine_params
from .elementwise_parameters import AddParams as AddParams
from .elementwise_parameters import CompareParams as CompareParams
from .elementwise_parameters import ConcatParams as ConcatParams
from .elementwise_parameters import DivParams as DivParams
from .elementwise_parameters import LeakyReluParams as LeakyReluParams
from .elementwise_parameters import MulParams as MulParams
from .elementwise_parameters import PoolParams as PoolParams
from .elementwise_parameters import PreluParams as PreluParams
from .elementwise_parameters import RescaleParams as RescaleParams
from .elementwise_parameters import SquaredDifferenceParams as SquaredDifferenceParams
from .elementwise_parameters import (
    add_params,
    compare_params,
    concat_params,
    div_params,
    mul_params,
    pool_params,
    prelu_params,
    squared_difference_params,
)
from .recurrent_parameters import LstmParams as LstmParams
from .recurrent_parameters import lstm_params
from .reduce_parameters import LogSoftmaxParams as LogSoftmaxParams
from .reduce_parameters import MeanParams as MeanParams
from .reduce_parameters import SoftmaxParams as SoftmaxParams
from .reduce_parameters import SumParams as SumParams
from .reduce_parameters import log_softmax_params, mean_params, softmax_params, sum_params
from .unary_parameters import DequantizeParams as DequantizeParams
from .unary_parameters import HardSwish16Params as HardSwish16Params
from .unary_parameters import InterpolationParams as InterpolationParams
from .unary_parameters import LutParams as LutParams
from .unary_parameters import QuantizeParams as QuantizeParams
from .unary_parameters import SigmoidParams as SigmoidParams
from .unary_parameters import unary_params
from .weighted_parameters import ConvParams as ConvParams
from .weighted_parameters import MatMulParams as MatMulParams
from .weighted_parameters import conv_params, matmul_params

DERIVATIONS: dict[type[Op], Callable[..., Any]] = {
    ops.Conv2D: conv_params,
    ops.DepthwiseConv2D: conv_params,
    ops.TransposeConv: conv_params,
    ops.FullyConnected: conv_params,
    ops.BatchMatMul: matmul_params,
    ops.Add: add_params,
    ops.Sub: add_params,
    ops.Mul: mul_params,
    ops.Div: div_params,
    ops.SquaredDifference: squared_difference_params,
    ops.Prelu: prelu_params,
    ops.AvgPool2D: pool_params,
    ops.MaxPool2D: pool_params,
    ops.ReduceMax: pool_params,
    ops.ReduceMin: pool_params,
    ops.Concat: concat_params,
    ops.Enter: concat_params,
    **{row.op: unary_params for row in ELEMENTWISE.values() if row.arity == 1},
    ops.Softmax: softmax_params,
    ops.LogSoftmax: log_softmax_params,
    ops.Mean: mean_params,
    ops.Sum: mean_params,
    ops.Lstm: lstm_params,
    ops.Compare: compare_params,
    ops.Rescale: affine_params,
    **dict.fromkeys((ops.AddN, ops.CumSum), sum_params),
}


def params(graph: Graph, op: Op) -> Any:
    """The frozen dataclass of integers for `op` of a quantized graph. Raises GraphError if the operation has none."""
    derive = DERIVATIONS.get(type(op))
    if derive is None:
        raise GraphError(f"{op.kind} has no integer parameters: it only moves or compares stored values")
    return derive(graph, op)
