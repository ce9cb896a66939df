"""Operations of audio front ends as the custom operators of TensorFlow Lite Micro's signal library."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...arithmetic.parameters.conversions import rescaled, round_half_away
from ...ir import DType, Op, ops
from ..schema.rows import Option, custom
from .draft import Draft, refuse
from .operators import export as export

_INT16_NUMBER = 7
"""Element type of an option T."""


def _emit(draft: Draft, name: str, op: Op, inputs: tuple[int, ...], outputs: int, **options: Option) -> None:
    ends = [draft.index[i] for i in op.outputs[:outputs]]
    draft.emit(custom(f"Signal{name}"), [draft.index[i] for i in inputs], *ends, **options)


def _check_state(draft: Draft, op: Op) -> None:
    if op.inputs[1] not in draft.inner:
        raise refuse(
            f"operation {draft.graph.ops.index(op)} ({op.kind}) has a state that does not start as zero, or that "
            "other operations read or write",
            "compute one frame for each inference",
        )


@export.register
def _window(op: ops.Window, draft: Draft) -> None:
    _emit(draft, "Window", op, op.inputs, 1, shift=op.shift)


@export.register
def _fft_auto_scale(op: ops.FftAutoScale, draft: Draft) -> None:
    if op.ignores_lowest:
        raise refuse(
            f"operation {draft.graph.ops.index(op)} ({op.kind}) ignores -32768, as TensorFlow's older library does",
            "use the rule of the signal library (ignores_lowest=False)",
        )
    _emit(draft, "FftAutoScale", op, op.inputs, 2)


@export.register
def _rfft(op: ops.Rfft, draft: Draft) -> None:
    _emit(draft, "Rfft", op, op.inputs, 1, T=_INT16_NUMBER, fft_length=op.length)


@export.register
def _irfft(op: ops.Irfft, draft: Draft) -> None:
    _emit(draft, "Irfft", op, op.inputs, 1, T=_INT16_NUMBER, fft_length=op.length)


@export.register
def _energy(op: ops.Energy, draft: Draft) -> None:
    _emit(draft, "Energy", op, op.inputs, 1, end_index=op.end, start_index=op.start)


@export.register
def _filter_bank(op: ops.FilterBank, draft: Draft) -> None:
    _emit(draft, "FilterBank", op, op.inputs, 1, num_channels=draft.graph.out(op).elements)


@export.register
def _square_root(op: ops.FilterBankSquareRoot, draft: Draft) -> None:
    _emit(draft, "FilterBankSquareRoot", op, op.inputs, 1)


@export.register
def _subtraction(op: ops.SpectralSubtraction, draft: Draft) -> None:
    _check_state(draft, op)
    _emit(
        draft,
        "FilterBankSpectralSubtraction",
        op,
        op.inputs[:1],
        2,
        alternate_one_minus_smoothing=op.alternate_one_minus_smoothing,
        alternate_smoothing=op.alternate_smoothing,
        clamping=op.clamping,
        min_signal_remaining=op.min_signal_remaining,
        num_channels=draft.graph.out(op).elements,
        one_minus_smoothing=op.one_minus_smoothing,
        smoothing=op.smoothing,
        smoothing_bits=op.smoothing_bits,
        spectral_subtraction_bits=op.bits,
    )


@export.register
def _pcan(op: ops.Pcan, draft: Draft) -> None:
    _emit(draft, "PCAN", op, op.inputs, 1, snr_shift=op.snr_shift)


@export.register
def _log(op: ops.FilterBankLog, draft: Draft) -> None:
    options = {"input_correction_bits": op.correction_bits, "output_scale": op.output_scale}
    _emit(draft, "FilterBankLog", op, op.inputs, 1, **options)


@export.register
def _rescale(op: ops.Rescale, draft: Draft) -> None:
    """Through float32, where that gives the same: QUANTIZE of int16 rounds twice."""
    x, y = draft.graph.ins(op)[0], draft.graph.out(op)
    stored = np.arange(-32768, 32768)
    real = np.float32(x.scale) * (stored - x.zero_point).astype(np.float32)
    rounded = round_half_away(real / np.float32(y.scale)) + y.zero_point
    different = int((np.clip(rounded, *y.dtype.range()) != rescaled(draft.graph, op, stored)).sum())
    if different:
        raise refuse(
            f"operation {draft.graph.ops.index(op)} (Rescale) has {different} results that float32 rounds otherwise",
            "give its input or output another scale",
        )
    between = draft.temporary(replace(x, dtype=DType.FLOAT32, q=None, bits=32), x.shape)
    draft.emit("DEQUANTIZE", [draft.index[x.id]], between)
    draft.emit("QUANTIZE", [between], draft.index[y.id])


@export.register
def _overlap_add(op: ops.OverlapAdd, draft: Draft) -> None:
    """The operator takes a row of frames."""
    _check_state(draft, op)
    x, y = draft.graph.ins(op)[0], draft.graph.out(op)
    frames = draft.temporary(x, (1, *x.shape))
    draft.emit("RESHAPE", [draft.index[x.id], draft.integers((1, *x.shape))], frames, new_shape=(1, *x.shape))
    draft.emit(custom("SignalOverlapAdd"), [frames], draft.index[y.id], T=_INT16_NUMBER, frame_step=op.step)
