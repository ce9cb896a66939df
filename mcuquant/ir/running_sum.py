"""Reductions over the rows of a stream whose sums continue from inference to inference."""

from __future__ import annotations

from dataclasses import dataclass

from .ops import AvgPool2D, Mean, Op, Sum


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningSum(Op):
    """A mean, sum or average over all rows, which adds and subtracts only rows that enter and leave the window.

    inputs: x, whose rows are along `axis`, and the int32 sums of its rows `start` to `stop` - 1, which were there one
    inference before; outputs: that of `reduction`, and the int32 sums of the rows `step` further on, which the next
    inference takes. Both sums have the shape of the first output.

    Only plans contain it (`passes.running_sums`); `ops.__all__` and files exclude it.
    """

    reduction: Mean | Sum | AvgPool2D
    axis: int
    start: int
    stop: int
    step: int

    @property
    def kind(self) -> str:
        return self.reduction.kind
