"""Operations of networks that are computed row by row (`passes.row_schedule`). Only plans contain them; no file does.

A line is a tensor (1,H,W,C) of which only the newest row and some older ones are in memory, `kept` of them. The tensor
table has the newest row, (1,1,W,C).
"""

from __future__ import annotations

from dataclasses import dataclass

from .operation import Op


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


VIEWS = (LineRows, CopyRow, StoreRow)
"""Operations that are no steps: the sweeps copy and store rows."""
