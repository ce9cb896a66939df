"""Products of two computed matrices on cores with SMLAD; firmware/kernels/dsp/mq_matmul_dot.h."""

from __future__ import annotations

from ...ir import DType
from ...ir.ops import BatchMatMul
from ..shared.matrix_sizes import matmul_params, matrices, sizes
from ..variant import CALL, Arg, In, Out, Scratch, Site, Struct, Value, Variant, span
from .dot_products import DOT, SUM_UNIT, dot_cycles

COLUMNS = 32
"""The C constant MQ_MATMUL_DOT_COLUMNS."""
_SCALE_WORDS = 4


def takes(site: Site) -> bool:
    """int8, a right shift of 1 to 22, twice the sums in 32 bits, and only the clamp of int8."""
    if not (site.core.dsp and all(t.dtype is DType.INT8 for t in (*site.ins, site.out))):
        return False
    p = matmul_params(site)
    a, b = (max(map(abs, span(t, zero))) for t, zero in zip(site.ins, (p.a_zero, p.b_zero), strict=True))
    fits = sizes(site)["depth"] * a * b * SUM_UNIT < 1 << 31
    return fits and 1 <= -p.multiplier.shift <= 22 and (p.act_min, p.act_max) == (-128, 127)


def arguments(site: Site) -> tuple[Arg, ...]:
    p = matmul_params(site)
    shift = -p.multiplier.shift
    fields: dict[str, Value] = {
        "matrices": matrices(site),
        **sizes(site),
        "a_zero": p.a_zero,
        "b_zero": p.b_zero,
        "m": p.multiplier.m,
        "round": (1 << (shift - 1)) + (p.y_zero << shift),
        "shift": shift,
    }
    return Struct("mq_matmul_dot_t", fields), In(0), In(1), Scratch("int32_t"), Out()


def _words(site: Site) -> int:
    return -(-sizes(site)["depth"] // 4)


def _scratch_bytes(site: Site) -> int:
    columns = min(COLUMNS, sizes(site)["columns"])
    return 4 * (COLUMNS * _SCALE_WORDS + _words(site) * (columns + 1))


def _cycles(site: Site) -> int:
    size, words = sizes(site), _words(site)
    rows, depth, columns = size["rows"], size["depth"], size["columns"]
    blocks = [min(COLUMNS, columns - c) for c in range(0, columns, COLUMNS)]
    direct = size["a_column"] == 1 and depth % 4 == 0
    row = 30 + (6 if direct else 10 if size["a_column"] == 1 else 22) * words
    each = sum(n * (30 + 22 * words) + rows * (row + 4 * n + dot_cycles(words, n)) for n in blocks)
    return CALL + site.out.elements // (rows * columns) * each


VARIANTS = (
    Variant(
        "matmul_dot_s8",
        "mq_matmul_dot.h",
        BatchMatMul,
        takes,
        arguments,
        _scratch_bytes,
        cycles=_cycles,
        step_bytes=140,
        shared_bytes=560,
        shared=DOT,
    ),
)
