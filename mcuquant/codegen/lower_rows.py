"""The sweeps of a network by rows as C: which steps compute a row when, and how rows move."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod

from ..ir import Graph, Op
from ..ir.metrics import total_macs
from ..ir.row_ops import CopyRow, RowSum
from ..passes.row_schedule import Action, Compute, Line, Shift, Store, Total
from ..planner import Plan
from ..planner.line_layout import calls_of, line_layout
from ..planner.row_plan import RowPlan
from .lower import lower
from .program import Call, CFeed, CSweepPart, CTensor, Program


def lower_rows(planned: RowPlan, name: str = "model") -> Program:
    """Lower the plan of a network by rows."""
    fed, program = planned.fed, lower(planned.plan, name)
    whole = fed.whole[fed.graph.inputs[0]]
    emitter = _Emitter(planned.plan, program)
    feed = CFeed(
        rows=fed.input.rows,
        row_bytes=whole.nbytes // fed.input.rows,
        row_elements=prod(whole.shape[2:]),
        row=emitter.place(whole.id),
        sweeps=fed.sweeps,
        fills=(*emitter.fills(fed.lines), *emitter.zeros()),
        parts=tuple(part for action in fed.actions if (part := emitter.part(action)) is not None),
        first_rest=len(program.calls) - sum(step.op_index > emitter.last for step in planned.plan.steps),
    )
    inputs = tuple(_whole(tensor, whole.shape, whole.nbytes) for tensor in program.inputs)
    calls = tuple(emitter.call(call) for call in program.calls)
    return replace(program, inputs=inputs, calls=calls, macs=total_macs(fed.whole), feed=feed)


def _whole(tensor: CTensor, shape: tuple[int, ...], nbytes: int) -> CTensor:
    return replace(tensor, shape=shape, nbytes=nbytes, shape_name="shape_" + "x".join(map(str, shape)))


@dataclass(frozen=True, slots=True)
class _Emitter:
    """C statements for the actions of a sweep."""

    plan: Plan
    program: Program

    @property
    def graph(self) -> Graph:
        return self.plan.graph

    @property
    def last(self) -> int:
        """Index of the last operation of the row part."""
        return line_layout(self.graph).last

    def place(self, tensor: int) -> str:
        return f"arena + {self.plan.offsets[tensor]}"

    def call(self, call: Call) -> Call:
        """The call with the work of one inference, and the tensor of the whole network that it computes."""
        op = next(op for op in self.graph.ops if op.outputs == call.tensor_ids)
        copied = self._copied_to(op)
        ids = call.tensor_ids if copied is None else (copied,)
        times = calls_of(self.graph, op)
        title = f"{call.title}; {times} rows" if times > 1 else call.title
        return replace(call, title=title, macs=call.macs * times, tensor_ids=ids)

    def fills(self, lines: tuple[Line, ...]) -> Iterator[tuple[int, int, int]]:
        """(offset, value of all bytes, number of bytes) of the rows above an image."""
        for line in lines:
            if line.fill is not None and line.kept:
                row_bytes = self._row_bytes(line)
                yield self.plan.offsets[line.tensor] - line.kept * row_bytes, line.fill & 0xFF, line.kept * row_bytes

    def zeros(self) -> Iterator[tuple[int, int, int]]:
        """The same for sums before an image."""
        for op in (op for op in self.graph.ops if isinstance(op, RowSum)):
            yield self.plan.offsets[op.output], 0, self.graph.out(op).nbytes

    def part(self, action: Action) -> CSweepPart | None:
        line = action.line
        match action:
            case Shift():
                return self._part(line, f"{self._name(line)} moves up", always=(self._shift(line),))
            case Store(_, whole):
                return self._part(line, f"{self._name(line)} is stored", inside=(self._store(line, whole),))
            case Total(_, op):
                return self._part(line, f"{self._name(line)} is added", inside=(self._step(op),))
            case Compute(_, op):
                inside = tuple(self._row(op)) if op is not None else ()
                below = (self._fill(line),) if line.fill is not None else ()
                return self._part(line, self._name(line), inside=inside, below=below) if inside or below else None

    def _part(self, line: Line, title: str, **statements: tuple[str, ...]) -> CSweepPart:
        return CSweepPart(title, line.first, line.every, line.rows, **statements)

    def _name(self, line: Line) -> str:
        names: Mapping[int, int] = {call.tensor_ids[0]: call.index for call in self.program.calls}
        index = names.get(line.tensor, names.get(self._source_of(line.tensor)))
        return "the image" if index is None else f"step {index}"

    def _source_of(self, tensor: int) -> int:
        maker = self.graph.producer(tensor)
        return maker.inputs[0] if isinstance(maker, CopyRow) else tensor

    def _copied_to(self, op: Op) -> int | None:
        """The newest row of a line that the output of an operation is copied to."""
        return next((copy.output for copy in self.graph.consumers(op.output) if isinstance(copy, CopyRow)), None)

    def _row(self, op: Op) -> Iterator[str]:
        """A row of the output of an operation."""
        for i in dict.fromkeys(op.inputs):
            maker = self.graph.producer(i)
            if isinstance(maker, CopyRow):
                yield self._copy(maker)
        yield self._step(op)
        line = self._copied_to(op)
        if line is not None:
            yield self._move(self.place(line), self.place(op.output), self.graph[line].nbytes)

    def _step(self, op: Op) -> str:
        index = next(call.index for call in self.program.calls if call.tensor_ids == op.outputs)
        return f"{self.program.prefix}_step_{index}(arena);"

    def _copy(self, copy: CopyRow) -> str:
        return self._move(self.place(copy.output), self.place(copy.inputs[0]), self.graph[copy.output].nbytes)

    def _store(self, line: Line, whole: int) -> str:
        row_bytes = self._row_bytes(line)
        return self._move(f"{self.place(whole)} + row * {row_bytes}", self.place(line.tensor), row_bytes)

    def _shift(self, line: Line) -> str:
        row_bytes, newest = self._row_bytes(line), self.plan.offsets[line.tensor]
        oldest = newest - line.kept * row_bytes
        return self._move(f"arena + {oldest}", f"arena + {oldest + row_bytes}", line.kept * row_bytes)

    def _fill(self, line: Line) -> str:
        return f"memset({self.place(line.tensor)}, {(line.fill or 0) & 0xFF}, {self._row_bytes(line)});"

    def _move(self, to: str, source: str, nbytes: int) -> str:
        return f"mq_state_move({to}, {source}, {nbytes});"

    def _row_bytes(self, line: Line) -> int:
        return self.graph[line.tensor].nbytes
