"""The loss of each layer: signal-to-noise ratios between a float network and its integer form.

SNR = 10 log10(sum of float^2 / sum of (integer form's real value - float)^2) in dB, over all samples and elements; 6 dB
is one bit. `math.inf` without any difference.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..arithmetic.interpreter import State, evaluate, reset_state, run, trace
from ..errors import GraphError
from ..ir import Array, Graph, Op, Quantize, Shape, Tensor
from .equalize import equalize
from .error_kinds import Kind, parts
from .samples import Scaling, read_samples, single

EQUALIZED = "equalized: layers are scaled as mcuquant.equalize scales them"
"""The note in an integer graph whose float graph was equalized first."""


@dataclass(frozen=True, slots=True)
class LayerSnr:
    """One input or operation of the integer graph."""

    index: int
    """Position in the integer graph's `ops`; -1 for an input of the network."""
    name: str
    """Id of its output tensor."""
    op: str
    """Kind of operation, or "Input"."""
    shape: Shape
    """Name of its output."""
    cumulative_db: float
    """The output for the integer inputs of the network: includes the losses of all layers so far."""
    own_db: float
    """The output with the loss of this layer alone: its integer form on exact (but rounded) inputs, minus the float
    form on the same inputs.
    """
    effect_db: float
    """The network's outputs if only this layer adds its noise and all others are float: the effect of the layer."""
    kinds_db: Mapping[Kind, float] = field(default_factory=dict)
    """The network's outputs if this layer adds only one kind of its error; kinds without an error are left out."""


_Source = tuple[int, int, str]
"""(index of the operation or -1, output tensor, kind)."""


@dataclass(slots=True)
class _Ratio:
    signal: float = 0.0
    noise: float = 0.0

    def add(self, exact: Array, other: Array) -> None:
        finite = np.isfinite(exact)
        wide = exact[finite].astype(np.float64)
        self.signal += float(np.square(wide).sum())
        self.noise += float(np.square(other[finite] - wide).sum())

    @property
    def db(self) -> float:
        if not self.noise:
            return math.inf
        return 10 * math.log10(self.signal / self.noise) if self.signal else -math.inf


@dataclass(slots=True)
class _Row:
    cumulative: _Ratio = field(default_factory=_Ratio)
    own: _Ratio = field(default_factory=_Ratio)
    effect: _Ratio = field(default_factory=_Ratio)
    kinds: dict[Kind, _Ratio] = field(default_factory=dict)

    @property
    def kinds_db(self) -> dict[Kind, float]:
        return {kind: ratio.db for kind, ratio in self.kinds.items() if ratio.noise}


def snr_report(
    float_graph: Graph,
    int_graph: Graph,
    samples: Any,
    channels_first: bool | None = None,
    scaling: Scaling | None = None,
) -> tuple[LayerSnr, ...]:
    """Signal-to-noise ratio of every input and operation of `int_graph`, in order.

    `int_graph` is `quantize(float_graph, ...)`: tensors correspond by id. `samples`, `channels_first` and `scaling` are
    as for `quantize`. A few tens of samples suffice; each costs as much as twice the layers times an inference. Raises
    GraphError if the two graphs do not belong together, CalibrationError for unusable samples.
    """
    float_graph = as_quantized(float_graph, int_graph)
    pair = _Pair(float_graph, int_graph, counterparts(float_graph, int_graph))
    sources = [(-1, i, "Input") for i in int_graph.inputs]
    sources += [(n, op.output, op.kind) for n, op in enumerate(int_graph.ops)]
    rows = {tensor_id: _Row() for _, tensor_id, _ in sources}
    states = _States.of(pair)
    for inputs in single(read_samples(float_graph, samples, channels_first, scaling)):
        _compare(pair, inputs, states, sources, rows, has_kinds=True)
    return tuple(_layer_snr(index, int_graph[tensor_id], kind, rows[tensor_id]) for index, tensor_id, kind in sources)


def _layer_snr(index: int, y: Tensor, kind: str, row: _Row) -> LayerSnr:
    decibels = (row.cumulative.db, row.own.db, row.effect.db)
    return LayerSnr(index, y.name, kind, y.shape, *decibels, row.kinds_db)


def as_quantized(float_graph: Graph, int_graph: Graph) -> Graph:
    """The float graph that `int_graph` was derived from: equalized if its notes contain that."""
    return equalize(float_graph) if any(EQUALIZED in note for note in int_graph.notes) else float_graph


def layer_effects(float_graph: Graph, int_graph: Graph, inputs: Sequence[Sequence[Array]]) -> dict[int, float]:
    """Output tensor -> `LayerSnr.effect_db` of every operation that the float graph has. `inputs` by sample."""
    twins = counterparts(float_graph, int_graph)
    pair = _Pair(float_graph, int_graph, twins)
    rows = {op.output: _Row() for op, twin in zip(int_graph.ops, twins, strict=True) if twin is not None}
    sources = [(n, op.output, op.kind) for n, op in enumerate(int_graph.ops) if op.output in rows]
    states = _States.of(pair)
    for sample in inputs:
        _compare(pair, sample, states, sources, rows)
    return {output: row.effect.db for output, row in rows.items()}


@dataclass(frozen=True, slots=True)
class _States:
    """The states of the two networks of a pair between samples."""

    real: State
    stored: State

    @classmethod
    def of(cls, pair: _Pair) -> _States:
        return cls(reset_state(pair.float_graph), reset_state(pair.int_graph))


def _compare(
    pair: _Pair,
    inputs: Sequence[Array],
    states: _States,
    sources: Sequence[_Source],
    rows: dict[int, _Row],
    has_kinds: bool = False,
) -> None:
    """Add one sample to the rows. Samples are consecutive if the networks have states."""
    exact = pair.exact(inputs, states.real)
    stored = trace(pair.int_graph, quantized_inputs(pair.int_graph, inputs), states.stored)
    for index, tensor_id, _ in sources:
        y, row = exact[tensor_id], rows[tensor_id]
        computed = real(pair.int_graph[tensor_id], stored[tensor_id])
        noisy = computed if index < 0 else y + pair.noise(index, exact)
        row.cumulative.add(y, computed)
        row.own.add(y, noisy)
        for reference, output in pair.outputs_with(index, {tensor_id: noisy.astype(np.float32)}, exact):
            row.effect.add(reference, output)
        if has_kinds and not np.array_equal(noisy, y):  # operations that move values have no error of their own
            _add_kinds(pair, index, tensor_id, exact, row)


def _add_kinds(pair: _Pair, index: int, tensor_id: int, exact: Mapping[int, Array], row: _Row) -> None:
    """Add one sample to the ratios of the kinds of error. A sample without an error adds no noise, but its signal."""
    twin = pair.twins[index] if index >= 0 else None
    if index >= 0 and twin is None:
        return
    ops = None if twin is None else (pair.int_graph.ops[index], twin)
    changed = parts(pair.float_graph, pair.int_graph, ops, pair.int_graph[tensor_id], exact)
    for kind in Kind:
        ratio = row.kinds.setdefault(kind, _Ratio())
        values = {tensor_id: changed[kind]} if kind in changed else {}
        for reference, output in pair.outputs_with(index, values, exact):
            ratio.add(reference, output)


def output_snr(int_graph: Graph, inputs: Sequence[Sequence[Array]], exact: Sequence[Sequence[Array]]) -> float:
    """Mean SNR in dB of the network's outputs. `inputs` and `exact` (float outputs) are by sample."""
    ratios = [_Ratio() for _ in int_graph.outputs]
    state = reset_state(int_graph)
    for sample, expected in zip(inputs, exact, strict=True):
        outputs = run(int_graph, quantized_inputs(int_graph, sample), state)
        for ratio, t, y, reference in zip(ratios, int_graph.outputs, outputs, expected, strict=True):
            ratio.add(reference, real(int_graph[t], y))
    return sum(ratio.db for ratio in ratios) / len(ratios)


def quantized_inputs(graph: Graph, inputs: Sequence[Array]) -> list[Array]:
    """Real inputs in the units of a quantized graph, rounded to nearest, limited to the type."""
    return [_stored(graph[i], x) for i, x in zip(graph.inputs, inputs, strict=True)]


def real(t: Tensor, stored: Array) -> Array:
    """Real values of an activation in float32. Values without a scale (indices) do not change."""
    if t.q is None:
        return stored
    return ((stored.astype(np.float64) - t.zero_point) * t.scale).astype(np.float32)


def _stored(t: Tensor, x: Array) -> Array:
    if t.q is None:
        return x
    low, high = t.dtype.range()
    stored: Array = np.clip(np.rint(x.astype(np.float64) / t.scale) + t.zero_point, low, high)
    return stored.astype(t.dtype.numpy)


def counterparts(float_graph: Graph, int_graph: Graph) -> list[Op | None]:
    """The float counterpart of each integer operation; None for a rescale that quantization inserted."""
    float_ops = {op.output: op for op in float_graph.ops}
    twins = [float_ops.get(op.output) for op in int_graph.ops]
    for op, counterpart in zip(int_graph.ops, twins, strict=True):
        is_mismatch = counterpart.kind != op.kind if counterpart else not isinstance(op, Quantize)
        if is_mismatch or (counterpart and float_graph.out(counterpart).shape != int_graph.out(op).shape):
            raise GraphError(
                f"{int_graph.name}: {op.kind} {int_graph.out(op).name!r} has no counterpart in the float graph "
                f"{float_graph.name}; give the graph that was quantized"
            )
    return twins


@dataclass(frozen=True, slots=True, eq=False)
class _Pair:
    """A float graph, its integer form, and the float counterpart of each integer operation."""

    float_graph: Graph
    int_graph: Graph
    twins: list[Op | None]

    def exact(self, inputs: Sequence[Array], state: State) -> dict[int, Array]:
        """Float value of every tensor of either graph. Constants are present, but not always with their float value."""
        values = {t.id: t.value for t in self.int_graph.tensors.values() if t.is_constant}
        values |= trace(self.float_graph, inputs, state)
        for op, counterpart in zip(self.int_graph.ops, self.twins, strict=True):
            if counterpart is None:
                values[op.output] = values[op.inputs[0]]
        return values

    def noise(self, i: int, exact: Mapping[int, Array]) -> Array:
        """The noise of operation i: integer minus float form, both on the exact inputs rounded to their scales."""
        op = self.int_graph.ops[i]
        stored = [_value(t, exact) for t in self.int_graph.ins(op)]
        rounded = [_meaning(t, x) for t, x in zip(self.int_graph.ins(op), stored, strict=True)]
        result = real(self.int_graph.out(op), evaluate(self.int_graph, op, stored)).astype(np.float64)
        reference = self._float_output(i, rounded)
        return np.where(np.isfinite(reference), result - reference, 0)

    def outputs_with(
        self, index: int, changed: dict[int, Array], exact: Mapping[int, Array]
    ) -> list[tuple[Array, Array]]:
        """(exact, changed) float outputs of the network if operation `index` had given `changed` instead."""
        for j, op in enumerate(self.int_graph.ops[index + 1 :], start=index + 1):
            if not changed.keys().isdisjoint(op.inputs):
                changed[op.output] = self._float_output(j, [changed.get(k, exact[k]) for k in op.inputs])
        return [(exact[k], changed.get(k, exact[k])) for k in self.int_graph.outputs]

    def _float_output(self, i: int, inputs: Sequence[Array]) -> Array:
        """The float form of operation i; constants among the inputs are replaced by the float ones."""
        op = self.twins[i]
        if op is None:
            return inputs[0]
        pairs = zip(self.float_graph.ins(op), inputs, strict=True)
        return evaluate(self.float_graph, op, [t.value if t.is_constant else x for t, x in pairs])


def _meaning(t: Tensor, stored: Array) -> Array:
    """Real value of an input. Constants do not change, because the float operation has its own."""
    return stored if t.is_constant else real(t, stored)


def _value(t: Tensor, exact: Mapping[int, Array]) -> Array:
    return t.value if t.is_constant else _stored(t, exact[t.id])
