"""Operations of networks that are computed row by row (`passes.row_schedule`). Only plans contain them; no file does.

A line is a tensor (1,H,W,C) of which only the newest row and some older ones are in memory, `kept` of them. The tensor
table has the newest row, (1,1,W,C).
"""

from __future__ import annotations

from dataclasses import dataclass

from .operation import Op
from .ops import AvgPool2D, Mean, Sum


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRows(Op):
    """inputs: the newest row of a line; output: rows of the line in memory from row `first`, 0 the oldest.

    `kept` is the number of older rows in memory, `rows` the height H of the whole tensor. It costs nothing: the plan
    gives both tensors places in the line.
    """

    first: int
    kept: int
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRow(Op):
    """inputs: rows; output: the same rows at an aligned address, for a kernel, or the newest row of a line after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRow(Op):
    """inputs: the newest row of a line; output: the whole tensor (1,H,W,C), of which it writes one row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowSum(Op):
    """inputs: the newest row of a line (1,1,W,C); output: sums (1,1,1,C) of int32, to which it adds the row's pixels.

    `rows` is the height H of the whole tensor.
    """

    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OfSums(Op):
    """inputs: sums (1,1,1,C) over a tensor of `shape` (1,H,W,C); output: that of `reduction`, which averages or
    adds all pixels of this tensor.
    """

    reduction: AvgPool2D | Mean | Sum
    shape: tuple[int, ...]

    @property
    def kind(self) -> str:
        return self.reduction.kind

    @property
    def count(self) -> int:
        """Number of elements of each sum."""
        return self.shape[1] * self.shape[2]


VIEWS = (LineRows, CopyRow, StoreRow)
"""Operations that are no steps: the sweeps copy and store rows."""
