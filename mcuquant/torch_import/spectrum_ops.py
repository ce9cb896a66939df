"""Fourier transforms of computed signals, as products with constant sines and cosines; results are complex."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import ir
from ..ir.elementwise_table import ELEMENTWISE
from .axis_order import Value
from .elementwise_ops import binary, by_row, unary
from .net_builder import Array, Call, RefusalError
from .shape_ops import VIEWS, cut_value, stack
from .weighted_ops import convolve, fully_connected

Item = Any


@dataclass(frozen=True, slots=True, eq=False)
class Complex:
    real: Item
    imaginary: Item


def on_parts(call: Call, rule: Callable[[Call], Item]) -> Complex:
    """An operator that only moves elements, on both parts."""
    z = call.args["self"]
    if call.op not in VIEWS:
        raise RefusalError("complex numbers are not translated here; take abs, real or imag before it")
    real, imaginary = (rule(replace(call, args={**call.args, "self": part})) for part in (z.real, z.imaginary))
    return Complex(real, imaginary)


def _basis(size: int, bins: int, window: Array) -> Array:
    """(2 * bins, size): cosines, then sines of the opposite sign, times a window."""
    angles = 2 * np.pi * np.outer(np.arange(bins), np.arange(size)) / size
    return (np.concatenate([np.cos(angles), -np.sin(angles)]) * window).astype(np.float32)


def short_time_transform(call: Call) -> Complex:
    """torch.stft, whose padding is a separate operator: a convolution with the basis."""
    x, size = call.value(), call.get("n_fft")
    length = call.get("win_length", size)
    window = call.args.get("window")
    if window is not None and not isinstance(window, np.ndarray):
        raise RefusalError("its window is computed; make it a buffer")
    before = (size - length) // 2
    window = np.pad(np.ones(length) if window is None else window, (before, size - length - before))
    bins = size // 2 + 1 if call.get("onesided", True) else size
    basis = _basis(size, bins, window * (size**-0.5 if call.get("normalized", False) else 1.0))
    rows = Value(x.tensor, x.where.reshape(1, 1, -1, x.shape[-1]))
    stride = (1, call.get("hop_length", size // 4))
    y = convolve(replace(call, op="aten.conv2d", args={"stride": stride}), rows, basis[:, None, None, :], 2)
    shape = (*x.shape[:-1], bins, y.shape[-1])
    parts = (cut_value(call, y, 1, range(start, start + bins)) for start in (0, bins))
    z = [Value(part.tensor, part.where[0].swapaxes(0, 1).reshape(shape)) for part in parts]
    return Complex(*z) if call.get("return_complex", False) else _pair(call, Complex(*z))


def transform(call: Call) -> Complex:
    """torch.fft.rfft along an axis."""
    x = call.value()
    axis, norm = call.get("dim", -1) % x.rank, call.get("norm", "backward")
    size = x.shape[axis]
    if call.get("n", size) != size:
        raise RefusalError("it cuts or fills up its input; do so before it")
    factor = {"backward": 1.0, "ortho": size**-0.5, "forward": 1 / size}[norm]
    bins = size // 2 + 1
    last = Value(x.tensor, np.moveaxis(x.where, axis, -1))
    y = fully_connected(call, last, _basis(size, bins, np.full(size, factor)), "basis")
    parts = (cut_value(call, y, y.rank - 1, range(start, start + bins)) for start in (0, bins))
    return Complex(*(Value(part.tensor, np.moveaxis(part.where, -1, axis)) for part in parts))


def magnitude(call: Call) -> Item:
    z = call.args["self"]
    if not isinstance(z, Complex):
        return by_row(call, ELEMENTWISE[ir.Abs])
    real, imaginary = (unary(call, ir.Square, part) for part in (z.real, z.imaginary))
    return unary(call, ir.Sqrt, binary(call, ir.Add, real, imaginary))


def real_part(call: Call) -> Item:
    z = call.args["self"]
    return z.real if isinstance(z, Complex) else z


def imaginary_part(call: Call) -> Item:
    return _complex(call).imaginary


def both_parts(call: Call) -> Item:
    return _pair(call, _complex(call))


def _complex(call: Call) -> Complex:
    z = call.args["self"]
    if not isinstance(z, Complex):
        raise RefusalError("its input is not complex")
    return z


def _pair(call: Call, z: Complex) -> Item:
    """(..., 2): torch.view_as_real."""
    return stack(replace(call, args={"tensors": (z.real, z.imaginary), "dim": -1}))


RULES: Mapping[str, Callable[[Call], Any]] = {
    "aten.stft": short_time_transform,
    "aten.fft_rfft": transform,
    "aten.abs": magnitude,
    "aten.real": real_part,
    "aten.imag": imaginary_part,
    "aten.view_as_real": both_parts,
}
