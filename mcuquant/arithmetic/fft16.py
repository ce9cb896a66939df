"""The 16-bit Fourier transform of kissfft 130 (FIXED_POINT=16) for powers of two, in numpy.

Radix 4, and radix 2 once where the length is no power of four; decimation in time. Every butterfly first divides its
inputs by its radix. Products are rounded once, (x + 2^14) >> 15; sums wrap to 16 bits. Complex values are pairs
(..., 2) of int32 that hold 16-bit numbers.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int32]

_ONE = 32767
"""1.0 as kissfft has it."""


@cache
def radices(length: int) -> tuple[int, ...]:
    """Radices of the stages, the outermost first."""
    twos = length.bit_length() - 1
    return (4,) * (twos // 2) + (2,) * (twos % 2)


@cache
def twiddles(length: int, inverse: bool = False) -> Ints:
    """exp(-2 pi i k / length) for all k, conjugated for the inverse, (length, 2) in 1/32767."""
    return _rotations(-2 * np.pi * np.arange(length) / length * (-1 if inverse else 1))


@cache
def half_twiddles(length: int, inverse: bool = False) -> Ints:
    """exp(-pi i ((k + 1) / length + 1/2)) for k < length / 2: they part the two real halves of a transform."""
    return _rotations(-np.pi * ((np.arange(length // 2) + 1) / length + 0.5) * (-1 if inverse else 1))


def _rotations(phases: npt.NDArray[np.float64]) -> Ints:
    values = np.stack([np.cos(phases), np.sin(phases)], axis=-1)
    return np.floor(0.5 + _ONE * values).astype(np.int32)


@cache
def order(length: int) -> Ints:
    """The element of the input at each place before the first stage: digits reversed."""
    places = np.zeros(1, np.int32)
    stride = 1
    for radix in radices(length):
        places = (places[:, None] + stride * np.arange(radix)[None]).astype(np.int32)
        stride *= radix
        places = places.reshape(-1)
    return places


def _wrapped(x: Ints) -> Ints:
    return x.astype(np.int16).astype(np.int32)


def _rounded(x: npt.NDArray[np.int64] | Ints) -> Ints:
    return _wrapped(((x + (1 << 14)) >> 15).astype(np.int32))


def divided(x: Ints, divisor: int) -> Ints:
    """x / divisor (2 or 4)."""
    return _rounded(x * (_ONE // divisor))


def product(a: Ints, b: Ints) -> Ints:
    """The product of complex numbers."""
    wide, other = a.astype(np.int64), b.astype(np.int64)
    real = wide[..., 0] * other[..., 0] - wide[..., 1] * other[..., 1]
    imaginary = wide[..., 0] * other[..., 1] + wide[..., 1] * other[..., 0]
    # Sums of products wrap to 32 bits, with the half that rounds.
    sums = (np.stack([real, imaginary], axis=-1) + (1 << 14)).astype(np.int32)
    return _wrapped(sums >> 15)


def transform(x: Ints, inverse: bool = False) -> Ints:
    """(..., N, 2) to (..., N, 2), both in natural order."""
    lead, length = x.shape[:-2], x.shape[-2]
    table = twiddles(length, inverse)
    values, span = x[..., order(length), :], 1
    for radix in reversed(radices(length)):
        parts = divided(values.reshape(*lead, -1, radix, span, 2), radix)
        step = length // (span * radix)
        a, *others = (parts[..., k, :, :] for k in range(radix))
        turned = [product(v, table[k * step * np.arange(span)]) for k, v in enumerate(others, 1)]
        values = (_four(a, turned, inverse) if radix == 4 else _two(a, turned[0])).reshape(*lead, length, 2)
        span *= radix
    return values


def _two(a: Ints, b: Ints) -> Ints:
    return np.stack([_wrapped(a + b), _wrapped(a - b)], axis=-3)


def _four(a: Ints, turned: list[Ints], inverse: bool) -> Ints:
    b, c, d = turned
    low, high = _wrapped(a - c), _wrapped(a + c)
    even, odd = _wrapped(b + d), _wrapped(b - d)
    quarter = np.stack([odd[..., 1], -odd[..., 0]], axis=-1) * (-1 if inverse else 1)
    return np.stack([_wrapped(v) for v in (high + even, low + quarter, high - even, low - quarter)], axis=-3)


def real_transform(x: npt.NDArray[np.int16], length: int) -> npt.NDArray[np.int16]:
    """Bins 0 to length / 2 of (..., N) with zeros behind it, as pairs (..., length + 2); divided by `length`."""
    lead, half = x.shape[:-1], length // 2
    padded = np.zeros((*lead, length), np.int32)
    padded[..., : x.shape[-1]] = x
    z = transform(padded.reshape(*lead, half, 2))
    y = np.zeros((*lead, half + 1, 2), np.int32)
    first = divided(z[..., 0, :], 2)
    y[..., 0, 0], y[..., half, 0] = first[..., 0] + first[..., 1], first[..., 0] - first[..., 1]
    k = np.arange(1, half // 2 + 1)
    a, b = divided(z[..., k, :], 2), divided(_conjugate(z[..., half - k, :]), 2)
    total, turned = _wrapped(a + b), product(_wrapped(a - b), half_twiddles(half))
    y[..., k, :] = (total + turned) >> 1
    y[..., half - k, :] = _conjugate_difference(total, turned)
    return y.astype(np.int16).reshape(*lead, length + 2)


def _conjugate(z: Ints) -> Ints:
    return _wrapped(z * np.array([1, -1], np.int32))


def _conjugate_difference(total: Ints, turned: Ints) -> Ints:
    """The conjugate of half the difference, rounded down."""
    return np.stack([total[..., 0] - turned[..., 0], turned[..., 1] - total[..., 1]], axis=-1) >> 1


def real_inverse(x: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """(length + 2,) pairs to (length,) samples; divided by `length`."""
    pairs = x.astype(np.int32).reshape(-1, 2)
    half = len(pairs) - 1
    z = np.zeros((half, 2), np.int32)
    ends = _wrapped(np.array([pairs[0, 0] + pairs[half, 0], pairs[0, 0] - pairs[half, 0]], np.int32))
    z[0] = divided(ends, 2)
    k = np.arange(1, half // 2 + 1)
    a, b = divided(pairs[k], 2), divided(_conjugate(pairs[half - k]), 2)
    even, odd = _wrapped(a + b), product(_wrapped(a - b), half_twiddles(half, inverse=True))
    z[k] = _wrapped(even + odd)
    z[half - k] = _conjugate(_wrapped(even - odd))
    return transform(z, inverse=True).astype(np.int16).reshape(-1)
