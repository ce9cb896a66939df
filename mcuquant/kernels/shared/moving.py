"""Descriptions of moving operations: copies along axes, and transpositions as matrices of bytes."""

from __future__ import annotations

from dataclasses import dataclass
from operator import mul

from ...ir import Tensor
from ...ir.ops import Pad, Slice, Transpose
from ..variant import Arg, In, Out, Site, Struct, Value
from .axes import Axis, columns, merged, strides

COPY_RANK = 6
TRANSPOSE_RANK = 4
WORD_BYTES = 4
LONGEST_MOVED = 24
"""Number of bytes in a row that are not copied by memcpy."""


def element_bytes(tensor: Tensor) -> int:
    return tensor.dtype.bits // 8


def copy_axes(site: Site) -> list[Axis]:
    """(size, input step, output step) of all moved elements."""
    op, x, y = site.op, site.ins[0].shape, site.out.shape
    match op:
        case Slice():
            return merged(y, list(map(mul, strides(x), op.step)), strides(y))
        case Transpose():
            return merged(y, [strides(x)[axis] for axis in op.perm], strides(y))
        case _:
            return merged(x, strides(x), strides(y))


@dataclass(frozen=True, slots=True)
class Copy:
    """The contents of mq_copy_t: positions and steps in units of `nbytes`, which may be several elements that stay
    together.
    """

    nbytes: int
    x_start: int
    y_start: int
    axes: tuple[Axis, ...]

    @property
    def struct(self) -> Struct:
        fields: dict[str, Value] = {
            "bytes": self.nbytes,
            "x_start": self.x_start,
            "y_start": self.y_start,
            **columns(self.axes, COPY_RANK, "size", "x_step", "y_step"),
        }
        return Struct("mq_copy_t", fields)


def moved(site: Site) -> Copy:
    """The copy of a slice, a transposition or the inside of a padded tensor, in the largest possible units."""
    op, x, y = site.op, site.ins[0].shape, site.out.shape
    begin = op.begin if isinstance(op, Slice) else ()
    before = [pair[0] for pair in op.pads] if isinstance(op, Pad) else ()
    x_start, y_start = sum(map(mul, begin, strides(x))), sum(map(mul, before, strides(y)))
    copy = Copy(element_bytes(site.out), x_start, y_start, tuple(copy_axes(site)))
    while copy.nbytes < WORD_BYTES and (wider := _wider(copy)) is not None:
        copy = wider
    return copy


def _wider(copy: Copy) -> Copy | None:
    """The same with units of twice as many bytes; None if two neighbors do not always stay together."""
    *outer, last = copy.axes or ((1, 1, 1),)
    places = (copy.x_start, copy.y_start, last[0], *(step for axis in outer for step in axis[1:]))
    if last[1:] != (1, 1) or any(n % 2 for n in places):
        return None
    halved = [(size, x // 2, y // 2) for size, x, y in outer]
    axes = [*halved, (last[0] // 2, 1, 1)] if last[0] > 2 else halved
    return Copy(2 * copy.nbytes, copy.x_start // 2, copy.y_start // 2, tuple(axes))


@dataclass(frozen=True, slots=True)
class Matrices:
    """A transposition of bytes as matrices: `outer` axes around `rows` x `columns` of the output, as mq_transpose_t."""

    outer: tuple[Axis, ...]
    rows: int
    columns: int
    x_column: int
    y_row: int

    @property
    def x_words(self) -> bool:
        """Whether every column of every matrix begins and ends at a whole word of the input."""
        return all(n % 4 == 0 for n in (self.rows, self.x_column, *(axis[1] for axis in self.outer)))

    @property
    def y_words(self) -> bool:
        return all(n % 4 == 0 for n in (self.columns, self.y_row, *(axis[2] for axis in self.outer)))


def matrices(site: Site) -> Matrices | None:
    """None if the operation is no transposition of bytes, or rows stay together."""
    if not isinstance(site.op, Transpose) or element_bytes(site.out) != 1:
        return None
    *outer, last = copy_axes(site) or [(1, 1, 1)]
    across = [axis for axis in outer if axis[1] == 1]
    if last[1] == 1 or not across:
        return None
    outer.remove(across[0])
    if len(outer) > TRANSPOSE_RANK:
        return None
    return Matrices(tuple(outer), across[0][0], last[0], last[1], across[0][2])


def transpose_args(site: Site) -> tuple[Arg, ...]:
    shape = matrices(site)
    assert shape is not None
    fields: dict[str, Value] = {
        **columns(shape.outer, TRANSPOSE_RANK, "size", "x_step", "y_step"),
        "rows": shape.rows,
        "columns": shape.columns,
        "x_column": shape.x_column,
        "y_row": shape.y_row,
        "y_words": int(shape.y_words),
    }
    return Struct("mq_transpose_t", fields), In(), Out()
