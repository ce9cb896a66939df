"""Operators with weights: convolution, linear layer, batch normalization.

A signal (N,C,L) is an image of height 1, so that one path serves both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import ir
from .axis_order import Value
from .net_builder import Array, Call, OnGrid, RefusalError, elements


def as_image(value: Value, rank: int) -> Value:
    """(N,C,L) as (N,C,1,L); an image is unchanged. `rank` is the one that the operator requires."""
    if value.rank != rank:
        raise RefusalError(f"its input has shape {value.shape}; expected {rank} axes, the batch first")
    return value if rank == 4 else Value(value.tensor, value.where[:, :, None, :])


def from_image(image: Value, rank: int) -> Value:
    """The inverse of `as_image` for the result."""
    return image if rank == 4 else Value(image.tensor, image.where[:, :, 0, :])


def lifted(pair: tuple[int, ...], along_height: int) -> tuple[int, int]:
    """A window parameter of a signal or an image as (along the height, along the width)."""
    return (along_height, pair[0]) if len(pair) == 1 else (pair[0], pair[1])


def convolution(call: Call) -> Value:
    if call.get("transposed", False):
        return transposed_convolution(call)
    weight = call.constant("weight")
    if weight is None or weight.ndim not in (3, 4):
        raise RefusalError("only 1-D and 2-D convolutions are translated")
    image = as_image(call.value("input"), weight.ndim)
    kernel = weight if weight.ndim == 4 else weight[:, :, None, :]
    return from_image(convolve(call, image, kernel, weight.ndim - 2), weight.ndim)


def convolve(call: Call, image: Value, weight: Array, spatial: int) -> Value:
    stride, dilation = (lifted(call.numbers(key, spatial, 1), 1) for key in ("stride", "dilation"))
    reach = tuple(d * (k - 1) + 1 for d, k in zip(dilation, weight.shape[2:], strict=True))
    padding = _padding(call, reach, spatial)
    laid = call.net.canonical(image)
    batch, height, width, channels = laid.shape
    rows = (height + padding.top + padding.bottom - reach[0]) // stride[0] + 1
    columns = (width + padding.left + padding.right - reach[1]) // stride[1] + 1
    kind, stored = _kernel(weight, channels, call.get("groups", 1))
    axis = 3 if kind is ir.DepthwiseConv2D else 0
    inputs = [laid.tensor, call.net.constant(stored, call.label("weight"), axis), *_bias(call, call.constant("bias"))]
    shape = (batch, rows, columns, weight.shape[0])
    output = call.emit(kind, inputs, shape, stride=stride, dilation=dilation, padding=padding)
    return call.net.result(output, (batch, weight.shape[0], rows, columns))


def _kernel(weight: Array, channels: int, groups: int) -> tuple[type[ir.Op], Array]:
    """torch's (O, I/groups, KH, KW) as (O,KH,KW,I/groups), or as (1,KH,KW,O) for a depthwise convolution."""
    if groups == channels and groups > 1:
        return ir.DepthwiseConv2D, weight[:, 0].transpose(1, 2, 0)[None]
    return ir.Conv2D, weight.transpose(0, 2, 3, 1)


def _padding(call: Call, reach: tuple[int, ...], spatial: int) -> ir.Padding:
    """'same' puts an odd row or column last, as torch does."""
    word = call.get("padding", 0)
    if word == "same":
        (top, bottom), (left, right) = (((r - 1) // 2, r // 2) for r in reach)
        return ir.Padding(top=top, bottom=bottom, left=left, right=right)
    vertical, horizontal = (0, 0) if word == "valid" else lifted(call.numbers("padding", spatial, 0), 0)
    return ir.Padding(top=vertical, bottom=vertical, left=horizontal, right=horizontal)


def transposed_convolution(call: Call) -> Value:
    """The kernel with zeros between its taps for dilation, and between groups."""
    weight = call.constant("weight")
    if weight is None or weight.ndim not in (3, 4):
        raise RefusalError("only 1-D and 2-D transposed convolutions are translated")
    spatial = weight.ndim - 2
    image = as_image(call.value("input"), weight.ndim)
    stride, dilation = (lifted(call.numbers(key, spatial, 1), 1) for key in ("stride", "dilation"))
    pads, more = (lifted(call.numbers(key, spatial, 0), 0) for key in ("padding", "output_padding"))
    kernel = _spread_taps(weight if spatial == 2 else weight[:, :, None, :], dilation, call.get("groups", 1))
    laid = call.net.canonical(image)
    rows, columns = (
        (size - 1) * s - 2 * p + k + extra
        for size, s, p, k, extra in zip(laid.shape[1:3], stride, pads, kernel.shape[2:], more, strict=True)
    )
    stored = np.asarray(kernel.transpose(1, 2, 3, 0), np.float32)
    inputs = [laid.tensor, call.net.constant(stored, call.label("weight")), *_bias(call, call.constant("bias"))]
    padding = ir.Padding(top=pads[0], left=pads[1])
    shape = (image.shape[0], rows, columns, stored.shape[0])
    output = call.emit(ir.TransposeConv, inputs, shape, stride=stride, padding=padding)
    return from_image(call.net.result(output, (image.shape[0], stored.shape[0], rows, columns)), weight.ndim)


def _spread_taps(weight: Array, dilation: tuple[int, int], groups: int) -> Array:
    """(I, O/groups, KH, KW) as (I, O, ...) without dilation and groups."""
    inputs, depth, height, width = weight.shape
    each = inputs // groups
    reach = ((height - 1) * dilation[0] + 1, (width - 1) * dilation[1] + 1)
    kernel = np.zeros((inputs, depth * groups, *reach), np.float32)
    for group in range(groups):
        rows, columns = slice(group * each, (group + 1) * each), slice(group * depth, (group + 1) * depth)
        kernel[rows, columns, :: dilation[0], :: dilation[1]] = weight[rows]
    return kernel


def _bias(call: Call, bias: Array | None, key: str = "bias") -> list[int]:
    return [] if bias is None else [call.net.constant(bias, call.label(key))]


def linear(call: Call) -> Value:
    weight = call.constant("weight")
    if weight is None:
        raise RefusalError("the layer has no weight")
    return fully_connected(call, call.value("input"), weight, "weight", call.constant("bias"))


def matrix_product(call: Call) -> Value:
    """x @ W for a constant W (I,O)."""
    weight = call.args.get("other", call.args.get("mat2"))
    if not isinstance(weight, np.ndarray) or weight.ndim != 2:
        raise RefusalError("a product of two computed tensors is not translated; use Linear, whose weight is constant")
    x = call.args.get("self", call.args.get("mat1"))
    return fully_connected(
        call, call.as_value(x, "self"), _transposed(weight), "other" if "other" in call.args else "mat2"
    )


def _transposed(weight: Array) -> Array:
    if isinstance(weight, OnGrid) and weight.scales.size > 1:
        raise RefusalError("its weights were quantized before they are transposed; use Linear")
    return weight.T


def addmm(call: Call) -> Value:
    """bias + x @ W: a linear layer in a decomposed program."""
    weight, bias = call.constant("mat2"), call.constant("self")
    if weight is None or bias is None:
        raise RefusalError("its matrix or bias is missing")
    alpha, beta = call.get("alpha", 1), call.get("beta", 1)
    weight, bias = weight if alpha == 1 else weight * alpha, bias if beta == 1 else bias * beta
    bias = np.broadcast_to(bias, weight.shape[1:])
    return fully_connected(call, call.value("mat1"), _transposed(weight), "mat2", bias, "self")


def fully_connected(
    call: Call, x: Value, weight: Array, key: str, bias: Array | None = None, bias_key: str = "bias"
) -> Value:
    """Rows of x times the weight (O,I), whose columns are permuted to the memory order of a row."""
    outputs, features = weight.shape
    x = call.net.dense(x)
    rows = x.where.reshape(-1, features)
    if not _same_order_in_every_row(rows):
        x = Value(call.net.lay(x, tuple(range(x.rank))).tensor, np.arange(x.where.size).reshape(x.shape))
        rows = x.where.reshape(-1, features)
    columns = np.empty_like(weight)
    columns[:, rows[0] % features] = weight
    source = call.net.reshape(x.tensor, rows.shape)
    inputs = [source, call.net.constant(columns, call.label(key)), *_bias(call, bias, bias_key)]
    output = call.emit(ir.FullyConnected, inputs, (rows.shape[0], outputs))
    where = rows[:, :1] // features * outputs + np.arange(outputs)
    return Value(output, where.reshape(*x.shape[:-1], outputs))


def _same_order_in_every_row(rows: Array) -> bool:
    """Whether each row has its own range of memory, all in the same inner order."""
    features = rows.shape[1]
    blocks, inner = np.divmod(rows, features)
    return bool((blocks == blocks[:, :1]).all() and (inner == inner[:1]).all())


def batch_norm(call: Call) -> Value:
    """x * scale + offset from the running statistics; Ioffe and Szegedy (2015), section 3.1."""
    x = call.value("input")
    mean, variance = call.constant("running_mean"), call.constant("running_var")
    if call.get("training", False) or mean is None or variance is None:
        raise RefusalError(
            "it uses the statistics of the batch; train it with track_running_stats=True and export in eval mode"
        )
    scale = 1 / np.sqrt(variance.astype(np.float64) + call.get("eps", 1e-5))
    weight, bias = call.constant("weight"), call.constant("bias")
    scale = scale if weight is None else scale * weight
    offset = (0.0 if bias is None else bias.astype(np.float64)) - mean * scale
    spread = np.sqrt(variance.astype(np.float64))
    return _scale_channels(call, x, scale, offset, spread)


def _scale_channels(call: Call, x: Value, scale: Array, offset: Array, spread: Array) -> Value:
    """`spread` is the standard deviation of x in training."""
    net = call.net
    x = net.dense(x)
    if x.rank == 2:  # a flattened image is in another order than torch's, and so are its factors
        tensor, order = net.reshape(x.tensor, (x.shape[0], elements(x.shape[1:]))), np.argsort(x.where[0])
        scale, offset, spread, where = scale[order], offset[order], spread[order], x.where
    else:
        laid = net.canonical(x)
        tensor, where = laid.tensor, laid.value(laid.tensor, x.shape).where
    inputs = [tensor, net.constant(scale, call.label("weight")), net.constant(offset, call.label("bias"))]
    output = call.emit(ir.BatchNorm, inputs, net.shape(tensor))
    net.spreads |= {tensor: spread, output: spread * np.abs(scale)}
    return Value(output, where)


def batch_norm_and_statistics(call: Call) -> tuple[Any, ...]:
    """The decomposed form, which also returns the statistics of the batch (empty here)."""
    return batch_norm(call), None, None


RULES: Mapping[str, Callable[[Call], Any]] = {
    "aten.conv1d": convolution,
    "aten.conv2d": convolution,
    "aten.convolution": convolution,
    "aten.linear": linear,
    "aten.conv_transpose1d": transposed_convolution,
    "aten.conv_transpose2d": transposed_convolution,
    "aten.addmm": addmm,
    "aten.batch_norm": batch_norm,
    "aten._native_batch_norm_legit_no_training": batch_norm_and_statistics,
}
