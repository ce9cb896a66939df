"""Zeros that a Pad adds around an image become the padding of the convolution after it."""

from __future__ import annotations

from dataclasses import replace

from ..ir import Graph, ops
from ..ir.ops import Padding
from .rewrite import Draft, same_type

Convolution = ops.Conv2D | ops.DepthwiseConv2D


def fuse_pad(graph: Graph) -> Graph:
    """Exact at every level, because padding counts as real zero. A Pad with other readers stays for them."""
    draft = Draft.of(graph)
    for op in graph.ops:
        draft.append(_padded(draft, op) if isinstance(op, Convolution) else op)
    return draft.finish()


def _padded(draft: Draft, conv: Convolution) -> Convolution:
    pad = draft.producer(conv.inputs[0])
    if not isinstance(pad, ops.Pad) or not _is_border_of_zeros(draft, pad):
        return conv
    (top, bottom), (left, right) = pad.pads[1:3]
    p = conv.padding
    padding = Padding(top=p.top + top, bottom=p.bottom + bottom, left=p.left + left, right=p.right + right)
    if not _every_window_sees_the_image(draft, conv, padding):
        return conv
    return replace(conv, inputs=(pad.inputs[0], *conv.inputs[1:]), padding=padding)


def _is_border_of_zeros(draft: Draft, pad: ops.Pad) -> bool:
    x, y = draft.tensors[pad.inputs[0]], draft.tensors[pad.output]
    around_image = len(pad.pads) == 4 and pad.pads[0] == pad.pads[3] == (0, 0)
    return around_image and pad.value in (None, x.zero_point) and same_type(x, y)


def _every_window_sees_the_image(draft: Draft, conv: Convolution, padding: Padding) -> bool:
    """Kernels require padding smaller than the window."""
    window = draft.tensors[conv.inputs[1]].shape[1:3]
    reach = [d * (k - 1) + 1 for d, k in zip(conv.dilation, window, strict=True)]
    return max(padding.top, padding.bottom) < reach[0] and max(padding.left, padding.right) < reach[1]
