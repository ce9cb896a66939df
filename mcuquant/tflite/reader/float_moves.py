"""Converts rearrangements of float32 tensors between integer parts of a file to rearrangements of the integers.

Converters leave some in float32 (an unrolled LSTM of Keras: a SPLIT between DEQUANTIZE and QUANTIZE). Moving values
commutes with converting each of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ...ir import DType, Graph, Op, QParams, Role, Shape, Tensor, ops

_MOVES = (ops.Reshape, ops.Transpose, ops.Slice, ops.Concat, ops.ResizeNearest, ops.Pad)
_Kind = tuple[DType, QParams]


def is_move(graph: Graph, op: Op) -> bool:
    """Whether `op` moves float32 values. Padding uses zeros, which every zero point represents."""
    filled = isinstance(op, ops.Pad) and op.value
    return isinstance(op, _MOVES) and not filled and graph.out(op).dtype is DType.FLOAT32


def move_in_integers(graph: Graph) -> Graph:
    """Moves Dequantize behind later rearrangements, and Quantize before earlier ones."""
    if not any(is_move(graph, op) for op in graph.ops):
        return graph
    return _quantized_before(_dequantized_after(graph))


@dataclass(slots=True)
class _Draft:
    tensors: dict[int, Tensor]
    ops: list[Op] = field(default_factory=list)

    def like(self, kind: _Kind, shape: Shape, name: str) -> int:
        added = max(self.tensors) + 1
        self.tensors[added] = Tensor(added, shape, kind[0], Role.ACTIVATION, q=kind[1], name=name)
        return added


def _dequantized_after(graph: Graph) -> Graph:
    """Float tensor -> the integer tensor that it represents."""
    draft, sources = _Draft(dict(graph.tensors)), dict[int, int]()
    for op in graph.ops:
        y = graph.out(op)
        if is_move(graph, op) and _one_kind(draft, [sources.get(i) for i in op.inputs]):
            inputs = tuple(sources[i] for i in op.inputs)
            t = draft.tensors[inputs[0]]
            sources[y.id] = draft.like((t.dtype, t.qparams), y.shape, "")
            draft.ops.append(replace(op, inputs=inputs, outputs=(sources[y.id],)))
            draft.ops.append(ops.Dequantize(inputs=(sources[y.id],), outputs=(y.id,)))
            continue
        if isinstance(op, ops.Dequantize):
            sources[y.id] = op.inputs[0]
        draft.ops.append(op)
    return _of_use(graph, draft)


def _one_kind(draft: _Draft, sources: list[int | None]) -> bool:
    """Whether all of them are integers of one type, scale and zero point."""
    tensors = [draft.tensors[i] for i in sources if i is not None]
    return len(tensors) == len(sources) and len({(t.dtype, t.q) for t in tensors}) == 1 and tensors[0].q is not None


def _quantized_before(graph: Graph) -> Graph:
    needs = _needs(graph)
    draft, integers = _Draft(dict(graph.tensors)), dict[tuple[int, _Kind], int]()

    def convert(tensor: int) -> None:
        for kind in needs.get(tensor, ()):
            integers[tensor, kind] = draft.like(kind, graph[tensor].shape, "")
            draft.ops.append(ops.Quantize(inputs=(tensor,), outputs=(integers[tensor, kind],)))

    for tensor in graph.tensors.values():
        if tensor.role is not Role.ACTIVATION:
            convert(tensor.id)
    for op in graph.ops:
        y = graph.out(op)
        kind = (y.dtype, y.q) if y.q is not None else None
        if isinstance(op, ops.Quantize) and kind is not None and (op.inputs[0], kind) in integers:
            op = replace(op, inputs=(integers[op.inputs[0], kind],))
        draft.ops.append(op)
        if not is_move(graph, op):
            convert(y.id)
            continue
        for kind in needs.get(y.id, ()):
            integers[y.id, kind] = draft.like(kind, y.shape, "")
            inputs = tuple(integers[i, kind] for i in op.inputs)
            draft.ops.append(replace(op, inputs=inputs, outputs=(integers[y.id, kind],)))
    return _of_use(graph, draft)


def _needs(graph: Graph) -> dict[int, list[_Kind]]:
    """For float tensors that rearrangements read or write: the integer type of their final readers."""
    needs, moved = dict[int, list[_Kind]](), {op.output for op in graph.ops if is_move(graph, op)}
    for op in reversed(graph.ops):
        kinds = list[_Kind]()
        y = graph.out(op)
        if isinstance(op, ops.Quantize) and op.inputs[0] in moved and y.q is not None:
            kinds = [(y.dtype, y.q)]
        elif op.output in moved:
            kinds = needs.get(op.output, [])
        for tensor in op.inputs:
            known = needs.setdefault(tensor, [])
            known += [kind for kind in kinds if kind not in known]
    return needs


def _of_use(graph: Graph, draft: _Draft) -> Graph:
    return replace(graph, tensors=draft.tensors).with_(ops=used(graph.ends, draft.ops))


def used(outputs: tuple[int, ...], candidates: list[Op]) -> tuple[Op, ...]:
    """The operations that an output depends on."""
    tensors, operations = set(outputs), list[Op]()
    for op in reversed(candidates):
        if tensors.intersection(op.outputs):
            tensors.update(op.inputs)
            operations.append(op)
    return tuple(reversed(operations))
