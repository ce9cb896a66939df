"""Kernels of the product of two tensors' last axes."""

from __future__ import annotations

from ...arithmetic.parameters import MatMulParams, params
from ...ir import DType
from ...ir.ops import BatchMatMul
from ..shared.weighted_layer import ACCUMULATOR_BITS
from ..variant import Arg, In, Out, Site, Struct, Takes, Value, Variant, check_sums, multiplier_fields, span
from .elementwise import broadcast_axes, broadcast_fields


def matmul_params(site: Site) -> MatMulParams:
    p = params(site.graph, site.op)
    assert isinstance(p, MatMulParams)
    return p


def sizes(site: Site) -> dict[str, int]:
    """Sizes of the matrices and steps inside them; a matrix stored transposed has its two steps swapped."""
    op, a = site.op, site.ins[0]
    assert isinstance(op, BatchMatMul)
    rows, depth = (a.shape[-1], a.shape[-2]) if op.adj_a else a.shape[-2:]
    a_steps = (1, rows) if op.adj_a else (depth, 1)
    columns = site.out.shape[-1]
    b_steps = (1, depth) if op.adj_b else (columns, 1)
    return {
        "rows": rows,
        "depth": depth,
        "columns": columns,
        "a_row": a_steps[0],
        "a_column": a_steps[1],
        "b_row": b_steps[0],
        "b_column": b_steps[1],
    }


def matrices(site: Site) -> dict[str, Value]:
    """The walk over leading axes, in elements: one step is a whole matrix."""
    a, b = site.ins
    axes = broadcast_axes(a.shape[:-2], b.shape[:-2], site.out.shape[:-2])
    a_size, b_size = (t.shape[-1] * t.shape[-2] for t in (a, b))
    return broadcast_fields([(size, step_a * a_size, step_b * b_size) for size, step_a, step_b in axes])


def _matmul(site: Site) -> tuple[Arg, ...]:
    p = matmul_params(site)
    of = sizes(site)
    _check(site, p, of["depth"])
    fields: dict[str, Value] = {
        "matrices": matrices(site),
        **of,
        "a_zero": p.a_zero,
        "b_zero": p.b_zero,
        "y_zero": p.y_zero,
        **multiplier_fields(p.multiplier),
        "act_min": p.act_min,
        "act_max": p.act_max,
    }
    return Struct("mq_matmul_t", fields), In(0), In(1), Out()


def _check(site: Site, p: MatMulParams, depth: int) -> None:
    """UnsupportedOpError where sums could leave what the C arithmetic defines."""
    a, b = (span(t, zero) for t, zero in zip(site.ins, (p.a_zero, p.b_zero), strict=True))
    products = [x * y for x in a for y in b]
    check_sums(site, depth * min(products), depth * max(products), ACCUMULATOR_BITS[p.acc_bits])


def _all_are(dtype: DType) -> Takes:
    return lambda site: all(t.dtype is dtype for t in (*site.ins, site.out))


VARIANTS = (
    Variant("matmul_s8", "mq_matmul.h", BatchMatMul, _all_are(DType.INT8), _matmul),
    Variant("matmul_s16", "mq_matmul.h", BatchMatMul, _all_are(DType.INT16), _matmul),
)
