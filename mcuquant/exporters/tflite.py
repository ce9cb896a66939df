"""Graph to .tflite, for other tools and as the reference interpreter's input."""

from __future__ import annotations

from ..ir import Graph, Role, Tensor
from ..tflite_file import ModelFile, write
from .tflite_draft import Draft, refuse
from .tflite_ops import export


def to_tflite(graph: Graph) -> bytes:
    """The .tflite of a FLOAT or QUANTISED graph; the same graph gives the same bytes.

    What the format has no word for is spelt out with more operators: padding of convolutions and maximum pooling that
    is neither SAME nor VALID becomes PAD or PADV2, `BatchNorm` MUL and ADD, a cropped `TransposeConv` STRIDED_SLICE.
    Raises ModelError for what cannot be spelt at all: average pooling with other padding, state.
    """
    return write(to_rows(graph))


def to_rows(graph: Graph) -> ModelFile:
    """The rows that `to_tflite` writes."""
    for t in graph.tensors.values():
        _check(t)
    draft = Draft.of(graph)
    for op in graph.ops:
        export(op, draft)
    return draft.finish()


def _check(tensor: Tensor) -> None:
    if tensor.role is Role.STATE:
        raise refuse(
            f"tensor {tensor.id} ({tensor.name!r}) keeps state between inferences", "unroll the model over time"
        )
