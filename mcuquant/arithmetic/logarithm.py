"""The logarithm of TensorFlow's audio front end: log2 by a table of 128 segments, then times ln 2 in 16 bits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_SEGMENT_BITS, _SCALE_BITS = 7, 16
LN2 = 45426
"""ln 2 in 1/65536."""


def _table() -> tuple[int, ...]:
    """log2(1 + k / 128) - k / 128 in 1/65536, to nearest; the last entry is read, and never weighs."""
    k = np.arange((1 << _SEGMENT_BITS) + 1) / (1 << _SEGMENT_BITS)
    values = np.rint((np.log2(1 + k) - k) * (1 << _SCALE_BITS)).astype(int)
    return tuple(int(v) for v in values)


TABLE = _table()


def log2_16(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """log2 of integers from 1 to 2^32 - 1, in 1/65536."""
    wide = x.astype(np.int64)
    whole = np.frexp(wide.astype(np.float64))[1].astype(np.int64) - 1
    rest = wide - (np.int64(1) << whole)
    fraction = np.where(whole < 16, rest << np.maximum(16 - whole, 0), rest >> np.maximum(whole - 16, 0))
    segment = fraction >> (_SCALE_BITS - _SEGMENT_BITS)
    table = np.array(TABLE, np.int64)
    low, high = table[segment], table[segment + 1]
    between = ((high - low) * (fraction - (segment << (_SCALE_BITS - _SEGMENT_BITS)))) >> _SCALE_BITS
    return np.asarray((whole << _SCALE_BITS) + fraction + low + between, np.uint64)


def scaled_log(x: npt.NDArray[np.uint64], scale: int) -> npt.NDArray[np.uint64]:
    """scale * ln(x) to nearest, of integers from 1."""
    half = np.uint64(1 << (_SCALE_BITS - 1))
    natural = (np.uint64(LN2) * log2_16(x) + half) >> np.uint64(_SCALE_BITS)
    return np.asarray((np.uint64(scale) * natural + half) >> np.uint64(_SCALE_BITS))
