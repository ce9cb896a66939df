"""Random convolutions for the variants that compute them as matrix products, for `fast_graphs`."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from graphs import Generator
from nets import Net, padded_length, padding

from mcuquant.ir import Graph, Pair, QParams, Shape, ops

NONE = ops.Activation.NONE


def extreme_weights(net: Net, shape: Shape, axis: int, per_channel: bool = True) -> int:
    """Weights of all values, -128 too; in a third of the layers of the two extremes only."""
    w = net.weights(shape, axis, per_channel)
    values = net.rng.choice([-128, 127], shape) if net.size(0, 2) == 0 else net.rng.integers(-128, 128, shape)
    net.tensors[w] = replace(net.tensors[w], data=values.astype(np.int8))
    return w


def without_widest_pairs(net: Net, w: int) -> None:
    """No odd weight of -128 behind a negative one: the pair would need more than 16 bits."""
    t = net.tensors[w]
    assert t.data is not None
    data = t.data.copy()
    flat = data.reshape(len(data), -1)
    even, odd = flat[:, : flat.shape[1] // 2 * 2 : 2], flat[:, 1::2]
    odd[(odd == -128) & (even < 0)] = -127
    net.tensors[w] = replace(t, data=data)


def product(net: Net, x: int, outputs: int, window: Pair, **form: Any) -> int:
    """Convolution of any form; `largest` weight, `zero_point` of the output, `left_shift` of its sums, `activation`.

    Pairs of weights fit 16 bits, unless they are to be `widest`.
    """
    n, h, w, c = net.shape(x)
    stride, dilation = form.get("stride", (1, 1)), form.get("dilation", (1, 1))
    reach = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
    pads = form.get("pads") or tuple(
        (net.size(0, r - 1), net.size(max(r - size, 0), r)) for r, size in zip(reach, (h, w), strict=True)
    )
    out = [padded_length(s, r, t, p) for s, r, t, p in zip((h, w), reach, stride, pads, strict=True)]
    shape = (outputs, *window, c)
    largest = form.get("largest")
    weights = net.weights(shape, 0, largest is None, largest=largest) if largest else extreme_weights(net, shape, 0)
    if not form.get("widest"):
        without_widest_pairs(net, weights)
    inputs = (x, weights, net.bias(x, weights, outputs, window[0] * window[1] * c))
    q = net.sum_quant(x, weights, window[0] * window[1] * c, form.get("left_shift", False))
    assert q is not None
    attributes = {"stride": stride, "dilation": dilation, "padding": padding(*pads)}
    y = QParams(q.scale, form.get("zero_point", q.zero_point))
    return net.apply(ops.Conv2D, inputs, (n, *out, outputs), y, **attributes, activation=form.get("activation", NONE))


def _products(rng: np.random.Generator, **form: Any) -> Graph:
    """Convolutions one after the other: `layers` of them, of random shapes unless `form` has them."""
    net = Net(rng)
    size = form.get("size") or (net.size(1, 7), net.size(1, 7))
    x = net.input((form.get("batch", 1), *size, form.get("channels") or net.size(1, 40)))
    for _ in range(form.get("layers", 1)):
        window = form.get("window") or (net.size(1, 3), net.size(1, 3))
        outputs = form.get("outputs") or net.size(1, 13)
        x = product(net, x, **{**form, "window": window, "outputs": outputs})
    return net.graph(x)


_SAME = ((1, 1), (1, 1))
_NO_PADS = ((0, 0), (0, 0))
_pointwise = partial(_products, window=(1, 1), pads=_NO_PADS, layers=2)


def _product_forms(name: str, of: Generator, **form: Any) -> dict[str, Generator]:
    """A requantization of `of` with few and many channels, odd and even."""
    return {
        name: partial(of, **form),
        f"{name}_words": partial(of, channels=12, outputs=8, **form),
        f"{name}_many": partial(of, channels=36, outputs=12, **form),
        f"{name}_batch": partial(of, batch=2, **form),
    }


def _eight(rng: np.random.Generator, **form: Any) -> Graph:
    """Of eight channels, to more and back to eight."""
    net = Net(rng)
    x = net.input((form.get("batch", 1), net.size(1, 7), net.size(1, 7), 8))
    for outputs in (8, 4 * net.size(1, 4)):
        x = product(net, x, outputs, (1, 1), **form, pads=_NO_PADS, widest=True)
    return net.graph(x)


def _window_of_three(rng: np.random.Generator, **form: Any) -> Graph:
    """Channels in fours, unless `form` has them."""
    few = {"channels": 4 * int(rng.integers(1, 5)), "outputs": 4 * int(rng.integers(1, 4)), "widest": True}
    return _products(
        rng, **{"window": (3, 3), "size": (int(rng.integers(1, 12)), int(rng.integers(1, 12)))} | few | form
    )


def _winograd_forms(name: str, of: Generator) -> dict[str, Generator]:
    return {
        f"{name}_12": partial(of, zero_point=-128, largest=30),
        f"{name}_8": partial(of, zero_point=-128, largest=4, channels=4),
        f"{name}_twice": partial(of, zero_point=20),
    }


GENERATORS: dict[str, Generator] = {
    **_product_forms("pointwise_gemm_12", _pointwise, zero_point=-128),
    **_product_forms("pointwise_gemm_twice", _pointwise, zero_point=11),
    "pointwise_gemm_8": partial(_pointwise, zero_point=-128, largest=5, channels=23),
    "pointwise_gemm_8_words": partial(_pointwise, zero_point=-128, largest=5, channels=24, outputs=24),
    **_product_forms("conv2d_gemm_12", _products, zero_point=-128),
    **_product_forms("conv2d_gemm_twice", _products, zero_point=-100),
    "conv2d_gemm_12_same": partial(
        _products, zero_point=-128, window=(3, 3), pads=_SAME, channels=16, outputs=18, layers=2
    ),
    "conv2d_gemm_12_by_two": partial(_products, zero_point=-128, window=(3, 3), stride=(2, 2), channels=12),
    "conv2d_gemm_12_by_two_odd": partial(_products, zero_point=-128, window=(2, 3), stride=(1, 2), channels=13),
    "conv2d_gemm_12_dilated": partial(
        _products, zero_point=-128, window=(2, 3), dilation=(2, 3), size=(9, 11), channels=4
    ),
    "conv2d_gemm_12_dilated_odd": partial(_products, zero_point=-128, window=(3, 2), dilation=(2, 2), size=(9, 9)),
    "conv2d_gemm_8": partial(_products, zero_point=-128, largest=5, window=(3, 3)),
    "conv2d_gemm_8_words": partial(_products, zero_point=-128, largest=5, window=(1, 3), channels=16),
    "pointwise_eight_12": partial(_eight, zero_point=-128),
    "pointwise_eight_8": partial(_eight, zero_point=-128, largest=5),
    "pointwise_eight_twice": partial(_eight, zero_point=11),
    "pointwise_eight_12_batch": partial(_eight, zero_point=-128, batch=3),
    **_winograd_forms("conv2d_winograd", _window_of_three),
    **_winograd_forms("conv2d_winograd_row", partial(_window_of_three, window=(2, 3))),
    "conv2d_winograd_12_same": partial(_window_of_three, zero_point=-128, pads=_SAME, layers=2),
    "conv2d_winograd_12_batch": partial(_window_of_three, zero_point=-128, pads=_SAME, batch=2, size=(5, 13)),
    "conv2d_winograd_12_large": partial(_window_of_three, zero_point=-128, pads=_SAME, size=(17, 15), channels=16),
    "conv2d_winograd_12_deep": partial(_window_of_three, zero_point=-128, channels=100, outputs=4, largest=20),
    "conv2d_winograd_row_12_by_two": partial(_window_of_three, zero_point=-128, stride=(2, 1)),
    "conv2d_winograd_row_12_dilated": partial(
        _window_of_three, zero_point=-128, window=(2, 3), dilation=(2, 1), layers=2
    ),
    "conv2d_winograd_row_12_signal": partial(_window_of_three, zero_point=-128, window=(1, 3), size=(1, 33), layers=2),
    "conv2d_winograd_row_12_batch": partial(_window_of_three, zero_point=-128, window=(5, 3), size=(6, 7), batch=2),
    "conv2d_sums_clamped": partial(_products, activation=ops.Activation.RELU, zero_point=3),
    "conv2d_sums_clamped_words": partial(_products, activation=ops.Activation.RELU6, zero_point=-90, channels=8),
    "conv2d_sums_widest": partial(_products, widest=True, zero_point=-128, channels=40, window=(3, 3)),
    "conv2d_sums_left": partial(_products, left_shift=True, largest=1),
    "conv2d_sums_in_place": partial(_pointwise, left_shift=True, largest=1, channels=6, outputs=6),
}
