"""Handlers of operators that move values without changing them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ...ir import DType, Shape, Tensor, ops
from .operator_node import Node
from .strided_slice import Selection, strided


def same_type(node: Node, *tensors: Tensor) -> None:
    if len({t.dtype for t in tensors}) > 1:
        raise node.error(f"has operands of types {', '.join(t.dtype for t in tensors)}, expected one type")


# --- shapes ----------------------------------------------------------------------------------------------------------


def _reshape(node: Node) -> None:
    node.expect(range(1, 3))
    x = node.input(0)
    y = node.output()
    target = _target_shape(node)
    if target is not None:
        node.shaped(y, _resolved(node, target, x))
    _emit_reshape(node, x, y)


def _target_shape(node: Node) -> tuple[int, ...] | None:
    """The requested shape, if it is known before the network runs; -1 stands for the remaining size."""
    if node.has(1) and node.is_stored(1):
        return node.integers(1, "shape")
    option = node.row.options.get("new_shape", ())
    return option if isinstance(option, tuple) and option else None


def _resolved(node: Node, target: tuple[int, ...], x: Tensor) -> Shape:
    stated_elements = int(np.prod([n for n in target if n != -1], dtype=object))
    if target.count(-1) > 1 or any(n < -1 for n in target) or stated_elements == 0 or x.elements % stated_elements:
        raise node.error(f"asks for shape {list(target)} of {x.elements} elements")
    return tuple(x.elements // stated_elements if n == -1 else n for n in target)


def _emit_reshape(node: Node, x: Tensor, y: Tensor) -> None:
    same_type(node, x, y)
    if x.elements != y.elements:
        raise node.error(f"gives {x.elements} elements the shape {list(y.shape)}")
    node.emit(ops.Reshape(inputs=(x.id,), outputs=(y.id,)))


def _squeeze(node: Node) -> None:
    node.expect(range(1, 2))
    x = node.input(0)
    option = node.row.options.get("squeeze_dims", ())
    stated_axes = option if isinstance(option, tuple) else ()
    axes = {node.axis(a, len(x.shape)) for a in stated_axes} or {a for a, n in enumerate(x.shape) if n == 1}
    if any(x.shape[a] != 1 for a in axes):
        raise node.error(f"drops axes {sorted(axes)} of shape {list(x.shape)}, expected axes of length 1")
    y = node.shaped(node.output(), tuple(n for a, n in enumerate(x.shape) if a not in axes))
    _emit_reshape(node, x, y)


def _expand_dims(node: Node) -> None:
    node.expect(range(2, 3))
    x, axes = node.input(0), node.integers(1, "axis")
    if len(axes) != 1:
        raise node.error(f"adds {len(axes)} axes, expected 1")
    axis = node.axis(axes[0], len(x.shape) + 1)
    _emit_reshape(node, x, node.shaped(node.output(), (*x.shape[:axis], 1, *x.shape[axis:])))


def _transpose(node: Node) -> None:
    node.expect(range(2, 3))
    x, perm = node.input(0), node.integers(1, "permutation")
    perm = tuple(node.axis(a, len(x.shape)) for a in perm)
    if sorted(perm) != list(range(len(x.shape))):
        raise node.error(f"permutes axes {list(perm)} of shape {list(x.shape)}")
    y = node.shaped(node.output(), tuple(x.shape[a] for a in perm))
    same_type(node, x, y)
    node.emit(ops.Transpose(inputs=(x.id,), outputs=(y.id,), perm=perm))


# --- filling, growing, joining ---------------------------------------------------------------------------------------


def _pad(node: Node) -> None:
    with_value = node.row.code == "PADV2"
    node.expect(range(3, 4) if with_value else range(2, 3))
    x, flat = node.input(0), node.integers(1, "paddings")
    if len(flat) != 2 * len(x.shape) or min(flat, default=0) < 0:
        raise node.error(f"pads {list(x.shape)} by {list(flat)}, expected two non-negative numbers for each axis")
    pads = tuple(zip(flat[::2], flat[1::2], strict=True))
    y = node.shaped(node.output(), tuple(n + before + after for n, (before, after) in zip(x.shape, pads, strict=True)))
    same_type(node, x, y)
    value = _fill(node, x) if with_value else None
    node.emit(ops.Pad(inputs=(x.id,), outputs=(y.id,), pads=pads, value=value))


def _fill(node: Node, x: Tensor) -> float:
    """The stored value that PADV2 fills with. Minus infinity, as before a pooling, becomes the lowest number."""
    value = node.scalar(2, "fill value")
    if value.dtype is not x.dtype or value.q != x.q:
        raise node.error(f"fills with tensor {value.id}, expected one {x.dtype} of the input's scale and zero point")
    stored = value.value.ravel()[0]
    if x.dtype is not DType.FLOAT32:
        return int(stored)
    if np.isnan(stored):
        raise node.error("fills with NaN")
    limits = np.finfo(np.float32)
    return float(np.clip(stored, limits.min, limits.max))


def _resize(node: Node, kind: type[ops.ResizeNearest] | type[ops.ResizeBilinear]) -> None:
    node.expect(range(2, 3))
    x, size = node.rank(node.input(0), 4, "an input"), node.integers(1, "size")
    if len(size) != 2:
        raise node.error(f"has a size of {len(size)} numbers, expected 2")
    y = node.shaped(node.output(), (x.shape[0], *size, x.shape[3]))
    same_type(node, x, y)
    align, half = bool(node.option("align_corners")), bool(node.option("half_pixel_centers"))
    node.emit(kind(inputs=(x.id,), outputs=(y.id,), align_corners=align, half_pixel_centers=half))


def _concatenation(node: Node) -> None:
    parts = [node.input(k) for k in range(len(node.row.inputs))]
    if not parts:
        raise node.error("joins nothing")
    if node.integer("fused_activation_function"):
        raise node.unsupported("has a fused activation; use an operator of its own after it")
    rank = len(parts[0].shape)
    axis = node.axis(node.integer("axis"), rank)
    rests = {p.shape[:axis] + p.shape[axis + 1 :] for p in parts}
    if len(rests) > 1 or any(len(p.shape) != rank for p in parts):
        raise node.error(f"joins shapes {', '.join(str(list(p.shape)) for p in parts[:8])} along axis {axis}")
    total = sum(p.shape[axis] for p in parts)
    y = node.shaped(node.output(), (*parts[0].shape[:axis], total, *parts[0].shape[axis + 1 :]))
    _emit_concat(node, parts, y, axis)


def _emit_concat(node: Node, parts: Sequence[Tensor], y: Tensor, axis: int) -> None:
    same_type(node, *parts, y)
    node.emit(ops.Concat(inputs=tuple(p.id for p in parts), outputs=(y.id,), axis=axis))


def _pack(node: Node) -> None:
    """Each input gets an axis of length 1, along which they are concatenated."""
    parts = [node.input(k) for k in range(len(node.row.inputs))]
    if not parts or len({p.shape for p in parts}) > 1:
        raise node.error(f"packs {len(parts)} tensors, expected one or more of one shape")
    shape = parts[0].shape
    axis = node.axis(node.integer("axis"), len(shape) + 1)
    y = node.shaped(node.output(), (*shape[:axis], len(parts), *shape[axis:]))
    expanded = (*shape[:axis], 1, *shape[axis:])
    _emit_concat(node, [_reshaped(node, p, expanded) for p in parts], y, axis)


def _reshaped(node: Node, x: Tensor, shape: Shape) -> Tensor:
    y = node.temporary(x, shape)
    node.emit(ops.Reshape(inputs=(x.id,), outputs=(y.id,)))
    return y


# --- taking apart ----------------------------------------------------------------------------------------------------


def _split(node: Node) -> None:
    node.expect(range(2, 3), len(node.row.outputs))
    x, axes, parts = node.input(1), node.integers(0, "axis"), len(node.row.outputs)
    axis = _only_axis(node, axes, x)
    if not parts or x.shape[axis] % parts:
        raise node.error(f"splits {x.shape[axis]} into {parts} equal parts")
    _emit_parts(node, x, axis, [x.shape[axis] // parts] * parts)


def _split_v(node: Node) -> None:
    node.expect(range(3, 4), len(node.row.outputs))
    x, sizes, axes = node.input(0), list(node.integers(1, "sizes")), node.integers(2, "axis")
    axis = _only_axis(node, axes, x)
    length = x.shape[axis]
    if sizes.count(-1) == 1:
        sizes[sizes.index(-1)] = length - sum(sizes) - 1
    if len(sizes) != len(node.row.outputs) or min(sizes, default=0) < 1 or sum(sizes) != length:
        raise node.error(f"splits {length} into {sizes} for {len(node.row.outputs)} outputs")
    _emit_parts(node, x, axis, sizes)


def _only_axis(node: Node, axes: Sequence[int], x: Tensor) -> int:
    if len(axes) != 1:
        raise node.error(f"works along {len(axes)} axes, expected 1")
    return node.axis(axes[0], len(x.shape))


def _emit_parts(node: Node, x: Tensor, axis: int, sizes: Sequence[int]) -> None:
    start = 0
    for k, size in enumerate(sizes):
        y = node.shaped(node.output(k), (*x.shape[:axis], size, *x.shape[axis + 1 :]))
        _emit_slice(node, x, y, _at(x, axis, start))
        start += size


def _at(x: Tensor, axis: int, start: int) -> tuple[int, ...]:
    return tuple(start if a == axis else 0 for a in range(len(x.shape)))


def _emit_slice(node: Node, x: Tensor, y: Tensor, begin: tuple[int, ...], step: tuple[int, ...] | None = None) -> None:
    same_type(node, x, y)
    node.emit(ops.Slice(inputs=(x.id,), outputs=(y.id,), begin=begin, step=step or (1,) * len(begin)))


def _unpack(node: Node) -> None:
    node.expect(range(1, 2), len(node.row.outputs))
    x = node.input(0)
    axis = node.axis(node.integer("axis"), len(x.shape))
    rest = (*x.shape[:axis], *x.shape[axis + 1 :])
    if len(node.row.outputs) != x.shape[axis]:
        raise node.error(f"unpacks {x.shape[axis]} parts into {len(node.row.outputs)} outputs")
    for k in range(x.shape[axis]):
        y = node.shaped(node.output(k), rest)
        part = node.temporary(y, (*x.shape[:axis], 1, *x.shape[axis + 1 :]))
        _emit_slice(node, x, part, _at(x, axis, k))
        _emit_reshape(node, part, y)


def _slice(node: Node) -> None:
    node.expect(range(3, 4))
    x, begin, size = node.input(0), node.integers(1, "begin"), node.integers(2, "size")
    if not len(begin) == len(size) == len(x.shape):
        raise node.error(
            f"slices shape {list(x.shape)} from {list(begin)} by {list(size)}, expected a number for each axis"
        )
    ends = [n if s == -1 else b + s for n, b, s in zip(x.shape, begin, size, strict=True)]
    if any(not 0 <= b < e <= n for n, b, e in zip(x.shape, begin, ends, strict=True)):
        raise node.error(f"slices shape {list(x.shape)} from {list(begin)} by {list(size)}, which is not inside it")
    y = node.shaped(node.output(), tuple(e - b for b, e in zip(begin, ends, strict=True)))
    _emit_slice(node, x, y, begin)


def _strided_slice(node: Node) -> None:
    """A slice with a step along every axis, then a reshape if axes are removed or added."""
    node.expect(range(4, 5))
    x = node.input(0)
    begin, end, step = (node.integers(k, what) for k, what in ((1, "begin"), (2, "end"), (3, "strides")))
    masks = {m: node.integer(f"{m}_mask", 0) for m in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")}
    selection = strided(node, x.shape, (begin, end, step), masks, bool(node.option("offset")))
    y = node.shaped(node.output(), selection.shape)
    _emit_selection(node, x, y, selection)


def _emit_selection(node: Node, x: Tensor, y: Tensor, selection: Selection) -> None:
    if selection.shape == selection.sliced:
        _emit_slice(node, x, y, selection.begin, selection.step)
        return
    part = node.temporary(replace(y, name=""), selection.sliced)
    _emit_slice(node, x, part, selection.begin, selection.step)
    _emit_reshape(node, part, y)


HANDLERS: Mapping[str, Callable[[Node], None]] = {
    "RESHAPE": _reshape,
    "SQUEEZE": _squeeze,
    "EXPAND_DIMS": _expand_dims,
    "TRANSPOSE": _transpose,
    "PAD": _pad,
    "PADV2": _pad,
    "RESIZE_NEAREST_NEIGHBOR": functools.partial(_resize, kind=ops.ResizeNearest),
    "RESIZE_BILINEAR": functools.partial(_resize, kind=ops.ResizeBilinear),
    "CONCATENATION": _concatenation,
    "PACK": _pack,
    "SPLIT": _split,
    "SPLIT_V": _split_v,
    "UNPACK": _unpack,
    "SLICE": _slice,
    "STRIDED_SLICE": _strided_slice,
}
