"""Random single layers on a `Net`: each takes the id of its input and gives that of its output."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from nets import Net, padded_length, padding, same_padding

from mcuquant.ir import DType, Pair, QParams, Shape, ops
from mcuquant.ir.elementwise_table import ELEMENTWISE

Windows = tuple[Pair, Pair, Pair, ops.Padding, Pair]


def window_geometry(
    net: Net, shape: Shape, tallest: int = 4, dilate: bool = False, words_only: bool = False
) -> Windows:
    """(window, stride, dilation, padding, output height and width) that fit an image of `shape`."""
    words = ["same", "valid"] if words_only else ["same", "valid", "odd"]
    kind = net.pick(*words)
    window, stride, dilation, pads, out = [], [], [], [], []
    for size in shape[1:3]:
        dilation.append(net.size(1, 3) if dilate else 1)
        largest = tallest if kind == "same" else min(tallest, (size - 1) // dilation[-1] + 1)
        window.append(net.size(1, max(1, largest)))
        stride.append(1 if dilate else net.size(1, 3))
        reach = (window[-1] - 1) * dilation[-1] + 1
        odd = (net.size(0, reach - 1), net.size(0, reach - 1)) if reach > 1 else (0, 0)
        pads.append({"same": same_padding(size, reach, stride[-1]), "valid": (0, 0), "odd": odd}[kind])
        out.append(padded_length(size, reach, stride[-1], pads[-1]))
    return tuple(window), tuple(stride), tuple(dilation), padding(*pads), tuple(out)  # type: ignore[return-value]


def conv2d(net: Net, x: int, outputs: int = 0, groups: int = 1, left_shift: bool = False, **form: Any) -> int:
    """`form`: pointwise, tallest, dilate; per_channel and bits of the weights; bias (False, or its type)."""
    shape = net.shape(x)
    tallest = 1 if form.get("pointwise") else form.get("tallest", 4)
    window, stride, dilation, pad, out = window_geometry(net, shape, tallest, form.get("dilate", False))
    outputs = outputs or groups * net.size(1, 3 if groups > 1 else 9)
    depth = shape[3] // groups
    w = net.weights(
        (outputs, *window, depth), 0, form.get("per_channel", True), form.get("bits", 8), 1 if left_shift else None
    )
    terms = window[0] * window[1] * depth
    y = net.sum_quant(x, w, terms, left_shift)
    attributes = {"stride": stride, "dilation": dilation, "padding": pad, "activation": net.activation()}
    inputs = _with_bias(net, x, w, outputs, terms, form.get("bias", True))
    return net.apply(ops.Conv2D, inputs, (1, *out, outputs), y, **attributes)


def same_size_conv(net: Net, x: int) -> int:
    n, h, w, c = net.shape(x)
    k = net.pick(1, 3)
    weights = net.weights((c, k, k, c), 0)
    pads = same_padding(h, k, 1), same_padding(w, k, 1)
    inputs = _with_bias(net, x, weights, c, k * k * c, True)
    return net.apply(ops.Conv2D, inputs, (n, h, w, c), net.sum_quant(x, weights, k * k * c), padding=padding(*pads))


def _with_bias(net: Net, x: int, w: int, outputs: int, terms: int, bias: bool | DType) -> tuple[int, ...]:
    if bias is False:
        return x, w
    return x, w, net.bias(x, w, outputs, terms, None if bias is True else bias)


def depthwise(net: Net, x: int, multiplier: int = 1, **form: Any) -> int:
    shape = net.shape(x)
    window, stride, dilation, pad, out = window_geometry(net, shape, form.get("tallest", 4), form.get("dilate", False))
    outputs = shape[3] * multiplier
    w = net.weights((1, *window, outputs), 3, form.get("per_channel", True), form.get("bits", 8))
    terms = window[0] * window[1]
    inputs = _with_bias(net, x, w, outputs, terms, form.get("bias", True))
    attributes = {"stride": stride, "dilation": dilation, "padding": pad, "activation": net.activation()}
    return net.apply(ops.DepthwiseConv2D, inputs, (1, *out, outputs), net.sum_quant(x, w, terms), **attributes)


def transpose_conv(net: Net, x: int, **form: Any) -> int:
    """Padding as SAME, VALID, or with rows and columns cut off beyond either."""
    shape, window, stride = net.shape(x), (net.size(1, 4), net.size(1, 4)), (net.size(1, 3), net.size(1, 3))
    kind, outputs = net.pick("same", "valid", "cut"), net.size(1, 6)
    crops, out = [], []
    for size, k, s in zip(shape[1:3], window, stride, strict=True):
        full = (size - 1) * s + k
        longest = size * s if kind == "same" else full
        before = same_padding(longest, k, s)[0] if kind == "same" else 0
        if kind == "cut" and full > 2:
            before, longest = net.size(0, 1), full - 2
        crops.append(before)
        out.append(longest)
    pad = padding((crops[0], 0), (crops[1], 0))
    w = net.weights((outputs, *window, shape[3]), 0, form.get("per_channel", True), form.get("bits", 8))
    terms = max(1, shape[3] * window[0] * window[1] // (stride[0] * stride[1]))
    inputs = _with_bias(net, x, w, outputs, terms, form.get("bias", True))
    attributes = {"stride": stride, "padding": pad, "activation": net.activation()}
    return net.apply(ops.TransposeConv, inputs, (1, *out, outputs), net.sum_quant(x, w, terms), **attributes)


def fully_connected(net: Net, x: int, outputs: int = 0, left_shift: bool = False, **form: Any) -> int:
    shape = net.shape(x)
    depth, outputs = shape[-1] if form.get("rows") else int(np.prod(shape)), outputs or net.size(1, 12)
    w = net.weights((outputs, depth), 0, form.get("per_channel", False), form.get("bits", 8), 1 if left_shift else None)
    inputs = _with_bias(net, x, w, outputs, depth, form.get("bias", True))
    y_shape = (*shape[:-1], outputs) if form.get("rows") else (1, outputs)
    y = net.sum_quant(x, w, depth, left_shift)
    return net.apply(ops.FullyConnected, inputs, y_shape, y, activation=net.activation())


def batch_matmul(net: Net, a: int) -> int:
    """The other factor is a constant or a second input, with or without the leading axes."""
    shape = net.shape(a)
    adj_a, adj_b, columns = net.pick(False, True), net.pick(False, True), net.size(1, 7)
    rows, depth = (shape[-1], shape[-2]) if adj_a else shape[-2:]
    lead = shape[:-2]
    b_shape = (*lead, columns, depth) if adj_b else (*lead, depth, columns)
    q = net.quant(net.dtype)
    b = net.input(b_shape) if net.pick(False, True) else _random_constant(net, b_shape, q)
    y = None
    if q is not None:
        unit = net.scale(a) * net.scale(b) * net.tensors[a].dtype.range()[1] * np.sqrt(depth)
        y = net.quant(net.dtype, unit * net.rng.uniform(0.5, 2))
    return net.apply(ops.BatchMatMul, (a, b), (*lead, rows, columns), y, adj_a=adj_a, adj_b=adj_b)


def _random_constant(net: Net, shape: Shape, q: QParams | None) -> int:
    if q is None:
        return net.constant(net.rng.normal(0, 1, shape), DType.FLOAT32)
    low, high = net.dtype.range()
    return net.constant(net.rng.integers(low, high + 1, shape), net.dtype, q)


def pool(net: Net, x: int, kind: type[ops.Pool], rescale: bool = False, words_only: bool = True) -> int:
    window, stride, _, pad, out = window_geometry(net, net.shape(x), 5, words_only=words_only)
    y = None if rescale else net.tensors[x].q
    attributes = {"window": window, "stride": stride, "padding": pad, "activation": net.activation()}
    return net.apply(kind, (x,), (1, *out, net.shape(x)[3]), y, **attributes)


def binary(net: Net, a: int, kind: type[ops.Binary], b: int | None = None, broadcast: bool = False) -> int:
    """The second operand is `b`, or a new input or constant; `broadcast` drops axes of either to 1 or altogether."""
    shape = net.shape(a)
    if b is None:
        other = tuple(net.pick(1, n) for n in shape)[net.size(0, len(shape) - 1) :] if broadcast else shape
        b = net.input(other) if net.pick(False, True) else _random_constant(net, other, net.quant(net.dtype))
    operands = (b, a) if net.pick(False, True) else (a, b)
    attributes = {"activation": net.activation()} if "activation" in ELEMENTWISE[kind].attributes else {}
    if kind in (ops.Prelu,):
        operands = (a, b)
    return net.apply(kind, operands, shape, _binary_quant(net, kind, a, b), **attributes)


def _binary_quant(net: Net, kind: type[ops.Binary], a: int, b: int) -> QParams | None:
    if net.dtype is DType.FLOAT32:
        return None
    if kind is ops.Mul:
        unit = net.scale(a) * net.scale(b) * (net.dtype.range()[1] + 1)
        return net.quant(net.dtype, unit * net.rng.uniform(0.1, 1.5))
    if kind is ops.SquaredDifference:
        widest = 2 * max(net.scale(a), net.scale(b)) * net.dtype.range()[1]
        return net.quant(net.dtype, widest * widest / net.dtype.range()[1] * net.rng.uniform(0.1, 1))
    if kind is ops.Div:
        return net.quant(net.dtype, net.scale(a) / net.scale(b) * net.rng.uniform(0.02, 1))
    if kind is ops.Prelu:
        return net.quant(net.dtype, net.scale(a) * max(1.0, net.scale(b) * 64) * net.rng.uniform(0.3, 2))
    if kind in (ops.Add, ops.Sub):
        return net.quant(net.dtype, max(net.scale(a), net.scale(b)) * net.rng.uniform(0.3, 2))
    return net.tensors[a].q


def relu(net: Net, x: int, activation: ops.Activation) -> int:
    y = net.tensors[x].q if activation is ops.Activation.RELU6 else near(net, x)
    return net.apply(ops.Relu, (x,), net.shape(x), y, activation=activation)


def leaky_relu(net: Net, x: int) -> int:
    alpha = float(np.float32(net.pick(0.01, 0.1, 0.3, -0.2, 1.7, net.rng.uniform(0, 1))))
    return net.apply(ops.LeakyRelu, (x,), net.shape(x), near(net, x), alpha=alpha)


def curve(net: Net, x: int, kind: type[ops.Unary]) -> int:
    """Logistic and Tanh, whose output quantisation is fixed by their kernels."""
    limit = 1 << (net.dtype.bits - 1) if net.dtype.is_integer else 1
    logistic8 = kind is ops.Logistic and net.dtype is DType.INT8
    y = net.quant(net.dtype, 1 / (2 * limit if logistic8 else limit), -128 if logistic8 else 0)
    return net.apply(kind, (x,), net.shape(x), y)


def function(net: Net, x: int, kind: type[ops.Unary]) -> int:
    """A function of one variable that has no attributes set; where it is defined from 0 on, the input is."""
    row = ELEMENTWISE[kind]
    if row.least is not None and net.tensors[x].q is not None and net.dtype is DType.INT8:
        net.tensors[x] = replace(net.tensors[x], q=QParams.of(net.scale(x), -128))
    y = None
    if net.dtype.is_integer:
        most = net.dtype.range()[1]
        y = net.quant(net.dtype, _REACH.get(kind, lambda reach: reach)(net.scale(x) * most) / most)
    return net.apply(kind, (x,), net.shape(x), y)


_REACH: Mapping[type[ops.Op], Callable[[float], float]] = {
    ops.Exp: lambda most: float(np.exp(min(most, 8.0))),
    ops.Log: lambda _: 6.0,
    ops.Rsqrt: lambda most: float((most / 20) ** -0.5),
    ops.Reciprocal: lambda most: 20 / most,
    ops.Square: lambda most: most * most,
    ops.Sqrt: lambda most: float(most**0.5),
    **dict.fromkeys((ops.Sin, ops.Cos, ops.HardSigmoid), lambda _: 1.0),
}
"""About the largest result for inputs up to so much."""


def lookup(net: Net, x: int) -> int:
    table = tuple(int(v) for v in net.rng.integers(-128, 128, 256))
    return net.apply(ops.Lookup, (x,), net.shape(x), table=table)


def hard_swish(net: Net, x: int) -> int:
    return net.apply(ops.HardSwish, (x,), net.shape(x), near(net, x))


def near(net: Net, x: int) -> QParams | None:
    """A quantisation whose scale is 0.4 to 2.5 times that of x."""
    if net.dtype is DType.FLOAT32:
        return None
    return net.quant(net.dtype, net.scale(x) * float(np.exp(net.rng.uniform(-0.9, 0.9))))


def quantize(net: Net, x: int, to: DType) -> int:
    source = net.tensors[x]
    ratio = 2.0 ** (source.dtype.bits - to.bits)
    scale = 0.05 if source.q is None else source.scale * ratio * float(np.exp(net.rng.uniform(-1.5, 1.5)))
    return net.apply(ops.Quantize, (x,), net.shape(x), net.quant(to, scale), dtype=to)


def dequantize(net: Net, x: int) -> int:
    return net.apply(ops.Dequantize, (x,), net.shape(x), dtype=DType.FLOAT32)


def softmax(net: Net, x: int, to: DType | None = None) -> int:
    to = to or net.dtype
    scales = {
        (DType.INT8, DType.INT8): 1 / 256,
        (DType.INT8, DType.INT16): 1 / 65536,
        (DType.INT16, DType.INT16): 1 / 32768,
    }
    zero = {(DType.INT8, DType.INT8): -128, (DType.INT8, DType.INT16): -32768}.get((net.dtype, to), 0)
    y = net.quant(to, scales.get((net.dtype, to)), zero)
    return net.apply(ops.Softmax, (x,), net.shape(x), y, dtype=to, beta=net.pick(1.0, 1.0, 0.5, 2.0))


def log_softmax(net: Net, x: int) -> int:
    return net.apply(ops.LogSoftmax, (x,), net.shape(x), net.quant(net.dtype, 1 / 16, 127))


def pad(net: Net, x: int, with_value: bool = False) -> int:
    pads = tuple((0, 0) if n == 0 else (net.size(0, 2), net.size(0, 2)) for n in range(len(net.shape(x))))
    shape = tuple(n + sum(p) for n, p in zip(net.shape(x), pads, strict=True))
    value = None
    if with_value:
        value = float(net.size(-5, 5)) if net.dtype is DType.FLOAT32 else net.size(*net.dtype.range())
    return net.apply(ops.Pad, (x,), shape, net.tensors[x].q, pads=pads, value=value)


def reduce(net: Net, x: int, kind: type[ops.Reduce], y: QParams | None = None) -> int:
    y = y or (net.tensors[x].q if kind in (ops.ReduceMax, ops.ReduceMin) else None)
    shape = net.shape(x)
    axes = tuple(sorted(net.rng.choice(range(1, len(shape)), net.size(1, len(shape) - 1), replace=False).tolist()))
    keep = net.pick(False, True)
    kept = tuple(1 if i in axes else n for i, n in enumerate(shape) if keep or i not in axes)
    return net.apply(kind, (x,), kept, y, axes=axes)


def mean(net: Net, x: int) -> int:
    return reduce(net, x, ops.Mean, near(net, x))


def total(net: Net, x: int) -> int:
    y = None if net.dtype is DType.FLOAT32 else net.quant(net.dtype, net.scale(x) * net.rng.uniform(1, 6))
    return reduce(net, x, ops.Sum, y)


def reduce_max(net: Net, x: int, rescale: bool = False) -> int:
    return reduce(net, x, ops.ReduceMax, near(net, x) if rescale else net.tensors[x].q)


def arg_max(net: Net, x: int) -> int:
    shape = net.shape(x)
    axis = net.size(1, len(shape) - 1)
    return net.apply(ops.ArgMax, (x,), shape[:axis] + shape[axis + 1 :], axis=axis, dtype=DType.INT32)


def concat(net: Net, x: int, differing: bool = False) -> int:
    shape = net.shape(x)
    axis = net.size(1, len(shape) - 1)
    parts = [x]
    for _ in range(net.size(1, 3)):
        part = net.input((*shape[:axis], net.size(1, 4), *shape[axis + 1 :]))
        if not differing:
            net.tensors[part] = replace(net.tensors[part], q=net.tensors[x].q)
        parts.append(part)
    length = sum(net.shape(p)[axis] for p in parts)
    y = near(net, x) if differing else net.tensors[x].q
    return net.apply(ops.Concat, tuple(parts), (*shape[:axis], length, *shape[axis + 1 :]), y, axis=axis)


def slice_(net: Net, x: int) -> int:
    begins, steps, sizes = [], [], []
    for n in net.shape(x):
        step = net.pick(1, 1, 2, 3, -1, -2)
        begin = net.size(0, n - 1)
        room = (n - 1 - begin) // step if step > 0 else begin // -step
        begins.append(begin)
        steps.append(step)
        sizes.append(net.size(1, room + 1))
    return net.apply(ops.Slice, (x,), tuple(sizes), net.tensors[x].q, begin=tuple(begins), step=tuple(steps))


def reshape(net: Net, x: int) -> int:
    n = int(np.prod(net.shape(x)))
    rows = net.pick(*[d for d in range(1, n + 1) if n % d == 0])
    return net.apply(ops.Reshape, (x,), (1, rows, n // rows), net.tensors[x].q)


def transpose(net: Net, x: int) -> int:
    perm = tuple(int(p) for p in net.rng.permutation(len(net.shape(x))))
    return net.apply(ops.Transpose, (x,), tuple(net.shape(x)[p] for p in perm), net.tensors[x].q, perm=perm)


def resize_bilinear(net: Net, x: int) -> int:
    n, _, _, c = net.shape(x)
    corners, centers = net.pick((False, False), (True, False), (False, True))
    size = (net.size(1, 11), net.size(1, 11))
    options = {"align_corners": corners, "half_pixel_centers": centers}
    return net.apply(ops.ResizeBilinear, (x,), (n, *size, c), net.tensors[x].q, **options)


def resize_nearest(net: Net, x: int) -> int:
    n, _, _, c = net.shape(x)
    corners, centers = net.pick((False, False), (True, False), (False, True), (True, True))
    size = (net.size(1, 11), net.size(1, 11))
    options = {"align_corners": corners, "half_pixel_centers": centers}
    return net.apply(ops.ResizeNearest, (x,), (n, *size, c), net.tensors[x].q, **options)
