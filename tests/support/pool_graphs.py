"""Random convolutions with a pooling behind each, for the kernels that compute both by strips of rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import fast_graphs
import layers
import numpy as np
import product_graphs
from compressed import shared
from graphs import Generator
from nets import Net

from mcuquant.boards.core import Core
from mcuquant.ir import DType, Graph, ops
from mcuquant.kernels import Site, Variant, variants_of
from mcuquant.passes.fuse_pool import fuse_pool

Layer = Callable[[Net, int], int]


def pooled(rng: np.random.Generator, conv: Layer, dtype: DType = DType.INT8, **form: Any) -> Graph:
    """An image of any size up to `channels`, 1 to 9 unless that says; the pooling is at least two rows high."""
    while True:
        net = Net(rng, dtype)
        x = net.input((1, net.size(3, 13), net.size(1, 12), form.get("channels") or net.size(1, 9)))
        y = conv(net, x)
        if net.shape(y)[1] < 2:
            continue
        kind = net.pick(ops.MaxPool2D, ops.AvgPool2D)
        z = layers.pool(net, y, kind, dtype is DType.INT8 and net.pick(False, True))
        if net.shape(z)[1] > 1:
            return net.graph(z)


def _product(net: Net, x: int, **form: Any) -> int:
    stride = (net.size(1, 2), net.size(1, 2))
    window = form.pop("window", None) or (net.size(1, 3), net.size(1, 3))
    outputs = form.pop("outputs", None) or net.size(1, 9)
    return product_graphs.product(net, x, outputs, window, **{"stride": stride} | form)


def _depthwise(net: Net, x: int, **form: Any) -> int:
    pads = (net.size(0, 2), net.size(0, 2)), (net.size(0, 1), net.size(0, 2))
    return fast_graphs.small_depthwise(net, x, (3, 3), (net.size(1, 2), net.size(1, 2)), pads, **form)


def _int16(name: str, conv: Callable[..., int], **form: Any) -> dict[str, Generator]:
    """With weights of 8 bits and of 4."""
    return {
        f"{name}_of_{bits}": partial(pooled, conv=partial(conv, bits=bits, **form), dtype=DType.INT16)
        for bits in (8, 4)
    }


_FOUR = {"outputs": 8, "window": (3, 3), "stride": (1, 1), "widest": True}

GENERATORS: dict[str, Generator] = {
    "plain": partial(pooled, conv=layers.conv2d),
    "dilated": partial(pooled, conv=partial(layers.conv2d, dilate=True)),
    "left_shift": partial(pooled, conv=partial(layers.conv2d, left_shift=True)),
    "groups": partial(pooled, conv=partial(layers.conv2d, groups=3), channels=6),
    "narrow": partial(pooled, conv=partial(layers.conv2d, bits=4)),
    "shared": lambda rng: shared(pooled(rng, _product), rng, 16),
    **_int16("int16", layers.conv2d),
    **_int16("int16_b32", layers.conv2d, bias=DType.INT32),
    **_int16("int16_depthwise", layers.depthwise),
    "once": partial(pooled, conv=partial(_product, zero_point=-128)),
    "once_words": partial(pooled, conv=partial(_product, zero_point=-128, outputs=8), channels=8),
    "once_small": partial(pooled, conv=partial(_product, zero_point=-128, largest=5, window=(3, 3))),
    "twice": partial(pooled, conv=partial(_product, zero_point=30)),
    "few": partial(pooled, conv=partial(_product, zero_point=-128, window=(3, 2)), channels=1),
    "few_twice": partial(pooled, conv=partial(_product, zero_point=7, window=(2, 3)), channels=3),
    "winograd_12": partial(pooled, conv=partial(_product, zero_point=-128, largest=30, **_FOUR), channels=8),
    "winograd_8": partial(pooled, conv=partial(_product, zero_point=-128, largest=4, **_FOUR), channels=4),
    "winograd_twice": partial(pooled, conv=partial(_product, zero_point=20, **_FOUR), channels=12),
    "depthwise": partial(pooled, conv=layers.depthwise),
    "depthwise_many": partial(pooled, conv=partial(layers.depthwise, multiplier=2)),
    "depthwise_planes": partial(pooled, conv=_depthwise),
    "depthwise_planes_words": partial(pooled, conv=_depthwise, channels=8),
    "depthwise_planes_twice": partial(pooled, conv=partial(_depthwise, zero_point=5)),
    "depthwise_shared": lambda rng: shared(pooled(rng, _depthwise), rng, 16),
}


def made(name: str, seed: int) -> Graph:
    """Its two operations are one; a pooling whose windows overlap by nearly the whole image is made anew."""
    rng = np.random.default_rng((seed, list(GENERATORS).index(name)))
    return fuse_pool(GENERATORS[name](rng), lambda _: True)


def by_strips(graph: Graph, core: Core) -> list[Variant]:
    """The variants that take the graph's one operation: none where any strip is the whole image."""
    site = Site(graph, graph.ops[0], core)
    return [variant for variant in variants_of(site.op) if variant.applies(site)]


def classic(rng: np.random.Generator, size: int = 28, outputs: tuple[int, ...] = (16, 32)) -> Graph:
    """Convolutions of 3x3 with ReLUs, each pooled by two, and a fully connected layer of ten outputs."""
    net = Net(rng)
    x = net.input((1, size, size, 1))
    for count in outputs:
        x = product_graphs.product(net, x, count, (3, 3), pads=((1, 1), (1, 1)), zero_point=-128, largest=30)
        _, height, width, channels = net.shape(x)
        shape = (1, height // 2, width // 2, channels)
        x = net.apply(ops.MaxPool2D, (x,), shape, net.tensors[x].q, window=(2, 2), stride=(2, 2))
    return net.graph(layers.fully_connected(net, x, 10), name="classic")
