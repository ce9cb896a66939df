"""Operators over truth values and whole numbers, and those that choose elements by computed indices."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from ...ir import DType, Relation, Role, Shape, Tensor, ops
from .compute_handlers import broadcast
from .movement_handlers import same_type
from .operator_node import Node

_INT32 = DType.INT32


def _check_type(node: Node, what: str, t: Tensor, *types: DType) -> None:
    if t.dtype not in types:
        raise node.unsupported(f"has {what} of type {t.dtype} (tensor {t.id}); expected {' or '.join(types)}")


def _cast(node: Node) -> None:
    node.expect(range(1, 2))
    x = node.input(0)
    y = node.shaped(node.output(), x.shape)
    for t, index in ((x, node.row.inputs[0]), (y, node.row.outputs[0])):
        kind = node.translation.file.tensors[index].type
        if kind in ("FLOAT16", "INT64"):
            raise node.unsupported(f"casts {kind} (tensor {t.id}); expected FLOAT32, INT8, INT16, INT32 or BOOL")
    if x.dtype is y.dtype:
        node.emit(ops.Reshape(inputs=(x.id,), outputs=(y.id,)))
    else:
        node.emit(ops.Cast(inputs=(x.id,), outputs=(y.id,)))


# --- truth values ----------------------------------------------------------------------------------------------------


def _compare(node: Node, relation: Relation) -> None:
    node.expect(range(2, 3))
    a, b = node.input(0), node.input(1)
    y = node.shaped(node.output(), broadcast(node, a.shape, b.shape))
    same_type(node, a, b)
    _check_type(node, "an output", y, DType.BOOL)
    node.emit(ops.Compare(inputs=(a.id, b.id), outputs=(y.id,), relation=relation))


def _logical(node: Node, kind: type[ops.Binary]) -> None:
    node.expect(range(2, 3))
    a, b = node.input(0), node.input(1)
    y = node.shaped(node.output(), broadcast(node, a.shape, b.shape))
    for t in (a, b, y):
        _check_type(node, "an operand", t, DType.BOOL)
    node.emit(kind(inputs=(a.id, b.id), outputs=(y.id,)))


def _logical_not(node: Node) -> None:
    """Whether it equals what is false."""
    node.expect(range(1, 2))
    x = node.input(0)
    y = node.shaped(node.output(), x.shape)
    for t in (x, y):
        _check_type(node, "an operand", t, DType.BOOL)
    false = node.new_constant(np.array([False]), DType.BOOL)
    if not x.shape:
        false = _of_shape(node, false, ())
    node.emit(ops.Compare(inputs=(x.id, false.id), outputs=(y.id,), relation=Relation.EQUAL))


def _of_shape(node: Node, t: Tensor, shape: Shape) -> Tensor:
    return node.new_constant(t.value.reshape(shape), t.dtype, t.q)


def _select(node: Node) -> None:
    node.expect(range(3, 4))
    condition, a, b = (node.input(k) for k in range(3))
    _check_type(node, "a condition", condition, DType.BOOL)
    shape = broadcast(node, condition.shape, broadcast(node, a.shape, b.shape))
    y = node.shaped(node.output(), shape)
    same_type(node, a, b, y)
    node.emit(ops.Select(inputs=(condition.id, a.id, b.id), outputs=(y.id,)))


# --- indices ---------------------------------------------------------------------------------------------------------


def gather(node: Node, x: Tensor, indices: Tensor, axis: int, batch: int) -> None:
    """Rows of `x` along `axis` at computed or constant indices, which share the first `batch` axes."""
    indices = _as_int32(node, indices)
    if not batch <= axis or x.shape[:batch] != indices.shape[:batch]:
        raise node.error(
            f"gathers from {list(x.shape)} at {list(indices.shape)} along axis {axis} with {batch} batch axes"
        )
    y = node.shaped(node.output(), (*x.shape[:axis], *indices.shape[batch:], *x.shape[axis + 1 :]))
    same_type(node, x, y)
    node.emit(ops.Gather(inputs=(x.id, indices.id), outputs=(y.id,), axis=axis, batch_axes=batch))


def _as_int32(node: Node, indices: Tensor) -> Tensor:
    if indices.is_constant and indices.dtype in (DType.INT64, _INT32):
        within = np.clip(indices.value, *_INT32.range())
        return node.translation.add(
            replace(indices, dtype=_INT32, bits=0, q=None, data=within.astype(np.int32), role=Role.CONSTANT)
        )
    _check_type(node, "indices", indices, _INT32)
    return indices


def _gather_nd(node: Node) -> None:
    node.expect(range(2, 3))
    x, indices = node.input(0), _as_int32(node, node.input(1))
    if not indices.shape or not 1 <= indices.shape[-1] <= len(x.shape):
        raise node.error(f"gathers from {list(x.shape)} at indices of shape {list(indices.shape)}")
    y = node.shaped(node.output(), (*indices.shape[:-1], *x.shape[indices.shape[-1] :]))
    same_type(node, x, y)
    node.emit(ops.GatherNd(inputs=(x.id, indices.id), outputs=(y.id,)))


def _embedding_lookup(node: Node) -> None:
    node.expect(range(2, 3))
    gather(node, node.input(1), node.input(0), 0, 0)


def _update_slice(node: Node) -> None:
    node.expect(range(3, 4))
    x, update, start = node.input(0), node.input(1), _as_int32(node, node.input(2))
    y = node.shaped(node.output(), x.shape)
    same_type(node, x, update, y)
    node.emit(ops.UpdateSlice(inputs=(x.id, update.id, start.id), outputs=(y.id,)))


HANDLERS: Mapping[str, Callable[[Node], None]] = {
    "CAST": _cast,
    **{relation.name: functools.partial(_compare, relation=relation) for relation in Relation},
    "LOGICAL_AND": functools.partial(_logical, kind=ops.Minimum),
    "LOGICAL_OR": functools.partial(_logical, kind=ops.Maximum),
    "LOGICAL_NOT": _logical_not,
    "SELECT_V2": _select,
    "GATHER_ND": _gather_nd,
    "DYNAMIC_UPDATE_SLICE": _update_slice,
    "EMBEDDING_LOOKUP": _embedding_lookup,
}
