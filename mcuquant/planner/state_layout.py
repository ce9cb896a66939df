"""The place of states in RAM, and the moves at the end of an inference.

States are outside the arena, because no operation may overwrite them between two inferences. A state that is joined
with new rows, of which the newest are kept (read, concatenate, slice, assign), is a line: one buffer with the state,
followed by the new rows. Readers of the joined rows read them in place, the producer of the new rows writes them in
place, and at the end of the inference the rows to keep move to the beginning.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from ..errors import UnsupportedOpError
from ..ir import Graph, Op, Role, Tensor, Update
from ..ir.ops import Concat, Enter, Reshape, Slice
from ..ir.row_ops import VIEWS
from .allocator import align

ALIGNMENT = 8
_WORD_BYTES = 4


@dataclass(frozen=True, slots=True)
class Move:
    """A move of `nbytes` to `target`, an offset in the states.

    The source is the place of tensor `tensor` or, if that is None, offset `source` in the states.
    """

    target: int
    nbytes: int
    tensor: int | None = None
    source: int = 0


@dataclass(frozen=True, slots=True)
class StateLayout:
    """`offsets` are those of every tensor in the states: states, lines, new rows, and views of them."""

    offsets: Mapping[int, int]
    nbytes: int
    moves: tuple[Move, ...]
    """The moves at the end of an inference, in order."""
    in_place: frozenset[int] = field(default=frozenset())
    """Outputs of operations without work: their values are already in place."""


def with_lines(graph: Graph) -> Graph:
    """The graph in which each concatenation that builds a line is an operation that appends new rows to it."""
    lines = {line.joined: line for line in _lines(graph)}
    ops = tuple(
        Enter(inputs=op.inputs, outputs=op.outputs, axis=op.axis)
        if isinstance(op, Concat) and op.output in lines
        else op
        for op in graph.ops
    )
    return graph if ops == graph.ops else replace(graph, ops=ops)


def has_step(graph: Graph, op: Op) -> bool:
    """Whether `op` needs a call: views, and rows that are already in place, need none."""
    return not isinstance(op, (Reshape, *VIEWS)) and op.output not in state_layout(graph).in_place


@lru_cache(maxsize=4)
def state_layout(graph: Graph) -> StateLayout:
    """The layout of a graph with lines. Raises UnsupportedOpError for states that exchange their values."""
    if not graph.updates:
        return StateLayout({}, 0, ())
    lines = {line.update.state: line for line in _lines(graph)}
    offsets, top = dict[int, int](), 0
    for state in graph.states:
        offsets[state.id] = top
        line = lines.get(state.id)
        top = align(top + (graph[line.joined].nbytes if line else state.nbytes), ALIGNMENT)
    in_place: set[int] = set()
    for line in lines.values():
        _lay_line(graph, line, offsets, in_place)
    _lay_views(graph, offsets)
    return StateLayout(offsets, top, tuple(_moves(graph, lines, offsets)), frozenset(in_place))


@dataclass(frozen=True, slots=True)
class _Line:
    """`joined` is the tensor of the state and the new rows, `parts` are these two. Kept rows begin at `kept_bytes`."""

    update: Update
    joined: int
    parts: tuple[int, ...]
    kept_bytes: int


def _lines(graph: Graph) -> Iterator[_Line]:
    makers = {op.output: op for op in graph.ops}
    used: set[int] = set()
    for update in graph.updates:
        kept = makers.get(update.value)
        joint = makers.get(kept.inputs[0]) if isinstance(kept, Slice) else None
        if not isinstance(kept, Slice) or not isinstance(joint, Concat | Enter):
            continue
        is_line = joint.inputs[0] == update.state and update.state not in joint.inputs[1:] and len(joint.inputs) > 1
        if is_line and joint.output not in used and _keeps_rows(graph, joint, kept):
            used.add(joint.output)
            row_bytes = graph.out(joint).nbytes // graph.out(joint).shape[joint.axis]
            yield _Line(update, joint.output, joint.inputs[1:], kept.begin[joint.axis] * row_bytes)


def _keeps_rows(graph: Graph, joint: Concat | Enter, kept: Slice) -> bool:
    """Whether a joined tensor qualifies as a line: rows of it are kept, its bytes are those of its parts, and it is no
    output.
    """
    state, joined = graph[joint.inputs[0]], graph.out(joint)
    hidden = not {joint.output, kept.output} & {_root(graph, i) for i in graph.outputs}
    elsewhere = [n for axis, n in enumerate(kept.begin) if axis != joint.axis]
    in_a_row = not any(elsewhere) and kept.begin[joint.axis] > 0 and all(step == 1 for step in kept.step)
    return hidden and in_a_row and math.prod(joined.shape[: joint.axis]) == 1 and state.q == joined.q


def _lay_line(graph: Graph, line: _Line, offsets: dict[int, int], in_place: set[int]) -> None:
    """Places of the joined rows, the new rows and the kept rows, if the alignment of words allows it."""
    start = offsets[line.update.state]
    joined = graph[line.joined]
    offsets[line.joined] = start
    ends = [start + graph[line.update.state].nbytes]
    for part in line.parts:
        ends.append(ends[-1] + graph[part].nbytes)
    roots = [_root(graph, part) for part in line.parts]
    if all(_can_move(graph, r, at, joined, offsets) for r, at in zip(roots, ends, strict=False)) and len(
        set(roots)
    ) == len(roots):
        offsets.update(zip(roots, ends, strict=False))
        in_place.add(line.joined)
    rows_offset = start + line.kept_bytes
    if rows_offset % _WORD_BYTES == 0 or not graph.consumers(line.update.value):
        offsets[line.update.value] = rows_offset
        in_place.add(line.update.value)


def _root(graph: Graph, tensor: int) -> int:
    """The tensor whose bytes it uses."""
    maker = graph.producer(tensor)
    while isinstance(maker, Reshape):
        tensor = maker.inputs[0]
        maker = graph.producer(tensor)
    return tensor


def _can_move(graph: Graph, root: int, at: int, joined: Tensor, offsets: Mapping[int, int]) -> bool:
    """Whether a step can write the new rows in place."""
    t = graph[root]
    is_output = root in {_root(graph, i) for i in graph.outputs}
    is_movable = t.role is Role.ACTIVATION and root not in offsets and not is_output
    return is_movable and t.q == joined.q and t.dtype is joined.dtype and at % max(_WORD_BYTES, t.dtype.bits // 8) == 0


def _lay_views(graph: Graph, offsets: dict[int, int]) -> None:
    for op in graph.ops:
        if isinstance(op, Reshape) and op.inputs[0] in offsets:
            offsets.setdefault(op.output, offsets[op.inputs[0]])


def _moves(graph: Graph, lines: Mapping[int, _Line], offsets: Mapping[int, int]) -> list[Move]:
    """Moves of each state from its next value, in an order that reads every value before it is overwritten."""
    waiting = {u.state: _move(graph, u, lines.get(u.state), offsets) for u in graph.updates}
    sizes = {u.state: graph[lines[u.state].joined if u.state in lines else u.state].nbytes for u in graph.updates}
    ordered: list[Move] = []
    while waiting:
        free = [s for s in waiting if not any(_reads(m, offsets[s], sizes[s]) for k, m in waiting.items() if k != s)]
        if not free:
            names = ", ".join(repr(graph[s].name) for s in waiting)
            raise UnsupportedOpError(f"{graph.name}: the states {names} take each other's values, which no code does")
        ordered += [waiting.pop(s) for s in free]
    return [m for m in ordered if m.tensor is not None or m.source != m.target]


def _reads(move: Move, start: int, nbytes: int) -> bool:
    return move.tensor is None and start <= move.source < start + nbytes


def _move(graph: Graph, update: Update, line: _Line | None, offsets: Mapping[int, int]) -> Move:
    target, nbytes = offsets[update.state], graph[update.state].nbytes
    if line is not None:
        return Move(target, nbytes, source=target + line.kept_bytes)
    if update.value in offsets:
        return Move(target, nbytes, source=offsets[update.value])
    return Move(target, nbytes, tensor=update.value)
