"""Kernels element by element."""

from __future__ import annotations

import math

import numpy as np

from ..integer import AddParams, LutParams, params
from ..ir import DType, Shape
from ..ops import Add, Sub, Unary
from .base import Arg, Blob, In, Number, Out, Site, Struct, Value, Variant, activations_are

BROADCAST_RANK = 5


def broadcast_fields(a: Shape, b: Shape, y: Shape) -> dict[str, Value]:
    """mq_broadcast_t for y = a ∘ b: sizes and element strides of axes, merged where both inputs allow it."""
    axes = _merged(_axes(a, y), _axes(b, y), y)
    axes = [(1, 0, 0)] * (BROADCAST_RANK - len(axes)) + axes
    sizes, steps_a, steps_b = zip(*axes, strict=True)
    return {"size": tuple(sizes), "a": tuple(steps_a), "b": tuple(steps_b)}


def _axes(shape: Shape, y: Shape) -> list[int]:
    """Element stride of `shape` along each axis of y; 0 where it is broadcast."""
    full = (1,) * (len(y) - len(shape)) + tuple(shape)
    return [0 if full[i] == 1 else math.prod(full[i + 1 :]) for i in range(len(full))]


def _merged(a: list[int], b: list[int], y: Shape) -> list[tuple[int, int, int]]:
    axes: list[tuple[int, int, int]] = []
    for size, step_a, step_b in zip(y, a, b, strict=True):
        if size == 1:
            continue
        if axes and axes[-1][1] == step_a * size and axes[-1][2] == step_b * size:
            axes[-1] = (axes[-1][0] * size, step_a, step_b)
        else:
            axes.append((size, step_a, step_b))
    return axes or [(1, 0, 0)]


def broadcast_fits(site: Site) -> bool:
    a, b = site.ins
    y = site.out.shape
    return len(_merged(_axes(a.shape, y), _axes(b.shape, y), y)) <= BROADCAST_RANK


def _add(site: Site) -> tuple[Arg, ...]:
    p = params(site.graph, site.op)
    assert isinstance(p, AddParams)
    a, b = site.ins
    fields: dict[str, Value] = {
        "shape": broadcast_fields(a.shape, b.shape, site.out.shape),
        "a_zero": p.a_zero,
        "a_m": p.a_multiplier.m,
        "a_shift": p.a_multiplier.shift,
        "b_zero": p.b_zero,
        "b_m": p.b_multiplier.m,
        "b_shift": p.b_multiplier.shift,
        "b_sign": -1 if isinstance(site.op, Sub) else 1,
        "y_zero": p.y_zero,
        "y_m": p.y_multiplier.m,
        "y_shift": p.y_multiplier.shift,
        "left_shift": p.left_shift,
        "act_min": p.act_min,
        "act_max": p.act_max,
    }
    return Struct("mq_add_t", fields), In(0), In(1), Out()


def _table(site: Site) -> tuple[Arg, ...]:
    p = params(site.graph, site.op)
    assert isinstance(p, LutParams)
    return (
        Number(site.out.elements),
        In(),
        Blob("table", np.array(p.table, np.int8), "result for -128, -127, ..., 127"),
        Out(),
    )


def _two_int8(site: Site) -> bool:
    return all(t.dtype is DType.INT8 for t in (*site.ins, site.out)) and broadcast_fits(site)


VARIANTS = (
    Variant("add_s8", "mq_add.h", (Add, Sub), _two_int8, _add),
    Variant("table_s8", "mq_table.h", Unary, activations_are(DType.INT8), _table),
)
