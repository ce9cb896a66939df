"""Folds batch normalization into the weights before it or, without padding, after it.

With y = s*x + o for each channel: after a weighted layer, w' = s*w and b' = s*b + o (Jacob et al. 2018, section 3.2);
before one, w' = w*s and b' = b + sum(w*o), which padding would invalidate, because its zeros are added after the
normalization. Folding is real arithmetic in double precision, rounded once.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..ir import Array, Graph, Op, ops
from .rewrite import Draft

_BEFORE = (ops.Conv2D, ops.DepthwiseConv2D, ops.TransposeConv, ops.FullyConnected)
_AFTER = (ops.Conv2D, ops.DepthwiseConv2D, ops.FullyConnected)


def fold_batch_norm(graph: Graph) -> Graph:
    draft = Draft.of(graph)
    for op in graph.ops:
        if isinstance(op, ops.BatchNorm) and _into_previous(draft, op):
            continue
        draft.append(_with_previous(draft, op) if isinstance(op, _AFTER) else op)
    return draft.finish()


def _values(draft: Draft, op: Op) -> tuple[Array, Array] | None:
    """Scale and offset in double precision; None unless both are constant."""
    scale, offset = (draft.tensors[i].data for i in op.inputs[1:])
    if scale is None or offset is None:
        return None
    return scale.astype(np.float64), offset.astype(np.float64)


def _weights(draft: Draft, op: Op) -> tuple[Array, Array | float] | None:
    """Weights and bias of a layer in double precision; None unless they are constant."""
    values = [draft.tensors[i].data for i in op.inputs[1:]]
    constant = [data.astype(np.float64) for data in values if data is not None]
    if len(constant) < len(values):
        return None
    return constant[0], constant[1] if len(constant) > 1 else 0.0


def _into_previous(draft: Draft, norm: Op) -> bool:
    layer, values = draft.producer(norm.inputs[0]), _values(draft, norm)
    if not isinstance(layer, _BEFORE) or values is None or not draft.only_reader(layer.output):
        return False
    weights = _weights(draft, layer)
    if layer.activation is not ops.Activation.NONE or weights is None:
        return False
    (w, b), (scale, offset) = weights, values
    by_output = scale if isinstance(layer, ops.DepthwiseConv2D) else scale.reshape(-1, *(1,) * (w.ndim - 1))
    inputs = _inputs(draft, layer, norm, w * by_output, b * scale + offset)
    draft.replace(layer, replace(layer, inputs=inputs, outputs=norm.outputs))
    return True


def _inputs(draft: Draft, layer: Op, norm: Op, w: Array, b: Array) -> tuple[int, ...]:
    names = [draft.tensors[i].name for i in layer.inputs[1:]]
    bias_name = names[1] if len(names) > 1 else draft.tensors[norm.inputs[2]].name
    return (layer.inputs[0], draft.constant(w, names[0]), draft.constant(b, bias_name))


def _with_previous(draft: Draft, layer: Op) -> Op:
    """The layer with the normalization before it folded in, if possible."""
    norm, reshape = _norm_before(draft, layer)
    values, weights = (_values(draft, norm), _weights(draft, layer)) if norm else (None, None)
    if norm is None or values is None or weights is None:
        return layer
    (w, b), (scale, offset) = weights, (_by_weight(draft, layer, value) for value in values)
    x, *constants = _inputs(draft, layer, norm, w * scale, b + _summed(layer, w * offset))
    draft.remove(norm)
    if reshape is None:
        x = norm.inputs[0]
    else:
        draft.replace(reshape, replace(reshape, inputs=norm.inputs[:1]))
    return replace(layer, inputs=(x, *constants))


def _norm_before(draft: Draft, layer: Op) -> tuple[Op | None, Op | None]:
    """(normalization, reshape between it and a fully connected layer), each with a single reader."""
    x, reshape = layer.inputs[0], None
    if not draft.only_reader(x) or (isinstance(layer, ops.Conv2D | ops.DepthwiseConv2D) and layer.padding.any):
        return None, None
    if isinstance(layer, ops.FullyConnected) and isinstance(draft.producer(x), ops.Reshape):
        reshape = draft.producer(x)
        x = reshape.inputs[0] if reshape else x
    norm = draft.producer(x)
    fits = isinstance(norm, ops.BatchNorm) and draft.only_reader(x) and _channels_repeat(draft, layer, norm)
    return (norm, reshape) if fits else (None, None)


def _channels_repeat(draft: Draft, layer: Op, norm: Op) -> bool:
    """Whether every row of a fully connected layer reads the channels in turn, starting with the first."""
    channels = draft.tensors[norm.inputs[1]].elements
    return not isinstance(layer, ops.FullyConnected) or draft.tensors[layer.inputs[1]].shape[1] % channels == 0


def _by_weight(draft: Draft, layer: Op, value: Array) -> Array:
    """One number per input channel, in a shape that broadcasts to the layer's weights."""
    shape = draft.tensors[layer.inputs[1]].shape
    if isinstance(layer, ops.FullyConnected):
        return np.tile(value, shape[1] // value.size)
    if isinstance(layer, ops.DepthwiseConv2D):
        return np.repeat(value, shape[3] // value.size)
    groups = value.size // shape[3]
    return np.repeat(value.reshape(groups, 1, 1, shape[3]), shape[0] // groups, axis=0)


def _summed(layer: Op, products: Array) -> Array:
    """Sum over everything except the output channel."""
    if isinstance(layer, ops.DepthwiseConv2D):
        return np.asarray(products.sum(axis=(0, 1, 2)))
    return np.asarray(products.reshape(products.shape[0], -1).sum(axis=1))
