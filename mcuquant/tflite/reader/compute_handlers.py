"""Operators that compute: windows, matrices, sums and products, activations, reductions, changes of type."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...ir import Activation, DType, Padding, Pair, Shape, Tensor, ops
from ...ir.elementwise_table import ELEMENTWISE, Row
from ..schema import window_geometry
from . import tensor_reader
from .operator_node import MAX_WINDOW, Node
from .weight_reader import bias, weights

_COMPUTED = (DType.FLOAT32, DType.INT8, DType.INT16)
MAX_EXTENT = 1 << 23
"""Limit of the elements of an image with its padding, or with the zeros of a transposed convolution."""
_INDEX_TYPES = {2: DType.INT32, 4: DType.INT64}
"""Element types that ARG_MAX may write, by their numbers in the schema."""


def _typed(node: Node, *tensors: Tensor) -> None:
    """Requires that all activations have one computed type."""
    types = [t.dtype for t in tensors]
    if types[0] not in _COMPUTED or len(set(types)) > 1:
        raise node.unsupported(f"has operands of types {', '.join(types)}; expected all float32, all int8 or all int16")


# --- windows ---------------------------------------------------------------------------------------------------------


def _reach(node: Node, kernel: Pair, dilation: Pair = (1, 1)) -> Pair:
    height, width = ((k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True))
    if max(height, width) > MAX_WINDOW:
        raise node.error(f"has a window that reaches {height} x {width}, expected at most {MAX_WINDOW}")
    return height, width


def _padding(node: Node, x: Tensor, reach: Pair, stride: Pair) -> Padding:
    padding = node.padding((x.shape[1], x.shape[2]), reach, stride)
    height = x.shape[1] + padding.top + padding.bottom
    width = x.shape[2] + padding.left + padding.right
    _check_extent(node, "pads its input to", (x.shape[0], height, width, x.shape[3]))
    return padding


def _check_extent(node: Node, what: str, shape: Shape) -> None:
    if math.prod(shape) > MAX_EXTENT:
        raise node.error(
            f"{what} shape {list(shape)}, {math.prod(shape):,} elements; the most taken are {MAX_EXTENT:,}"
        )


def _out_lengths(x: Tensor, reach: Pair, stride: Pair, padding: Padding) -> Pair:
    height = x.shape[1] + padding.top + padding.bottom
    width = x.shape[2] + padding.left + padding.right
    return (
        window_geometry.valid_length(height, reach[0], stride[0]),
        window_geometry.valid_length(width, reach[1], stride[1]),
    )


def _conv(node: Node) -> None:
    node.expect(range(2, 4))
    x = node.rank(node.input(0), 4, "an input")
    w = node.rank(weights(node, 1, x, channel_axis=0), 4, "weights")
    groups, rest = divmod(x.shape[3], w.shape[3])
    if rest or w.shape[0] % groups:
        raise node.error(f"has weights of shape {list(w.shape)} for an input of {x.shape[3]} channels")
    _emit_conv(node, ops.Conv2D, x, w, w.shape[0])


def _depthwise(node: Node) -> None:
    node.expect(range(2, 4))
    x = node.rank(node.input(0), 4, "an input")
    w = node.rank(weights(node, 1, x, channel_axis=3), 4, "weights")
    multiplier, rest = divmod(w.shape[3], x.shape[3])
    stated = node.integer("depth_multiplier")
    if rest or w.shape[0] != 1 or stated not in (0, multiplier):
        actual = f"weights of shape {list(w.shape)} and depth multiplier {stated}"
        raise node.error(f"has {actual} for an input of {x.shape[3]} channels")
    _emit_conv(node, ops.DepthwiseConv2D, x, w, w.shape[3])


def _emit_conv(
    node: Node, kind: type[ops.Conv2D] | type[ops.DepthwiseConv2D], x: Tensor, w: Tensor, channels: int
) -> None:
    stride = node.pair("stride_h", "stride_w")
    dilation = node.pair("dilation_h_factor", "dilation_w_factor")
    reach = _reach(node, (w.shape[1], w.shape[2]), dilation)
    padding = _padding(node, x, reach, stride)
    inputs = (x.id, w.id, *bias(node, 2, x, w, channels))
    y = node.shaped(node.output(), (x.shape[0], *_out_lengths(x, reach, stride, padding), channels))
    _typed(node, x, y)
    activation = node.activation
    node.emit(
        kind(inputs=inputs, outputs=(y.id,), stride=stride, dilation=dilation, padding=padding, activation=activation)
    )


def _transpose_conv(node: Node) -> None:
    node.expect(range(3, 5))
    x = node.rank(node.input(2), 4, "an input")
    w = node.rank(weights(node, 1, x, channel_axis=0), 4, "weights")
    if w.shape[3] != x.shape[3]:
        raise node.error(f"has weights of shape {list(w.shape)} for an input of {x.shape[3]} channels")
    stride, kernel = node.pair("stride_h", "stride_w"), _reach(node, (w.shape[1], w.shape[2]))
    inputs = (x.id, w.id, *bias(node, 3, x, w, w.shape[0]))
    y = node.rank(node.output(), 4, "an output")
    node.shaped(y, (x.shape[0], y.shape[1], y.shape[2], w.shape[0]))
    node.shaped(y, node.integers(0, "output shape"))
    _typed(node, x, y)
    reached = [n * s + k for n, s, k in zip(x.shape[1:3], stride, kernel, strict=True)]
    _check_extent(node, "spreads its input over", (y.shape[0], *reached, y.shape[3]))
    # The word determines what is cut off at the top and left of the full output; the output's size determines the rest.
    same = node.padding((y.shape[1], y.shape[2]), kernel, stride)
    padding = Padding(top=same.top, left=same.left)
    activation = node.activation
    node.emit(ops.TransposeConv(inputs=inputs, outputs=(y.id,), stride=stride, padding=padding, activation=activation))


def _pool(node: Node, kind: type[ops.Pool]) -> None:
    node.expect(range(1, 2))
    x = node.rank(node.input(0), 4, "an input")
    window, stride = node.pair("filter_height", "filter_width"), node.pair("stride_h", "stride_w")
    padding = _padding(node, x, window, stride)
    y = node.shaped(node.output(), (x.shape[0], *_out_lengths(x, window, stride, padding), x.shape[3]))
    _typed(node, x, y)
    activation = node.activation
    node.emit(
        kind(inputs=(x.id,), outputs=(y.id,), window=window, stride=stride, padding=padding, activation=activation)
    )


# --- matrices --------------------------------------------------------------------------------------------------------


def _fully_connected(node: Node) -> None:
    node.expect(range(2, 4))
    x = node.input(0)
    w = node.rank(weights(node, 1, x, channel_axis=0), 2, "weights")
    units, depth = w.shape
    if x.elements % depth:
        raise node.error(f"has weights of shape {list(w.shape)} for an input of shape {list(x.shape)}")
    inputs = (x.id, w.id, *bias(node, 2, x, w, units))
    y, rows = node.output(), x.elements // depth
    # Rows may keep the input's leading axes or not: files contradict their own `keep_num_dims`, and readers accept it.
    node.shaped(y, y.shape if y.shape[-1:] == (units,) and y.elements == rows * units else (rows, units))
    _typed(node, x, y)
    node.emit(ops.FullyConnected(inputs=inputs, outputs=(y.id,), activation=node.activation))


def _batch_matmul(node: Node) -> None:
    node.expect(range(2, 3))
    a, b = node.input(0), node.input(1)
    adj_a, adj_b = bool(node.option("adj_x")), bool(node.option("adj_y"))
    if min(len(a.shape), len(b.shape)) < 2:
        raise node.error(f"multiplies shapes {list(a.shape)} and {list(b.shape)}, expected at least 2 axes each")
    rows, depth = a.shape[-2:] if not adj_a else a.shape[:-3:-1]
    depth_b, columns = b.shape[-2:] if not adj_b else b.shape[:-3:-1]
    if depth != depth_b:
        raise node.error(f"multiplies {rows} x {depth} by {depth_b} x {columns}")
    batch = broadcast(node, a.shape[:-2], b.shape[:-2])
    y = node.shaped(node.output(), (*batch, rows, columns))
    _typed(node, a, b, y)
    node.emit(ops.BatchMatMul(inputs=(a.id, b.id), outputs=(y.id,), adj_a=adj_a, adj_b=adj_b))


# --- elements --------------------------------------------------------------------------------------------------------


def broadcast(node: Node, a: Shape, b: Shape) -> Shape:
    rank = max(len(a), len(b))
    pairs = list(zip((1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b, strict=True))
    if any(m != n and 1 not in (m, n) for m, n in pairs):
        raise node.error(f"combines shapes {list(a)} and {list(b)}, which do not broadcast")
    return tuple(max(pair) for pair in pairs)


def _elementwise(node: Node, row: Row) -> None:
    attributes: dict[str, Any] = {name: _attribute(node, option) for name, option in row.attributes.items()}
    kind = functools.partial(row.op, **attributes)
    if row.arity == 1:
        _unary(node, kind)
    else:
        _binary(node, kind, row.plain)


def _attribute(node: Node, option: str) -> Activation | float | bool:
    """An attribute of an element-wise operation, by the field of the options that holds it."""
    if option == "fused_activation_function":
        return node.activation
    value = node.option(option)
    return value if isinstance(value, bool) else node.real(option)


def _binary(node: Node, kind: Callable[..., ops.Op], plain: Sequence[DType] = ()) -> None:
    node.expect(range(2, 3))
    a, b = node.input(0), node.input(1)
    y = node.shaped(node.output(), broadcast(node, a.shape, b.shape))
    if not a.dtype is b.dtype is y.dtype or a.dtype not in plain:
        _typed(node, a, b, y)
    node.emit(kind(inputs=(a.id, b.id), outputs=(y.id,)))


def _unary(node: Node, kind: Callable[..., ops.Op]) -> None:
    node.expect(range(1, 2))
    x = node.input(0)
    y = node.shaped(node.output(), x.shape)
    _typed(node, x, y)
    node.emit(kind(inputs=(x.id,), outputs=(y.id,)))


def _relu(node: Node, activation: Activation) -> None:
    _unary(node, functools.partial(ops.Relu, activation=activation))


def _softmax(node: Node) -> None:
    beta = node.real("beta")
    if beta <= 0:
        raise node.error(f"has beta {beta}, expected a positive number")
    node.expect(range(1, 2))
    x = node.input(0)
    y = node.shaped(node.output(), x.shape)
    if (x.dtype, y.dtype) != (DType.INT8, DType.INT16):
        _typed(node, x, y)
    node.emit(ops.Softmax(inputs=(x.id,), outputs=(y.id,), beta=beta))


def _scaled(node: Node, t: Tensor) -> Tensor:
    """An int32 tensor with the scale that the file gives it."""
    row = node.translation.file.tensors[t.id]
    if not t.is_constant:
        t = tensor_reader.scaled(t, row, node.translation.where(t.id))
        node.translation.tensors[t.id] = t
    return t


def _quantize(node: Node) -> None:
    node.expect(range(1, 2))
    x = node.input(0)
    y = node.shaped(node.output(), x.shape)
    x, y = (_scaled(node, t) if t.dtype is DType.INT32 else t for t in (x, y))
    narrow = (DType.INT8, DType.INT16)
    widens = x.dtype in narrow and y.dtype is DType.INT32
    if not (widens or (x.dtype in (*_COMPUTED, DType.INT32) and y.dtype in narrow)):
        raise node.unsupported(f"turns {x.dtype} into {y.dtype}; expected float32, int8 or int16 into int8 or int16")
    node.emit(ops.Quantize(inputs=(x.id,), outputs=(y.id,)))


def _dequantize(node: Node) -> None:
    """A dequantized constant: the constant itself in float32. Float models store weights in this way to be smaller."""
    node.expect(range(1, 2))
    x = node.input(0)
    y = node.shaped(node.output(), x.shape)
    if y.dtype is not DType.FLOAT32 or (x.dtype not in (DType.INT8, DType.INT16) and not x.is_constant):
        raise node.unsupported(f"turns {x.dtype} into {y.dtype}; expected int8 or int16 into float32")
    if x.is_constant:
        node.translation.become_constant(y, x)
    else:
        node.emit(ops.Dequantize(inputs=(x.id,), outputs=(y.id,)))


# --- reductions ------------------------------------------------------------------------------------------------------


_EXTREMES = (ops.ReduceMax, ops.ReduceMin)


def _reduce(node: Node, kind: type[ops.Reduce]) -> None:
    node.expect(range(2, 3))
    x = node.input(0)
    axes = tuple(sorted({node.axis(a, len(x.shape)) for a in node.integers(1, "axes")}))
    if not axes:
        raise node.error("reduces along no axis")
    with_ones = tuple(1 if axis in axes else n for axis, n in enumerate(x.shape))
    keep = bool(node.option("keep_dims"))
    y = node.shaped(node.output(), with_ones if keep else _without(x.shape, axes))
    if not (kind in _EXTREMES and x.dtype is y.dtype and x.is_plain):
        _typed(node, x, y)
    node.emit(kind(inputs=(x.id,), outputs=(y.id,), axes=axes))


def _without(shape: Shape, axes: Sequence[int]) -> Shape:
    return tuple(n for axis, n in enumerate(shape) if axis not in axes)


def _add_n(node: Node) -> None:
    tensors = [node.input(k) for k in range(len(node.row.inputs))]
    if len(tensors) < 2 or len({t.shape for t in tensors}) > 1 or len({t.q for t in tensors}) > 1:
        raise node.error(f"adds {len(tensors)} tensors, expected two or more of one shape and scale")
    y = node.shaped(node.output(), tensors[0].shape)
    _typed(node, *tensors, y)
    node.emit(ops.AddN(inputs=tuple(t.id for t in tensors), outputs=(y.id,)))


def _cum_sum(node: Node) -> None:
    node.expect(range(2, 3))
    x, axes = node.input(0), node.integers(1, "axis")
    if len(axes) != 1:
        raise node.error(f"works along {len(axes)} axes, expected 1")
    y = node.shaped(node.output(), x.shape)
    _typed(node, x, y)
    flags = {name: bool(node.option(name)) for name in ("exclusive", "reverse")}
    node.emit(ops.CumSum(inputs=(x.id,), outputs=(y.id,), axis=node.axis(axes[0], len(x.shape)), **flags))


def _l2_normalization(node: Node) -> None:
    if node.activation is not Activation.NONE:
        raise node.unsupported("has a fused activation; use an operator of its own after it")
    _unary(node, ops.L2Normalization)


def _l2_pool(node: Node) -> None:
    """The root of the mean of squares, of float32 alone."""
    node.expect(range(1, 2))
    x = node.rank(node.input(0), 4, "an input")
    window, stride = node.pair("filter_height", "filter_width"), node.pair("stride_h", "stride_w")
    padding = _padding(node, x, window, stride)
    y = node.shaped(node.output(), (x.shape[0], *_out_lengths(x, window, stride, padding), x.shape[3]))
    if not x.dtype is y.dtype is DType.FLOAT32:
        raise node.unsupported(f"has operands of types {x.dtype}, {y.dtype}; expected float32")
    squares, means = node.temporary(x, x.shape), node.temporary(y, y.shape)
    node.emit(ops.Square(inputs=(x.id,), outputs=(squares.id,)))
    node.emit(ops.AvgPool2D(inputs=(squares.id,), outputs=(means.id,), window=window, stride=stride, padding=padding))
    activation = node.activation
    roots = y if activation is Activation.NONE else node.temporary(y, y.shape)
    node.emit(ops.Sqrt(inputs=(means.id,), outputs=(roots.id,)))
    if roots is not y:
        node.emit(ops.Relu(inputs=(roots.id,), outputs=(y.id,), activation=activation))


def _arg_max(node: Node, x: Tensor | None = None) -> None:
    node.expect(range(2, 3))
    x, axes = x or node.input(0), node.integers(1, "axis")
    if len(axes) != 1:
        raise node.error(f"works along {len(axes)} axes, expected 1")
    axis = node.axis(axes[0], len(x.shape))
    y = node.shaped(node.output(), _without(x.shape, (axis,)))
    _typed(node, x)
    if y.dtype is not _INDEX_TYPES.get(node.integer("output_type")):
        raise node.error(f"writes {y.dtype}, expected what its output type says, int32 or int64")
    node.emit(ops.ArgMax(inputs=(x.id,), outputs=(y.id,), axis=axis))


def _arg_min(node: Node) -> None:
    """ARG_MIN as the index of the largest of ~x, which has the reverse order and the same equal values."""
    x = node.input(0)
    if x.dtype is not DType.INT8:
        raise node.error(f"looks for the least of {x.dtype}, expected int8")
    opposite = node.temporary(x, x.shape)
    node.emit(ops.Lookup(inputs=(x.id,), outputs=(opposite.id,), table=tuple(range(127, -129, -1))))
    _arg_max(node, opposite)


HANDLERS: Mapping[str, Callable[[Node], None]] = {
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "TRANSPOSE_CONV": _transpose_conv,
    "AVERAGE_POOL_2D": functools.partial(_pool, kind=ops.AvgPool2D),
    "MAX_POOL_2D": functools.partial(_pool, kind=ops.MaxPool2D),
    "FULLY_CONNECTED": _fully_connected,
    "BATCH_MATMUL": _batch_matmul,
    **{row.tflite: functools.partial(_elementwise, row=row) for row in ELEMENTWISE.values() if row.tflite},
    "RELU": functools.partial(_relu, activation=Activation.RELU),
    "RELU6": functools.partial(_relu, activation=Activation.RELU6),
    "RELU_N1_TO_1": functools.partial(_relu, activation=Activation.RELU_N1_TO_1),
    "SOFTMAX": _softmax,
    "LOG_SOFTMAX": functools.partial(_unary, kind=ops.LogSoftmax),
    "QUANTIZE": _quantize,
    "DEQUANTIZE": _dequantize,
    "MEAN": functools.partial(_reduce, kind=ops.Mean),
    "SUM": functools.partial(_reduce, kind=ops.Sum),
    "REDUCE_MAX": functools.partial(_reduce, kind=ops.ReduceMax),
    "REDUCE_MIN": functools.partial(_reduce, kind=ops.ReduceMin),
    "REDUCE_ALL": functools.partial(_reduce, kind=ops.ReduceMin),
    "REDUCE_ANY": functools.partial(_reduce, kind=ops.ReduceMax),
    "ADD_N": _add_n,
    "CUMSUM": _cum_sum,
    "L2_NORMALIZATION": _l2_normalization,
    "L2_POOL_2D": _l2_pool,
    "ARG_MAX": _arg_max,
    "ARG_MIN": _arg_min,
}
