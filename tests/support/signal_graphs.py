"""Random graphs of the operations of audio front ends, and their inputs: plain integers of all widths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from nets import Net

from mcuquant.ir import DType, Graph, Op, QParams, Role, Shape, Update, ops

INT16, INT32, UINT32, UINT64 = DType.INT16, DType.INT32, DType.UINT32, DType.UINT64
PCM = QParams.of(2.0**-15)


def _quant(dtype: DType) -> QParams | None:
    return PCM if dtype is INT16 else None


def _input(net: Net, shape: Shape, dtype: DType) -> int:
    i = net.tensor(shape, dtype, Role.INPUT, q=_quant(dtype))
    net.inputs.append(i)
    return i


def _state(net: Net, shape: Shape, dtype: DType) -> int:
    return net.tensor(shape, dtype, Role.STATE, q=_quant(dtype), data=np.zeros(shape, dtype.numpy))


def _output(net: Net, shape: Shape, dtype: DType) -> int:
    return net.tensor(shape, dtype, Role.ACTIVATION, q=_quant(dtype))


def _apply(net: Net, op: type[Op], inputs: tuple[int, ...], *outputs: tuple[Shape, DType], **more: Any) -> list[int]:
    made = [_output(net, shape, dtype) for shape, dtype in outputs]
    net.ops.append(op(inputs=inputs, outputs=tuple(made), **more))
    return made


def _int16s(net: Net, low: int, high: int, count: int) -> int:
    return net.constant(net.rng.integers(low, high + 1, count), INT16)


def window(rng: np.random.Generator, rows: bool = False, multiple: int = 1, shift: int | None = None) -> Graph:
    net, size = Net(rng), multiple * int(rng.integers(1, 60))
    shape = (int(rng.integers(2, 4)), size) if rows else (size,)
    x, w = _input(net, shape, INT16), _int16s(net, -32768, 32767, size)
    form = {"shift": net.size(0, 15) if shift is None else shift}
    return net.graph(*_apply(net, ops.Window, (x, w), (shape, INT16), **form), name="window")


def fft_auto_scale(rng: np.random.Generator, ignores_lowest: bool = False, multiple: int = 1) -> Graph:
    net, size = Net(rng), multiple * int(rng.integers(1, 60))
    x = _input(net, (size,), INT16)
    ends = ((size,), INT16), ((), INT32)
    return net.graph(*_apply(net, ops.FftAutoScale, (x,), *ends, ignores_lowest=ignores_lowest), name="auto_scale")


def rfft(rng: np.random.Generator, length: int, multiple: int = 1) -> Graph:
    net = Net(rng)
    x = _input(net, (multiple * int(rng.choice([length, rng.integers(1, length + 1)]) // multiple) or multiple,), INT16)
    return net.graph(*_apply(net, ops.Rfft, (x,), ((length + 2,), INT16), length=length), name="rfft")


def irfft(rng: np.random.Generator, length: int) -> Graph:
    net = Net(rng)
    x = _input(net, (length + 2,), INT16)
    return net.graph(*_apply(net, ops.Irfft, (x,), ((length,), INT16), length=length), name="irfft")


def energy(rng: np.random.Generator) -> Graph:
    net, bins = Net(rng), int(rng.integers(1, 60))
    x = _input(net, (2 * bins,), INT16)
    start = int(rng.integers(0, bins))
    end = int(rng.integers(start + 1, bins + 1))
    return net.graph(*_apply(net, ops.Energy, (x,), ((bins,), UINT32), start=start, end=end), name="energy")


def filter_bank(rng: np.random.Generator) -> Graph:
    net, channels, bins = Net(rng), int(rng.integers(1, 12)), int(rng.integers(12, 60))
    widths = rng.integers(0, 6, channels + 1)
    places = np.concatenate([[0], np.cumsum(widths)[:-1]])
    starts = rng.integers(0, bins - widths + 1)
    weights = [_int16s(net, 0, 32767, int(max(widths.sum(), 1))) for _ in range(2)]
    x = _input(net, (bins,), UINT32)
    segments = [net.constant(v, INT16) for v in (starts, places, widths)]
    return net.graph(*_apply(net, ops.FilterBank, (x, *weights, *segments), ((channels,), UINT64)), name="filter_bank")


def square_root(rng: np.random.Generator) -> Graph:
    net, channels = Net(rng), int(rng.integers(1, 60))
    x, samples = _input(net, (channels,), UINT64), _input(net, (4,), INT16)
    _, shift = _apply(net, ops.FftAutoScale, (samples,), ((4,), INT16), ((), INT32))
    return net.graph(*_apply(net, ops.FilterBankSquareRoot, (x, shift), ((channels,), UINT32)), name="square_root")


def spectral_subtraction(rng: np.random.Generator, clamping: bool = False, kept: bool = False) -> Graph:
    net, shape = Net(rng), (int(rng.integers(1, 20)),)
    x = _input(net, shape, UINT32)
    noise = _state(net, shape, UINT32) if kept else _input(net, shape, UINT32)
    factors = {name: net.size(0, 16384) for name in ("smoothing", "alternate_smoothing")}
    y, after = _apply(
        net,
        ops.SpectralSubtraction,
        (x, noise),
        (shape, UINT32),
        (shape, UINT32),
        **factors,
        one_minus_smoothing=16384 - factors["smoothing"],
        alternate_one_minus_smoothing=16384 - factors["alternate_smoothing"],
        smoothing_bits=net.size(0, 12),
        min_signal_remaining=net.size(0, 16384),
        bits=14,
        clamping=clamping,
    )
    graph = net.graph(y, after, name="spectral_subtraction")
    return replace(graph, updates=(Update(noise, after),)) if kept else graph


def pcan(rng: np.random.Generator) -> Graph:
    net, shape = Net(rng), (int(rng.integers(1, 60)),)
    x, noise = (_input(net, shape, UINT32) for _ in range(2))
    table = _int16s(net, -300, 32767, 125)
    return net.graph(*_apply(net, ops.Pcan, (x, noise, table), (shape, UINT32), snr_shift=net.size(0, 20)), name="pcan")


def filter_bank_log(rng: np.random.Generator) -> Graph:
    net, shape = Net(rng), (int(rng.integers(1, 60)),)
    x = _input(net, shape, UINT32)
    form = {"output_scale": net.size(1, 2900), "correction_bits": net.size(0, 8)}
    return net.graph(*_apply(net, ops.FilterBankLog, (x,), (shape, INT16), **form), name="log")


def overlap_add(rng: np.random.Generator, kept: bool = False) -> Graph:
    net, size = Net(rng), int(rng.integers(2, 40))
    step = int(rng.integers(1, size))
    x = _input(net, (size,), INT16)
    tail = (_state if kept else _input)(net, (size - step,), INT16)
    y, after = _apply(net, ops.OverlapAdd, (x, tail), ((step,), INT16), ((size - step,), INT16), step=step)
    graph = net.graph(y, after, name="overlap_add")
    return replace(graph, outputs=(y,), updates=(Update(tail, after),)) if kept else graph


def rescale(rng: np.random.Generator, dtype: DType = DType.INT8) -> Graph:
    net, shape = Net(rng, dtype), (1, int(rng.integers(1, 60)))
    x = _input(net, shape, INT16)
    q = net.quant(dtype, 2.0**-15 * float(np.exp(rng.uniform(-10, 10))))
    y = net.tensor(shape, dtype, Role.ACTIVATION, q=q)
    net.ops.append(ops.Rescale(inputs=(x,), outputs=(y,)))
    return net.graph(y, name="rescale")


LENGTHS = (16, 32, 64, 256, 512, 1024)
GENERATORS: dict[str, Callable[[np.random.Generator], Graph]] = {
    "window_samples": window,
    "window_samples_rows": partial(window, rows=True),
    "fft_auto_scale": fft_auto_scale,
    "fft_auto_scale_ignores_lowest": partial(fft_auto_scale, ignores_lowest=True),
    **{f"rfft_{n}": partial(rfft, length=n) for n in LENGTHS},
    **{f"irfft_{n}": partial(irfft, length=n) for n in LENGTHS},
    "energy": energy,
    "filter_bank": filter_bank,
    "filter_bank_square_root": square_root,
    "spectral_subtraction": spectral_subtraction,
    "spectral_subtraction_clamping": partial(spectral_subtraction, clamping=True),
    "pcan": pcan,
    "filter_bank_log": filter_bank_log,
    "overlap_add": overlap_add,
    "rescale": rescale,
    "rescale_int16": partial(rescale, dtype=INT16),
}
WORDS: dict[str, Callable[[np.random.Generator], Graph]] = {
    "window_words": partial(window, multiple=2, shift=12),
    "window_words_rows": partial(window, rows=True, multiple=2, shift=12),
    "fft_auto_scale_words": partial(fft_auto_scale, multiple=2),
    "fft_auto_scale_words_ignores_lowest": partial(fft_auto_scale, multiple=2, ignores_lowest=True),
    **{f"rfft16_words_{n}": partial(rfft, length=n, multiple=2) for n in (*LENGTHS, 128, 2048, 4096)},
    "energy_words": energy,
    "filter_bank_root_divided": square_root,
}
"""Forms that cores with SMLAD and division have kernels for."""
STREAMS: dict[str, Callable[[np.random.Generator], Graph]] = {
    "spectral_subtraction": partial(spectral_subtraction, kept=True),
    "spectral_subtraction_clamping": partial(spectral_subtraction, clamping=True, kept=True),
    "overlap_add": partial(overlap_add, kept=True),
}
"""The same with a state, as TensorFlow Lite Micro has them."""
