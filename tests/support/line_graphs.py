"""Random depthwise convolutions whose windows, strides and dilations are of any size, for kernels over lines."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from graphs import Generator
from nets import Net, padded_length, padding
from product_graphs import extreme_weights

from mcuquant.ir import Graph, QParams, ops


def _lines(rng: np.random.Generator, **form: Any) -> Graph:
    """`widths` of images (any in the range), `stride` and `dilation` along a row, `longest` row of a window.

    `tallest`: rows of a window; `outputs`: so many at least along both axes, with no more padding than that takes.
    """
    net = Net(rng)
    channels = form.get("channels") or net.size(1, 9)
    size = form.get("size") or (net.size(1, 9), net.size(*form.get("widths", (1, 30))))
    window = (net.size(1, form.get("tallest", 4)), net.size(1, form.get("longest", 5)))
    stride, dilation = (net.size(1, 3), form.get("stride", 1)), (net.size(1, 2), form.get("dilation", 1))
    span = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
    pads = [(net.size(0, k), net.size(0, k) + max(k - s, 0)) for k, s in zip(span, size, strict=True)]
    if outputs := form.get("outputs"):
        pads = [(0, max(k - s, 0) + outputs - 1) for k, s in zip(span, size, strict=True)]
    out = [padded_length(s, k, t, p) for s, k, t, p in zip(size, span, stride, pads, strict=True)]
    x = net.input((form.get("batch", 1), *size, channels))
    w = extreme_weights(net, (1, *window, channels), 3)
    q = net.sum_quant(x, w, window[0] * window[1])
    assert q is not None
    y = QParams.of(q.scale[0] * form.get("coarser", 1), form.get("zero_point", -128))
    attributes = {"stride": stride, "dilation": dilation, "padding": padding(*pads), "activation": ops.Activation.NONE}
    inputs = (x, w, net.bias(x, w, channels, window[0] * window[1]))
    shape = (form.get("batch", 1), *out, channels)
    return net.graph(net.apply(ops.DepthwiseConv2D, inputs, shape, y, **attributes))


def column(rng: np.random.Generator, **form: Any) -> Graph:
    """Windows along a column of pixels, or a row, `taps` long; `dilation` and `stride` along it; `outputs` of them.

    Channels are whole words unless `channels` says else.
    """
    net = Net(rng)
    channels, taps = form.get("channels") or 4 * net.size(1, 5), form.get("taps") or net.size(1, 17)
    stride, dilation = form.get("stride", 1), form.get("dilation", 1)
    outputs = form.get("outputs", 1)
    rows = (outputs - 1) * stride + (taps - 1) * dilation + 1 + net.size(0, 2)

    def turned(along: int, across: int = 1) -> tuple[int, int]:
        return (across, along) if form.get("is_row") else (along, across)

    x = net.input((1, *turned(rows), channels))
    w = extreme_weights(net, (1, *turned(taps), channels), 3)
    q = net.sum_quant(x, w, taps)
    assert q is not None
    y = QParams.of(q.scale[0] * form.get("coarser", 1), form.get("zero_point", -128))
    inputs = (x, w, net.bias(x, w, channels, taps))
    attributes = {"stride": turned(stride), "dilation": turned(dilation), "activation": ops.Activation.NONE}
    return net.graph(net.apply(ops.DepthwiseConv2D, inputs, (1, *turned(outputs), channels), y, **attributes))


_WIDE = (20, 60)
_FOUR: dict[str, Any] = {"widths": (1, 2), "outputs": 4}
_TWO: dict[str, Any] = {"widths": (1, 2), "outputs": 2}

GENERATORS: dict[str, Generator] = {
    "depthwise_lines_6_8": partial(_lines, widths=_WIDE),
    "depthwise_lines_6_8_words": partial(_lines, widths=_WIDE, channels=8),
    "depthwise_lines_6_12_long": partial(_lines, widths=_WIDE, longest=40, coarser=16),
    "depthwise_lines_6_12_valid": partial(_lines, size=(12, 40), longest=15, tallest=9, outputs=1, coarser=16),
    "depthwise_lines_6_twice_dilated": partial(_lines, widths=_WIDE, dilation=3, zero_point=4),
    "depthwise_lines_6_twice_apart": partial(_lines, widths=_WIDE, stride=3, zero_point=4),
    "depthwise_lines_6_twice_both": partial(_lines, widths=(60, 90), stride=3, dilation=2, zero_point=-100),
    "depthwise_lines_6_twice_batch": partial(_lines, widths=_WIDE, batch=2, zero_point=0),
    "depthwise_lines_6_twice_large": partial(_lines, size=(30, 40), zero_point=0, channels=5),
    "depthwise_lines_4_8": partial(_lines, **_FOUR),
    "depthwise_column_8": partial(column, taps=3),
    "depthwise_column_8_outputs": partial(column, taps=4, outputs=7, stride=2),
    "depthwise_column_12_row": partial(column, taps=15, coarser=16, is_row=True, dilation=2),
    "depthwise_column_12_outputs": partial(column, taps=6, outputs=5, coarser=16),
    "depthwise_column_twice": partial(column, zero_point=3),
    "depthwise_column_twice_outputs": partial(column, zero_point=-20, outputs=4, is_row=True),
    "depthwise_lines_4_8_words": partial(_lines, **_FOUR, channels=4),
    "depthwise_lines_4_8_valid": partial(_lines, size=(4, 8), longest=1, tallest=3, outputs=1, channels=2),
    "depthwise_lines_4_twice_valid": partial(
        _lines, size=(4, 8), longest=1, tallest=3, outputs=1, channels=2, zero_point=7
    ),
    "depthwise_lines_4_twice": partial(_lines, **_FOUR, zero_point=0, channels=4),
    "depthwise_lines_2_8": partial(_lines, **_TWO),
    "depthwise_lines_2_8_words": partial(_lines, **_TWO, channels=4),
    "depthwise_lines_2_twice_long": partial(_lines, **_TWO, longest=20, zero_point=3),
    "depthwise_lines_2_twice": partial(_lines, **_TWO, zero_point=90),
    "depthwise_lines_apart_8": partial(_lines, widths=_WIDE, stride=2),
    "depthwise_lines_apart_12_long": partial(_lines, widths=_WIDE, stride=2, longest=40, coarser=16),
    "depthwise_lines_apart_twice": partial(_lines, widths=_WIDE, stride=2, zero_point=10),
    "depthwise_lines_apart_twice_both": partial(_lines, widths=_WIDE, stride=2, dilation=3, zero_point=-3),
    "depthwise_lines_6_twice_same": partial(_lines, widths=_WIDE, stride=2, dilation=2, zero_point=-3),
}
