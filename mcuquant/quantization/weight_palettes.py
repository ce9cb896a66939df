"""Converts weights with few different values to a codebook and indices, if that is smaller than int8.

Only the values count, so weights are recognized whether mcuquant or another tool shared them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ..errors import GraphError
from ..ir import Array, Graph, Op, QParams, Tensor
from ..ir.palette import MOST_ENTRIES, Palette
from .weight_scales import WEIGHTED, bias_limit, channel_axis, data_of, least_scales, stored_bias


def with_palettes(real: Graph, integers: Graph) -> Graph:
    """`made`, which `quantize` derived from the float graph `real`, with palettes.

    A layer gets one if the float weights of all its channels, or of each of equally many consecutive groups of them,
    have at most 256 values, and indices and codebooks take fewer bytes than int8 weights. Each codebook has one scale,
    the finest that holds its largest value, so that equal real weights stay equal. A note lists the changed layers.
    """
    tensors, notes = dict(integers.tensors), list[str]()
    for op in integers.ops:
        w = _real_weights(real, integers, op)
        book = None if w is None else _cheapest(w, channel_axis(op))
        if book is not None:
            tensors |= {t.id: t for t in _constants(real, integers, op, book)}
            notes.append(f"{integers.out(op).name} {book}")
    if not notes:
        return integers
    return integers.with_(tensors=tensors, notes=(*integers.notes, "shared weights: " + ", ".join(notes)))


@dataclass(frozen=True, slots=True, eq=False)
class _Book:
    """A layer's shared weights: real values of (groups, entries), and the index of each weight."""

    palette: Palette
    """Real values of the entries."""
    channels: Array
    """(C,) the group of every output channel."""

    @property
    def nbytes(self) -> int:
        p = self.palette
        return -(-p.indices.size * p.bits // 8) + p.centroids.size + len(p.groups)

    def __str__(self) -> str:
        groups, entries = self.palette.centroids.shape
        return f"{entries} values" if groups == 1 else f"{groups} x {entries} values"


def _real_weights(real: Graph, integers: Graph, op: Op) -> Array | None:
    """The palette of the original operation, if it still has 8-bit weights of the same shape."""
    if not isinstance(op, WEIGHTED) or (was := real.producer(op.output)) is None or type(was) is not type(op):
        return None
    stored, w = integers[op.inputs[1]], real[was.inputs[1]]
    fits = stored.bits == 8 and stored.palette is None and w.is_constant and w.shape == stored.shape
    return w.data if fits else None


def _cheapest(w: Array, axis: int) -> _Book | None:
    """The number of groups with the fewest bytes; None if int8 is as small."""
    books = [book for groups in _divisors(w.shape[axis]) if (book := _book(w, axis, groups)) is not None]
    best = min(books, key=lambda book: book.nbytes, default=None)
    return best if best is not None and best.nbytes < w.size else None


def _divisors(n: int) -> Iterator[int]:
    return (d for d in range(1, n + 1) if n % d == 0)


def _book(w: Array, axis: int, groups: int) -> _Book | None:
    channels = np.arange(w.shape[axis]) // (w.shape[axis] // groups)
    if groups > MOST_ENTRIES:  # a group's number is a byte too
        return None
    try:
        return _Book(Palette.of(w, channels.tolist() if groups > 1 else (), axis), channels)
    except ValueError:
        return None


def _constants(real: Graph, integers: Graph, op: Op, book: _Book) -> Iterator[Tensor]:
    """The layer's weights, and its biases in the resulting units."""
    x, y = integers[op.inputs[0]], integers.out(op)
    stored, axis = integers[op.inputs[1]], channel_axis(op)
    was = real.producer(op.output)
    if was is None:
        raise GraphError(f"{real.name}: nothing computes tensor {op.output}, which {op.kind} should")
    limit = bias_limit(stored, axis, x.dtype, 127)
    floor = least_scales(real, was, x.qparams, y.qparams, limit)
    scales = _scales(book, floor)
    steps = np.rint(book.palette.centroids / scales[:, None]).astype(np.int8)
    palette = replace(book.palette, centroids=steps)
    one = len(scales) == 1  # stored as one rescale factor, not one per channel
    q = QParams.of(scales[0]) if one else QParams.of(scales[book.channels], axis=axis)
    weights = replace(stored, q=q, data=palette.values(), palette=palette)
    yield weights
    for position in range(2, len(op.inputs)):
        b = real[was.inputs[position]]
        bias = stored_bias(b, data_of(b), x.qparams, weights, limit, x.dtype)
        yield replace(bias, id=op.inputs[position], q=replace(bias.qparams, axis=None) if one else bias.qparams)


def _scales(book: _Book, floor: Array) -> Array:
    """(groups,) float64, each a float32 value: not finer than the kernels support for any channel of the group."""
    largest = np.abs(book.palette.centroids).max(axis=1).astype(np.float64) / 127
    groups = range(len(largest))
    least = np.array([floor[book.channels == g].max() for g in groups])
    return np.asarray(np.maximum(largest, least), np.float32).astype(np.float64)
