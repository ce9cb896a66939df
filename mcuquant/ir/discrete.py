"""Operations over truth values and whole numbers, and those that choose elements by them.

A truth value is a bool tensor, a whole number an int32 or int64 tensor without a scale ("plain", `Tensor.is_plain`).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from .operation import Op


class Relation(enum.StrEnum):
    """The relation of two numbers that a comparison tests."""

    EQUAL = "equal"
    NOT_EQUAL = "not_equal"
    GREATER = "greater"
    GREATER_EQUAL = "greater_equal"
    LESS = "less"
    LESS_EQUAL = "less_equal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast(Op):
    """inputs: x; its stored numbers as another type: to bool whether they are not 0, to fewer bits the low ones, from
    float32 towards 0.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Compare(Op):
    """inputs: a, b of one type, broadcast against each other as numpy does; bool output: whether `relation` holds."""

    relation: Relation


@dataclass(frozen=True, slots=True, kw_only=True)
class Select(Op):
    """inputs: condition (bool), a, b, all broadcast against each other; a where the condition is true, else b."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gather(Op):
    """inputs: x, indices (int32); x at the indices along `axis`, which counts all axes of x.

    The first `batch_axes` axes of both run along together. The output has the shape of x with the rest of the shape of
    `indices` in the place of `axis`. An index outside of the axis counts as the nearest inside.
    """

    axis: int
    batch_axes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GatherNd(Op):
    """inputs: x, indices (..., K) (int32); for each row of K indices along the first K axes of x what is there.

    Indices outside count as the nearest inside.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateSlice(Op):
    """inputs: x, update, start (int32, one for each axis): x with `update` in the place of the elements from `start`.

    A start from which the update would reach beyond x counts as the nearest that keeps it inside.
    """
