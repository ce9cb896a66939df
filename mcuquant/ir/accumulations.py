"""Operations that add up: several tensors, the elements along an axis, the squares of a row."""

from __future__ import annotations

from dataclasses import dataclass

from .operation import Op


@dataclass(frozen=True, slots=True, kw_only=True)
class AddN(Op):
    """inputs: two or more tensors of one shape; their sum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CumSum(Op):
    """inputs: x; the sum of the elements up to each along `axis`: itself left out if `exclusive`, from the end if
    `reverse`.
    """

    axis: int
    exclusive: bool = False
    reverse: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class L2Normalization(Op):
    """inputs: x; along the last axis, x / sqrt(sum of x^2)."""
