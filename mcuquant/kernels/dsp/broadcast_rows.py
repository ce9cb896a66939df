"""Sums and products where one operand is repeated along or across rows; mq_add_rows.h and mq_mul_rows.h."""

from __future__ import annotations

from ...arithmetic.parameters import MulParams, params
from ...ir import DType
from ...ir.ops import Add, Mul, Sub
from ..shared.axes import broadcast_axes
from ..shared.overlap import elementwise
from ..shared.plain_estimates import STEP, by_core
from ..variant import Arg, In, Out, Site, Struct, Value, Variant
from .add_words import linear

_MOST_AXES = 2


def _rows(site: Site) -> dict[str, Value] | None:
    """Sizes and steps if one loop over rows of elements visits both inputs."""
    a, b = site.ins
    axes = broadcast_axes(a.shape, b.shape, site.out.shape)
    if len(axes) > _MOST_AXES or not site.core.dsp or any(t.dtype is not DType.INT8 for t in (a, b, site.out)):
        return None
    (rows, a_row, b_row), (depth, a_step, b_step) = [(1, 0, 0)] * (_MOST_AXES - len(axes)) + list(axes)
    if (a_step, b_step) not in ((1, 1), (1, 0), (0, 1)):
        return None
    steps: dict[str, Value] = {"a_row": a_row, "a_step": a_step, "b_row": b_row, "b_step": b_step}
    return {"rows": rows, "depth": depth, **steps}


def _takes_sum(site: Site) -> bool:
    return _rows(site) is not None and linear(site) is not None


def _takes_product(site: Site) -> bool:
    """Only the clamp of int8, and a right shift whose rounding stays in 32 bits."""
    if _rows(site) is None:
        return False
    p: MulParams = params(site.graph, site.op)
    return 1 <= -p.multiplier.shift <= 22 and (p.act_min, p.act_max) == (-128, 127)


def _sum(site: Site) -> tuple[Arg, ...]:
    rows, constants = _rows(site), linear(site)
    assert rows is not None
    assert constants is not None
    factors = {"a_factor": constants.a_factor, "b_factor": constants.b_factor, "offset": constants.offset}
    return Struct("mq_add_rows_t", {**rows, **factors}), In(0), In(1), Out()


def _product(site: Site) -> tuple[Arg, ...]:
    rows = _rows(site)
    assert rows is not None
    p: MulParams = params(site.graph, site.op)
    shift = -p.multiplier.shift
    rounded = {"m": p.multiplier.m, "round": (1 << (shift - 1)) + (p.y_zero << shift), "shift": shift}
    fields = {**rows, "a_zero": p.a_zero, "b_zero": p.b_zero, **rounded}
    return Struct("mq_mul_rows_t", fields), In(0), In(1), Out()


def _cycles(site: Site, one: float, both: float) -> int:
    rows = _rows(site)
    assert rows is not None
    each = both if rows["a_step"] and rows["b_step"] else one
    row = 30 if int(str(rows["depth"])) > 4 else 3  # without a loop
    return STEP + round(int(str(rows["rows"])) * row + each * site.out.elements)


VARIANTS = (
    Variant(
        "add_rows_s8",
        "mq_add_rows.h",
        (Add, Sub),
        _takes_sum,
        _sum,
        overlap_offsets=elementwise,
        cycles=by_core(lambda site: _cycles(site, 7.2, 10), mve=0.83),
        step_bytes=240,
    ),
    Variant(
        "mul_rows_s8",
        "mq_mul_rows.h",
        Mul,
        _takes_product,
        _product,
        overlap_offsets=elementwise,
        cycles=by_core(lambda site: _cycles(site, 12, 15), mve=0.93),
        step_bytes=300,
    ),
)
