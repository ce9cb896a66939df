"""Random layers with packed and pruned weights, for the variants that unpack them and for bitmaps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import layers
import numpy as np
from compressed import asymmetric, narrow, pruned, shared, two_level, with_weights
from graphs import Generator
from nets import Net
from product_graphs import product

from mcuquant.ir import Graph, Tensor

Change = Callable[[Graph, np.random.Generator], Graph]
_WORTH = 40
"""The largest weight's worth in units of weights of 8 bits: factors stay below 1, and few outputs are clamped."""


def _as_large(graph: Graph) -> Graph:
    def change(w: Tensor, _: int) -> Tensor:
        assert w.q is not None
        up = _WORTH / max(1, int(np.abs(w.integer_values).max()))
        return replace(w, q=replace(w.q, scale=tuple(float(np.float32(s * up)) for s in w.q.scale)))

    return with_weights(graph, change)


def _within(graph: Graph, rng: np.random.Generator, largest: int) -> Graph:
    """Stored values from -largest to largest, those of a codebook too."""

    def change(w: Tensor, _: int) -> Tensor:
        if w.palette is None:
            return replace(w, data=rng.integers(-largest, largest + 1, w.shape).astype(np.int8))
        book = (w.palette.centroids.astype(int) * largest // 128).astype(np.int8)
        palette = replace(w.palette, centroids=book)
        return replace(w, palette=palette, data=palette.values())

    return with_weights(graph, change)


def _zero_points(graph: Graph, rng: np.random.Generator, largest: int) -> Graph:
    """One for each channel, from -largest to largest."""

    def change(w: Tensor, axis: int) -> Tensor:
        assert w.q is not None
        zeros = rng.integers(-largest, largest + 1, w.shape[axis])
        return replace(w, q=replace(w.q, axis=axis, zero_points=tuple(zeros.tolist())))

    return with_weights(graph, change)


def _packed(rng: np.random.Generator, *changes: Change, **form: Any) -> Graph:
    """A convolution of any shape but for what `form` has, its weights changed in turn."""
    net = Net(rng)
    x = net.input((form.get("batch", 1), net.size(1, 7), net.size(1, 7), form.get("channels") or net.size(1, 9)))
    window = form.pop("window", None) or (net.size(1, 3), net.size(1, 3))
    graph = net.graph(product(net, x, form.pop("outputs", None) or net.size(1, 9), window, **form))
    for change in changes:
        graph = change(graph, rng)
    return _as_large(graph)


def _forms(kind: str, *changes: Change, **form: Any) -> dict[str, Generator]:
    """Rounded once and twice; the pixels at a time are some that there are variants for."""
    once = partial(_packed, **{"zero_point": -128} | form)
    twice = partial(_packed, **{"zero_point": 7} | form)
    return {
        f"conv2d_packed_gemm_12 6 pixels {kind}": lambda rng: once(rng, *changes),
        f"conv2d_packed_gemm_twice 12 pixels {kind}": lambda rng: twice(rng, *changes),
    }


def _shared(entries: int, groups: int = 1) -> Change:
    return partial(shared, entries=entries, groups=groups)


def _narrow(bits: int) -> Change:
    return partial(narrow, bits=bits)


_SAME, _NO_PADS = ((1, 1), (1, 1)), ((0, 0), (0, 0))
_SMALL, _SMALL_FACTORS = partial(_within, largest=10), partial(two_level, largest=12)
_MIDDLING, _ABOUT_ZERO = partial(_within, largest=60), partial(_zero_points, largest=60)
_BY_CHANNEL = partial(asymmetric, by_channel=True)


def _connected(rng: np.random.Generator, *changes: Change) -> Graph:
    net = Net(rng)
    x = net.input((net.size(1, 3), net.size(24, 80)))
    graph = net.graph(layers.fully_connected(net, x, outputs=net.size(1, 9)))
    for change in changes:
        graph = change(graph, rng)
    return _as_large(graph)


def _without_a_channel(graph: Graph, _: np.random.Generator) -> Graph:
    """All weights of the first output are 0."""

    def change(w: Tensor, _: int) -> Tensor:
        assert w.data is not None
        data = w.data.copy()
        data[0] = 0
        return replace(w, data=data)

    return with_weights(graph, change)


def _half(graph: Graph, rng: np.random.Generator) -> Graph:
    return pruned(graph, rng, 0.5)


GENERATORS: dict[str, Generator] = {
    **_forms("int4", _narrow(4)),
    **_forms("int2", _narrow(2), channels=37, outputs=11),
    **_forms("shared 16", _shared(16)),
    **_forms("shared 7 two level", _shared(7), _SMALL, _SMALL_FACTORS),
    "conv2d_packed_gemm_12 6 pixels in place": lambda rng: _packed(
        rng, _narrow(4), window=(3, 3), pads=_SAME, channels=8, outputs=8, zero_point=-128
    ),
    "conv2d_packed_gemm_12 6 pixels by two": lambda rng: _packed(
        rng, _narrow(4), stride=(2, 2), batch=2, zero_point=-128
    ),
    "conv2d_packed_gemm_twice 6 pixels zero points": lambda rng: _packed(rng, _narrow(4), _BY_CHANNEL, zero_point=9),
    "conv2d_packed_gemm_12 3 pixels of a byte": lambda rng: _packed(rng, _MIDDLING, _ABOUT_ZERO, zero_point=-128),
    "conv2d_packed_gemm_twice 3 pixels two level": lambda rng: _packed(rng, _narrow(4), _SMALL_FACTORS, zero_point=0),
    "conv2d_packed_gemm_12 6 pixels shared 2": lambda rng: _packed(rng, _shared(2), zero_point=-128),
    "conv2d_packed_gemm_twice 6 pixels shared 3": lambda rng: _packed(
        rng, _shared(3), _MIDDLING, _ABOUT_ZERO, zero_point=99
    ),
    "conv2d_packed_gemm_twice 6 pixels shared 200": lambda rng: _packed(rng, _shared(200), zero_point=1),
    "conv2d_packed_gemm_12 3 pixels shared 20": lambda rng: _packed(rng, _shared(20), zero_point=-128),
    "conv2d_packed_gemm_12 3 pixels in groups": lambda rng: _packed(rng, _shared(5, 3), zero_point=-128),
    "conv2d_packed_gemm_8 3 pixels pointwise": lambda rng: _packed(
        rng, _narrow(2), window=(1, 1), pads=_NO_PADS, channels=12, batch=3, zero_point=-128
    ),
    "conv2d_packed_gemm_8 48 pixels int4": lambda rng: _packed(rng, _narrow(4), zero_point=-128, channels=8),
    "conv2d_packed_gemm_8 24 pixels shared 4": lambda rng: _packed(
        rng, _shared(4), _SMALL, _SMALL_FACTORS, zero_point=-128, dilation=(2, 1)
    ),
    "conv2d_packed_gemm_12 bitmap, 6 pixels": lambda rng: _packed(rng, _half, zero_point=-128, channels=12),
    "conv2d_packed_gemm_twice bitmap, 3 pixels": lambda rng: _packed(
        rng, _half, _without_a_channel, zero_point=7, channels=13
    ),
    "conv2d_packed_gemm_twice bitmap, 12 pixels two level": lambda rng: _packed(
        rng, _SMALL, _half, _SMALL_FACTORS, zero_point=7, channels=12
    ),
    "conv2d_packed_gemm_8 bitmap, 3 pixels": lambda rng: _packed(
        rng, partial(_within, largest=3), partial(pruned, zeros=0.7), zero_point=-128, channels=20
    ),
    "bitmap": lambda rng: _connected(rng, _half, _without_a_channel),
    "bitmap two level": lambda rng: _connected(rng, _half, two_level),
}
