"""Rules of the operations of audio front ends. Shapes have one rule, types and attributes another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from .. import DType, Graph, Op, Shape, ops

Shapes = tuple[Shape, ...]
Rule = Callable[[Any, Shapes, Shape], Iterator[str]]

INT16, INT32, UINT32, UINT64 = DType.INT16, DType.INT32, DType.UINT32, DType.UINT64

_TYPES: Mapping[type[Op], tuple[tuple[DType, ...], tuple[DType | None, ...]]] = {
    ops.Window: ((INT16, INT16), (INT16,)),
    ops.FftAutoScale: ((INT16,), (INT16, INT32)),
    ops.Rfft: ((INT16,), (INT16,)),
    ops.Irfft: ((INT16,), (INT16,)),
    ops.Energy: ((INT16,), (UINT32,)),
    ops.FilterBank: ((UINT32, *(INT16,) * 5), (UINT64,)),
    ops.FilterBankSquareRoot: ((UINT64, INT32), (UINT32,)),
    ops.SpectralSubtraction: ((UINT32, UINT32), (UINT32, UINT32)),
    ops.Pcan: ((UINT32, UINT32, INT16), (UINT32,)),
    ops.FilterBankLog: ((UINT32,), (INT16,)),
    ops.OverlapAdd: ((INT16, INT16), (INT16, INT16)),
    ops.Rescale: ((INT16,), (None,)),
}
"""Types of inputs and of outputs; None: `_own_problems` has a rule."""
INPUTS = {kind: len(types[0]) for kind, types in _TYPES.items()}
OUTPUTS = {kind: len(types[1]) for kind, types in _TYPES.items()}

FFT_LENGTHS = tuple(1 << bits for bits in range(4, 13))
GAIN_ENTRIES = 125
"""Length of the table of `Pcan`: gains of 0, 1 and 2, and three coefficients from 4 * b - 6 on for b-bit values."""
_CONSTANTS: Mapping[type[Op], range] = {ops.Window: range(1, 2), ops.FilterBank: range(1, 6), ops.Pcan: range(2, 3)}
"""Inputs that must be constant."""


def _window(_: ops.Window, ins: Shapes, y: Shape) -> Iterator[str]:
    x, w = ins
    if not x or w != x[-1:] or y != x:
        yield f"its input, weights and output have shapes {x}, {w} and {y}, expected (..., N), (N,) and (..., N)"


def _same_row(_: Op, ins: Shapes, y: Shape) -> Iterator[str]:
    if len(ins[0]) != 1 or y != ins[0]:
        yield f"its input and output have shapes {ins[0]} and {y}, expected one row of as many elements"


def _rfft(op: ops.Rfft, ins: Shapes, y: Shape) -> Iterator[str]:
    if len(ins[0]) != 1 or ins[0][0] > op.length or y != (op.length + 2,):
        yield f"its input and output have shapes {ins[0]} and {y}, expected (N,) up to {op.length}, ({op.length + 2},)"


def _irfft(op: ops.Irfft, ins: Shapes, y: Shape) -> Iterator[str]:
    if ins[0] != (op.length + 2,) or y != (op.length,):
        yield f"its input and output have shapes {ins[0]} and {y}, expected ({op.length + 2},) and ({op.length},)"


def _energy(_: ops.Energy, ins: Shapes, y: Shape) -> Iterator[str]:
    if len(ins[0]) != 1 or len(y) != 1 or ins[0][0] != 2 * y[0]:
        yield f"its input and output have shapes {ins[0]} and {y}, expected pairs and one element for each"


def _filter_bank(_: ops.FilterBank, ins: Shapes, y: Shape) -> Iterator[str]:
    x, weights, unweights, *segments = ins
    if len(x) != 1 or len(weights) != 1 or weights != unweights:
        yield f"its bins, weights and unweights have shapes {x}, {weights} and {unweights}, expected (N,), (W,), (W,)"
    elif len(y) != 1 or any(s != (y[0] + 1,) for s in segments):
        yield f"its segments have shapes {', '.join(map(str, segments))}, expected one more than its output, {y}"


def _subtraction(_: ops.SpectralSubtraction, ins: Shapes, y: Shape) -> Iterator[str]:
    if len(ins[0]) != 1 or ins[1] != ins[0] or y != ins[0]:
        yield f"its input, noise and output have shapes {ins[0]}, {ins[1]} and {y}, expected rows of as many elements"


def _pcan(_: ops.Pcan, ins: Shapes, y: Shape) -> Iterator[str]:
    yield from _subtraction(_, ins, y)  # type: ignore[arg-type]
    if ins[2] != (GAIN_ENTRIES,):
        yield f"its table has shape {ins[2]}, expected ({GAIN_ENTRIES},)"


def _overlap_add(op: ops.OverlapAdd, ins: Shapes, y: Shape) -> Iterator[str]:
    x, tail = ins
    if len(x) != 1 or y != (op.step,) or not 1 <= op.step < x[0] or tail != (x[0] - op.step,):
        yield (
            f"its input, tail and output have shapes {x}, {tail} and {y}, expected (N,), (N - {op.step},) and "
            f"({op.step},)"
        )


def _any_shape(_: ops.Rescale, ins: Shapes, y: Shape) -> Iterator[str]:
    if ins[0] != y:
        yield f"its input and output have shapes {ins[0]} and {y}, expected the same"


SHAPES: Mapping[type[Op], Rule] = {
    ops.Window: _window,
    ops.FftAutoScale: _same_row,
    ops.Rfft: _rfft,
    ops.Irfft: _irfft,
    ops.Energy: _energy,
    ops.FilterBank: _filter_bank,
    ops.FilterBankSquareRoot: lambda op, ins, y: _same_row(op, ins[:1], y),
    ops.SpectralSubtraction: _subtraction,
    ops.Pcan: _pcan,
    ops.FilterBankLog: _same_row,
    ops.OverlapAdd: _overlap_add,
    ops.Rescale: _any_shape,
}

_RANGES: Mapping[type[Op], Mapping[str, tuple[int, int]]] = {
    ops.Window: {"shift": (0, 15)},
    ops.SpectralSubtraction: {
        **dict.fromkeys(("smoothing", "one_minus_smoothing"), (0, 65535)),
        **dict.fromkeys(("alternate_smoothing", "alternate_one_minus_smoothing"), (0, 65535)),
        "smoothing_bits": (0, 31),
        "min_signal_remaining": (0, 65535),
        "bits": (0, 31),
    },
    ops.Pcan: {"snr_shift": (0, 31)},
    ops.FilterBankLog: {"output_scale": (1, 2900), "correction_bits": (0, 31)},
}
"""Lowest and highest value of each attribute."""


def signal_problems(graph: Graph, op: ops.SignalOp) -> Iterator[str]:
    """Problems of types, constants and attributes; the shapes are valid."""
    for word, tensors, types in zip(
        ("input", "output"), (graph.ins(op), [graph[i] for i in op.outputs]), _TYPES[type(op)], strict=True
    ):
        for t, dtype in zip(tensors, types, strict=True):
            if dtype not in (None, t.dtype):
                yield f"{word} {t.id} ({t.name!r}) is {t.dtype}, expected {dtype}"
    for i in _CONSTANTS.get(type(op), range(0)):
        if not (t := graph.ins(op)[i]).is_constant:
            yield f"input {t.id} ({t.name!r}) is {t.role}, expected a constant"
            return
    for name, (low, high) in _RANGES.get(type(op), {}).items():
        if not low <= getattr(op, name) <= high:
            yield f"its {name} is {getattr(op, name)}, expected {low} to {high}"
    yield from _own_problems(graph, op)


def _own_problems(graph: Graph, op: ops.SignalOp) -> Iterator[str]:
    match op:
        case ops.Rfft() | ops.Irfft() if op.length not in FFT_LENGTHS:
            yield f"its length is {op.length}, expected a power of two from {FFT_LENGTHS[0]} to {FFT_LENGTHS[-1]}"
        case ops.Energy() if not 0 <= op.start < op.end <= graph.out(op).elements:
            yield f"its bins are {op.start} to {op.end}, expected a range in 0 to {graph.out(op).elements}"
        case ops.Rescale():
            yield from _scale_problems(graph, op)
        case ops.FilterBank():
            yield from _segment_problems(graph, op)
        case ops.SpectralSubtraction():
            (_, noise), last = graph.ins(op), graph[op.outputs[1]]
            if (noise.shape, noise.q) != (last.shape, last.q):
                yield f"tensor {last.id} ({last.name!r}) is no next value of tensor {noise.id} ({noise.name!r})"
        case _:
            pass


def _scale_problems(graph: Graph, op: ops.Rescale) -> Iterator[str]:
    x, y = graph.ins(op)[0], graph.out(op)
    if y.dtype not in (DType.INT8, INT16):
        yield f"output {y.id} ({y.name!r}) is {y.dtype}, expected int8 or int16"
    for t in (x, y):
        if t.q is None or len(t.q.scale) != 1:
            yield f"tensor {t.id} ({t.name!r}) has quantisation {t.q}, expected one scale"
            return
    if not 2.0**-16 <= x.scale / y.scale <= 2.0**16:
        yield f"its scales are {x.scale:.9g} and {y.scale:.9g}, expected a quotient from 2^-16 to 2^16"


def _segment_problems(graph: Graph, op: ops.FilterBank) -> Iterator[str]:
    x, *constants = graph.ins(op)
    weights, unweights, bins, firsts, widths = (t.value.astype(np.int64) for t in constants)
    if min(weights.min(), unweights.min()) < 0:
        yield "it has weights below 0, expected none"
    if min(bins.min(), firsts.min(), widths.min()) < 0:
        yield "it has segments below 0, expected none"
    elif (bins + widths).max() > x.elements or (firsts + widths).max() > weights.size:
        reach = (bins + widths).max(), (firsts + widths).max()
        yield f"its segments reach bin and weight {reach}, expected at most {(x.elements, weights.size)}"
