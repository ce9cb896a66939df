"""Recurrent layers and cells: LSTM as one operation, GRU and RNN step by step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import ir
from .axis_order import Value
from .net_builder import Array, Call, RefusalError

MOST_STEPS = 64
"""Maximum number of steps of an unrolled layer."""
_MAX_CONCAT_INPUTS = 10
_PLAIN = (0, 1, 2)
"""Batch or time first, as in torch; features last."""


@dataclass(frozen=True, slots=True, eq=False)
class _Weights:
    """Weights of one layer in one direction, for inputs and for hidden values, one row per output;
    biases are optional.
    """

    w: Array
    r: Array
    b: Array
    c: Array


@dataclass(frozen=True, slots=True)
class _Rows:
    """A sequence as T rows of features, (1, T, features) in memory."""

    tensor: int
    steps: int


State = tuple[int, ...]
"""Tensors (1, H)."""
Layer = Callable[[Call, _Rows, _Weights, State], tuple[int, State]]
"""The outputs (1, T, H) of all steps, and the last state."""


def _tensor(call: Call, item: Any, shape: Sequence[int], name: str) -> int:
    """`item`, a value or a constant, in torch's own order with this shape."""
    if isinstance(item, np.ndarray):
        return call.net.constant(np.asarray(item, np.float32).reshape(shape), name)
    laid = call.net.lay(item, tuple(range(item.rank)))
    return call.net.reshape(laid.tensor, shape)


def _part(item: Any, index: int) -> Any:
    return Value(item.tensor, item.where[index]) if isinstance(item, Value) else item[index]


def _weights(call: Call, arrays: Sequence[Any]) -> _Weights:
    if not all(isinstance(a, np.ndarray) for a in arrays):
        raise RefusalError("its weights are computed by the network; make them parameters")
    w, r, *biases = (np.asarray(a, np.float32) for a in arrays)
    zeros = np.zeros(len(w), np.float32)
    b, c = biases if biases else (zeros, zeros)
    return _Weights(w, r, b, c)


def _layers(call: Call, layer: Layer, states: Sequence[Any]) -> tuple[Value, ...]:
    """All layers and directions of a module; `states` are (layers * directions, 1, H) each."""
    x, params = call.value("input"), call.get("params", ())
    if x.rank != 3 or 1 not in x.shape[:2]:
        raise RefusalError(f"its input has shape {x.shape}; expected one sequence")
    steps = x.shape[1] if call.get("batch_first", False) else x.shape[0]
    if x.shape[0] * x.shape[1] != steps:
        raise RefusalError(f"its input has shape {x.shape}; expected a batch of 1")
    directions = 2 if call.get("bidirectional", False) else 1
    count = call.get("num_layers", 1) * directions
    each, left = divmod(len(params), count)
    if left or each not in (2, 4):
        raise RefusalError("it projects its hidden state (proj_size); use a linear layer behind it")
    tensor, last = _tensor(call, x, (1, steps, x.shape[2]), call.name), list[State]()
    for index in range(count):
        if index % directions == 0:
            source, outputs = tensor, list[int]()
        weights = _weights(call, params[index * each : (index + 1) * each])
        units = weights.r.shape[1]
        start = tuple(_tensor(call, _part(s, index), (1, units), f"{call.name}.start") for s in states)
        backward = index % directions == 1
        rows = _reversed(call, source, backward)
        y, final = layer(call, _Rows(rows, steps), weights, start)
        last.append(final)
        outputs.append(_reversed(call, y, backward))
        if len(outputs) == directions:
            tensor = outputs[0] if directions == 1 else _joined(call, outputs, 2)
    features = call.net.shape(tensor)[2]
    shape = (x.shape[0], x.shape[1], features)
    sequence = Value(tensor, np.arange(steps * features).reshape(shape))
    return (sequence, *(_stacked(call, [final[k] for final in last]) for k in range(len(states))))


def _reversed(call: Call, tensor: int, backward: bool) -> int:
    if not backward:
        return tensor
    shape = call.net.shape(tensor)
    return call.emit(ir.Slice, [tensor], shape, begin=(0, shape[1] - 1, 0), step=(1, -1, 1))


def _stacked(call: Call, tensors: Sequence[int]) -> Value:
    """(1, H) each as torch's (count, 1, H)."""
    units = call.net.shape(tensors[0])[1]
    tensor = tensors[0] if len(tensors) == 1 else _joined(call, tensors, 0)
    return Value(tensor, np.arange(len(tensors) * units).reshape(len(tensors), 1, units))


def _joined(call: Call, tensors: Sequence[int], axis: int) -> int:
    """At most ten inputs at a time, the limit of TensorFlow Lite Micro."""
    parts = list(tensors)
    while len(parts) > 1:
        parts = [
            _concat(call, parts[i : i + _MAX_CONCAT_INPUTS], axis) for i in range(0, len(parts), _MAX_CONCAT_INPUTS)
        ]
    return parts[0]


def _concat(call: Call, tensors: Sequence[int], axis: int) -> int:
    if len(tensors) == 1:
        return tensors[0]
    shape = list(call.net.shape(tensors[0]))
    shape[axis] = sum(call.net.shape(t)[axis] for t in tensors)
    return call.emit(ir.Concat, tensors, shape, axis=axis)


# --- LSTM ------------------------------------------------------------------------------------------------------------


def _lstm_layer(call: Call, x: _Rows, weights: _Weights, start: State) -> tuple[int, State]:
    units = weights.r.shape[1]
    constants = [call.net.constant(a, f"{call.name}.weights") for a in (weights.w, weights.r, weights.b + weights.c)]
    shapes = [(1, x.steps, units), (1, units), (1, units)]
    y, h, c = call.net.emit_all(ir.Lstm, [x.tensor, *constants, *start], shapes, call.name)
    return y, (h, c)


def lstm(call: Call) -> tuple[Value, ...]:
    return _layers(call, _lstm_layer, call.get("hx", ()))


def lstm_cell(call: Call) -> tuple[Value, ...]:
    x, weights, states = _cell(call, call.get("hx", ()))
    _, last = _lstm_layer(call, x, weights, states)
    return tuple(call.net.result(t, call.net.shape(t)) for t in last)


def _cell(call: Call, states: Sequence[Any]) -> tuple[_Rows, _Weights, State]:
    x = call.value("input")
    if x.rank != 2 or x.shape[0] != 1:
        raise RefusalError(f"its input has shape {x.shape}; expected a batch of 1")
    names = ("w_ih", "w_hh", "b_ih", "b_hh")
    weights = _weights(call, [a for a in (call.args.get(name) for name in names) if a is not None])
    start = tuple(_tensor(call, s, (1, weights.r.shape[1]), f"{call.name}.start") for s in states)
    return _Rows(_tensor(call, x, (1, 1, x.shape[1]), call.name), 1), weights, start


# --- GRU and RNN -----------------------------------------------------------------------------------------------------


def _stepwise(call: Call, x: _Rows, weights: _Weights, start: State, step: Callable[..., int]) -> tuple[int, State]:
    """Every step's hidden state by `step`, from its part of the products of inputs and the previous state."""
    if x.steps > MOST_STEPS:
        raise RefusalError(f"it goes over {x.steps} steps, each written out; expected at most {MOST_STEPS}")
    rows, units = len(weights.w), weights.r.shape[1]
    inputs = _linear(call, x.tensor, weights.w, weights.b, (1, x.steps, rows))
    (h,), outputs = start, []
    for t in range(x.steps):
        part = call.emit(ir.Slice, [inputs], (1, 1, rows), begin=(0, t, 0), step=(1, 1, 1))
        h = step(call, call.net.reshape(part, (1, rows)), h, weights)
        outputs.append(call.net.reshape(h, (1, 1, units)))
    return _joined(call, outputs, 1), (h,)


def _linear(call: Call, x: int, w: Array, b: Array, shape: Sequence[int]) -> int:
    constants = [call.net.constant(w, f"{call.name}.weight"), call.net.constant(b, f"{call.name}.bias")]
    return call.emit(ir.FullyConnected, [x, *constants], shape)


def _cut(call: Call, x: int, first: int, count: int) -> int:
    return call.emit(ir.Slice, [x], (1, count), begin=(0, first), step=(1, 1))


def _gru_step(call: Call, inputs: int, h: int, weights: _Weights) -> int:
    """n = tanh(w x + b + r * (u h + c)), h' = n + z * (h - n)."""
    units = weights.r.shape[1]
    one, two = (1, units), (1, 2 * units)
    hidden = _linear(call, h, weights.r, weights.c, (1, 3 * units))
    sums = [_cut(call, part, 0, 2 * units) for part in (inputs, hidden)]
    gates = call.emit(ir.Logistic, [call.emit(ir.Add, sums, two)], two)
    reset, update = _cut(call, gates, 0, units), _cut(call, gates, units, units)
    inner = call.emit(ir.Mul, [reset, _cut(call, hidden, 2 * units, units)], one)
    new = call.emit(ir.Tanh, [call.emit(ir.Add, [_cut(call, inputs, 2 * units, units), inner], one)], one)
    moved = call.emit(ir.Mul, [update, call.emit(ir.Sub, [h, new], one)], one)
    return call.emit(ir.Add, [new, moved], one)


def _rnn_step(call: Call, inputs: int, h: int, weights: _Weights) -> int:
    shape = (1, weights.r.shape[1])
    total = call.emit(ir.Add, [inputs, _linear(call, h, weights.r, weights.c, shape)], shape)
    if "relu" in call.op:
        return call.emit(ir.Relu, [total], shape, activation=ir.Activation.RELU)
    return call.emit(ir.Tanh, [total], shape)


def _layer_of(step: Callable[..., int]) -> Layer:
    return lambda call, x, weights, start: _stepwise(call, x, weights, start, step)


def _module(step: Callable[..., int]) -> Callable[[Call], tuple[Value, ...]]:
    return lambda call: _layers(call, _layer_of(step), [call.args["hx"]])


def _cell_of(step: Callable[..., int]) -> Callable[[Call], Value]:
    def cell(call: Call) -> Value:
        x, weights, start = _cell(call, [call.args["hx"]])
        _, (h,) = _stepwise(call, x, weights, start, step)
        return call.net.result(h, call.net.shape(h))

    return cell


RULES: Mapping[str, Callable[[Call], Any]] = {
    "aten.lstm": lstm,
    "aten.lstm_cell": lstm_cell,
    "aten.gru": _module(_gru_step),
    "aten.gru_cell": _cell_of(_gru_step),
    **dict.fromkeys(("aten.rnn_tanh", "aten.rnn_relu"), _module(_rnn_step)),
    **dict.fromkeys(("aten.rnn_tanh_cell", "aten.rnn_relu_cell"), _cell_of(_rnn_step)),
}
