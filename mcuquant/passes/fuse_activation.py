"""Fuses a stand-alone clamp into the operation before it."""

from __future__ import annotations

from dataclasses import replace

from ..ir import Activation, Graph, Op, ops
from .rewrite import Draft, same_type


def fuse_activation(graph: Graph) -> Graph:
    """In quantized graphs only if it is exact: input and output of the clamp have the same type,
    scale and zero point.
    """
    draft = Draft.of(graph)
    for op in graph.ops:
        if not (isinstance(op, ops.Relu) and _fused(draft, op)):
            draft.append(op)
    return draft.finish()


def _fused(draft: Draft, relu: ops.Relu) -> bool:
    x, y = draft.tensors[relu.inputs[0]], draft.tensors[relu.output]
    producer = draft.producer(x.id)
    if producer is None or not draft.only_reader(x.id) or not same_type(x, y):
        return False
    if isinstance(producer, ops.Relu) and not same_type(draft.tensors[producer.inputs[0]], x):
        return False  # not all stand-alone clamps rescale
    both = _both(producer, relu.activation)
    if both is None:
        return False
    draft.replace(producer, replace(producer, activation=both, outputs=relu.outputs))  # type: ignore[call-arg]
    if x.id in draft.graph.spreads:
        spreads = {**draft.graph.spreads, y.id: draft.graph.spreads[x.id]}
        draft.graph = replace(draft.graph, spreads=spreads)
    return True


def _both(producer: Op, second: Activation) -> Activation | None:
    """One clamp with the effect of the producer's own followed by `second`; None if there is none."""
    first = getattr(producer, "activation", None)
    if first is None:
        return None
    (low, high), (second_low, second_high) = first.bounds, second.bounds
    bounds = max(low, second_low), min(high, second_high)
    return next((activation for activation in Activation if activation.bounds == bounds), None)
