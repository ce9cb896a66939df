"""Writes each operation of a graph as operators of a .tflite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import singledispatch

import numpy as np

from ...arithmetic.fixedpoint import quantize_multiplier
from ...arithmetic.parameters.weighted_parameters import rescale_factors
from ...ir import Activation, DType, Op, QParams, Shape, Tensor, ops
from ...ir.elementwise_table import ELEMENTWISE
from ...ir.recurrent import GATES
from ..schema import window_geometry
from ..schema.rows import ABSENT, PADDING_SAME, PADDING_VALID, TYPE_NUMBERS
from .draft import Draft, refuse
from .elementwise_writer import ACTIVATION_NUMBER, export_elementwise

_MAX_CONCAT_INPUTS = 10


@singledispatch
def export(op: Op, draft: Draft) -> None:
    """Append `op` to `draft`. Raises ModelError for an operation that .tflite cannot express."""
    if type(op) not in ELEMENTWISE:
        raise refuse(f"{_where(op, draft)} has no operator", "replace it by other operations")
    export_elementwise(op, draft)


def _check_factor(op: ops.Conv2D | ops.DepthwiseConv2D | ops.FullyConnected, draft: Draft) -> None:
    """Operators except SVDF compute their factor in double precision. Raises ModelError for another one."""
    (x, w, *_), y = draft.graph.ins(op), draft.graph.out(op)
    plain = rescale_factors(replace(op, single_factor=False), x, w, y) if op.single_factor else ()
    stated = rescale_factors(op, x, w, y) if op.single_factor else ()
    if [quantize_multiplier(f) for f in plain] != [quantize_multiplier(f) for f in stated]:
        raise refuse(f"{_where(op, draft)} has a factor of single precision, as SVDF", "give the file it came from")


def _inputs(op: Op, draft: Draft) -> list[int]:
    return [draft.index[i] for i in op.inputs]


# --- recurrence ------------------------------------------------------------------------------------------------------


@export.register
def _lstm(op: ops.Lstm, draft: Draft) -> None:
    x, w, r, b, h, c = draft.graph.ins(op)
    if not {h.id, c.id} <= draft.variables or len(x.shape) != 3:
        reason = "reads states that others read or write, or that do not start as real zero"
        raise refuse(f"{_where(op, draft)} {reason}", "keep the states of each LSTM to itself")
    if any(draft.graph.consumers(i) or i in draft.graph.outputs for i in op.outputs[1:]):
        raise refuse(f"{_where(op, draft)} shows the next values of its states", "read the output's last step instead")
    gates = [[draft.constant(gate) for gate in _gates_of(t)] for t in (w, r, b)]
    states = [draft.index[h.id], draft.index[c.id]]
    inputs = [draft.index[x.id], *gates[0], *gates[1], *[ABSENT] * 3, *gates[2], *[ABSENT] * 2, *states]
    draft.emit(
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        [*inputs, *[ABSENT] * 4],
        draft.index[op.output],
        fused_activation_function=4,
        cell_clip=op.cell_clip,
        proj_clip=0.0,
        time_major=x.shape[0] != 1,
    )


def _gates_of(t: Tensor) -> list[Tensor]:
    """The rows of each gate as a tensor with the gate's scale."""
    size = t.shape[0] // GATES
    parts = (t.value[g * size : (g + 1) * size] for g in range(GATES))
    scales = [None if t.q is None else QParams((t.q.scale[g * size],)) for g in range(GATES)]
    return [replace(t, shape=part.shape, data=part.copy(), q=q) for part, q in zip(parts, scales, strict=True)]


# --- windows ---------------------------------------------------------------------------------------------------------


@export.register
def _conv(op: ops.Conv2D, draft: Draft) -> None:
    _check_factor(op, draft)
    _, w, *_ = draft.graph.ins(op)
    x, padding = _padded(op, draft, (w.shape[1], w.shape[2]), op.dilation, fill=None)
    options = _window_options(padding, op.stride, op.activation) | _dilation_options(op.dilation)
    draft.emit("CONV_2D", [x, *_inputs(op, draft)[1:]], draft.index[op.output], **options)


@export.register
def _depthwise(op: ops.DepthwiseConv2D, draft: Draft) -> None:
    _check_factor(op, draft)
    image, w, *_ = draft.graph.ins(op)
    x, padding = _padded(op, draft, (w.shape[1], w.shape[2]), op.dilation, fill=None)
    options = _window_options(padding, op.stride, op.activation) | _dilation_options(op.dilation)
    options["depth_multiplier"] = w.shape[3] // image.shape[3]
    draft.emit("DEPTHWISE_CONV_2D", [x, *_inputs(op, draft)[1:]], draft.index[op.output], **options)


@export.register
def _max_pool(op: ops.MaxPool2D, draft: Draft) -> None:
    x, padding = _padded(op, draft, op.window, (1, 1), fill=_lowest(draft.graph.ins(op)[0]))
    _emit_pool("MAX_POOL_2D", op, draft, x, padding)


@export.register
def _avg_pool(op: ops.AvgPool2D, draft: Draft) -> None:
    padding = _padding_word(op, draft, op.window, (1, 1))
    if padding is None:
        p = op.padding
        fault = f"averages over padding of its own (top {p.top}, bottom {p.bottom}, left {p.left}, right {p.right})"
        raise refuse(f"{_where(op, draft)} {fault}", "pad by SAME or not at all")
    _emit_pool("AVERAGE_POOL_2D", op, draft, draft.index[op.inputs[0]], padding)


def _emit_pool(code: str, op: ops.Pool, draft: Draft, x: int, padding: int) -> None:
    options = _window_options(padding, op.stride, op.activation)
    options |= {"filter_height": op.window[0], "filter_width": op.window[1]}
    draft.emit(code, [x], draft.index[op.output], **options)


@export.register
def _transpose_conv(op: ops.TransposeConv, draft: Draft) -> None:
    """Padding crops the output at the top and left. STRIDED_SLICE removes a crop that no padding word expresses."""
    y = draft.graph.out(op)
    crop = (op.padding.top, op.padding.left)
    padding = _transpose_word(op, draft)
    shape = y.shape if padding is not None else (y.shape[0], y.shape[1] + crop[0], y.shape[2] + crop[1], y.shape[3])
    output = draft.index[op.output] if padding is not None else draft.temporary(y, shape)
    options = _window_options(PADDING_VALID if padding is None else padding, op.stride, op.activation)
    x, w, *bias = _inputs(op, draft)
    draft.emit("TRANSPOSE_CONV", [draft.integers(shape), w, x, *bias], output, **options)
    if padding is None:
        _emit_slice(draft, output, draft.index[op.output], shape, y.shape, (0, *crop, 0), (1, 1, 1, 1))


def _transpose_word(op: ops.TransposeConv, draft: Draft) -> int | None:
    crop = (op.padding.top, op.padding.left)
    if crop == (0, 0):
        return PADDING_VALID
    w, y = draft.graph[op.inputs[1]], draft.graph.out(op)
    same = [window_geometry.same_padding(y.shape[a], w.shape[a], op.stride[a - 1])[0] for a in (1, 2)]
    return PADDING_SAME if crop == tuple(same) else None


def _window_options(padding: int, stride: ops.Pair, activation: Activation) -> dict[str, int]:
    return {
        "padding": padding,
        "stride_h": stride[0],
        "stride_w": stride[1],
        "fused_activation_function": ACTIVATION_NUMBER[activation],
    }


def _dilation_options(dilation: ops.Pair) -> dict[str, int]:
    return {"dilation_h_factor": dilation[0], "dilation_w_factor": dilation[1]}


def _padded(
    op: ops.Conv2D | ops.DepthwiseConv2D | ops.MaxPool2D,
    draft: Draft,
    kernel: ops.Pair,
    dilation: ops.Pair,
    fill: float | None,
) -> tuple[int, int]:
    """(input, padding word) of a window. If no word fits, a PAD or, for another fill value, a PADV2 precedes it."""
    word = _padding_word(op, draft, kernel, dilation)
    if word is not None:
        return draft.index[op.inputs[0]], word
    x = draft.graph.ins(op)[0]
    pads = ((0, 0), *_effective_pads(op, draft, kernel, dilation), (0, 0))
    output = draft.temporary(x, [n + sum(pad) for n, pad in zip(x.shape, pads, strict=True)])
    _emit_pad(draft, x, output, pads, fill)
    return output, PADDING_VALID


def _padding_word(
    op: ops.Conv2D | ops.DepthwiseConv2D | ops.Pool, draft: Draft, kernel: ops.Pair, dilation: ops.Pair
) -> int | None:
    """SAME or VALID if one of them is exactly the padding that the window reaches, else None."""
    pads = _effective_pads(op, draft, kernel, dilation)
    if not any(map(any, pads)):
        return PADDING_VALID
    x, y = draft.graph.ins(op)[0], draft.graph.out(op)
    for axis, pad in enumerate(pads):
        length, stride = x.shape[axis + 1], op.stride[axis]
        same = window_geometry.same_padding(length, _reach(kernel[axis], dilation[axis]), stride)
        if pad != same or y.shape[axis + 1] != window_geometry.same_length(length, stride):
            return None
    return PADDING_SAME


def _effective_pads(
    op: ops.Conv2D | ops.DepthwiseConv2D | ops.Pool, draft: Draft, kernel: ops.Pair, dilation: ops.Pair
) -> tuple[ops.Pair, ops.Pair]:
    """(before, after) along height and width, without padding that no window reaches."""
    x, y = draft.graph.ins(op)[0], draft.graph.out(op)
    p = op.padding
    pads = []
    for axis, (before, after) in enumerate(((p.top, p.bottom), (p.left, p.right))):
        reach = _reach(kernel[axis], dilation[axis])
        reach_after = window_geometry.padding_needed(
            x.shape[axis + 1] + before, reach, op.stride[axis], y.shape[axis + 1]
        )
        pads.append((before, min(after, reach_after)))
    return pads[0], pads[1]


def _reach(kernel: int, dilation: int) -> int:
    return (kernel - 1) * dilation + 1


def _lowest(t: Tensor) -> float:
    return float(np.finfo(np.float32).min) if t.dtype is DType.FLOAT32 else t.dtype.range()[0]


def _where(op: Op, draft: Draft) -> str:
    return f"operation {draft.graph.ops.index(op)} ({op.kind})"


# --- matrices and elements -------------------------------------------------------------------------------------------


@export.register
def _fully_connected(op: ops.FullyConnected, draft: Draft) -> None:
    _check_factor(op, draft)
    x, y = draft.graph.ins(op)[0], draft.graph.out(op)
    keep = len(y.shape) > 2 and y.shape[:-1] == x.shape[:-1]
    inputs = _inputs(op, draft) if len(op.inputs) == 3 else [*_inputs(op, draft), ABSENT]
    options = {
        "fused_activation_function": ACTIVATION_NUMBER[op.activation],
        "weights_format": 0,
        "keep_num_dims": keep,
    }
    draft.emit("FULLY_CONNECTED", inputs, draft.index[op.output], **options)


@export.register
def _batch_matmul(op: ops.BatchMatMul, draft: Draft) -> None:
    draft.emit("BATCH_MATMUL", _inputs(op, draft), draft.index[op.output], adj_x=op.adj_a, adj_y=op.adj_b)


@export.register
def _batch_norm(op: ops.BatchNorm, draft: Draft) -> None:
    x, scale, offset = _inputs(op, draft)
    product = draft.temporary(draft.graph.out(op), draft.graph.out(op).shape)
    draft.emit("MUL", [x, scale], product, fused_activation_function=0)
    draft.emit("ADD", [product, offset], draft.index[op.output], fused_activation_function=0, pot_scale_int16=False)


@export.register
def _log_softmax(op: ops.LogSoftmax, draft: Draft) -> None:
    draft.emit("LOG_SOFTMAX", _inputs(op, draft), draft.index[op.output])


@export.register
def _softmax(op: ops.Softmax, draft: Draft) -> None:
    draft.emit("SOFTMAX", _inputs(op, draft), draft.index[op.output], beta=op.beta)


# --- shapes ----------------------------------------------------------------------------------------------------------


@export.register
def _pad(op: ops.Pad, draft: Draft) -> None:
    x = draft.graph.ins(op)[0]
    fill = None if op.value == x.zero_point else op.value
    _emit_pad(draft, x, draft.index[op.output], op.pads, fill)


def _emit_pad(draft: Draft, x: Tensor, output: int, pads: tuple[ops.Pair, ...], fill: float | None) -> None:
    inputs = [draft.index[x.id], draft.integers(pads)]
    if fill is None:
        draft.emit("PAD", inputs, output)
    else:
        draft.emit("PADV2", [*inputs, draft.scalar_like(x, fill)], output)


_REDUCE_TRUTH: Mapping[type[Op], str] = {ops.ReduceMin: "REDUCE_ALL", ops.ReduceMax: "REDUCE_ANY"}
_REDUCE = {ops.Mean: "MEAN", ops.Sum: "SUM", ops.ReduceMax: "REDUCE_MAX", ops.ReduceMin: "REDUCE_MIN"}


@export.register(ops.Mean)
@export.register(ops.Sum)
@export.register(ops.ReduceMax)
@export.register(ops.ReduceMin)
def _reduce(op: ops.Reduce, draft: Draft) -> None:
    x, y = draft.graph.ins(op)[0], draft.graph.out(op)
    inputs = [*_inputs(op, draft), draft.integers(op.axes)]
    code = _REDUCE_TRUTH[type(op)] if x.dtype is DType.BOOL else _REDUCE[type(op)]
    draft.emit(code, inputs, draft.index[op.output], keep_dims=len(x.shape) == len(y.shape))


@export.register
def _arg_max(op: ops.ArgMax, draft: Draft) -> None:
    inputs = [*_inputs(op, draft), draft.integers([op.axis])]
    draft.emit("ARG_MAX", inputs, draft.index[op.output], output_type=TYPE_NUMBERS[draft.graph.out(op).dtype.name])


@export.register
def _concat(op: ops.Concat, draft: Draft) -> None:
    """Concatenations of at most ten inputs, the limit of TensorFlow Lite Micro, then of their results."""
    y, parts = draft.graph.out(op), _inputs(op, draft)
    widths = [t.shape[op.axis] for t in draft.graph.ins(op)]
    while len(parts) > _MAX_CONCAT_INPUTS:
        starts = range(0, len(parts), _MAX_CONCAT_INPUTS)
        groups = [(parts[i : i + _MAX_CONCAT_INPUTS], sum(widths[i : i + _MAX_CONCAT_INPUTS])) for i in starts]
        parts, widths = [_joined(draft, y, op.axis, *group) for group in groups], [width for _, width in groups]
    draft.emit("CONCATENATION", parts, draft.index[op.output], axis=op.axis, fused_activation_function=0)


def _joined(draft: Draft, like: Tensor, axis: int, parts: list[int], width: int) -> int:
    if len(parts) == 1:
        return parts[0]
    y = draft.temporary(like, [width if a == axis else size for a, size in enumerate(like.shape)])
    draft.emit("CONCATENATION", parts, y, axis=axis, fused_activation_function=0)
    return y


@export.register
def _slice(op: ops.Slice, draft: Draft) -> None:
    x, y = draft.graph.ins(op)[0], draft.graph.out(op)
    _emit_slice(draft, draft.index[x.id], draft.index[y.id], x.shape, y.shape, op.begin, op.step)


def _emit_slice(
    draft: Draft, x: int, y: int, shape: Shape, out_shape: Shape, begin: tuple[int, ...], step: tuple[int, ...]
) -> None:
    ends = [b + n * s for b, n, s in zip(begin, out_shape, step, strict=True)]
    # An end before the first element cannot be written (-1 means the last one), but can be left open.
    end_mask = sum(1 << axis for axis, end in enumerate(ends) if end < 0)
    ends = [min(max(end, 0), n) for end, n in zip(ends, shape, strict=True)]
    masks = {"begin_mask": 0, "end_mask": end_mask, "ellipsis_mask": 0, "new_axis_mask": 0, "shrink_axis_mask": 0}
    inputs = [x, draft.integers(begin), draft.integers(ends), draft.integers(step)]
    draft.emit("STRIDED_SLICE", inputs, y, **masks, offset=False)


@export.register
def _reshape(op: ops.Reshape, draft: Draft) -> None:
    shape = draft.graph.out(op).shape
    draft.emit("RESHAPE", [*_inputs(op, draft), draft.integers(shape)], draft.index[op.output], new_shape=shape)


@export.register
def _transpose(op: ops.Transpose, draft: Draft) -> None:
    draft.emit("TRANSPOSE", [*_inputs(op, draft), draft.integers(op.perm)], draft.index[op.output])


@export.register(ops.ResizeNearest)
@export.register(ops.ResizeBilinear)
def _resize(op: ops.ResizeNearest | ops.ResizeBilinear, draft: Draft) -> None:
    code = "RESIZE_NEAREST_NEIGHBOR" if isinstance(op, ops.ResizeNearest) else "RESIZE_BILINEAR"
    size = draft.graph.out(op).shape[1:3]
    options = {"align_corners": op.align_corners, "half_pixel_centers": op.half_pixel_centers}
    draft.emit(code, [*_inputs(op, draft), draft.integers(size)], draft.index[op.output], **options)


@export.register
def _add_n(op: ops.AddN, draft: Draft) -> None:
    draft.emit("ADD_N", _inputs(op, draft), draft.index[op.output])


@export.register
def _cum_sum(op: ops.CumSum, draft: Draft) -> None:
    inputs = [*_inputs(op, draft), draft.integers([op.axis])]
    draft.emit("CUMSUM", inputs, draft.index[op.output], exclusive=op.exclusive, reverse=op.reverse)


@export.register
def _l2_normalization(op: ops.L2Normalization, draft: Draft) -> None:
    draft.emit("L2_NORMALIZATION", _inputs(op, draft), draft.index[op.output], fused_activation_function=0)
