"""The sweeps of a network by rows, in numpy: what the C code of such a network computes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mcuquant.arithmetic.interpreter import evaluate
from mcuquant.ir import Array, Op
from mcuquant.ir.row_ops import CopyRow, LineRows
from mcuquant.passes.row_schedule import Action, Compute, RowFed, Shift, Store, Total


class Replay:
    """The sweeps of a network, with the interpreter's operations on rows: the definition of `RowFed`."""

    def __init__(self, fed: RowFed) -> None:
        self.fed = fed
        self.values: dict[int, Array] = {t.id: t.data for t in fed.graph.tensors.values() if t.data is not None}
        self.lines: dict[int, Array] = {}
        self.sweep = 0
        self._begin()

    def _begin(self) -> None:
        self.sweep = 0
        for line in self.fed.lines:
            row = self.fed.graph[line.tensor]
            self.lines[line.tensor] = np.full((line.kept + 1, *row.shape[2:]), line.fill or 0, row.dtype.numpy)
        for total in (action for action in self.fed.actions if isinstance(action, Total)):
            self.values[total.op.output] = np.zeros(self.fed.graph[total.op.output].shape, np.int32)
        for store in (action for action in self.fed.actions if isinstance(action, Store)):
            whole = self.fed.graph[store.whole]
            self.values[store.whole] = np.zeros(whole.shape, whole.dtype.numpy)

    def feed(self, rows: Array) -> list[Array] | None:
        """Take rows (n, W, C) of the image. Returns the outputs after the last row, else None."""
        for row in rows:
            self._sweep(row)
        if self.sweep < self.fed.input.rows:
            return None
        while self.sweep < self.fed.sweeps:
            self._sweep(None)
        for op in self.fed.rest:
            self.values[op.output] = evaluate(self.fed.graph, op, [self.values[i] for i in op.inputs])
        outputs = [self.values[i] for i in self.fed.graph.outputs]
        self._begin()
        return outputs

    def _sweep(self, fed_row: Array | None) -> None:
        for action in self.fed.actions:
            number = action.line.row(self.sweep)
            if number is not None:
                self._act(action, number, fed_row)
        self.sweep += 1

    def _act(self, action: Action, number: int, fed_row: Array | None) -> None:
        line, memory = action.line, self.lines[action.line.tensor]
        match action:
            case Shift():
                memory[:-1] = memory[1:].copy()
            case Total(_, op) if number < line.rows:
                self.values[op.output] += evaluate(self.fed.graph, op, [memory[None, -1:]])
            case Store(_, whole) if number < line.rows:
                self.values[whole][0, number] = memory[-1]
            case Compute(_, op) if number < line.rows:
                memory[-1] = fed_row if op is None else evaluate(self.fed.graph, op, list(self._operands(op)))[0, 0]
            case Compute() if line.fill is not None:
                memory[-1] = line.fill

    def _operands(self, op: Op) -> Iterator[Array]:
        copies = {o.output: o.inputs[0] for o in self.fed.graph.ops if isinstance(o, CopyRow)}
        views: dict[int, LineRows] = {o.output: o for o in self.fed.graph.ops if isinstance(o, LineRows)}
        for i in op.inputs:
            view, rows = views.get(copies.get(i, i)), self.fed.graph[i].shape[1:2]
            if view is not None:
                yield self.lines[view.inputs[0]][None, view.first : view.first + rows[0]]
            else:
                yield self.values[i]


def replay(fed: RowFed, x: Array, portions: Sequence[int] = ()) -> list[Array]:
    """The outputs for one image (1, H, W, C), fed in portions of rows; by default all at once."""
    machine, rows = Replay(fed), x[0]
    for n in portions:
        machine.feed(rows[:n])
        rows = rows[n:]
    outputs = machine.feed(rows)
    return outputs or []
