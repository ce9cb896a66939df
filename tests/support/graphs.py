"""Random graphs of one operation, by name of its form, and of many: what every other form of a network is tested on.

graph = GENERATORS["conv2d_dilated"](np.random.default_rng(7))
inputs = random_inputs(rng, graph)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import layers
import numpy as np
from nets import Net, random_inputs

from mcuquant.ir import DType, Graph, Shape, ops
from mcuquant.ir.elementwise_table import ELEMENTWISE, Rule

__all__ = ["FLOAT_GENERATORS", "GENERATORS", "OUTSIDE_TFLM", "random_inputs", "random_network"]

Generator = Callable[[np.random.Generator], Graph]
Layer = Callable[..., int]
INT8, INT16, FLOAT32 = DType.INT8, DType.INT16, DType.FLOAT32
RELU, RELU6, RELU_N1 = ops.Activation.RELU, ops.Activation.RELU6, ops.Activation.RELU_N1_TO_1


def image(net: Net) -> Shape:
    return 1, net.size(1, 10), net.size(1, 10), net.size(1, 9)


def signal(net: Net) -> Shape:
    return 1, 1, net.size(4, 30), net.size(1, 6)


def deep_image(net: Net) -> Shape:
    return 1, net.size(2, 6), net.size(2, 6), net.pick(4, 8, 12)


def row(net: Net) -> Shape:
    return 1, net.size(1, 40)


def rows(net: Net) -> Shape:
    return 1, net.size(1, 5), net.size(1, 20)


def many_rows(net: Net) -> Shape:
    return 1, net.size(16, 20), net.size(32, 40)


def any_rank(net: Net) -> Shape:
    return (1, *(net.size(1, 6) for _ in range(net.size(1, 3))))


def matrices(net: Net) -> Shape:
    return (*net.pick((), (1,), (1, 2)), net.size(1, 6), net.size(1, 12))


BINARIES = tuple(op for op, row in ELEMENTWISE.items() if row.arity == 2)
SPECIAL = (ops.Relu, ops.LeakyRelu, ops.Logistic, ops.Tanh, ops.HardSwish, ops.Quantize, ops.Dequantize, ops.Lookup)
"""Operations whose random graphs are written out: they have attributes or prescribed scales."""
FUNCTIONS = tuple(op for op, row in ELEMENTWISE.items() if row.arity == 1 and op not in SPECIAL)


def snake(name: str) -> str:
    """'HardSigmoid' to 'hard_sigmoid'."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


POLES = {"log", "reciprocal"}
"""Forms whose real function is infinite at 0, which TensorFlow Lite Micro turns into any integer."""


def _outside_tflm() -> set[str]:
    """Forms of functions that the interpreter of TensorFlow Lite Micro does not have."""
    rows = {snake(op.__name__): ELEMENTWISE[op] for op in FUNCTIONS}
    return {*POLES, *(f"{name}_int16" for name, row in rows.items() if INT16 not in row.tflm)}


def _one(layer: Layer, shape: Callable[[Net], Shape], dtype: DType, rng: np.random.Generator, **form: Any) -> Graph:
    net = Net(rng, dtype)
    x = net.input(shape(net), form.pop("source", dtype))
    return net.graph(layer(net, x, **form), name=layer.__name__)


def _forms(dtype: DType) -> dict[str, Generator]:
    """Every operation that all element types have."""

    def of(layer: Layer, shape: Callable[[Net], Shape], **form: Any) -> Generator:
        return lambda rng: _one(layer, shape, dtype, rng, **form)

    binaries = {
        f"{kind.__name__.lower()}{'_broadcast' if wide else ''}": of(layers.binary, any_rank, kind=kind, broadcast=wide)
        for kind in BINARIES
        if dtype is FLOAT32 or ELEMENTWISE[kind].rule(dtype) is not Rule.NONE
        for wide in (False, True)
    }
    functions = {snake(kind.__name__): of(layers.function, any_rank, kind=kind) for kind in FUNCTIONS}
    return (
        binaries
        | functions
        | {
            "conv2d": of(layers.conv2d, image),
            "conv2d_dilated": of(layers.conv2d, image, dilate=True),
            "conv2d_groups": of(layers.conv2d, deep_image, groups=4),
            "conv2d_no_bias": of(layers.conv2d, image, bias=False),
            "conv2d_pointwise": of(layers.conv2d, image, pointwise=True),
            "conv2d_signal": of(layers.conv2d, signal, tallest=7),
            "depthwise": of(layers.depthwise, image),
            "depthwise_dilated": of(layers.depthwise, image, dilate=True),
            "depthwise_multiplier": of(layers.depthwise, image, multiplier=3),
            "depthwise_signal": of(layers.depthwise, signal, tallest=7),
            "transpose_conv": of(layers.transpose_conv, image),
            "transpose_conv_no_bias": of(layers.transpose_conv, image, bias=False),
            "fully_connected": of(layers.fully_connected, row),
            "fully_connected_no_bias": of(layers.fully_connected, row, bias=False),
            "fully_connected_rows": of(layers.fully_connected, rows, rows=True),
            "batch_matmul": of(layers.batch_matmul, matrices),
            "avg_pool": of(layers.pool, image, kind=ops.AvgPool2D),
            "avg_pool_padded": of(layers.pool, image, kind=ops.AvgPool2D, words_only=False),
            "max_pool": of(layers.pool, image, kind=ops.MaxPool2D),
            "max_pool_padded": of(layers.pool, image, kind=ops.MaxPool2D, words_only=False),
            "relu": of(layers.relu, any_rank, activation=RELU),
            "relu6": of(layers.relu, any_rank, activation=RELU6),
            "relu_n1_to_1": of(layers.relu, any_rank, activation=RELU_N1),
            "leaky_relu": of(layers.leaky_relu, any_rank),
            "logistic": of(layers.curve, any_rank, kind=ops.Logistic),
            "tanh": of(layers.curve, any_rank, kind=ops.Tanh),
            "hard_swish": of(layers.hard_swish, any_rank),
            "softmax": of(layers.softmax, rows),
            "pad": of(layers.pad, any_rank),
            "pad_value": of(layers.pad, any_rank, with_value=True),
            "mean": of(layers.mean, image),
            "sum": of(layers.total, image),
            "reduce_min": of(layers.reduce, image, kind=ops.ReduceMin),
            "resize_bilinear": of(layers.resize_bilinear, image),
            "reduce_max": of(layers.reduce_max, image),
            "arg_max": of(layers.arg_max, any_rank),
            "concat": of(layers.concat, any_rank),
            "slice": of(layers.slice_, any_rank),
            "reshape": of(layers.reshape, any_rank),
            "transpose": of(layers.transpose, any_rank),
            "resize_nearest": of(layers.resize_nearest, image),
        }
    )


def _int8_only() -> dict[str, Generator]:
    def of(layer: Layer, shape: Callable[[Net], Shape], **form: Any) -> Generator:
        return lambda rng: _one(layer, shape, INT8, rng, **form)

    return {
        "conv2d_per_tensor": of(layers.conv2d, image, per_channel=False),
        "conv2d_left_shift": of(layers.conv2d, image, left_shift=True),
        "conv2d_int4": of(layers.conv2d, image, bits=4),
        "depthwise_per_tensor": of(layers.depthwise, image, per_channel=False),
        "depthwise_int4": of(layers.depthwise, image, bits=4),
        "transpose_conv_int4": of(layers.transpose_conv, image, bits=4),
        "fully_connected_per_channel": of(layers.fully_connected, row, per_channel=True),
        "fully_connected_left_shift": of(layers.fully_connected, row, left_shift=True),
        "fully_connected_int4": of(layers.fully_connected, row, bits=4),
        "fully_connected_int4_per_channel": of(layers.fully_connected, row, bits=4, per_channel=True),
        "avg_pool_rescaled": of(layers.pool, image, kind=ops.AvgPool2D, rescale=True),
        "max_pool_rescaled": of(layers.pool, image, kind=ops.MaxPool2D, rescale=True),
        "reduce_max_rescaled": of(layers.reduce_max, image, rescale=True),
        "concat_rescaled": of(layers.concat, any_rank, differing=True),
        "log_softmax": of(layers.log_softmax, rows),
        "lookup": of(layers.lookup, any_rank),
        "quantize": of(layers.quantize, any_rank, to=INT8),
        "quantize_float": of(layers.quantize, any_rank, to=INT8, source=FLOAT32),
        "dequantize": of(layers.dequantize, any_rank),
        "softmax_table": of(layers.softmax, many_rows),
        "softmax_to_int16": of(layers.softmax, rows, to=INT16),
    }


def _int16_only() -> dict[str, Generator]:
    def of(layer: Layer, shape: Callable[[Net], Shape], **form: Any) -> Generator:
        return lambda rng: _one(layer, shape, INT16, rng, **form)

    return {
        "conv2d_int32_bias": of(layers.conv2d, image, bias=DType.INT32),
        "conv2d_int4": of(layers.conv2d, image, bits=4),
        "fully_connected_int32_bias": of(layers.fully_connected, row, bias=DType.INT32),
        "fully_connected_per_channel": of(layers.fully_connected, row, per_channel=True),
        "quantize": of(layers.quantize, any_rank, to=INT16),
        "quantize_to_int8": of(layers.quantize, any_rank, to=INT8),
        "quantize_from_int8": of(layers.quantize, any_rank, to=INT16, source=INT8),
        "quantize_float": of(layers.quantize, any_rank, to=INT16, source=FLOAT32),
        "dequantize": of(layers.dequantize, any_rank),
    }


GENERATORS: dict[str, Generator] = {
    **_forms(INT8),
    **_int8_only(),
    **{f"{name}_int16": generator for name, generator in (_forms(INT16) | _int16_only()).items()},
}
"""Quantised graphs of one operation, int8 unless the name ends in _int16."""

FLOAT_GENERATORS: dict[str, Generator] = _forms(FLOAT32)
"""Float graphs of one operation."""

OUTSIDE_TFLM = frozenset(
    {
        *_outside_tflm(),
        *("div", "div_broadcast", "prelu_int16", "prelu_broadcast_int16", "reduce_min_int16", "resize_bilinear_int16"),
        *("avg_pool_padded", "avg_pool_padded_int16", "avg_pool_rescaled", "max_pool_rescaled", "reduce_max_rescaled"),
        *("concat_rescaled", "relu_n1_to_1", "relu_n1_to_1_int16", "hard_swish_int16", "reduce_max_int16"),
        *("arg_max_int16", "transpose_conv_int4", "fully_connected_int4_per_channel", "conv2d_int4_int16"),
    }
)
"""Forms that the TensorFlow Lite Micro interpreter refuses, or that .tflite cannot express."""


def random_network(rng: np.random.Generator) -> Graph:
    """An int8 image network of several layers with branches, all of it known to TFLM; one or two outputs."""
    net = Net(rng)
    x = net.input((1, net.size(5, 12), net.size(5, 12), net.size(1, 4)))
    for _ in range(net.size(3, 7)):
        x = net.pick(*_STEPS)(net, x)
    outputs = [x] if net.pick(False, True) else [x, layers.mean(net, x)]
    if net.pick(False, True):
        logits = layers.fully_connected(net, x, outputs=net.size(2, 6))
        is_flat = net.scale(logits) < 1e-6  # softmax refuses an input that moves next to nothing
        outputs[0] = logits if is_flat else layers.softmax(net, logits)
    return net.graph(*outputs, name="network")


def _residual(net: Net, x: int) -> int:
    y = layers.same_size_conv(net, x)
    return layers.binary(net, y, ops.Add, b=x)


def _gated(net: Net, x: int) -> int:
    """Squeeze and excite: channels scaled by a function of their means."""
    y = net.apply(ops.Mean, (x,), (1, 1, 1, net.shape(x)[3]), layers.near(net, x), axes=(1, 2))
    gate = layers.curve(net, layers.conv2d(net, y, outputs=net.shape(x)[3], pointwise=True), ops.Logistic)
    return layers.binary(net, x, ops.Mul, b=gate)


def _joined(net: Net, x: int) -> int:
    """Two paths, requantised to one scale, side by side."""
    like = net.tensors[x].q
    parts = [net.apply(ops.Quantize, (layers.same_size_conv(net, x),), net.shape(x), like) for _ in range(2)]
    n, h, w, c = net.shape(x)
    return net.apply(ops.Concat, tuple(parts), (n, h, w, 2 * c), like, axis=3)


_STEPS: tuple[Layer, ...] = (
    *(layers.conv2d, layers.depthwise, _residual, _gated, _joined, layers.leaky_relu, layers.hard_swish, layers.pad),
    partial(layers.conv2d, pointwise=True),
    partial(layers.conv2d, bits=4),
    partial(layers.depthwise, multiplier=2),
    partial(layers.pool, kind=ops.MaxPool2D),
    partial(layers.pool, kind=ops.AvgPool2D),
    partial(layers.relu, activation=RELU6),
    partial(layers.curve, kind=ops.Tanh),
)
