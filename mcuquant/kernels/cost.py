"""What a variant costs before it is compiled: modelled cycles, and bytes of flash and scratch.

Cycles are those of the cycle model (docs/cycle-model.md): Cortex-M4, zero wait states. Each variant says its own; one
that says nothing is charged as plain C. They are there to put the variants of one operation in the right order and to
weigh them against bytes, not to foretell a measurement.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..metrics import macs
from ..ops import Add, Pool, Reduce, Softmax, Sub

if TYPE_CHECKING:
    from .base import Site, Variant

Cycles = Callable[["Site"], int]
"""Modelled cycles of one call on the site's core."""

CALL = 60
"""Cycles of a step without work: call, constants, return."""
_PLAIN_MAC, _PLAIN_OUTPUT = 8, 45
"""Of plain C with weights: two loads, an offset and a multiplication in a loop; a requantization in C."""
_PLAIN_ELEMENT = 30
"""Of plain C without weights, for each element read or written: loop, load, rescaling, clamp, store."""
_SOFTMAX_ELEMENT = 170
_POOL_TAP = 8
_SUM_ELEMENT = 40

STEP_BYTES = 400
"""Code of one step of plain C, whose kernel GCC specialises for the layer."""


@dataclass(frozen=True, slots=True)
class Shared:
    """A C function that is in flash once, however many layers call it. `nbytes`: GCC 12, -O2, Cortex-M4."""

    name: str
    nbytes: int
    alone_bytes: int | None = None
    """With one caller, for which GCC specialises it; None: the same."""

    def size(self, callers: int) -> int:
        if callers == 1 and self.alone_bytes is not None:
            return self.alone_bytes
        return self.nbytes if callers else 0


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one operation by one variant. `code_bytes` is the step's own code, without what is shared."""

    cycles: int
    constant_bytes: int
    code_bytes: int
    scratch_bytes: int


def plain(site: Site) -> int:
    """Cycles of plain C: what a variant is charged that says nothing else."""
    y, work = site.out.elements, macs(site.graph, site.op)
    if work:
        return CALL + _PLAIN_MAC * work + _PLAIN_OUTPUT * y
    x = sum(t.elements for t in site.ins if not t.is_constant)
    match site.op:
        case Add() | Sub():
            return CALL + _SUM_ELEMENT * y
        case Softmax():
            return CALL + _SOFTMAX_ELEMENT * y
        case Pool() as op:
            return CALL + (_POOL_TAP * op.window[0] * op.window[1] + _PLAIN_ELEMENT) * y
        case Reduce():
            return CALL + _POOL_TAP * x + _PLAIN_ELEMENT * y
        case _:
            return CALL + _PLAIN_ELEMENT * max(x, y)


def per_element(read: float, written: float) -> Cycles:
    """So many cycles for each element of the largest input, and of the output."""

    def cycles(site: Site) -> int:
        x = max(t.elements for t in site.ins)
        return CALL + round(read * x + written * site.out.elements)

    return cycles


def cost(variant: Variant, site: Site) -> Cost:
    """All of it. Packs the weights: the price of one lowering."""
    constant_bytes = sum(map(_arg_bytes, variant.args(site)))
    return Cost(variant.cycles(site), constant_bytes, variant.step_bytes, variant.scratch_bytes(site))


def _arg_bytes(arg: object) -> int:
    """In flash."""
    from .base import Blob, Record

    match arg:
        case Blob():
            return int(arg.data.nbytes)
        case Record():
            return sum(map(_arg_bytes, arg.fields.values()))
        case _:
            return 0
