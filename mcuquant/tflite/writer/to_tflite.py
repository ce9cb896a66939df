"""Graph to .tflite, for other tools and for the reference interpreter."""

from __future__ import annotations

from dataclasses import replace

from ...ir import Conv2D, DepthwiseConv2D, DType, FullyConnected, Graph, QParams, Tensor, TransposeConv
from ..schema import ModelFile, write
from . import choice_writer as choice_writer  # registers its operations with `export`
from .draft import Draft, refuse
from .signal_writer import export

WEIGHTED = (Conv2D, DepthwiseConv2D, FullyConnected, TransposeConv)


def to_tflite(graph: Graph) -> bytes:
    """The .tflite of a FLOAT or QUANTISED graph; the same graph gives the same bytes.

    What the format cannot express directly becomes several operators: padding of convolutions and maximum pooling that
    is neither SAME nor VALID becomes PAD or PADV2, `BatchNorm` MUL and ADD, a cropped `TransposeConv` STRIDED_SLICE.
    Shared and 2-bit weights become int8, and so do weights with zero points or multipliers if their integer values fit.
    States are resource variables, read at the beginning and assigned at the end. Raises ModelError for what the format
    cannot express at all: other weights of that kind, average pooling with other padding.
    """
    return write(to_rows(graph))


def to_rows(graph: Graph) -> ModelFile:
    """The rows of `to_tflite`."""
    graph = _expanded(graph)
    draft = Draft.of(graph)
    draft.open_states()
    for op in graph.ops:
        export(op, draft)
    return draft.finish()


def _expanded(graph: Graph) -> Graph:
    """The same network with weights that .tflite supports."""
    layers = [op for op in graph.ops if isinstance(op, WEIGHTED) and graph[op.inputs[1]].is_constant]
    changed = {op.inputs[1]: _plain_weights(graph[op.inputs[1]], isinstance(op, FullyConnected)) for op in layers}
    return replace(graph, tensors={**graph.tensors, **changed})


def _plain_weights(t: Tensor, takes_zero_point: bool) -> Tensor:
    """`t` with its integer values as data if .tflite cannot describe its storage.

    The weights of a fully connected layer may have a zero point.
    """
    narrow = t.bits not in (4, t.dtype.bits)
    t = replace(t, palette=None, bits=0 if narrow else t.bits)
    q = t.q
    if t.dtype is not DType.INT8 or q is None or not (q.zero_points or q.multipliers or q.zero_point):
        return t
    if takes_zero_point and not (q.zero_points or q.multipliers):
        return t
    values, (low, high) = t.integer_values, t.dtype.range()
    if int(values.min()) < low or int(values.max()) > high:
        what = "multipliers" if q.multipliers else "a zero point"
        raise refuse(
            f"tensor {t.id} ({t.name!r}) has weights with {what} that make {values.min()} to {values.max()} of them",
            "use symmetric weights, or fewer bits",
        )
    plain = QParams(q.scale, 0, q.axis if len(q.scale) > 1 else None)
    return replace(t, bits=0, q=plain, data=values.astype(t.dtype.numpy))
