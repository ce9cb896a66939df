"""Loops over tensors: axes with their sizes and steps, merged where possible."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...ir import Shape
from ..variant import Value

Axis = tuple[int, ...]
"""Size, then the step in elements of every tensor."""

BROADCAST_RANK = 5
"""Axes of mq_broadcast_t."""


def strides(shape: Shape) -> Shape:
    """Distance in elements between neighbors along each axis of a dense tensor."""
    return tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))


def merged(sizes: Sequence[int], *steps: Sequence[int]) -> list[Axis]:
    """Axes without those of size 1, and with neighbors merged where every tensor has a constant step."""
    axes: list[Axis] = []
    for size, *step in zip(sizes, *steps, strict=True):
        if size == 1:
            continue
        if axes and list(axes[-1][1:]) == [s * size for s in step]:
            axes[-1] = (axes[-1][0] * size, *step)
        else:
            axes.append((size, *step))
    return axes


def columns(axes: Sequence[Axis], rank: int, *names: str) -> dict[str, Value]:
    """Axes as the arrays of a struct, with `rank` entries each: sizes and every tensor's steps under `names`."""
    last = len(names) - 1
    full = [(1, *(0,) * last)] * (rank - len(axes)) + list(axes)
    return {name: tuple(axis[i] for axis in full) for i, name in enumerate(names)}


def broadcast_axes(a: Shape, b: Shape, y: Shape) -> list[Axis]:
    """(size, step of a, step of b) along the axes of y, merged where both inputs permit it."""
    return merged(y, steps_along(a, y), steps_along(b, y))


def broadcast_fields(axes: list[Axis]) -> dict[str, Value]:
    """mq_broadcast_t."""
    return columns(axes, BROADCAST_RANK, "size", "a", "b")


def steps_along(shape: Shape, y: Shape) -> list[int]:
    """Element step of `shape` along each axis of y; 0 where it is broadcast."""
    full = (1,) * (len(y) - len(shape)) + tuple(shape)
    return [0 if size == 1 else step for size, step in zip(full, strides(full), strict=True)]
