"""Splits a network into a part that is computed row by row, and the rest.

The image comes row by row, from the top. Each tensor of the row part is a line: its newest row, and as many older ones
as are still read. A sweep takes one row of the image through all layers; a layer computes one row of its output as soon
as its window is complete, and only the tensors at the cut are stored whole. Rows of padding above and below an image
are rows of real zeros, so that every byte is the one of the whole image.

Row r of a tensor belongs to sweep `first` + r * `every`, whatever the image. So the place of each row that a layer
reads is constant, and kernels are those of whole images, for images one row high.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..errors import UnsupportedOpError
from ..ir import DType, Graph, Op, Role, Tensor, ops
from ..ir.row_ops import CopyRow, LineRows, OfSums, RowSum, StoreRow
from .row_windows import RowWindow, adds_all_pixels, row_window

_WORD_BYTES = 4


@dataclass(frozen=True, slots=True)
class Line:
    """The rows of one tensor in time and in memory.

    Row r comes in sweep `first` + r * `every`. Below the last row come rows of `fill`, a stored integer, as long as
    they are read; None: padding is not read.
    """

    tensor: int
    first: int
    every: int
    rows: int
    kept: int = 0
    """Number of rows in memory in addition to the newest."""
    fill: int | None = None

    def row(self, sweep: int) -> int | None:
        """The row that comes in a sweep, `rows` or more below the image; None if there is none."""
        number, rest = divmod(sweep - self.first, self.every)
        return number if number >= 0 and not rest else None

    @property
    def last_sweep(self) -> int:
        """The sweep of the last row of the image."""
        return self.first + (self.rows - 1) * self.every


@dataclass(frozen=True, slots=True)
class Compute:
    """The next row of a line: computed by operation `op` of the graph, fed if that is None, or filled."""

    line: Line
    op: Op | None


@dataclass(frozen=True, slots=True)
class Store:
    """The newest row of a line is copied to the tensor `whole`."""

    line: Line
    whole: int


@dataclass(frozen=True, slots=True)
class Shift:
    """The rows of a line move by one, which drops the oldest."""

    line: Line


@dataclass(frozen=True, slots=True)
class Total:
    """The newest row of a line is added to the sums that `op` computes."""

    line: Line
    op: RowSum


Action = Compute | Store | Shift | Total
"""A part of a sweep. It takes place in the sweeps of its line."""


@dataclass(frozen=True, slots=True, eq=False)
class RowFed:
    """A network whose first operations are those of one row. `graph` is planned and lowered as any other."""

    graph: Graph
    whole: Graph
    """The same network over whole images."""
    actions: tuple[Action, ...]
    """The actions of a sweep, in order."""
    sweeps: int
    rest: tuple[Op, ...]
    """The operations after the last sweep."""

    @property
    def lines(self) -> tuple[Line, ...]:
        return tuple(action.line for action in self.actions if isinstance(action, Compute))

    @property
    def input(self) -> Line:
        return next(line for line in self.lines if line.tensor == self.graph.inputs[0])


def cuts(graph: Graph) -> tuple[int, ...]:
    """Numbers of operations that may be computed row by row: for each, the operations before it all can.

    Raises UnsupportedOpError with the reason if there are none.
    """
    reason = _refusal(graph)
    if reason:
        raise UnsupportedOpError(f"{graph.name} cannot be fed by rows: {reason}")
    return tuple(range(1, len(_scheduled(graph).windows) + 1))


def _refusal(graph: Graph) -> str:
    if graph.updates:
        return "it keeps state between inferences; --stream feeds it by rows"
    if len(graph.inputs) != 1:
        return f"it has {len(graph.inputs)} inputs, expected one image"
    shape = graph[graph.inputs[0]].shape
    if len(shape) != 4 or shape[0] != 1:
        return f"its input has shape {shape}, expected one image (1, height, width, channels)"
    if shape[1] == 1:
        return f"its input of shape {shape} has one row"
    schedule = _scheduled(graph)
    return "" if schedule.windows else schedule.end


@dataclass(frozen=True, slots=True)
class _Schedule:
    """Lines of the tensors of the first operations, and the windows of these operations, by output."""

    lines: Mapping[int, Line]
    windows: Mapping[int, RowWindow]
    end: str
    """The reason why the operation after them is not computed by rows."""


def _scheduled(graph: Graph, most: int | None = None) -> _Schedule:
    """The schedule of as many operations as can be computed by rows, or of the first `most` of them."""
    x = graph.inputs[0]
    lines, windows = {x: Line(x, 0, 1, graph[x].shape[1])}, dict[int, RowWindow]()
    for op in graph.ops[:most]:
        window = row_window(graph, op, lines.keys())
        end = window if isinstance(window, str) else _conflict(op, window, lines)
        if isinstance(window, str) or end:
            return _Schedule(lines, windows, end)
        windows[op.output] = window
        lines |= _lines_after(graph, op, window, lines)
    return _Schedule(lines, windows, "")


def _conflict(op: Op, window: RowWindow, lines: Mapping[int, Line]) -> str:
    """The reason why an operation does not fit the lines of its inputs; empty if it does."""
    sources = [lines[i] for i in op.inputs if i in lines]
    if any((s.every, s.rows) != (sources[0].every, sources[0].rows) for s in sources):
        return f"{op.kind} joins tensors whose rows come at different rates"
    if window.fill is not None and sources[0].fill not in (None, window.fill):
        return f"{op.kind} pads its input with another value than a layer beside it"
    return ""


def _lines_after(graph: Graph, op: Op, window: RowWindow, lines: Mapping[int, Line]) -> dict[int, Line]:
    """The line of the output, and that of the input if it is padded."""
    sources = [lines[i] for i in op.inputs if i in lines]
    x = sources[0]
    first = max(s.first for s in sources) + x.every * (window.length - 1 - window.top)
    y = Line(op.output, first, x.every * window.stride, graph.out(op).shape[1])
    return {y.tensor: y, **({} if window.fill is None else {x.tensor: replace(x, fill=window.fill)})}


def row_fed(graph: Graph, cut: int) -> RowFed:
    """`graph` with its first `cut` operations by rows; `cut` is one of `cuts`."""
    return _Splitter(graph, cut).result()


class _Splitter:
    """Builds the graph of rows from that of whole images."""

    def __init__(self, graph: Graph, cut: int) -> None:
        self.graph, self.cut = graph, cut
        schedule = _scheduled(graph, cut)
        self.windows = schedule.windows
        self.lines = self._with_memory(schedule.lines)
        self.tensors = dict(graph.tensors)
        self.whole: dict[int, int] = {}
        self.sums: dict[int, int] = {}
        self.ops: list[Op] = []
        self.actions: list[Action] = []

    def _with_memory(self, lines: Mapping[int, Line]) -> dict[int, Line]:
        """The lines with as many rows as their readers need."""
        kept = dict.fromkeys(lines, 0)
        for op in self.graph.ops[: self.cut]:
            for i in (i for i in op.inputs if i in lines):
                kept[i] = max(kept[i], self._age(op, lines[i], lines[op.output]))
        return {i: replace(line, kept=kept[i]) for i, line in lines.items()}

    def _age(self, op: Op, x: Line, y: Line) -> int:
        """Number of rows of `x` after the first row that `op` reads, when it computes a row of `y`.

        If `x` has no new row in these sweeps, its rows have moved on by one.
        """
        window = self.windows[op.output]
        newer, rest = divmod(y.first - x.first - x.every * (window.length - 1 - window.top), x.every)
        return newer + window.length - 1 + (1 if rest else 0)

    def result(self) -> RowFed:
        first = self.lines[self.graph.inputs[0]]
        self._shrink(first)
        self._come(first, None)
        for op in self.graph.ops[: self.cut]:
            self._row_operation(op)
        rest = tuple(map(self._rest, self.graph.ops[self.cut :]))
        outputs = tuple(self.whole.get(i, i) for i in self.graph.outputs)
        fed = self.graph.with_(tensors=self.tensors, ops=(*self.ops, *rest), outputs=outputs)
        sweeps = 1 + max(self.lines[i].last_sweep for i in {*self.whole, *self.sums})
        return RowFed(fed, self.graph, tuple(self.actions), sweeps, rest)

    def _row_operation(self, op: Op) -> None:
        line = self.lines[op.output]
        self._shrink(line)
        sources = dict.fromkeys(i for i in op.inputs if i in self.lines)
        views = {i: self._view(op, self.lines[i], line) for i in sources}
        row_op = _of_one_row(replace(op, inputs=tuple(views.get(i, i) for i in op.inputs)))
        if not self._is_aligned(line.tensor, line.kept):
            row = self._new(self.tensors[line.tensor])
            row_op = replace(row_op, outputs=(row,))
            self.ops += [row_op, CopyRow(inputs=(row,), outputs=(line.tensor,))]
        else:
            self.ops.append(row_op)
        self._come(line, row_op)
        for i in sources:
            self._leave(i, op)

    def _come(self, line: Line, op: Op | None) -> None:
        self.actions.append(Compute(line, op))
        if line.tensor in self._stored():
            (self._add if self._is_added(line.tensor) else self._store)(line)
        if not self._readers(line.tensor):
            self._leave(line.tensor, None)

    def _stored(self) -> set[int]:
        """The tensors of the row part that are read after it."""
        return {i for op in self.graph.ops[self.cut :] for i in op.inputs} | {*self.graph.outputs}

    def _store(self, line: Line) -> None:
        row = self.graph[line.tensor]
        self.whole[line.tensor] = self._new(replace(row, role=Role.ACTIVATION))
        self.ops.append(StoreRow(inputs=(line.tensor,), outputs=(self.whole[line.tensor],)))
        self.actions.append(Store(line, self.whole[line.tensor]))

    def _is_added(self, tensor: int) -> bool:
        """Whether the rest of the network needs only sums over all pixels of a tensor."""
        readers = [op for op in self.graph.ops[self.cut :] if tensor in op.inputs]
        return tensor not in self.graph.outputs and all(adds_all_pixels(self.graph, op) for op in readers)

    def _add(self, line: Line) -> None:
        t = self.graph[line.tensor]
        sums = Tensor(0, (1, 1, 1, t.shape[3]), DType.INT32, Role.ACTIVATION, name=t.name)
        self.sums[line.tensor] = self._new(sums)
        op = RowSum(inputs=(line.tensor,), outputs=(self.sums[line.tensor],), rows=line.rows)
        self.ops.append(op)
        self.actions.append(Total(line, op))

    def _rest(self, op: Any) -> Op:
        """An operation after the last sweep: of whole tensors, or of sums."""
        if op.inputs[0] in self.sums:
            shape, sums = self.graph[op.inputs[0]].shape, self.sums[op.inputs[0]]
            return OfSums(inputs=(sums,), outputs=op.outputs, reduction=op, shape=shape)
        return replace(op, inputs=tuple(self.whole.get(i, i) for i in op.inputs))  # type: ignore[no-any-return]

    def _leave(self, tensor: int, op: Op | None) -> None:
        """After the last reader of a line in a sweep, its rows move."""
        if self.lines[tensor].kept and (op is None or op is self._readers(tensor)[-1]):
            self.actions.append(Shift(self.lines[tensor]))

    def _readers(self, tensor: int) -> list[Op]:
        return [op for op in self.graph.ops[: self.cut] if tensor in op.inputs]

    def _view(self, op: Op, x: Line, y: Line) -> int:
        """The rows of `x` that a row of `y` is computed from."""
        _, _, width, channels = self.graph[x.tensor].shape
        length = self.windows[op.output].length
        view = self._new(
            replace(self.graph[x.tensor], shape=(1, length, width, channels), role=Role.ACTIVATION, data=None)
        )
        first = x.kept - self._age(op, x, y)
        self.ops.append(LineRows(inputs=(x.tensor,), outputs=(view,), first=first, kept=x.kept, rows=x.rows))
        if self._is_aligned(x.tensor, first):
            return view
        copy = self._new(self.tensors[view])
        self.ops.append(CopyRow(inputs=(view,), outputs=(copy,)))
        return copy

    def _is_aligned(self, tensor: int, row: int) -> bool:
        """Whether kernels may read and write a line from this row on: their tensors begin at words."""
        row_bytes = self.graph[tensor].nbytes // self.graph[tensor].shape[1]
        return row * row_bytes % max(_WORD_BYTES, self.graph[tensor].dtype.bits // 8) == 0

    def _shrink(self, line: Line) -> None:
        """The tensor of a line is its newest row."""
        t = self.tensors[line.tensor]
        self.tensors[line.tensor] = replace(t, shape=(1, 1, *t.shape[2:]))

    def _new(self, tensor: Tensor) -> int:
        number = max(self.tensors) + 1
        self.tensors[number] = replace(tensor, id=number)
        return number


def _of_one_row(op: Any) -> Op:
    """The operation for an image that is one window high: its rows of padding are in the line."""
    if isinstance(op, ops.Conv2D | ops.DepthwiseConv2D | ops.Pool):
        return replace(op, padding=replace(op.padding, top=0, bottom=0))
    return op  # type: ignore[no-any-return]
