"""Handlers of operators that rearrange or repeat values, as slices, transpositions and concatenations."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ...ir import Op, Role, Shape, Tensor, ops
from .discrete_handlers import gather
from .movement_handlers import same_type
from .operator_node import Node

_MOST_SLICES = 16
"""Most slices that a choice of constant indices becomes; beyond, it reads the indices."""
_MOST_PIECES = 256
"""Maximum number of pieces and of copies for one operator."""


def _steps(node: Node, y: Tensor) -> Callable[[Callable[..., Op], Sequence[Tensor], Shape, bool], Tensor]:
    """Appends operations one after the other; the last one writes `y`, the others write temporary tensors."""

    def step(kind: Callable[..., Op], inputs: Sequence[Tensor], shape: Shape, last: bool) -> Tensor:
        output = node.shaped(y, shape) if last else node.temporary(y, shape)
        node.emit(kind(inputs=tuple(t.id for t in inputs), outputs=(output.id,)))
        return output

    return step


def _transposed(node: Node, x: Tensor, y: Tensor, sizes: Shape, perm: tuple[int, ...], shape: Shape) -> None:
    """`x` reshaped to `sizes`, transposed, and reshaped to `shape`, in `y`."""
    step = _steps(node, y)
    split = step(ops.Reshape, [x], sizes, False)
    moved = step(_with(ops.Transpose, perm=perm), [split], tuple(sizes[axis] for axis in perm), False)
    step(ops.Reshape, [moved], shape, True)


def _with(kind: Callable[..., Op], **attributes: object) -> Callable[..., Op]:
    return lambda **operands: kind(**operands, **attributes)


# --- blocks of pixels ------------------------------------------------------------------------------------------------


def _depth_to_space(node: Node) -> None:
    node.expect(range(1, 2))
    x, block = node.rank(node.input(0), 4, "an input"), node.integer("block_size", 1, 1 << 10)
    n, h, w, c = x.shape
    depth, rest = divmod(c, block * block)
    if rest:
        raise node.error(f"spreads {c} channels over blocks of {block} x {block}, expected a multiple of {block**2}")
    y = node.output()
    same_type(node, x, y)
    sizes = (n * h, w, block, block, depth)
    _transposed(node, x, y, sizes, (0, 2, 1, 3, 4), (n, h * block, w * block, depth))


def _space_to_depth(node: Node) -> None:
    node.expect(range(1, 2))
    x, block = node.rank(node.input(0), 4, "an input"), node.integer("block_size", 1, 1 << 10)
    n, h, w, c = x.shape
    if h % block or w % block:
        raise node.error(f"gathers blocks of {block} x {block} from {h} x {w} pixels, expected multiples")
    y = node.output()
    same_type(node, x, y)
    rows, columns = h // block, w // block
    sizes = (n * rows, block, columns, block, c)
    _transposed(node, x, y, sizes, (0, 2, 1, 3, 4), (n, rows, columns, c * block * block))


def _blocks(node: Node, x: Tensor, what: str) -> tuple[tuple[int, int], tuple[tuple[int, int], tuple[int, int]]]:
    """(block height and width, (before, after) along both) of SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND."""
    block, flat = node.integers(1, "block shape"), node.integers(2, what)
    if len(x.shape) != 4 or len(block) != 2 or len(flat) != 4 or min(block) < 1 or min(flat) < 0:
        raise node.unsupported(
            f"has an input of shape {list(x.shape)}, the block {list(block)} and the {what} {list(flat)}; "
            "expected four axes, two positive numbers and two pairs"
        )
    return (block[0], block[1]), ((flat[0], flat[1]), (flat[2], flat[3]))


def _space_to_batch(node: Node) -> None:
    node.expect(range(3, 4))
    x = node.input(0)
    (bh, bw), pads = _blocks(node, x, "paddings")
    y = node.output()
    same_type(node, x, y)
    n, h, w, c = x.shape
    padded = (n, h + sum(pads[0]), w + sum(pads[1]), c)
    if n != 1 or padded[1] % bh or padded[2] % bw:
        raise node.unsupported(f"divides shape {list(padded)} into blocks of {bh} x {bw}, expected a batch of 1")
    if padded != x.shape:
        pad = _with(
            ops.Pad, pads=((0, 0), *pads, (0, 0))
        )  # TFLM's kernel fills with an uninitialized value of its parameters
        x = _steps(node, x)(pad, [x], padded, False)
    rows, columns = padded[1] // bh, padded[2] // bw
    _transposed(node, x, y, (rows, bh, columns, bw, c), (1, 3, 0, 2, 4), (bh * bw, rows, columns, c))


def _batch_to_space(node: Node) -> None:
    node.expect(range(3, 4))
    x = node.input(0)
    (bh, bw), crops = _blocks(node, x, "crops")
    y = node.output()
    same_type(node, x, y)
    n, h, w, c = x.shape
    if n != bh * bw:
        raise node.unsupported(f"joins a batch of {n} in blocks of {bh} x {bw}, expected a batch of {bh * bw}")
    whole = (1, h * bh, w * bw, c)
    shape = (1, whole[1] - sum(crops[0]), whole[2] - sum(crops[1]), c)
    if min(shape) < 1:
        raise node.error(f"crops shape {list(whole)} by {list(crops)}")
    sizes, perm = (bh, bw, h, w, c), (2, 0, 3, 1, 4)
    if shape == whole:
        _transposed(node, x, y, sizes, perm, whole)
        return
    joined = node.temporary(y, whole)
    _transposed(node, x, joined, sizes, perm, whole)
    begin = (0, crops[0][0], crops[1][0], 0)
    _steps(node, y)(_with(ops.Slice, begin=begin, step=(1, 1, 1, 1)), [joined], shape, True)


# --- any choice of indices along an axis -----------------------------------------------------------------------------


def _runs(indices: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """(first, step, count) of pieces with a constant nonzero step, from the left."""
    start = 0
    while start < len(indices):
        end = start + 1
        step = indices[end] - indices[start] if end < len(indices) else 1
        while step and end < len(indices) and indices[end] - indices[end - 1] == step:
            end += 1
        yield indices[start], step or 1, end - start
        start = end


def _pick(node: Node, x: Tensor, y: Tensor, axis: int, indices: Sequence[int], last: bool) -> Tensor:
    """`x` at `indices` along `axis`; written to `y` in the last step."""
    pieces, step = list(_runs(indices)), _steps(node, y)
    if len(pieces) > _MOST_PIECES:
        raise node.unsupported(f"takes {len(pieces)} pieces along axis {axis}, expected at most {_MOST_PIECES}")

    def part(first: int, stride: int, count: int, final: bool) -> Tensor:
        begin = tuple(first if a == axis else 0 for a in range(len(x.shape)))
        strides = tuple(stride if a == axis else 1 for a in range(len(x.shape)))
        return step(_with(ops.Slice, begin=begin, step=strides), [x], _resized(x, axis, count), final)

    if len(pieces) == 1:
        return part(*pieces[0], last)
    parts = [part(*piece, False) for piece in pieces]
    return step(_with(ops.Concat, axis=axis), parts, _resized(x, axis, len(indices)), last)


def _resized(x: Tensor, axis: int, count: int) -> Shape:
    return (*x.shape[:axis], count, *x.shape[axis + 1 :])


def _picked(node: Node, x: Tensor, y: Tensor, choices: Iterable[tuple[int, Sequence[int]]]) -> None:
    """`x` at indices along several axes; a copy without any."""
    changes = [(axis, indices) for axis, indices in choices if list(indices) != list(range(x.shape[axis]))]
    for position, (axis, indices) in enumerate(changes):
        x = _pick(node, x, y, axis, indices, last=position == len(changes) - 1)
    if not changes:
        _steps(node, y)(ops.Reshape, [x], x.shape, True)


def _mirror_pad(node: Node) -> None:
    node.expect(range(2, 3))
    x, flat = node.input(0), node.integers(1, "paddings")
    y = node.output()
    same_type(node, x, y)
    edge = node.integer("mode", 0, 1)  # 0 reflects without the edge, 1 with it
    pads = list(zip(flat[::2], flat[1::2], strict=False))
    fits = all(0 <= side <= n - 1 + edge for n, pair in zip(x.shape, pads, strict=False) for side in pair)
    if len(flat) != 2 * len(x.shape) or not fits:
        raise node.error(f"mirrors {list(x.shape)} by {list(flat)}, expected less than each axis")
    _picked(node, x, y, ((a, _mirrored(x.shape[a], pair, edge)) for a, pair in enumerate(pads)))


def _mirrored(length: int, pad: tuple[int, int], edge: int) -> list[int]:
    before, after = pad
    left = range(before - edge, -edge, -1)
    right = range(length - 2 + edge, length - 2 + edge - after, -1)
    return [*left, *range(length), *right]


def _reverse(node: Node) -> None:
    node.expect(range(2, 3))
    x = node.input(0)
    axes = {node.axis(a, len(x.shape)) for a in node.integers(1, "axes")}
    y = node.output()
    same_type(node, x, y)
    _picked(node, x, y, ((axis, range(x.shape[axis] - 1, -1, -1)) for axis in sorted(axes)))


def _gather(node: Node) -> None:
    """GATHER by constant indices of one axis or a scalar as slices, by other indices as a Gather."""
    node.expect(range(2, 3))
    x, axis, batch = node.input(0), node.integer("axis"), node.integer("batch_dims")
    axis = node.axis(axis, len(x.shape))
    constant = node.is_stored(1) and not batch and len(node.constant(1, "indices").shape) < 2
    indices = node.integers(1, "indices") if constant else ()
    if not constant or len(list(_runs(indices))) > _MOST_SLICES:
        gather(node, x, node.input(1), axis, node.axis(batch, len(node.input(1).shape) + 1))
        return
    y = node.output()
    same_type(node, x, y)
    shape = node.constant(1, "indices").shape
    if not indices or not all(0 <= i < x.shape[axis] for i in indices):
        raise node.error(f"gathers {list(indices)[:8]} of shape {list(shape)} from {x.shape[axis]} along axis {axis}")
    if shape:
        _picked(node, x, y, [(axis, indices)])
        return
    part = _pick(node, x, node.temporary(y, _resized(x, axis, 1)), axis, indices, last=True)
    _steps(node, y)(ops.Reshape, [part], (*x.shape[:axis], *x.shape[axis + 1 :]), True)


# --- copies ----------------------------------------------------------------------------------------------------------


def _tile(node: Node) -> None:
    node.expect(range(2, 3))
    x, counts = node.input(0), node.integers(1, "multiples")
    if len(counts) != len(x.shape) or min(counts, default=1) < 1:
        raise node.error(f"repeats shape {list(x.shape)} {list(counts)} times, expected a number from 1 an axis")
    _repeat(node, x, counts)


def _broadcast_to(node: Node) -> None:
    node.expect(range(2, 3))
    x, shape = node.input(0), node.integers(1, "shape")
    full = (1,) * (len(shape) - len(x.shape)) + x.shape
    if len(full) != len(shape) or any(n not in (1, m) or m < 1 for n, m in zip(full, shape, strict=False)):
        raise node.error(f"broadcasts shape {list(x.shape)} to {list(shape)}")
    if full != x.shape:
        x = _steps(node, x)(ops.Reshape, [x], full, False)
    _repeat(node, x, [m // n for n, m in zip(full, shape, strict=True)])


def _repeat(node: Node, x: Tensor, counts: Sequence[int]) -> None:
    y = node.output()
    same_type(node, x, y)
    if max(counts, default=1) > _MOST_PIECES or math.prod(counts) > 1 << 16:
        raise node.unsupported(f"repeats {list(counts)} times, expected at most {_MOST_PIECES} along an axis")
    repeats = [axis for axis, count in enumerate(counts) if count > 1]
    for axis in repeats:
        shape = _resized(x, axis, x.shape[axis] * counts[axis])
        x = _steps(node, y)(_with(ops.Concat, axis=axis), [x] * counts[axis], shape, axis == repeats[-1])
    if not repeats:
        _steps(node, y)(ops.Reshape, [x], x.shape, True)


def _zeros_like(node: Node) -> None:
    node.expect(range(1, 2))
    x, y = node.input(0), node.shaped(node.output(), node.input(0).shape)
    same_type(node, x, y)
    _constant(node, y, y.zero_point)


def _fill(node: Node) -> None:
    node.expect(range(2, 3))
    shape = node.integers(0, "shape")
    if not node.is_stored(1):
        x = node.input(1)
        if x.elements != 1:
            raise node.error(f"fills with shape {list(x.shape)}, expected one element")
        _repeat(node, _steps(node, x)(ops.Reshape, [x], (1,) * len(shape), False), shape)
        return
    value = node.scalar(1, "value")
    y = node.shaped(node.output(), shape)
    if value.data is None or value.dtype is not y.dtype or value.q != y.q:
        raise node.error(f"fills with {value.dtype}, expected {y.dtype} of the output's scale and zero point")
    _constant(node, y, value.data.ravel()[0])


def _constant(node: Node, y: Tensor, value: float) -> None:
    node.translation.spend(y.elements, y.id)
    data = np.full(y.shape, value, y.dtype.numpy)
    node.translation.tensors[y.id] = replace(y, role=Role.CONSTANT, data=data)


HANDLERS: Mapping[str, Callable[[Node], None]] = {
    "DEPTH_TO_SPACE": _depth_to_space,
    "SPACE_TO_DEPTH": _space_to_depth,
    "SPACE_TO_BATCH_ND": _space_to_batch,
    "BATCH_TO_SPACE_ND": _batch_to_space,
    "MIRROR_PAD": _mirror_pad,
    "REVERSE_V2": _reverse,
    "GATHER": _gather,
    "TILE": _tile,
    "BROADCAST_TO": _broadcast_to,
    "FILL": _fill,
    "ZEROS_LIKE": _zeros_like,
}
