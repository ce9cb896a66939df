"""Transpositions with MVE; firmware/kernels/mve/mq_transpose_mve.h."""

from __future__ import annotations

from ...ir.ops import Transpose
from ..shared import moving_estimates as estimates
from ..shared.moving import matrices, transpose_args
from ..variant import Site, Variant

_FARTHEST = (1 << 16) - 1
"""Limit of the offsets of a byte scatter, which have 16 bits; the eighth row's is the largest."""
_LEAST_ROWS = 4


def takes(site: Site) -> bool:
    shape = matrices(site)
    if not site.core.mve or shape is None or shape.rows < _LEAST_ROWS:
        return False
    return shape.y_words or 7 * shape.y_row <= _FARTHEST


def _cycles(site: Site) -> int:
    shape = matrices(site)
    assert shape is not None
    return estimates.STEP + round(estimates.transpose_mve(shape))


VARIANTS = (Variant("transpose_mve", "mq_transpose_mve.h", Transpose, takes, transpose_args, cycles=_cycles),)
