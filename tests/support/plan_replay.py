"""A plan carried out on an arena of bytes by the interpreter."""

from __future__ import annotations

import numpy as np

from mcuquant.arithmetic import interpreter
from mcuquant.ir import Array, Graph
from mcuquant.planner import Plan


def replay(graph: Graph, planned: Plan, inputs: list[Array]) -> list[Array]:
    """The planned steps on an arena of bytes; each reads and writes its tensors where the plan says they are.

    Scratch is filled with noise before a step reads and after it has written.
    """
    rng, graph = np.random.default_rng(0), planned.graph
    arena = rng.integers(0, 256, planned.arena_bytes, dtype=np.uint8)
    for i, x in zip(graph.inputs, inputs, strict=True):
        _write(arena, planned.offsets[i], x)
    for step in planned.steps:
        op = graph.ops[step.op_index]
        scratch = slice(step.scratch_offset or 0, (step.scratch_offset or 0) + step.scratch_bytes)
        arena[scratch] = rng.integers(0, 256, step.scratch_bytes, dtype=np.uint8)
        results = interpreter.evaluate_all(graph, op, [_read(arena, graph, planned, i) for i in op.inputs])
        for i, y in zip(op.outputs, results, strict=True):
            _write(arena, planned.offsets[i], y)
        arena[scratch] = rng.integers(0, 256, step.scratch_bytes, dtype=np.uint8)
    return [_read(arena, graph, planned, i) for i in graph.outputs]


def _read(arena: Array, graph: Graph, planned: Plan, tensor: int) -> Array:
    t = graph[tensor]
    if t.data is not None:
        return t.data
    at = planned.offsets[tensor]
    return np.frombuffer(arena[at : at + t.nbytes].tobytes(), t.dtype.numpy).reshape(t.shape)


def _write(arena: Array, offset: int, value: Array) -> None:
    data = np.frombuffer(np.ascontiguousarray(value).tobytes(), np.uint8)
    assert offset + data.size <= arena.size
    arena[offset : offset + data.size] = data
