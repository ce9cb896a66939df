"""The position of each element of a torch value in memory, so that layout changes cost nothing.

A `Value` is a graph tensor and an integer array of the value's torch shape: the position, in the tensor's memory, of
every element. Views, permutations and flattening only rearrange that array; no operation is emitted. An operation that
needs a certain order requests it, and a Transpose is emitted only where the order in memory differs.

Memory order of a new value ("canonical"): (N,C,H,W) is stored as (N,H,W,C), (N,C,L) as (N,1,L,C), others in their own
order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.int64]
Order = tuple[int, ...]
Shape = tuple[int, ...]

MAX_ELEMENTS = 2**26
"""Maximum number of elements of a tensor: more than any microcontroller's memory."""

_CANONICAL: dict[int, Order] = {3: (0, 2, 1), 4: (0, 2, 3, 1)}


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    tensor: int
    where: Positions

    @property
    def shape(self) -> Shape:
        """Shape in torch's order."""
        return self.where.shape

    @property
    def rank(self) -> int:
        return self.where.ndim


def canonical_order(rank: int) -> Order:
    """Torch axes in memory order."""
    return _CANONICAL.get(rank, tuple(range(rank)))


def physical_shape(shape: Sequence[int], order: Order) -> Shape:
    """Shape of the graph tensor for a torch value of `shape` in `order`."""
    physical = tuple(shape[axis] for axis in order)
    return (physical[0], 1, *physical[1:]) if order == _CANONICAL[3] else physical


def physical_axis(axis: int, order: Order) -> int:
    """Axis of the graph tensor for torch's `axis`."""
    position = order.index(axis)
    return position + 1 if order == _CANONICAL[3] and position else position


def spread(shape: Sequence[int], order: Order | None = None) -> Positions:
    """Positions of a value in `order` (default: canonical). Raises ValueError above MAX_ELEMENTS."""
    check_size(shape)
    order = canonical_order(len(shape)) if order is None else order
    memory = np.arange(math.prod(shape), dtype=np.int64).reshape([shape[axis] for axis in order])
    return memory.transpose(np.argsort(order)) if order else memory


def check_size(shape: Sequence[int]) -> None:
    if min(shape, default=1) < 0 or math.prod(shape) > MAX_ELEMENTS:
        sizes = " x ".join(map(str, shape))
        raise ValueError(f"a tensor of {sizes} elements; expected at most {MAX_ELEMENTS:,}")


def lies_in(where: Positions, order: Order) -> bool:
    return bool(np.array_equal(where.transpose(order).ravel(), np.arange(where.size)))


def natural_order(where: Positions) -> Order | None:
    """The order of whole axes of the value; None if axes are interleaved (as in a flattened image)."""
    rank = where.ndim
    for order in (canonical_order(rank), tuple(range(rank))):
        if lies_in(where, order):
            return order
    order = tuple(sorted(range(rank), key=lambda axis: -_step(where, axis)))
    return order if lies_in(where, order) else None


def _step(where: Positions, axis: int) -> int:
    """Distance in memory between neighbors along an axis; an axis of size 1 counts as the outermost."""
    return int(where.take(1, axis).flat[0] - where.flat[0]) if where.shape[axis] > 1 else where.size


def strided(positions: Positions) -> list[tuple[int, int]] | None:
    """(size, stride) of nested loops, outermost first, that visit `positions` in turn from 0; None
    if there are none.
    """
    loops: list[tuple[int, int]] = []
    rest = positions
    if rest[0] != 0:
        return None
    while rest.size > 1:
        step = int(rest[1])
        breaks = np.flatnonzero(np.diff(rest) != step)
        run = int(breaks[0]) + 1 if breaks.size else rest.size
        if rest.size % run or not np.array_equal(rest.reshape(-1, run), rest[::run, None] + step * np.arange(run)):
            return None
        loops.append((run, step))
        rest = rest[::run]
    return loops[::-1]


def transposition(positions: Positions) -> tuple[Shape, Order] | None:
    """(source shape, permutation) of the Transpose whose output reads `positions` in turn; None if there is none."""
    loops = strided(positions)
    if loops is None:
        return None
    source = sorted(range(len(loops)), key=lambda k: -loops[k][1])
    sizes = tuple(loops[k][0] for k in source)
    if any(loops[k][1] != math.prod(sizes[i + 1 :]) for i, k in enumerate(source)):
        return None
    return sizes, tuple(source.index(k) for k in range(len(loops)))


def pieces(positions: Positions) -> list[slice] | None:
    """Consecutive ranges, each of which permutes its own range of memory by one Transpose; None if there are none.

    These are the parts of a concatenation of values with different orders. Long ranges are tried first.
    """
    ends = _thinned(np.flatnonzero(np.maximum.accumulate(positions) == np.arange(positions.size)) + 1)
    reached: dict[int, list[slice]] = {0: []}
    pending = [0]
    while pending and positions.size not in reached:
        start = pending.pop()
        for end in ends[ends > start].tolist():
            if end not in reached and transposition(positions[start:end] - start) is not None:
                reached[end] = [*reached[start], slice(start, end)]
                pending.append(end)
    return reached.get(positions.size)


def _thinned(ends: Positions, margin: int = 32) -> Positions:
    """Reduces a long run of neighbors, which is in order, to those near its borders."""
    runs = np.split(ends, np.flatnonzero(np.diff(ends) != 1) + 1)
    kept = [run if run.size <= 2 * margin else np.concatenate([run[:margin], run[-margin:]]) for run in runs]
    return np.concatenate(kept)


def compact(value: Value) -> Value:
    """`value` with size 1 along every axis whose elements share one position."""
    where = value.where
    for axis in range(where.ndim):
        first = where.take([0], axis)
        where = first if where.shape[axis] > 1 and (where == first).all() else where
    return Value(value.tensor, where)


def squeezed(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """`array` with every axis along which it is constant reduced to size 1."""
    for axis in range(array.ndim):
        first = array.take([0], axis)
        if array.shape[axis] > 1 and (array == first).all():
            array = first
    return array
