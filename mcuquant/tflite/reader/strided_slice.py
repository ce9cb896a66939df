"""The elements that STRIDED_SLICE selects by begin, end, strides and masks.

The definition is numpy's `x[b:e:s, ..., newaxis, i]` (tensorflow/lite/kernels/internal/strided_slice_logic.h): bit i of
a mask refers to entry i of begin, end and strides, not to the input's axis.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...ir import Shape
from .operator_node import MAX_WINDOW, Node

Spec = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Selection:
    """`begin` and `step` for each axis of the input; `sliced` counts the elements along each; `shape` is the output's
    shape after axes are removed and added.
    """

    begin: tuple[int, ...]
    step: tuple[int, ...]
    sliced: Shape
    shape: Shape


def strided(node: Node, shape: Shape, spec: Spec, masks: Mapping[str, int], offset: bool) -> Selection:
    """The selection of `spec` (begin, end, strides) from `shape`. Raises ModelError if it is empty."""
    entries = len(spec[0])
    if not entries == len(spec[1]) == len(spec[2]):
        raise node.error(
            f"has {entries} begins, {len(spec[1])} ends and {len(spec[2])} strides, expected as many of each"
        )
    begin: list[int] = []
    step: list[int] = []
    sliced: list[int] = []
    out: list[int] = []
    for entry in _expanded(node, entries, len(shape), masks):
        if entry == "new":
            out.append(1)
            continue
        start, count, stride, dropped = _along(node, shape[len(begin)], spec, entry, masks, offset)
        begin.append(start)
        step.append(stride)
        sliced.append(count)
        out.extend([] if dropped else [count])
    return Selection(tuple(begin), tuple(step), tuple(sliced), tuple(out))


def _expanded(node: Node, entries: int, rank: int, masks: Mapping[str, int]) -> list[int | str]:
    """For each axis of the input its entry, or "all"; "new" for an added axis of the output."""
    ellipses = [i for i in range(entries) if masks["ellipsis"] >> i & 1]
    if len(ellipses) > 1:
        raise node.error(f"has {len(ellipses)} ellipses, expected at most 1")
    new = [i for i in range(entries) if masks["new_axis"] >> i & 1 and i not in ellipses]
    missing = rank - (entries - len(new) - len(ellipses))
    if missing < 0:
        raise node.error(f"has {entries} entries for an input of {rank} axes")
    names: list[int | str] = []
    for i in range(entries):
        if i in ellipses:
            names.extend(["all"] * missing)
        else:
            names.append("new" if i in new else i)
    return names if ellipses else names + ["all"] * missing


def _along(
    node: Node, length: int, spec: Spec, entry: int | str, masks: Mapping[str, int], offset: bool
) -> tuple[int, int, int, bool]:
    """(start, count, stride, dropped) along an axis of `length` elements."""
    if not isinstance(entry, int):
        return 0, length, 1, False
    begin, end, stride = (numbers[entry] for numbers in spec)
    marked = {name: bool(mask >> entry & 1) for name, mask in masks.items()}
    if stride == 0:
        raise node.error(f"has stride 0 in entry {entry}")
    if offset:
        end += begin
    if marked["shrink_axis"]:
        return _index(node, begin, length), 1, 1, True
    picked = range(length)[None if marked["begin"] else begin : None if marked["end"] else end : stride]
    if not picked:
        raise node.error(f"selects nothing of {length} elements: entry {entry} is {begin}:{end}:{stride}")
    # For one element the stride has no effect, but a large one would overflow later.
    return picked.start, len(picked), stride if len(picked) > 1 or abs(stride) <= MAX_WINDOW else 1, False


def _index(node: Node, begin: int, length: int) -> int:
    if not -length <= begin < length:
        raise node.error(f"takes element {begin} of {length}")
    return begin % length
