"""Converts a network of windows to a stream network: new rows in, the outputs of the window network out.

The rows of a tensor that only moved since the last window are stored as a state, as far as they are read; new rows and
rows at the edges are computed (`timeline` determines which). Behind a stride that does not divide the hop, rows move
only every few hops. One state then holds the rows of all these phases in the order of time, and an inference reads
those of its own. Every byte is that of the window network: the states begin with its values for a window of zeros.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..arithmetic.interpreter import trace
from ..errors import UnsupportedOpError
from ..ir import Array, Graph, Op, Role, Tensor, Update, ops
from ..ir.metrics import macs, state_bytes, total_macs
from .running_sums import kept_rows, with_running_sums
from .timeline import Motion, Rows, Timeline, Whole, motions, reach


@dataclass(frozen=True, slots=True)
class StreamedLayer:
    """One operation of the window network, and its remaining work for new rows."""

    name: str
    op: str
    rows: int
    """Number of rows of its output in the window, or of the rows that a running sum adds up; 0 if the whole output is
    computed again.
    """
    reused: int
    """Number of rows that are kept, or whose sum is."""
    computed: int
    """Number of computed rows, new ones and edges, or of those that a running sum adds and subtracts."""
    phases: int
    """Number of hops after which its rows have moved; the rows of each phase are kept."""
    macs_before: int
    macs_after: int
    reason: str
    """The reason why nothing is reused from here on; else empty."""


@dataclass(frozen=True, slots=True, eq=False)
class Streamed:
    """The stream network, and its relation to the window network."""

    graph: Graph
    axis: int
    hop: int
    warm_up_rows: int
    """Number of rows after which the outputs are those of windows of the stream alone; earlier windows begin with
    zeros.
    """
    layers: tuple[StreamedLayer, ...]

    @property
    def macs_before(self) -> int:
        return sum(layer.macs_before for layer in self.layers)

    @property
    def macs_after(self) -> int:
        return total_macs(self.graph)


def streamed(graph: Graph, axis: int, hop: int) -> Streamed:
    """`graph` over a stream of rows along `axis` of its input, `hop` rows at a time.

    Raises UnsupportedOpError if no row can be reused, or the network does not qualify.
    """
    _check(graph, axis, hop)
    moving = motions(graph, axis, hop)
    builder = _Builder(graph, moving, _needs(graph, moving))
    result = builder.build(hop)
    if not result.updates:
        reason = next((m.reason for m in moving.values() if isinstance(m, Whole) and m.reason), "the hop is too long")
        raise UnsupportedOpError(f"{graph.name}: no row is reused from window to window: {reason}")
    layers = tuple(builder.layer(op, result) for op in graph.ops)
    kept = state_bytes(with_running_sums(result))
    note = (
        f"stream: {hop} new rows at a time; {total_macs(result):,} of {total_macs(graph):,} MACs per window, "
        f"{kept:,} bytes of state"
    )
    reasons = tuple(f"stream: from {layer.name!r} on: {layer.reason}" for layer in layers if layer.reason)
    final = replace(result, notes=(*graph.notes, note, *_phase_notes(layers, hop), *reasons))
    return Streamed(final, axis, hop, graph[graph.inputs[0]].shape[axis], layers)


def _phase_notes(layers: tuple[StreamedLayer, ...], hop: int) -> tuple[str, ...]:
    """A note where the hop does not fit the strides."""
    most = max(layer.phases for layer in layers)
    if most == 1:
        return ()
    first = next(layer for layer in layers if layer.phases > 1)
    return (
        f"stream: from {first.name!r} on: the hop does not fit the strides, so the rows of {most} phases are kept; "
        f"with a hop of {most * hop} those of one",
    )


def _check(graph: Graph, axis: int, hop: int) -> None:
    if graph.updates:
        raise UnsupportedOpError(f"{graph.name} keeps state between inferences already: it is no network of windows")
    if len(graph.inputs) != 1:
        raise UnsupportedOpError(f"{graph.name} has {len(graph.inputs)} inputs; a stream has 1")
    shape = graph[graph.inputs[0]].shape
    if not 1 <= axis < len(shape):
        raise UnsupportedOpError(
            f"{graph.name}: its input has shape {shape} and no axis {axis} of rows; expected 1 to {len(shape) - 1}"
        )
    if not 1 <= hop < shape[axis]:
        raise UnsupportedOpError(
            f"{graph.name}: {hop} new rows of {shape[axis]} at a time; expected 1 to {shape[axis] - 1}"
        )


@dataclass(slots=True)
class _Need:
    """The rows of a tensor that are read, and hence those that are stored and computed."""

    time: Timeline
    rows: list[Rows] = field(default_factory=list)

    @property
    def left(self) -> Rows | None:
        """The edge before the clean rows, as far as it is read."""
        starts = [r.start for r in self.rows if r.start < self.time.clean.start]
        return range(min(starts), self.time.clean.start) if starts else None

    @property
    def joined(self) -> Rows:
        """Clean rows and the edge after them, from the first that is read."""
        clean = self.time.clean
        starts = [max(r.start, clean.start) for r in self.rows if r.stop > clean.start]
        stop = max([clean.stop, *(r.stop for r in self.rows)])
        return range(min([clean.stop - 1, *starts]), stop)

    @property
    def kept(self) -> Rows:
        """Clean rows that existed in the previous window."""
        return range(self.joined.start, max(self.joined.start, self.time.clean.stop - self.time.step))

    @property
    def computed(self) -> Rows:
        return range(self.kept.stop, self.joined.stop)


Needs = dict[int, _Need]


def _needs(graph: Graph, moving: dict[int, Motion]) -> Needs:
    needs = {i: _Need(m) for i, m in moving.items() if isinstance(m, Timeline)}
    for i in graph.outputs:
        if i in needs:
            needs[i].rows.append(range(needs[i].time.length))
    for op in reversed(graph.ops):
        for i in op.inputs:
            if i in needs:
                needs[i].rows += _read(graph, op, needs, i)
    return needs


def _read(graph: Graph, op: Op, needs: Needs, tensor: int) -> list[Rows]:
    length = needs[tensor].time.length
    if op.output not in needs:
        return [range(length)]
    need, r = needs[op.output], reach(graph, op, needs[tensor].time.axis)
    if not need.rows:
        return []
    uses = [need.computed] if need.left is None else [need.left, need.computed]
    return [r.of(rows, length) for rows in uses]


@dataclass(frozen=True, slots=True)
class _Part:
    """`rows` of a tensor of the window network: every `pitch`-th row of a tensor of the stream network."""

    rows: Rows
    tensor: int
    pitch: int = 1


@dataclass(slots=True)
class _Builder:
    graph: Graph
    moving: dict[int, Motion]
    needs: Needs
    tensors: dict[int, Tensor] = field(default_factory=dict)
    ops: list[Op] = field(default_factory=list)
    updates: list[Update] = field(default_factory=list)
    parts: dict[int, list[_Part]] = field(default_factory=lambda: defaultdict(list))
    """By tensor of the window network."""
    cut: dict[tuple[int, Rows], int] = field(default_factory=dict)
    work: dict[int, int] = field(default_factory=dict)
    """MACs by output of the window network."""
    start: dict[int, Array] = field(default_factory=dict)

    def build(self, hop: int) -> Graph:
        graph, x = self.graph, self.graph[self.graph.inputs[0]]
        self.tensors = {t.id: t for t in graph.tensors.values() if t.is_constant}
        self.start = trace(graph, [np.full(x.shape, x.zero_point, x.dtype.numpy)])
        self.tensors[x.id] = replace(x, shape=_with(x.shape, self.needs[x.id].time.axis, hop))
        self._join(x.id, x.id, self.needs[x.id].time.fresh)
        for op in graph.ops:
            self._add(op)
        outputs = tuple(map(self._all_rows, graph.outputs))
        changed = replace(graph, tensors=self.tensors, ops=tuple(self.ops), outputs=outputs, spreads={})
        return changed.with_(updates=tuple(self.updates))

    def layer(self, op: Op, result: Graph) -> StreamedLayer:
        y, need = self.graph.out(op), self.needs.get(op.output)
        motion = self.moving.get(op.output)
        before = macs(self.graph, op)
        rows, reason = (0, 0, 0, 1), motion.reason if isinstance(motion, Whole) else ""
        if need is not None:
            rows = (need.time.length, len(need.kept), self._computed(need), need.time.period if need.kept else 1)
        elif (summed := self._summed(op, result)) is not None:
            rows, reason = summed, reason and f"{reason}; only the sum of {summed[1]} of them is kept"
        return StreamedLayer(y.name, op.kind, *rows, before, self.work.get(op.output, 0), reason)

    def _summed(self, op: Op, result: Graph) -> tuple[int, int, int, int] | None:
        """The rows that a reduction adds up, those whose sum is kept, those that are added or subtracted; 1 phase."""
        maker = result.producer(op.output)
        kept = None if maker is None else kept_rows(result, maker)
        if maker is None or kept is None:
            return None
        length = result[maker.inputs[0]].shape[kept.axis]
        return length, len(kept.rows), length - len(kept.rows) + kept.step, 1

    def _computed(self, need: _Need) -> int:
        return len(need.computed) + len(need.left or ()) if need.rows else 0

    def _add(self, op: Op) -> None:
        if op.output in self.needs:
            need = self.needs[op.output]
            if need.rows and need.left is not None:
                self.parts[op.output].append(_Part(need.left, self._compute(op, need.left)))
            if need.rows:
                self._join(op.output, self._compute(op, need.computed), need.computed)
            return
        inputs = tuple(map(self._all_rows, op.inputs))
        self._emit(replace(op, inputs=inputs), op)
        self.tensors.update({i: self.graph[i] for i in op.outputs})

    def _emit(self, op: Op, source: Op | None = None) -> None:
        self.ops.append(op)
        if source is not None:
            self.tensors.update({i: self.graph[i] for i in op.outputs if i not in self.tensors})
            graph = Graph("", self.tensors, (), (), ())
            self.work[source.output] = self.work.get(source.output, 0) + macs(graph, op)

    def _compute(self, op: Op, rows: Rows) -> int:
        """The given rows of the operation's output."""
        time, y = self.needs[op.output].time, self.graph.out(op)
        changes: dict[str, Any] = {}
        inputs = list(op.inputs)
        for place, i in enumerate(op.inputs):
            if i in self.needs:
                x_time = self.needs[i].time
                r = reach(self.graph, op, x_time.axis)
                inputs[place] = self._rows(i, r.of(rows, x_time.length))
                start, stop = r.unlimited(rows)
                changes = _attributes(op, x_time.axis, (max(0, -start), max(0, stop - x_time.length)))
        output = self._new(replace(y, shape=_with(y.shape, time.axis, len(rows))))
        self._emit(replace(op, inputs=tuple(inputs), outputs=(output,), **changes), op)
        return output

    def _join(self, tensor: int, tensor_id: int, rows: Rows) -> None:
        """Append `rows`, which tensor `tensor_id` of the stream network contains, to the stored rows."""
        need = self.needs[tensor]
        if not need.rows or not need.kept:
            self.parts[tensor].append(_Part(rows, tensor_id))
        elif need.time.period == 1:
            self._append(tensor, tensor_id)
        else:
            self._append_phase(tensor, tensor_id, rows)

    def _append(self, tensor: int, tensor_id: int) -> None:
        """Rows of one phase: kept rows, new rows and the edge after them are one tensor."""
        need = self.needs[tensor]
        before = range(need.kept.start + need.time.step, need.kept.stop + need.time.step)
        data = np.take(self.start[tensor], before, axis=need.time.axis)
        joined = self._line(tensor, tensor_id, data, len(need.joined))
        self.parts[tensor].append(_Part(need.joined, joined))

    def _append_phase(self, tensor: int, tensor_id: int, rows: Rows) -> None:
        """Blocks of the new rows of each phase in turn. The rows of the window are every period-th block."""
        need, time = self.needs[tensor], self.needs[tensor].time
        blocks = -(-len(need.kept) // time.step)
        fresh = self._piece(tensor, _Part(rows, tensor_id), time.fresh)
        data = np.take(self.start[tensor], [*time.fresh] * (blocks * time.period), axis=time.axis)
        joined = self._line(tensor, fresh, data, (blocks * time.period + 1) * time.step)
        of_phase = range(time.clean.stop - (blocks + 1) * time.step, time.clean.stop)
        if time.step == 1:
            self.parts[tensor].append(_Part(of_phase, joined, time.period))
        else:
            rounded = _Part(of_phase, self._blocks(tensor, joined, len(of_phase)))
            clean = range(need.kept.start, time.clean.stop)
            self.parts[tensor].append(_Part(clean, self._piece(tensor, rounded, clean)))
        if rows.stop > time.clean.stop:
            edge = range(time.clean.stop, rows.stop)
            self.parts[tensor].append(_Part(edge, self._piece(tensor, _Part(rows, tensor_id), edge)))

    def _line(self, tensor: int, new: int, data: Array, length: int) -> int:
        """A state with initial value `data` and, behind it, new rows, `length` rows in all. The oldest rows of a step
        leave it.
        """
        t, time = self.graph[tensor], self.needs[tensor].time
        state = self._new(replace(t, shape=data.shape, role=Role.STATE, data=data, name=f"{t.name}/kept"))
        joined = self._new(replace(t, shape=_with(t.shape, time.axis, length)))
        newest = self._new(replace(t, shape=data.shape))
        begin = _with((0,) * len(t.shape), time.axis, time.step)
        self.ops.append(ops.Concat(inputs=(state, new), outputs=(joined,), axis=time.axis))
        self.ops.append(ops.Slice(inputs=(joined,), outputs=(newest,), begin=begin, step=(1,) * len(t.shape)))
        self.updates.append(Update(state, newest))
        return joined

    def _blocks(self, tensor: int, joined: int, rows: int) -> int:
        """Every period-th block of a line whose blocks have several rows."""
        t, time, source = self.graph[tensor], self.needs[tensor].time, self.tensors[joined]
        outer = math.prod(t.shape[: time.axis])
        row = math.prod(t.shape[time.axis + 1 :])
        blocks, taken = source.shape[time.axis] // time.step, rows // time.step
        apart = self._new(replace(t, shape=(outer, blocks, time.step * row)))
        chosen = self._new(replace(t, shape=(outer, taken, time.step * row)))
        output = self._new(replace(t, shape=_with(t.shape, time.axis, rows)))
        self.ops += [
            ops.Reshape(inputs=(joined,), outputs=(apart,)),
            ops.Slice(inputs=(apart,), outputs=(chosen,), begin=(0, 0, 0), step=(1, time.period, 1)),
            ops.Reshape(inputs=(chosen,), outputs=(output,)),
        ]
        return output

    def _all_rows(self, tensor: int) -> int:
        """A tensor of the stream network with the whole content of a tensor of the window network."""
        return self._rows(tensor, range(self.needs[tensor].time.length)) if tensor in self.needs else tensor

    def _rows(self, tensor: int, rows: Rows) -> int:
        """A tensor of the given rows of the window."""
        if (tensor, rows) not in self.cut:
            parts = [p for p in self.parts[tensor] if p.rows.start < rows.stop and rows.start < p.rows.stop]
            pieces = [self._piece(tensor, part, rows) for part in parts]
            self.cut[tensor, rows] = pieces[0] if len(pieces) == 1 else self._concatenated(tensor, rows, pieces)
        return self.cut[tensor, rows]

    def _piece(self, tensor: int, part: _Part, rows: Rows) -> int:
        common = range(max(part.rows.start, rows.start), min(part.rows.stop, rows.stop))
        if common == part.rows and part.pitch == 1:
            return part.tensor
        t, axis = self.graph[tensor], self.needs[tensor].time.axis
        piece = self._new(replace(t, shape=_with(t.shape, axis, len(common))))
        begin = _with((0,) * len(t.shape), axis, (common.start - part.rows.start) * part.pitch)
        step = _with((1,) * len(t.shape), axis, part.pitch)
        self.ops.append(ops.Slice(inputs=(part.tensor,), outputs=(piece,), begin=begin, step=step))
        return piece

    def _concatenated(self, tensor: int, rows: Rows, pieces: list[int]) -> int:
        t, axis = self.graph[tensor], self.needs[tensor].time.axis
        output = self._new(replace(t, shape=_with(t.shape, axis, len(rows))))
        self.ops.append(ops.Concat(inputs=tuple(pieces), outputs=(output,), axis=axis))
        return output

    def _new(self, t: Tensor) -> int:
        """`t` with a new id, as an activation."""
        i = max(*self.graph.tensors, *self.tensors) + 1
        role = t.role if t.role is Role.STATE else Role.ACTIVATION
        self.tensors[i] = replace(t, id=i, role=role)
        return i


def _with(shape: tuple[int, ...], axis: int, n: int) -> tuple[int, ...]:
    return (*shape[:axis], n, *shape[axis + 1 :])


def _attributes(op: Op, axis: int, around: tuple[int, int]) -> dict[str, Any]:
    """Changed attributes if only some rows are computed: `around` is the padding before and after the rows that are
    read.
    """
    match op:
        case ops.Conv2D() | ops.DepthwiseConv2D() | ops.Pool():
            names = ("top", "bottom") if axis == 1 else ("left", "right")
            return {"padding": replace(op.padding, **dict(zip(names, around, strict=True)))}
        case ops.Pad():
            return {"pads": (*op.pads[:axis], around, *op.pads[axis + 1 :])}
        case ops.Slice():
            return {"begin": _with(op.begin, axis, 0)}
        case _:
            return {}
