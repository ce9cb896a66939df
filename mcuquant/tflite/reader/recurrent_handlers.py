"""Handlers of operators with state in a variable tensor, as operations and updates of states."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from ...ir import DType, QParams, Role, Shape, Tensor, ops
from . import tensor_reader
from .operator_node import Node

_MOST_ELEMENTS = 1 << 20
"""Maximum elements of a state."""


def variable(node: Node, k: int, what: str) -> Tensor:
    """Operand k, a variable tensor, as a state with initial value real zero; its update follows."""
    index = node.row.inputs[k] if node.has(k) else -1
    row = node.translation.row(index, f"input {k} of operator {node.index} ({node.row.code})")
    if not row.is_variable or index in node.translation.tensors:
        raise node.error(f"has tensor {index} ({row.name!r}) as {what}, expected a variable tensor of its own")
    t = tensor_reader.tensor(index, row, Role.STATE, node.translation.where(index))
    if t.elements > _MOST_ELEMENTS:
        raise node.error(f"has {what} of shape {list(t.shape)}, expected at most {_MOST_ELEMENTS:,} elements")
    return replace(t, data=np.full(t.shape, t.zero_point, t.dtype.numpy))


def _svdf(node: Node) -> None:
    """A row of features is appended to a line of rows; a convolution in time sums over the line and the filters of a
    unit.

    TFLM stores a feature as the clamped sum plus the state's zero point, in 8 bits: overflow wraps around.
    """
    node.expect(range(5, 6))
    rank = node.integer("rank", 1, 1 << 16)
    x, w, time = node.input(0), node.rank(node.constant(1, "feature weights"), 2, "feature weights"), _time(node)
    kept, y = variable(node, 4, "state"), node.output()
    if {x.dtype, w.dtype, time.dtype, kept.dtype, y.dtype} != {DType.INT8}:
        types = f"{x.dtype} input, {w.dtype} and {time.dtype} weights, {kept.dtype} state and {y.dtype} output"
        raise node.unsupported(f"has {types}; expected int8 throughout")
    filters, memory = time.shape
    units = filters // rank
    if x.shape != (1, w.shape[1]) or w.shape[0] != filters or filters % rank or kept.elements != filters * memory:
        shapes = f"input {list(x.shape)}, weights {list(w.shape)} and {list(time.shape)}, state {list(kept.shape)}"
        raise node.error(f"of rank {rank} has {shapes}, which do not fit one another")
    node.shaped(y, (1, units))
    features = _features(node, x, w, kept)
    line = _enter(node, kept, features, memory)
    constant = _time_weights(node, time, rank)
    inputs = (line.id, constant.id, *_bias(node, kept, time, units))
    flat = node.temporary(y, (1, 1, 1, units))
    kind = ops.DepthwiseConv2D if rank == 1 else ops.Conv2D
    node.emit(kind(inputs=inputs, outputs=(flat.id,), single_factor=True))
    node.emit(ops.Reshape(inputs=(flat.id,), outputs=(y.id,)))


def _time(node: Node) -> Tensor:
    return node.rank(node.constant(2, "time weights"), 2, "time weights")


def _features(node: Node, x: Tensor, w: Tensor, kept: Tensor) -> Tensor:
    """One value per filter, in units of the state, (1, 1, 1, F)."""
    filters, zero = w.shape[0], kept.zero_point
    sums = node.temporary(replace(kept, q=QParams(kept.qparams.scale, 0)), (1, filters))
    node.emit(ops.FullyConnected(inputs=(x.id, w.id), outputs=(sums.id,), single_factor=True))
    stored = sums
    if zero:
        stored = node.temporary(kept, (1, filters))
        wrapped = (np.arange(-128, 128) + zero).astype(np.int8)
        node.emit(ops.Lookup(inputs=(sums.id,), outputs=(stored.id,), table=tuple(int(v) for v in wrapped)))
    row = node.temporary(kept, (1, 1, 1, filters))
    node.emit(ops.Reshape(inputs=(stored.id,), outputs=(row.id,)))
    return row


def _enter(node: Node, kept: Tensor, row: Tensor, memory: int) -> Tensor:
    """The newest `memory` rows."""
    if memory == 1:
        return row
    filters = row.shape[3]
    shape = (1, memory - 1, 1, filters)
    state = replace(kept, shape=shape, data=np.full(shape, kept.zero_point, np.int8))
    line = node.temporary(kept, (1, memory, 1, filters))
    newest = node.temporary(kept, shape)
    node.translation.add_state(state, newest.id)
    node.emit(ops.Concat(inputs=(state.id, row.id), outputs=(line.id,), axis=1))
    node.emit(ops.Slice(inputs=(line.id,), outputs=(newest.id,), begin=(0, 1, 0, 0), step=(1, 1, 1, 1)))
    return line


def _time_weights(node: Node, time: Tensor, rank: int) -> Tensor:
    """(F, M) as weights of a convolution over M rows: for each filter, or for the filters of each unit."""
    filters, memory = time.shape
    data = time.value
    if rank == 1:
        data = data.T.reshape(1, memory, 1, filters)
    else:
        data = data.reshape(filters // rank, rank, memory).transpose(0, 2, 1).reshape(-1, memory, 1, rank)
    return node.new_constant(data, DType.INT8, time.q, time.name)


def _bias(node: Node, kept: Tensor, time: Tensor, units: int) -> tuple[int, ...]:
    if not node.has(3):
        return ()
    bias = node.constant(3, "bias")
    if bias.dtype is not DType.INT32 or bias.shape != (units,):
        raise node.error(f"has a {bias.dtype} bias of shape {list(bias.shape)}, expected int32 of {units}")
    unit = QParams.of(float(np.float32(kept.scale) * np.float32(time.scale)))
    return (node.new_constant(bias.value, DType.INT32, unit, bias.name).id,)


_NAMES = ("input", "forget", "cell", "output")
_ABSENT = {
    **dict.fromkeys(range(9, 12), "peephole weights"),
    **dict.fromkeys(range(16, 18), "a projection"),
    **dict.fromkeys(range(20, 24), "layer normalization"),
}


def _lstm(node: Node) -> None:
    node.expect(range(20, 25))
    for k, what in _ABSENT.items():
        if node.has(k):
            raise node.unsupported(f"has {what}; use an LSTM without")
    if not node.has(1):
        raise node.unsupported("has no input gate (it is coupled with the forget gate); use an LSTM with four gates")
    if node.integer("fused_activation_function") != _TANH:
        raise node.unsupported("has another activation than tanh; use tanh")
    x = node.input(0)
    h, c = variable(node, 18, "hidden state"), variable(node, 19, "cell state")
    inputs, units = x.shape[-1] if x.shape else 0, h.elements
    if len(x.shape) != 3 or x.shape[0 if not node.option("time_major") else 1] != 1:
        raise node.unsupported(f"has an input of shape {list(x.shape)}, expected one sequence")
    w, r = (_gates(node, x, first, (units, depth)) for first, depth in ((1, inputs), (5, units)))
    b = _gate_biases(node, x, w, units)
    if c.elements != units:
        raise node.error(f"has states of {units} and {c.elements} elements, expected as many")
    y = node.shaped(node.output(), (*x.shape[:2], units))
    kept = [node.translation.add(replace(t, shape=(1, units), data=t.value.reshape(1, units))) for t in (h, c)]
    last = [node.temporary(t, t.shape) for t in kept]
    for state, value in zip(kept, last, strict=True):
        node.translation.add_state(state, value.id)
    ids = (x.id, w.id, r.id, b.id, *(t.id for t in kept))
    outputs = (y.id, *(t.id for t in last))
    node.emit(ops.Lstm(inputs=ids, outputs=outputs, cell_clip=node.real("cell_clip")))


def _gates(node: Node, x: Tensor, first: int, shape: Shape) -> Tensor:
    """The weights of the four gates, concatenated."""
    parts = [node.constant(first + k, f"weights of the {name} gate") for k, name in enumerate(_NAMES)]
    kind = DType.FLOAT32 if x.dtype is DType.FLOAT32 else DType.INT8
    for t in parts:
        if t.shape != shape or t.dtype is not kind:
            raise node.error(f"has {t.dtype} weights of shape {list(t.shape)}, expected {kind} of {list(shape)}")
        if kind is DType.INT8 and (t.q is None or t.q.per_channel or t.zero_point):
            raise node.unsupported(f"has weights with quantization {t.q}, expected one scale and zero point 0")
    q = None if kind is DType.FLOAT32 else QParams.of([t.scale for t in parts for _ in range(shape[0])], 0, 0)
    return node.new_constant(np.concatenate([t.value for t in parts]), kind, q, parts[0].name)


def _gate_biases(node: Node, x: Tensor, w: Tensor, units: int) -> Tensor:
    kind = {DType.INT8: DType.INT32, DType.INT16: DType.INT64}.get(x.dtype, DType.FLOAT32)
    parts = []
    for k, name in enumerate(_NAMES, 12):
        if not node.has(k):
            parts.append(np.zeros(units, kind.numpy))
            continue
        t = node.constant(k, f"bias of the {name} gate")
        if t.shape != (units,) or t.dtype is not kind:
            raise node.error(f"has a {t.dtype} bias of shape {list(t.shape)}, expected {kind} of {units}")
        parts.append(t.value)
    q = None if w.q is None else QParams.of(np.float32(x.scale) * np.asarray(w.q.scale, np.float32), 0, 0)
    return node.new_constant(np.concatenate(parts), kind, q)


_TANH = 4

HANDLERS: Mapping[str, Callable[[Node], None]] = {"SVDF": _svdf, "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm}
