"""Kernels of products over the last axes of two tensors."""

from __future__ import annotations

from ...arithmetic.parameters import MatMulParams
from ...ir import DType
from ...ir.ops import BatchMatMul
from ..shared.matrix_sizes import matmul_params, matrices, sizes
from ..shared.plain_estimates import STEP, by_core
from ..shared.weighted_layer import ACCUMULATOR_BITS
from ..variant import Arg, Cycles, In, Out, Site, Struct, Takes, Value, Variant, check_sums, multiplier_fields, span


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
    """Raises UnsupportedOpError if sums could exceed the range of the C arithmetic."""
    a, b = (span(t, zero) for t, zero in zip(site.ins, (p.a_zero, p.b_zero), strict=True))
    products = [x * y for x in a for y in b]
    check_sums(site, depth * min(products), depth * max(products), ACCUMULATOR_BITS[p.acc_bits])


def _all_are(dtype: DType) -> Takes:
    return lambda site: all(t.dtype is dtype for t in (*site.ins, site.out))


def _cycles(strided: tuple[float, float], adjacent: tuple[float, float]) -> Cycles:
    """(cycles per product, per output) if the second factors are strided, and if they are adjacent."""

    def cycles(site: Site) -> int:
        assert isinstance(site.op, BatchMatMul)
        product, output = adjacent if site.op.adj_b else strided
        return STEP + round(site.out.elements * (product * sizes(site)["depth"] + output))

    return by_core(cycles, 1.1, 0.52)


VARIANTS = (
    Variant(
        "matmul_s8", "mq_matmul.h", BatchMatMul, _all_are(DType.INT8), _matmul, cycles=_cycles((8.7, 48), (9.8, 23))
    ),
    Variant(
        "matmul_s16", "mq_matmul.h", BatchMatMul, _all_are(DType.INT16), _matmul, cycles=_cycles((16.5, 18), (10.6, 18))
    ),
)
