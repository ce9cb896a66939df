"""Feeds a network with memory row by row, on the interpreter or on a board."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from ..arithmetic import interpreter
from ..errors import CalibrationError
from ..ir import Array, Graph, Shape, Tensor
from ..passes.stream import Streamed
from .dut import Dut
from .folder import Port


class _Engine(Protocol):
    """A place where inferences of a network with memory run."""

    @property
    def inputs(self) -> Sequence[Tensor | Port]: ...
    @property
    def outputs(self) -> Sequence[Tensor | Port]: ...
    def reset(self) -> None: ...
    def run(self, x: Array) -> Sequence[Array]:
        """Outputs of one inference; `x` has the shape of the input."""


@dataclass(slots=True)
class _Host:
    graph: Graph
    state: interpreter.State = field(default_factory=dict)

    @property
    def inputs(self) -> list[Tensor]:
        return [self.graph[i] for i in self.graph.inputs]

    @property
    def outputs(self) -> list[Tensor]:
        return [self.graph[i] for i in self.graph.outputs]

    def reset(self) -> None:
        self.state = interpreter.reset_state(self.graph)

    def run(self, x: Array) -> list[Array]:
        return interpreter.run(self.graph, [x], self.state)


@dataclass(frozen=True, slots=True)
class _Board:
    dut: Dut

    @property
    def inputs(self) -> tuple[Port, ...]:
        return self.dut.project.inputs

    @property
    def outputs(self) -> tuple[Port, ...]:
        return self.dut.project.outputs

    def reset(self) -> None:
        self.dut.reset_state()

    def run(self, x: Array) -> tuple[Array, ...]:
        y = self.dut.run(x.reshape(1, *self.inputs[0].sample))
        return y if isinstance(y, tuple) else (y,)


class Stream:
    """A network that takes rows as they come.

        with project.connect() as dut:
            stream = mq.Stream(dut)
            for rows in source:  # the input's shape, with any number of rows
                y = stream.feed(rows)  # (N, ...), the outputs of the N inferences that these rows complete

    `axis` is the axis of the rows in the input's shape, `hop` the number of new rows per inference, `warm_up_rows` the
    number of rows after which the outputs are those of whole windows (0 for a network that is no network of windows),
    and `rows` the number of rows since the last reset.
    """

    def __init__(self, network: Streamed | Graph | Dut, axis: int | None = None) -> None:
        """`network`: the result of `mq.stream`, a connected board with firmware of such a network, or a graph or board
        of any network with one input. Only the last two take `axis`.

        The stream begins with the initial states. Raises CalibrationError for several inputs, and for a missing, wrong
        or superfluous axis.
        """
        facts = _facts(network)
        if isinstance(network, Dut):
            self._engine: _Engine = _Board(network)
        else:
            self._engine = _Host(network.graph if isinstance(network, Streamed) else network)
        self._input = _only(self._engine.inputs)
        self.axis = _axis(self._input.shape, facts.get("axis"), axis)
        self.hop: int = self._input.shape[self.axis]
        self.warm_up_rows: int = facts.get("warm_up_rows", 0)
        self.reset()

    def reset(self) -> None:
        """Begin a new stream: initial states; rows of an inference that is not complete are dropped."""
        self._engine.reset()
        self._waiting = np.zeros(self._shape(0), self._input.dtype.numpy)
        self.rows = 0

    @property
    def is_warm(self) -> bool:
        """Whether the last inference had a whole window of fed rows."""
        return self.rows // self.hop * self.hop >= max(self.hop, self.warm_up_rows)

    @property
    def warm_up_inferences(self) -> int:
        """The number of first inferences whose windows begin with zeros instead of fed rows."""
        return max(0, -(-self.warm_up_rows // self.hop) - 1)

    def feed(self, rows: Array) -> Array | tuple[Array, ...]:
        """Stored values of new rows in; stored outputs of the N inferences that are complete out, (N, ...).

        One output is an array, several are a tuple.

        `rows` has the shape of the input with any number of rows. Rows that complete no inference wait for the next
        call. Raises CalibrationError for another shape or type.
        """
        self._check(rows)
        count = rows.shape[self.axis]
        waiting = np.concatenate([self._waiting, rows], self.axis)
        done = waiting.shape[self.axis] // self.hop * self.hop
        results = [self._engine.run(self._cut(waiting, at, at + self.hop)) for at in range(0, done, self.hop)]
        self._waiting, self.rows = self._cut(waiting, done, None), self.rows + count
        outputs = tuple(_stacked(t, [y[i] for y in results]) for i, t in enumerate(self._engine.outputs))
        return outputs[0] if len(outputs) == 1 else outputs

    def _shape(self, rows: int) -> Shape:
        shape = self._input.shape
        return (*shape[: self.axis], rows, *shape[self.axis + 1 :])

    def _cut(self, rows: Array, start: int, stop: int | None) -> Array:
        return np.ascontiguousarray(rows[(*(slice(None),) * self.axis, slice(start, stop))])

    def _check(self, rows: Array) -> None:
        dtype = self._input.dtype
        is_alike = rows.ndim == len(self._input.shape) and rows.shape == self._shape(rows.shape[self.axis])
        if not is_alike or rows.dtype != dtype.numpy:
            expected = ", ".join("N" if i == self.axis else str(n) for i, n in enumerate(self._input.shape))
            raise CalibrationError(
                f"the stream takes rows of {dtype} and shape ({expected}), found {rows.dtype} of shape {rows.shape}"
            )


def _facts(network: Streamed | Graph | Dut) -> Mapping[str, Any]:
    match network:
        case Streamed():
            return {"axis": network.axis, "warm_up_rows": network.warm_up_rows}
        case Dut():
            return network.project.manifest.get("stream", {})  # type: ignore[no-any-return]
        case _:
            return {}


def _only(inputs: Sequence[Tensor | Port]) -> Tensor | Port:
    if len(inputs) != 1:
        raise CalibrationError(f"the network has {len(inputs)} inputs; a stream has 1")
    return inputs[0]


def _axis(shape: Shape, known: int | None, given: int | None) -> int:
    if known is not None and given is not None:
        raise CalibrationError(f"the rows of this network are along axis {known}; leave out `axis`")
    if known is None and (given is None or not 1 <= given < len(shape)):
        found = "none" if given is None else str(given)
        raise CalibrationError(
            f"which axis of {shape} are the rows along? `axis` is 1 to {len(shape) - 1}, found {found}"
        )
    return int(given if known is None else known)  # type: ignore[arg-type]


def _stacked(t: Tensor | Port, samples: list[Array]) -> Array:
    """(N, ...) of N samples; a batch axis of 1 is no part of a sample."""
    sample = t.shape[1:] if t.shape[0] == 1 and len(t.shape) > 1 else t.shape
    return np.array(samples, t.dtype.numpy).reshape(len(samples), *sample)
