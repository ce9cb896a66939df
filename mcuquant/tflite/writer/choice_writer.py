"""Operations over truth values and whole numbers, and those that choose elements by them, as operators of a .tflite."""

from __future__ import annotations

from ...ir import Op, ops
from ..schema.rows import TYPE_NUMBERS
from .draft import Draft
from .operators import export


def _inputs(op: Op, draft: Draft) -> list[int]:
    return [draft.index[i] for i in op.inputs]


@export.register
def _cast(op: ops.Cast, draft: Draft) -> None:
    x, y = (TYPE_NUMBERS[t.dtype.name] for t in (draft.graph.ins(op)[0], draft.graph.out(op)))
    draft.emit("CAST", _inputs(op, draft), draft.index[op.output], in_data_type=x, out_data_type=y)


@export.register
def _compare(op: ops.Compare, draft: Draft) -> None:
    draft.emit(op.relation.name, _inputs(op, draft), draft.index[op.output])


@export.register
def _select(op: ops.Select, draft: Draft) -> None:
    draft.emit("SELECT_V2", _inputs(op, draft), draft.index[op.output])


@export.register
def _gather(op: ops.Gather, draft: Draft) -> None:
    draft.emit("GATHER", _inputs(op, draft), draft.index[op.output], axis=op.axis, batch_dims=op.batch_axes)


@export.register
def _gather_nd(op: ops.GatherNd, draft: Draft) -> None:
    draft.emit("GATHER_ND", _inputs(op, draft), draft.index[op.output])


@export.register
def _update_slice(op: ops.UpdateSlice, draft: Draft) -> None:
    draft.emit("DYNAMIC_UPDATE_SLICE", _inputs(op, draft), draft.index[op.output])
