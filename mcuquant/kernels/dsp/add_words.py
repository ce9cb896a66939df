"""Sums of equal shapes four elements at a time on cores with SMLAWB; firmware/kernels/dsp/mq_add_words.h."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

from ...arithmetic.fixedpoint import requantize
from ...arithmetic.parameters import AddParams, params
from ...ir import Array, DType
from ...ir.ops import Add, Sub
from ..shared.overlap import elementwise
from ..shared.plain_estimates import by_core, each
from ..variant import Arg, In, Out, Site, Struct, Variant

SHIFT = 20
_FACTOR_BITS = SHIFT + 8
_VALUES = np.arange(-128, 128, dtype=np.int64)
_TWEAKS = sorted(product(range(-3, 4), repeat=2), key=lambda t: abs(t[0]) + abs(t[1]))
"""Offsets from the nearest factors that are tried in turn."""


@dataclass(frozen=True, slots=True)
class Linear:
    """y = SSAT8((offset + floor(a_factor * a / 256) + floor(b_factor * b / 256)) >> SHIFT)."""

    a_factor: int
    b_factor: int
    offset: int


def takes(site: Site) -> bool:
    a, b = site.ins
    typed = all(t.dtype is DType.INT8 for t in (a, b, site.out))
    return site.core.dsp and typed and a.shape == b.shape == site.out.shape and linear(site) is not None


@lru_cache(maxsize=16)
def linear(site: Site) -> Linear | None:
    """Constants that are exact for every pair of inputs."""
    p = params(site.graph, site.op)
    assert isinstance(p, AddParams)
    sign = -1 if isinstance(site.op, Sub) else 1
    to_y = p.y_multiplier.real * 2.0 ** (p.left_shift + _FACTOR_BITS)
    a_factor, b_factor = round(p.a_multiplier.real * to_y), sign * round(p.b_multiplier.real * to_y)
    if (p.act_min, p.act_max) != (-128, 127) or max(abs(a_factor), abs(b_factor)) >= (1 << 31) - 3:
        return None
    expected = outputs(p, sign)
    fits = (_fit(expected, a_factor + i, b_factor + j) for i, j in _TWEAKS)
    return next((linear for linear in fits if linear is not None), None)


def outputs(p: AddParams, sign: int) -> Array:
    """TFLite's result for every a (rows) and b (columns)."""
    a = requantize((_VALUES - p.a_zero) << p.left_shift, p.a_multiplier.m, p.a_multiplier.shift)
    b = requantize((_VALUES - p.b_zero) << p.left_shift, p.b_multiplier.m, p.b_multiplier.shift)
    total = requantize(a[:, None] + sign * b, p.y_multiplier.m, p.y_multiplier.shift)
    return np.clip(total + p.y_zero, p.act_min, p.act_max)


def _fit(expected: Array, a_factor: int, b_factor: int) -> Linear | None:
    """An offset that is correct for all pairs, if there is one and no sum leaves 32 bits."""
    sums = ((a_factor * _VALUES) >> 8)[:, None] + ((b_factor * _VALUES) >> 8)
    least = np.where(expected > -128, (expected << SHIFT) - sums, -(1 << 40)).max()
    most = np.where(expected < 127, ((expected + 1) << SHIFT) - 1 - sums, 1 << 40).min()
    offset = int(np.clip(0, least, most)) if least <= most else 1 << 40
    fits = np.abs(sums + offset).max() < 1 << 31
    return Linear(a_factor, b_factor, offset) if fits else None


def _args(site: Site) -> tuple[Arg, ...]:
    constants = linear(site)
    assert constants is not None
    fields = {
        "count": site.out.elements,
        "a_factor": constants.a_factor,
        "b_factor": constants.b_factor,
        "offset": constants.offset,
    }
    return Struct("mq_add_words_t", fields), In(0), In(1), Out()


VARIANTS = (
    Variant(
        "add_words_s8",
        "mq_add_words.h",
        (Add, Sub),
        takes,
        _args,
        overlap_offsets=elementwise,
        cycles=by_core(each(6.5, 20), 1.0, 0.88),
        step_bytes=232,
        shared_bytes=540,
    ),
)
