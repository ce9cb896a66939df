"""Products of two computed matrices, two rows by two columns at a time, on cores with SMLAD.

The kernel is firmware/kernels/dsp/mq_matmul_pairs.h.
"""

from __future__ import annotations

from ...ir.ops import BatchMatMul
from ..shared.matrix_sizes import sizes
from ..shared.plain_estimates import by_core
from ..variant import CALL, Site, Variant
from . import matmul_dot

_ROWS = 2
_PAIR_BYTES = 2


def _scratch_bytes(site: Site) -> int:
    size = sizes(site)
    columns = min(matmul_dot.COLUMNS, size["columns"])
    return _PAIR_BYTES * (-(-size["depth"] // 4) * 4) * (_ROWS + columns + columns % 2)


def _cycles(site: Site) -> int:
    size = sizes(site)
    rows, depth, columns = size["rows"], size["depth"], size["columns"]
    words = -(-depth // 4)
    blocks = [min(matmul_dot.COLUMNS, columns - c) for c in range(0, columns, matmul_dot.COLUMNS)]
    row, column = (30 + (12 if size[step] == 1 and depth % 4 == 0 else 32) * words for step in ("a_column", "b_row"))
    quads = -(-rows // _ROWS)
    each = sum(n * column + rows * row + quads * -(-n // 2) * (20.5 * words + 75) for n in blocks)
    return CALL + round(site.out.elements // (rows * columns) * each)


VARIANTS = (
    Variant(
        "matmul_pairs_s8",
        "mq_matmul_pairs.h",
        BatchMatMul,
        matmul_dot.takes,
        matmul_dot.arguments,
        _scratch_bytes,
        cycles=by_core(_cycles, mve=0.64),
        step_bytes=900,
        shared_bytes=900,
    ),
)
