"""Operations of audio front ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...ir import Array, Graph, Op, ops
from .. import fft16
from .. import front_end as steps
from ..front_end import words
from ..parameters.conversions import rescaled


def window(_: Graph, op: ops.Window, inputs: Sequence[Array]) -> Array:
    return steps.windowed(inputs[0], inputs[1], op.shift)


def fft_auto_scale(_: Graph, op: ops.FftAutoScale, inputs: Sequence[Array]) -> tuple[Array, Array]:
    shift = steps.free_bits(inputs[0], op.ignores_lowest)
    return steps.shifted(inputs[0], shift), shift


def rfft(_: Graph, op: ops.Rfft, inputs: Sequence[Array]) -> Array:
    return fft16.real_transform(inputs[0], op.length)


def irfft(_: Graph, op: ops.Irfft, inputs: Sequence[Array]) -> Array:
    return fft16.real_inverse(inputs[0])


def energy(_: Graph, op: ops.Energy, inputs: Sequence[Array]) -> Array:
    return steps.energies(inputs[0], op.start, op.end)


def filter_bank(_: Graph, op: ops.FilterBank, inputs: Sequence[Array]) -> Array:
    return steps.filtered(words(inputs[0]), steps.Filters(*inputs[1:]))


def square_root(_: Graph, op: ops.FilterBankSquareRoot, inputs: Sequence[Array]) -> Array:
    return np.asarray(steps.nearest_root(inputs[0]) >> np.uint64(inputs[1]))


def subtraction_of(op: ops.SpectralSubtraction) -> steps.Subtraction:
    return steps.Subtraction(
        (op.smoothing, op.alternate_smoothing),
        (op.one_minus_smoothing, op.alternate_one_minus_smoothing),
        op.smoothing_bits,
        op.min_signal_remaining,
        op.bits,
        op.clamping,
    )


def spectral_subtraction(_: Graph, op: ops.SpectralSubtraction, inputs: Sequence[Array]) -> tuple[Array, Array]:
    return steps.subtracted(words(inputs[0]), words(inputs[1]), subtraction_of(op))


def pcan(_: Graph, op: ops.Pcan, inputs: Sequence[Array]) -> Array:
    return steps.normalized(words(inputs[0]), words(inputs[1]), inputs[2], op.snr_shift)


def filter_bank_log(_: Graph, op: ops.FilterBankLog, inputs: Sequence[Array]) -> Array:
    return steps.logarithms(words(inputs[0]), op.output_scale, op.correction_bits)


def overlap_add(_: Graph, op: ops.OverlapAdd, inputs: Sequence[Array]) -> tuple[Array, Array]:
    x, tail = (v.astype(np.int32) for v in inputs)
    total = x.copy()
    total[: len(tail)] += tail
    limited = np.clip(total, -32768, 32767)
    return limited[: op.step], limited[op.step :]


def rescale(graph: Graph, op: ops.Rescale, inputs: Sequence[Array]) -> Array:
    return rescaled(graph, op, inputs[0])


KERNELS: Mapping[type[Op], Callable[[Graph, Any, Sequence[Array]], Array | tuple[Array, ...]]] = {
    ops.Window: window,
    ops.FftAutoScale: fft_auto_scale,
    ops.Rfft: rfft,
    ops.Irfft: irfft,
    ops.Energy: energy,
    ops.FilterBank: filter_bank,
    ops.FilterBankSquareRoot: square_root,
    ops.SpectralSubtraction: spectral_subtraction,
    ops.Pcan: pcan,
    ops.FilterBankLog: filter_bank_log,
    ops.OverlapAdd: overlap_add,
    ops.Rescale: rescale,
}
