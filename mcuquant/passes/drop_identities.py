"""Removes operations that change nothing, and combines chains of views into one view."""

from __future__ import annotations

from dataclasses import replace

from ..ir import Graph, Op, ops
from .rewrite import Draft, renamed, same_type


def drop_identities(graph: Graph) -> Graph:
    """Reshape, Transpose, Pad, Slice, Concat and Quantize with outputs equal to their inputs; exact at every level."""
    draft = Draft.of(graph)
    names: dict[int, int] = {}
    for op in graph.ops:
        shorter = _shorter(draft, renamed(op, names))
        if _is_identity(draft, shorter) and op.output not in graph.ends:
            names[op.output] = shorter.inputs[0]
        else:
            draft.append(shorter)
    return _without_identity_outputs(draft.finish())


def _shorter(draft: Draft, op: Op) -> Op:
    """Combines the operation with a view before it; a Transpose that moves only axes of size 1 becomes a Reshape."""
    before = draft.producer(op.inputs[0])
    if isinstance(op, ops.Reshape) and isinstance(before, ops.Reshape):
        return replace(op, inputs=before.inputs)
    if isinstance(op, ops.Transpose):
        if isinstance(before, ops.Transpose):
            op = replace(op, inputs=before.inputs, perm=tuple(before.perm[axis] for axis in op.perm))
        shape = draft.tensors[op.inputs[0]].shape
        moved = [axis for axis in op.perm if shape[axis] > 1]
        if moved == sorted(moved):
            return _shorter(draft, ops.Reshape(inputs=op.inputs, outputs=op.outputs))
    return op


def _is_identity(draft: Draft, op: Op) -> bool:
    if len(op.inputs) != 1:
        return False
    x, y = draft.tensors[op.inputs[0]], draft.tensors[op.output]
    if x.shape != y.shape or not same_type(x, y):
        return False
    match op:
        case ops.Reshape() | ops.Quantize() | ops.Concat():
            return True
        case ops.Transpose():
            return op.perm == tuple(range(len(op.perm)))
        case ops.Pad():
            return not any(before or after for before, after in op.pads)
        case ops.Slice():
            return not any(op.begin) and all(step == 1 for step in op.step)
        case _:
            return False


def _without_identity_outputs(graph: Graph) -> Graph:
    """An output that an identity computes from another operation's result becomes that operation's own output."""
    draft, names = Draft.of(graph), dict[int, int]()
    inner_tensors = {op.output for op in graph.ops} - set(graph.ends)
    for op in graph.ops:
        if op.output in graph.ends and _is_identity(draft, op) and op.inputs[0] in inner_tensors - names.keys():
            names[op.inputs[0]] = op.output
        else:
            draft.append(op)
    if not names:
        return graph
    return graph.with_(ops=tuple(renamed(op, names) for op in draft.ops if op is not None))
