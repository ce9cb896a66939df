"""Batch normalization that no layer absorbs becomes a depthwise convolution with a window of one pixel."""

from __future__ import annotations

import numpy as np

from ..ir import Graph, ops
from .rewrite import Draft


def expand_batch_norm(graph: Graph) -> Graph:
    draft = Draft.of(graph)
    for op in graph.ops:
        if isinstance(op, ops.BatchNorm):
            _append_depthwise(draft, op)
        else:
            draft.append(op)
    return draft.finish()


def _append_depthwise(draft: Draft, norm: ops.BatchNorm) -> None:
    """Over an image; a tensor of another rank is viewed as a row of pixels and back."""
    x, scale, offset = (draft.tensors[i] for i in norm.inputs)
    weights = draft.constant(np.reshape(scale.data, (1, 1, 1, -1)), scale.name)  # type: ignore[arg-type]
    if len(x.shape) == 4:
        draft.append(ops.DepthwiseConv2D(inputs=(x.id, weights, offset.id), outputs=norm.outputs))
        return
    channels = scale.elements
    shape = (1, 1, x.elements // channels, channels)
    image, scaled = draft.activation(x, shape), draft.activation(x, shape)
    draft.append(ops.Reshape(inputs=(x.id,), outputs=(image,)))
    draft.append(ops.DepthwiseConv2D(inputs=(image, weights, offset.id), outputs=(scaled,)))
    draft.append(ops.Reshape(inputs=(scaled,), outputs=norm.outputs))
