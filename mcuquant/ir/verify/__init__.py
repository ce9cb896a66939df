"""The rules of a graph at each level, checked after every importer and pass.

Each rule is a generator of messages about violations. `verify` raises the first one as a GraphError that names the
graph and the tensor or operation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ...errors import GraphError
from .. import Graph, Level, Op, Role, Tensor
from ..elementwise_table import ELEMENTWISE
from ..ops import ConvPool
from ..running_sum import RunningSum
from .recurrent_rules import outputs_of as recurrent_outputs
from .running_rules import running_problems
from .shapes import shape_problems
from .signal_rules import INPUTS, OUTPUTS
from .states import state_problems
from .tensors import tensor_problems
from .types import attribute_problems, type_problems


def verify(graph: Graph, level: Level = Level.FLOAT) -> Graph:
    """The graph itself, if it satisfies every rule of `level`. Raises GraphError with the first violation."""
    for problem in _problems(graph, level):
        raise GraphError(f"graph {graph.name!r}: {problem}")
    return graph


def _problems(graph: Graph, level: Level) -> Iterator[str]:
    """Violations, most basic first: a rule may rely on all earlier ones."""
    for key, t in graph.tensors.items():
        yield from (f"{_named(t)} {problem}" for problem in tensor_problems(key, t))
    yield from _interface_problems(graph)
    yield from _order_problems(graph)
    yield from state_problems(graph, level)
    for i, op in enumerate(graph.ops):
        yield from (f"operation {i} ({op.kind}): {problem}" for problem in _operation_problems(graph, op, level))


def _named(t: Tensor) -> str:
    return f"tensor {t.id} ({t.name!r})"


def _interface_problems(graph: Graph) -> Iterator[str]:
    if not graph.ops:
        yield "has no operations"
    for word, ids in (("input", graph.inputs), ("output", graph.outputs)):
        if not ids:
            yield f"has no {word}s"
        yield from (f"{word} {i} is not in the tensor table" for i in ids if i not in graph.tensors)
        yield from (f"{word} {i} is listed {n} times" for i, n in Counter(ids).items() if n > 1)
    for t in graph.tensors.values():
        if (t.role is Role.INPUT) != (t.id in graph.inputs):
            yield f"{_named(t)} has role {t.role} and is {'' if t.id in graph.inputs else 'not '}listed as an input"


def _order_problems(graph: Graph) -> Iterator[str]:
    """Every tensor is written once, by an operation before its readers, or is an input, constant or state."""
    available = {t.id for t in graph.tensors.values() if t.role is not Role.ACTIVATION}
    for i, op in enumerate(graph.ops):
        where = f"operation {i} ({op.kind})"
        ids = (*op.inputs, *op.outputs)
        yield from (f"{where} names tensor {n}, which is not in the table" for n in ids if n not in graph.tensors)
        yield from (f"{where} reads tensor {n} before it is written" for n in op.inputs if n not in available)
        yield from (f"{where} writes tensor {n}, which has a value already" for n in op.outputs if n in available)
        available.update(op.outputs)
    yield from (f"output {n} is never written" for n in graph.outputs if n not in available)


def _operation_problems(graph: Graph, op: Op, level: Level) -> Iterator[str]:
    if isinstance(op, ConvPool):
        yield from _joint_problems(graph, op, level)
        return
    if isinstance(op, RunningSum):
        yield from running_problems(graph, op)
        yield from _operation_problems(graph, op.reduction, level)
        return
    least, most = _INPUT_COUNTS.get(op.kind, (1, 1))
    if not least <= len(op.inputs) <= most:
        count = f"{least}" if least == most else f"{least} to {most}"
        yield f"has {len(op.inputs)} inputs, expected {count}"
    if len(op.outputs) != _outputs_of(op):
        yield f"has {len(op.outputs)} outputs, expected {_outputs_of(op)}"
    yield from shape_problems(graph, op)
    yield from attribute_problems(graph, op)
    yield from type_problems(graph, op, level)


def _joint_problems(graph: Graph, op: ConvPool, level: Level) -> Iterator[str]:
    tensors = (op.inputs, op.pool.inputs, op.outputs)
    expected = (op.conv.inputs, op.conv.outputs, op.pool.outputs)
    if tensors != expected:
        yield f"its tensors are {tensors}, expected {expected} as its two parts have them"
    yield from (f"names tensor {i}, which is not in the table" for i in op.inner if i not in graph.tensors)
    yield from (f"its {part.kind} {p}" for part in (op.conv, op.pool) for p in _operation_problems(graph, part, level))


def _outputs_of(op: Op) -> int:
    return OUTPUTS.get(type(op)) or recurrent_outputs(op)


_MANY = 1 << 16
_INPUT_COUNTS = {
    **dict.fromkeys(("Conv2D", "DepthwiseConv2D", "TransposeConv", "FullyConnected"), (2, 3)),
    **{op.__name__: (row.arity, row.arity) for op, row in ELEMENTWISE.items()},
    "BatchMatMul": (2, 2),
    "BatchNorm": (3, 3),
    "Concat": (1, _MANY),
    "Lstm": (6, 6),
    **dict.fromkeys(("Compare", "Gather", "GatherNd"), (2, 2)),
    **dict.fromkeys(("Select", "UpdateSlice"), (3, 3)),
    "AddN": (2, _MANY),
    **{kind.__name__: (count, count) for kind, count in INPUTS.items()},
}
"""Minimum and maximum number of inputs of operations, except those with one input."""
