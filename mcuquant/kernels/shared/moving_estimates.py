"""Costs of moving elements: the execution counts of each loop of mq_copy.h, mq_transpose.h and the port's memcpy.

The rates were fitted to counts of 700 random slices, transpositions, padded and joined tensors: cycles of the model of
Cortex-M3 and M4, and instructions on Cortex-M55.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...boards.core import Core
from ...ir import Array
from .moving import LONGEST_MOVED, Copy, Matrices

STEP = 9
"""Cost of a call without work."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Costs of a run of neighbors: `run`, `group` for each four units (`only_group` for one or two), then the rest.

    For memcpy: bytes before the first whole word, 16 bytes, words, words of a source with another alignment than the
    target, and bytes at the end. For memset: 16 bytes and less.
    """

    run: float
    only_group: float
    group: float
    pair: float
    single: float
    memcpy: float
    first_byte: float
    block: float
    word: float
    shifted: float
    last_byte: float
    fill: float
    fill_block: float
    fill_word: float
    fill_group: float
    joined_row: float
    joined: float
    joined_group: float


_CYCLES = Rates(
    run=5.9,
    only_group=9.3,
    group=15.4,
    pair=5.2,
    single=2.7,
    memcpy=61,
    first_byte=11.5,
    block=17.8,
    word=9.3,
    shifted=11,
    last_byte=6.5,
    fill=46,
    fill_block=9.1,
    fill_word=3,
    fill_group=8.7,
    joined_row=7.8,
    joined=29.5,
    joined_group=16.5,
)
_INSTRUCTIONS = Rates(
    run=3.5,
    only_group=8.2,
    group=11.2,
    pair=4.1,
    single=1.8,
    memcpy=38,
    first_byte=9,
    block=11,
    word=8,
    shifted=7,
    last_byte=3.5,
    fill=24,
    fill_block=6,
    fill_word=3.5,
    fill_group=5.8,
    joined_row=3.6,
    joined=22,
    joined_group=14,
)


def rates(core: Core) -> Rates:
    return _INSTRUCTIONS if core.mve else _CYCLES


def copy(copy: Copy, core: Core) -> float:
    """One call of mq_copy, without the cost of the step itself."""
    r, (*outer, last) = rates(core), copy.axes or ((1, 1, 1),)
    runs, count = math.prod(axis[0] for axis in outer), last[0]
    if copy.nbytes == 1 and last[1:] == (1, 1) and count > LONGEST_MOVED:
        sizes = [axis[0] for axis in outer]
        x = _places(copy.x_start, sizes, [axis[1] for axis in outer])
        y = _places(copy.y_start, sizes, [axis[2] for axis in outer])
        return memcpy(count, x, y, core)
    return runs * (r.run + _moved(count, r))


def _moved(count: int, r: Rates) -> float:
    groups = count // 4
    whole = groups * (r.only_group if groups <= 2 else r.group)
    return whole + r.pair * (count % 4 // 2) + r.single * (count % 2)


def _places(start: int, sizes: Sequence[int], steps: Sequence[int]) -> Array:
    """Address modulo 4 of every run."""
    offsets = np.array([start])
    for size, step in zip(sizes, steps, strict=True):
        offsets = (offsets[:, None] + np.arange(size) * step).reshape(-1) % 4
    return offsets


def memcpy(count: int, x: Array, y: Array, core: Core) -> float:
    """Calls of memcpy of this many bytes, from and to these addresses modulo 4."""
    r, first = rates(core), -y % 4
    rest = count - first
    is_even = (x + first) % 4 == 0
    shifted = np.where(is_even | (rest < 8), 0, (rest - 4) // 4)
    even = np.where(is_even, rest, 0)
    last = np.where(is_even, rest % 4, rest - 4 * shifted)
    total = r.memcpy + r.first_byte * first + r.shifted * shifted + r.last_byte * last
    return float((total + r.block * (even // 16) + r.word * (even % 16 // 4)).sum())


def fill(count: int, nbytes: int, core: Core) -> float:
    """Cost of this many elements of one value."""
    r = rates(core)
    if nbytes > 1:
        return r.fill_group * (count // 4)
    return r.fill + r.fill_block * (count // 16) + r.fill_word * (count % 16 // 4 + count % 4)


def joined(rows: int, widths: Sequence[int], core: Core) -> float:
    """Cost of parts of these numbers of bytes, row by row."""
    r, row = rates(core), np.arange(rows)
    starts = np.concatenate([[0], np.cumsum(widths)])
    total = rows * r.joined_row
    for width, start in zip(widths, starts, strict=False):
        if width > LONGEST_MOVED:
            total += memcpy(width, row * width % 4, (start + row * starts[-1]) % 4, core) + rows * 6
        else:
            total += rows * (r.joined + r.joined_group * (width // 4) + 5 * (width % 4 // 2) + width % 2)
    return float(total)


def transpose(shape: Matrices, core: Core) -> float:
    """mq_transpose.h: blocks of 4 x 4, and the remaining columns."""
    count, rows, columns = _matrices(shape), shape.rows // 4, shape.columns // 4
    block = 40 if not shape.y_words else 31.5 if core.dsp else 35.5
    each = rows * (9.5 * bool(columns) + block * columns + 13.5 * (shape.columns % 4))
    return count * (each + (11 if shape.outer else 0))


def transpose_mve(shape: Matrices) -> float:
    """mq_transpose_mve.h, in instructions."""
    count = _matrices(shape)
    if shape.y_words:
        return count * (7 + -(-shape.rows // 16) * (27.5 + 37 * (shape.columns // 4)))
    return count * (4.7 + -(-shape.rows // 8) * (9 + 7.2 * shape.columns))


def _matrices(shape: Matrices) -> int:
    return math.prod(axis[0] for axis in shape.outer)
