"""The steps of TensorFlow's audio front end on frames (..., N): what each operation of `ir.signal_ops` computes.

Source: tensorflow/lite/micro's signal/src, and tensorflow/lite/experimental/microfrontend/lib where a step says so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .logarithm import scaled_log

Int16s = npt.NDArray[np.int16]
Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
"""Unsigned values of at most 32 or 64 bits, held in 64."""

_LOW32 = np.uint64(0xFFFFFFFF)
_LINEAR = np.uint64(1 << 13)


def words(x: npt.ArrayLike) -> Words:
    return np.asarray(x).astype(np.uint64)


def windowed(x: npt.NDArray[np.integer], w: npt.NDArray[np.integer], shift: int) -> Int16s:
    products = (x.astype(np.int32) * w.astype(np.int32)) >> shift
    return np.asarray(np.clip(products, -32768, 32767), np.int16)


def bits(x: npt.NDArray[np.integer] | Words) -> Int64s:
    """The length of each number in bits without leading zeros; numbers up to 2^53."""
    return np.frexp(x.astype(np.float64))[1].astype(np.int64)


def free_bits(x: Int16s, ignores_lowest: bool) -> Int64s:
    """(...,) of frames (..., N): how far each can be shifted to the left; `ir.signal_ops.FftAutoScale`."""
    sizes = np.abs(x.astype(np.int64))
    if ignores_lowest:
        return 15 - bits(np.where(sizes == 32768, 0, sizes).max(axis=-1))
    largest = sizes.max(axis=-1)
    shifts = np.where(largest > 0, 15 - bits(largest), 0)
    for i in np.argwhere(largest == 32768):
        shifts[tuple(i)] = _free_bits_behind_lowest(x[tuple(i)])
    return np.asarray(shifts)


def _free_bits_behind_lowest(x: Int16s) -> int:
    """The absolute value of -32768 is -32768 in 16 bits: the maximum starts again with the next element."""
    largest = -32768
    for value in x[np.flatnonzero(x == -32768)[-1] + 1 :].tolist():
        largest = value if value > largest else max(largest, -value)
    return 15 - largest.bit_length() if largest > 0 else 0


def shifted(x: Int16s, shifts: Int64s) -> Int16s:
    return (x.astype(np.int64) << shifts[..., None]).astype(np.int16)


def energies(pairs: Int16s, start: int, end: int) -> Words:
    """(..., N) of pairs (..., 2 * N); 0 outside of bins `start` to before `end`."""
    wide = pairs.astype(np.int64).reshape(*pairs.shape[:-1], -1, 2)
    y = words((wide**2).sum(axis=-1))
    y[..., :start] = 0
    y[..., end:] = 0
    return y


@dataclass(frozen=True, slots=True, eq=False)
class Filters:
    """Constants of a filter bank: `weights` and `unweights` (W), and of each segment (C + 1) the first bin, the first
    weight and how many.
    """

    weights: npt.NDArray[np.int16]
    unweights: npt.NDArray[np.int16]
    bins: npt.NDArray[np.int16]
    starts: npt.NDArray[np.int16]
    widths: npt.NDArray[np.int16]


def filtered(x: Words, f: Filters) -> Words:
    """(..., C) of bins (..., N)."""
    sums = np.zeros((2, *x.shape[:-1], len(f.bins)), np.uint64)
    segments = np.stack([f.bins, f.starts, f.widths], axis=1).astype(int)
    for i, (first, at, width) in enumerate(segments.tolist()):
        for row, weights in enumerate((f.weights, f.unweights)):
            sums[row, ..., i] = (words(weights[at : at + width]) * x[..., first : first + width]).sum(axis=-1)
    return np.asarray(sums[0, ..., 1:] + sums[1, ..., :-1])


def nearest_root(x: Words) -> Words:
    """The square root to nearest, at most 65535 where x has 32 bits and 2^32 - 1 above."""
    root = np.minimum(np.sqrt(x.astype(np.float64)), float(_LOW32)).astype(np.uint64)
    root -= (root * root > x).astype(np.uint64)
    root += (x - root * root > 2 * root).astype(np.uint64)
    limit = np.where(x <= _LOW32, np.uint64(0xFFFF), _LOW32)
    return np.asarray(np.minimum(root + (x - root * root > root), limit), np.uint64)


@dataclass(frozen=True, slots=True)
class Subtraction:
    """Constants of `ir.signal_ops.SpectralSubtraction`; pairs are of even and odd channels."""

    smoothing: tuple[int, int]
    rest: tuple[int, int]
    up_bits: int
    min_remaining: int
    bits: int
    clamping: bool


def subtracted(x: Words, noise: Words, p: Subtraction) -> tuple[Words, Words]:
    """(y, next noise) of one frame (C); both have 32 bits."""
    odd = np.arange(x.shape[-1]) % 2
    smoothing, rest = (words(pair)[odd] for pair in (p.smoothing, p.rest))
    shift, up_bits = np.uint64(p.bits), np.uint64(p.up_bits)
    up = (x << up_bits) & _LOW32
    after = ((up * smoothing + noise * rest) >> shift) & _LOW32
    floor = ((x * np.uint64(p.min_remaining)) >> shift) & _LOW32
    kept = np.minimum(after, up)
    return np.maximum((up - kept) >> up_bits, floor), kept if p.clamping else after


def gains(noise: Words, table: npt.NDArray[np.integer]) -> Int64s:
    """The table's function of each element: a polynomial of the ten bits behind the first, in 16 bits."""
    x, wide = noise.astype(np.int64), table.astype(np.int64)
    length = np.maximum(bits(x), 2)
    rest = np.where(length < 11, x << np.maximum(11 - length, 0), x >> np.maximum(length - 11, 0)) & 0x3FF
    a, b, c = (wide[4 * length - 6 + k] for k in range(3))
    curve = ((((c * rest) >> 5) + (b << 5)) * rest + (1 << 14)).astype(np.int32).astype(np.int64) >> 15
    return np.where(x <= 2, wide[np.minimum(x, 2)], (curve + a).astype(np.int16).astype(np.int64))


def normalized(x: Words, noise: Words, table: npt.NDArray[np.integer], shift: int) -> Words:
    """x times its gain, compressed: a square below 2, a line above; 12 fraction bits to 6."""
    gain = gains(noise, table).astype(np.uint64) & _LOW32
    snr = ((x * gain) >> np.uint64(shift)) & _LOW32
    return np.where(snr < _LINEAR, (snr * snr) >> np.uint64(20), (snr >> np.uint64(6)) - np.uint64(64)) & _LOW32


def logarithms(x: Words, scale: int, correction_bits: int) -> Int16s:
    up = (x << np.uint64(correction_bits)) & _LOW32
    logs = np.minimum(scaled_log(np.maximum(up, np.uint64(1)), scale), np.uint64(32767))
    return np.where(up > 1, logs, 0).astype(np.int16)
