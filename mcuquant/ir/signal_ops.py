"""Operations of audio front ends, all in integers; TensorFlow Lite Micro's signal library (signal/src) defines each.

Their tensors hold plain integers: a scale, where one is given, is what the values mean and does not change them.
"""

from __future__ import annotations

from dataclasses import dataclass

from .operation import Op


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalOp(Op):
    """Base of these operations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window(SignalOp):
    """inputs: x int16 (..., N), w int16 (N); output int16 (..., N): (x * w) >> shift, limited to 16 bits."""

    shift: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FftAutoScale(SignalOp):
    """inputs: x int16 (N). outputs: x << s int16 (N), and s int32 (): the largest s with which |x| stays below 2^15.

    s is 0 where all elements are 0. An element of -32768 counts only until the next one, as in `MaxAbs16` of the
    signal library. With `ignores_lowest` it does not count at all, and s is 15 where all others are 0, as in the older
    library of TensorFlow (microfrontend/lib/window.c); results wrap to 16 bits.
    """

    ignores_lowest: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rfft(SignalOp):
    """inputs: x int16 (N), zeros behind it up to `length`; output int16 (length + 2): pairs (real, imaginary).

    The transform divided by `length`, by kissfft's 16-bit arithmetic (kissfft 130, FIXED_POINT=16). `length` is a power
    of two from 16 to 4096, N at most `length`.
    """

    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Irfft(SignalOp):
    """inputs: x int16 (length + 2), pairs (real, imaginary); output int16 (length). The inverse of `Rfft`, divided by
    `length` too.
    """

    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy(SignalOp):
    """inputs: x int16 (2 * N), pairs (real, imaginary); output uint32 (N): re^2 + im^2 from bin `start` to before
    `end`, 0 elsewhere.
    """

    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterBank(SignalOp):
    """inputs: x uint32 (N), weights and unweights int16 (W), and int16 (C + 1): first bin, first weight and width of
    each segment. Output uint64 (C).

    Channel c is the sum of weights times bins over segment c + 1 and of unweights times bins over segment c.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterBankSquareRoot(SignalOp):
    """inputs: x uint64 (C), s int32 (), 0 to 31; output uint32 (C): the root to nearest (at most 65535 where x has 32
    bits), then >> s.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class SpectralSubtraction(SignalOp):
    """inputs: x uint32 (C), noise uint32 (C), a state. outputs: uint32 (C), the next noise uint32 (C).

        up = x << smoothing_bits
        noise = (up * smoothing + noise * one_minus_smoothing) >> bits
        y = max((up - min(noise, up)) >> smoothing_bits, (x * min_signal_remaining) >> bits)

    modulo 2^32. Odd channels have the `alternate` factors. With `clamping` the next noise is at most `up`.
    """

    smoothing: int
    one_minus_smoothing: int
    alternate_smoothing: int
    alternate_one_minus_smoothing: int
    smoothing_bits: int
    min_signal_remaining: int
    bits: int
    clamping: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pcan(SignalOp):
    """inputs: x uint32 (C), noise uint32 (C), a table int16 (125) of the gain over noise; output uint32 (C).

    snr = (x * gain(noise)) >> snr_shift; y = snr^2 >> 20 below 8192, else (snr >> 6) - 64. The gain is a quadratic
    function on each interval between powers of two (`WideDynamicFunction`).
    """

    snr_shift: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterBankLog(SignalOp):
    """inputs: x uint32 (C); output int16 (C): output_scale * ln(x << correction_bits) by a table, at most 32767; 0
    where x << correction_bits is 0 or 1.
    """

    output_scale: int
    correction_bits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescale(SignalOp):
    """inputs: x int16 with a scale; output int8 or int16 of its shape: the stored value nearest to x's real one, ties
    up, limited to the type. `Quantize` rounds twice, and may be 1 off.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlapAdd(SignalOp):
    """inputs: x int16 (N), tail int16 (N - step), a state. outputs: int16 (step), the next tail int16 (N - step).

    x plus the tail, limited to 16 bits: the first `step` samples of the sum, then the rest.
    """

    step: int
