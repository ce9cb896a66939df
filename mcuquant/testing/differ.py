"""Compares the board's output of every step with the interpreter's and finds the first difference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import flow
from ..arithmetic import interpreter
from ..device.wire import TensorInfo, seeded_input
from ..errors import OutputError
from ..ir import Array, Graph, Op
from ..planner import has_step, prepared
from ..project.folder import split_outputs
from ..project.project import Project


@dataclass(frozen=True, slots=True)
class Difference:
    """The first step whose output differs from the interpreter's. `index` is that of the first such element, without
    the batch.
    """

    step: int
    name: str
    op: str
    kernel: str
    index: tuple[int, ...]
    actual: int | float
    expected: int | float
    differing: int
    size: int

    def __str__(self) -> str:
        at = ", ".join(map(str, self.index))
        return (
            f"step {self.step}, {self.name} ({self.op}, {self.kernel}), is the first that differs: element [{at}] is "
            f"{self.actual} on the board, {self.expected} in the interpreter; "
            f"{self.differing:,} of {self.size:,} differ"
        )


@dataclass(frozen=True, slots=True)
class Oracle:
    """The network that a project was compiled from, and the tensor that each step of the project computes."""

    graph: Graph
    tensors: tuple[int, ...]
    pairs: int
    """Steps that are a convolution joined with its pooling."""

    @classmethod
    def of(cls, project: Project) -> Oracle:
        """Raises OutputError if model.tflite and manifest.json describe different networks, or if no step has a whole
        tensor.
        """
        if project.feed:
            raise OutputError(
                f"{project.directory} is fed by rows, and its steps compute one row at a time; compile the network "
                "without --feed to compare its layers"
            )
        graph = flow.network_of(project.directory)
        planned = prepared(graph)
        ops = [op for op in planned.ops if has_step(planned, op)]
        layers = [(layer, layer["op"].count("+") + 1) for layer in project.manifest["layers"]]
        if sum(count for _, count in layers) != len(ops):
            raise _mismatch(project, f"{sum(count for _, count in layers)} operations", f"{len(ops)}")
        tensors = []
        for i, (layer, count) in enumerate(layers):
            calls, ops = ops[:count], ops[count:]
            if _declared(layer) != _step_text(graph, calls):
                raise _mismatch(project, f"step {i} as {_declared(layer)}", f"{_step_text(graph, calls)}")
            tensors.append(calls[-1].output)
        return cls(graph, tuple(tensors), sum(count > 1 for _, count in layers))

    def steps(self, sample: Sequence[Array], state: interpreter.State | None = None) -> tuple[Array, ...]:
        """Every step's output for one sample (1, ...), in its own shape; `state` as for `interpreter.run`."""
        inputs = (x.reshape(self.graph[i].shape) for i, x in zip(self.graph.inputs, sample, strict=True))
        values = interpreter.trace(self.graph, list(inputs), state)
        return tuple(values[tensor] for tensor in self.tensors)


def first_difference(project: Project, actual: Sequence[Array], expected: Sequence[Array]) -> Difference | None:
    """The first of the board's step outputs (flat) that differs from the interpreter's, or None."""
    for i, (ours, theirs) in enumerate(zip(actual, expected, strict=True)):
        if ours.tobytes() != theirs.tobytes():
            return _difference(project.manifest["layers"][i], i, ours, theirs)
    return None


def seeded_samples(project: Project, count: int) -> Iterator[tuple[Array, ...]]:
    """Samples (1, ...) of every input, spread over all values, equal in every call."""
    sizes = [TensorInfo(p.dtype.value, p.nbytes) for p in project.inputs]
    return (split_outputs(seeded_input(seed, sizes), project.inputs, 1) for seed in range(1, count + 1))


def _difference(layer: dict[str, Any], step: int, actual: Array, expected: Array) -> Difference:
    flat = expected.reshape(-1)
    where = np.flatnonzero((_bytes(actual) != _bytes(flat)).any(axis=1))
    first = int(where[0])
    index = tuple(int(i) for i in np.unravel_index(first, expected.shape))
    return Difference(
        step=step,
        name=layer["name"],
        op=layer["op"],
        kernel=layer["kernel"],
        index=index[1:] or index,
        actual=actual[first].item(),
        expected=flat[first].item(),
        differing=len(where),
        size=flat.size,
    )


def _bytes(flat: Array) -> Array:
    """Elements that differ in any of their bytes; NaN and the sign of zero count too."""
    return np.ascontiguousarray(flat).view(np.uint8).reshape(flat.size, -1)


def _declared(layer: dict[str, Any]) -> str:
    return f"{layer['op']} to {layer['dtype']} {'x'.join(map(str, layer['shape']))}"


def _step_text(graph: Graph, ops: Sequence[Op]) -> str:
    """A description of operations that form one step; tensors between them are not observable."""
    y = graph.out(ops[-1])
    return f"{'+'.join(op.kind for op in ops)} to {y.dtype.value} {'x'.join(map(str, y.shape))}"


def _mismatch(project: Project, declared: str, exported: str) -> OutputError:
    return OutputError(
        f"{project.directory}: manifest.json has {declared}, model.tflite {exported}: they are not of one compilation; "
        "compile it again"
    )
