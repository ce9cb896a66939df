"""Element-wise kernels of two tensors with broadcast."""

from __future__ import annotations

from ...arithmetic.parameters import params
from ...ir import DType, Op
from ...ir.ops import Add, Div, FloorDiv, FloorMod, Maximum, Minimum, Mul, Prelu, SquaredDifference, Sub
from ..shared.axes import BROADCAST_RANK, Axis, broadcast_axes, broadcast_fields
from ..shared.overlap import elementwise
from ..shared.plain_estimates import broadcast, by_core
from ..variant import Arg, Args, Cycles, In, Out, Site, Struct, Takes, Value, Variant, parameter_fields


def _axes(site: Site) -> list[Axis]:
    a, b = site.ins
    return broadcast_axes(a.shape, b.shape, site.out.shape)


def _all_are(dtype: DType) -> Takes:
    return lambda site: all(t.dtype is dtype for t in (*site.ins, site.out)) and len(_axes(site)) <= BROADCAST_RANK


def _with_parameters(struct: str) -> Args:
    """Arguments of a kernel whose struct has the fields of the operation's parameters."""

    def args(site: Site) -> tuple[Arg, ...]:
        shape = {"shape": broadcast_fields(_axes(site))}
        return Struct(struct, shape | parameter_fields(params(site.graph, site.op))), In(0), In(1), Out()

    return args


def _add(site: Site) -> tuple[Arg, ...]:
    sign: dict[str, Value] = {"b_sign": -1 if isinstance(site.op, Sub) else 1}
    fields = {"shape": broadcast_fields(_axes(site))} | parameter_fields(params(site.graph, site.op)) | sign
    return Struct("mq_add_t", fields), In(0), In(1), Out()


def _extreme(site: Site) -> tuple[Arg, ...]:
    return Struct("mq_broadcast_t", broadcast_fields(_axes(site))), In(0), In(1), Out()


def _both(
    name: str, header: str, op: type[Op] | tuple[type[Op], ...], args: Args, cycles: Cycles
) -> tuple[Variant, ...]:
    types = (("s8", DType.INT8), ("s16", DType.INT16))
    return tuple(
        Variant(f"{name}_{s}", header, op, _all_are(dtype), args, overlap_offsets=elementwise, cycles=cycles)
        for s, dtype in types
    )


def _cycles(element: float, row: float, scalar: float, mve: float) -> Cycles:
    return by_core(broadcast(element, row, _axes), scalar, mve)


def _prelu_cycles(site: Site) -> int:
    """Negative elements have a second multiplier; for int8 the zero point indicates their number."""
    x = site.ins[0]
    negative = (x.zero_point + 128) / 255 if x.dtype is DType.INT8 else 0.5
    return _cycles(15 + 33 * negative, 8, 1.15, 0.74)(site)


_WHOLE = (("s32", DType.INT32),)
_ORDERED = (*_WHOLE, ("u8", DType.BOOL))
_PLAIN: tuple[tuple[str, str, type[Op], tuple[tuple[str, DType], ...], float], ...] = (
    ("maximum", "mq_extreme.h", Maximum, _ORDERED, 9.8),
    ("minimum", "mq_extreme.h", Minimum, _ORDERED, 9.8),
    ("add", "mq_whole_numbers.h", Add, _WHOLE, 7.8),
    ("sub", "mq_whole_numbers.h", Sub, _WHOLE, 7.8),
    ("mul", "mq_whole_numbers.h", Mul, _WHOLE, 7.8),
    ("div", "mq_whole_numbers.h", Div, _WHOLE, 11),
    ("floor_div", "mq_whole_numbers.h", FloorDiv, _WHOLE, 40),
    ("floor_mod", "mq_whole_numbers.h", FloorMod, _WHOLE, 25),
    ("squared_difference", "mq_whole_numbers.h", SquaredDifference, _WHOLE, 10),
)
"""Cycles of an element for whole numbers and truth values."""

VARIANTS = (
    *_both("add", "mq_add.h", (Add, Sub), _add, _cycles(43.5, 8, 1.28, 1.08)),
    *_both("mul", "mq_mul.h", Mul, _with_parameters("mq_mul_t"), _cycles(26.5, 10, 1.23, 0.88)),
    Variant(
        "div_s8",
        "mq_div.h",
        Div,
        _all_are(DType.INT8),
        _with_parameters("mq_div_t"),
        overlap_offsets=elementwise,
        cycles=_cycles(172, 8, 1.26, 0.87),
    ),
    *_both(
        "squared_difference",
        "mq_squared_difference.h",
        SquaredDifference,
        _with_parameters("mq_squared_difference_t"),
        _cycles(46, 12, 1.17, 0.87),
    ),
    *_both("prelu", "mq_prelu.h", Prelu, _with_parameters("mq_prelu_t"), _prelu_cycles),
    *_both("maximum", "mq_extreme.h", Maximum, _extreme, _cycles(11, 7.5, 1.0, 0.65)),
    *_both("minimum", "mq_extreme.h", Minimum, _extreme, _cycles(11, 7.5, 1.0, 0.65)),
    *(
        Variant(
            f"{name}_{s}",
            header,
            op,
            _all_are(dtype),
            _extreme,
            overlap_offsets=elementwise,
            cycles=_cycles(element, 8, 1.0 if name != "div" else 1.36, 0.57),
        )
        for name, header, op, types, element in _PLAIN
        for s, dtype in types
    ),
)
