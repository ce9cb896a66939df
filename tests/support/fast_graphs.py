"""Random graphs that the variants for particular cores take: extreme weights, awkward sizes, one or two operations.

Like `graphs.GENERATORS`: a name to a function of a random generator. Tests plan them for a core that has the variant.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import dot_graphs
import layers
import line_graphs
import numpy as np
import product_graphs
import recurrent_graphs
import signal_graphs
from compressed import shared
from graphs import Generator
from nets import Net, padded_length, padding
from product_graphs import extreme_weights

from mcuquant.ir import DType, Graph, Pair, QParams, Shape, ops

NONE, RELU = ops.Activation.NONE, ops.Activation.RELU


def after_relu(net: Net, x: int, w: int, terms: int) -> QParams:
    """Output quantisation that such sums fill, with the zero point of a ReLU's."""
    q = net.sum_quant(x, w, terms)
    assert q is not None
    return QParams(q.scale, -128)


def dense(net: Net, x: int, outputs: int, zero_point: int = -128, per_channel: bool = False) -> int:
    depth = net.shape(x)[-1]
    w = extreme_weights(net, (outputs, depth), 0, per_channel)
    product_graphs.without_widest_pairs(net, w)
    q = after_relu(net, x, w, depth)
    inputs = (x, w, net.bias(x, w, outputs, depth))
    y = (*net.shape(x)[:-1], outputs)
    return net.apply(ops.FullyConnected, inputs, y, QParams(q.scale, zero_point), activation=NONE)


def _dense(rng: np.random.Generator, **form: Any) -> Graph:
    """`widens`: many outputs, so that scratch for the inputs is allowed."""
    net = Net(rng)
    depth = form.get("depth") or net.size(1, 70)
    x = net.input((form.get("rows", 1), depth))
    outputs = 4 * depth + net.size(16, 25) if form.get("widens") else form.get("outputs") or net.size(1, 30)
    y = dense(net, x, outputs, form.get("zero_point", -128), form.get("per_channel", False))
    return net.graph(y if form.get("widens") else dense(net, y, net.size(1, 9)))


def small_depthwise(
    net: Net, x: int, window: Pair, stride: Pair, pads: tuple[Pair, Pair], zero_point: int | None = None
) -> int:
    """Depthwise convolution; padding grows where the window would not fit."""
    n, h, w, c = net.shape(x)
    missing = [max(k - size - sum(pad), 0) for k, size, pad in zip(window, (h, w), pads, strict=True)]
    pads = (pads[0][0], pads[0][1] + missing[0]), (pads[1][0], pads[1][1] + missing[1])
    out = [padded_length(s, k, t, p) for s, k, t, p in zip((h, w), window, stride, pads, strict=True)]
    weights = extreme_weights(net, (1, *window, c), 3)
    inputs = (x, weights, net.bias(x, weights, c, window[0] * window[1]))
    y = after_relu(net, x, weights, window[0] * window[1])
    form = {"stride": stride, "padding": padding(*pads), "activation": net.pick(NONE, RELU)}
    if zero_point is not None:
        y, form["activation"] = QParams(y.scale, zero_point), NONE
    return net.apply(ops.DepthwiseConv2D, inputs, (n, *out, c), y, **form)


def _depthwise(rng: np.random.Generator, **form: Any) -> Graph:
    """Sizes, channels and padding at random unless `form` has them; `layers` of them one after the other."""
    net = Net(rng)
    size = form.get("size") or (net.size(1, 14), net.size(1, 30))
    x = net.input((form.get("batch", 1), *size, form.get("channels") or net.size(1, 9)))
    for _ in range(form.get("layers", 1)):
        window = (net.size(1, 3), net.size(1, 3)) if form.get("smaller") else (3, 3)
        pads = form.get("pads") or ((net.size(0, 2), net.size(0, 2)), (net.size(0, 1), net.size(0, 2)))
        x = small_depthwise(net, x, window, form.get("stride", (1, 1)), pads, form.get("zero_point"))
    return net.graph(x)


def _few(rng: np.random.Generator, **form: Any) -> Graph:
    """A convolution whose windows have at most 64 taps, of 1 to 3 channels unless `form` says."""
    net = Net(rng)
    c = form.get("channels") or net.size(1, 3)
    x = net.input((form.get("batch", 1), net.size(1, 12), net.size(1, 12), c))
    shape = net.shape(x)
    window, stride, dilation, pad, out = layers.window_geometry(
        net, shape, form.get("tallest", 4), form.get("dilate", False)
    )
    outputs = net.size(1, 9)
    terms = window[0] * window[1] * c
    w = extreme_weights(net, (outputs, *window, c), 0)
    y = after_relu(net, x, w, terms)
    attributes = {"stride": stride, "dilation": dilation, "padding": pad, "activation": NONE}
    q = QParams.of(y.scale[0] * form.get("coarser", 1), form.get("zero_point", -128))
    inputs = (x, w, net.bias(x, w, outputs, terms))
    return net.graph(net.apply(ops.Conv2D, inputs, (shape[0], *out, outputs), q, **attributes))


def _add(rng: np.random.Generator, kind: type[ops.Binary], **form: Any) -> Graph:
    """Two sums, the second of the first and a constant; `form` has the output's zero point, if not any."""
    net = Net(rng)
    shape = (1, *(net.size(1, 9) for _ in range(net.size(1, 3))))
    x = net.input(shape)
    for b in (net.input(shape), net.constant(rng.integers(-128, 128, shape), DType.INT8, net.quant(DType.INT8))):
        q = net.quant(DType.INT8, max(net.scale(x), net.scale(b)) * rng.uniform(0.3, 2), form.get("zero_point"))
        x = net.apply(kind, (x, b) if net.pick(False, True) else (b, x), shape, q, activation=NONE)
    return net.graph(x)


def _rows(rng: np.random.Generator, kind: type[ops.Binary], **form: Any) -> Graph:
    """Rows and `other`, which has one value for a row or one row for all, on either side; or two tensors alike."""
    net = Net(rng)
    rows, depth = net.size(1, 9), net.size(2, 19)
    other = {"column": (1, rows, 1), "row": (1, 1, depth), "alike": (1, rows, depth)}[form["other"]]
    x, b = net.input((1, rows, depth)), net.input(other)
    largest = net.scale(x) * net.scale(b) * 90 if kind is ops.Mul else max(net.scale(x), net.scale(b))
    q = net.quant(DType.INT8, largest * rng.uniform(0.5, 2))
    return net.graph(net.apply(kind, (b, x) if form.get("swapped") else (x, b), (1, rows, depth), q, activation=NONE))


def _pool(rng: np.random.Generator, kind: type[ops.Pool], **form: Any) -> Graph:
    net = Net(rng)
    x = net.input((1, net.size(1, 9), net.size(1, 9), 4 * net.size(1, 3)))
    return net.graph(layers.pool(net, x, kind, form.get("rescale", False)))


def _mean_of_rows(rng: np.random.Generator) -> Graph:
    net = Net(rng)
    x = net.input((1, net.size(2, 9), 4 * net.size(1, 30)))
    kind = net.pick(ops.Mean, ops.Sum)
    y = net.quant(net.dtype, net.scale(x) * (1 if kind is ops.Mean else 6) * net.rng.uniform(0.5, 2))
    return net.graph(net.apply(kind, (x,), (1, net.shape(x)[1], 1), y, axes=(2,)))


def _global(rng: np.random.Generator, kind: type[ops.Op], size: Pair, channels: int = 0) -> Graph:
    """Over all of an image: a pool, or a mean; channels are whole words unless they are given."""
    net = Net(rng)
    x = net.input((1, *size, channels or 4 * net.size(1, 3)))
    shape = (1, 1, 1, net.shape(x)[3])
    if kind is ops.Mean:
        return net.graph(net.apply(ops.Mean, (x,), shape, layers.near(net, x), axes=(1, 2)))
    return net.graph(net.apply(kind, (x,), shape, net.tensors[x].q, window=size, stride=size))


_SAME = ((1, 1), (1, 1))


def transposed(rng: np.random.Generator, shape: Shape) -> Graph:
    """A matrix with its rows as columns."""
    net = Net(rng)
    x = net.input(shape)
    y = net.apply(ops.Transpose, (x,), (shape[0], shape[2], shape[1]), net.tensors[x].q, perm=(0, 2, 1))
    return net.graph(y)


GENERATORS: dict[str, Generator] = {
    "add_rows_column": partial(_rows, kind=ops.Add, other="column"),
    "add_rows_row": partial(_rows, kind=ops.Add, other="row", swapped=True),
    "add_rows_subtracted": partial(_rows, kind=ops.Sub, other="column", swapped=True),
    "mul_rows_column": partial(_rows, kind=ops.Mul, other="column"),
    "mul_rows_column_first": partial(_rows, kind=ops.Mul, other="column", swapped=True),
    "mul_rows_row": partial(_rows, kind=ops.Mul, other="row"),
    "mul_rows_alike": partial(_rows, kind=ops.Mul, other="alike"),
    "depthwise_planes_shared": lambda rng: shared(_depthwise(rng, pads=_SAME, channels=8), rng, 16),
    "depthwise_planes": _depthwise,
    "depthwise_planes_words": partial(_depthwise, channels=8),
    "depthwise_planes_same": partial(_depthwise, pads=_SAME, channels=8, layers=3),
    "depthwise_planes_five_wide": partial(_depthwise, pads=_SAME, size=(25, 5)),
    "depthwise_planes_five_wide_by_two": partial(_depthwise, pads=_SAME, size=(9, 5), stride=(2, 1), channels=4),
    "depthwise_planes_by_two": partial(_depthwise, stride=(2, 2)),
    "depthwise_planes_by_two_words": partial(_depthwise, stride=(2, 2), channels=4),
    "depthwise_planes_by_two_before_or_after": partial(_depthwise, stride=(2, 2), pads=((0, 1), (0, 1)), layers=2),
    "depthwise_planes_odd_strides": partial(_depthwise, stride=(3, 2)),
    "depthwise_planes_down_only": partial(_depthwise, stride=(2, 1)),
    "depthwise_planes_across_only": partial(_depthwise, stride=(1, 2)),
    "depthwise_planes_smaller": partial(_depthwise, smaller=True),
    "depthwise_planes_batch": partial(_depthwise, batch=2),
    "depthwise_planes_twice": partial(_depthwise, zero_point=10),
    "depthwise_planes_twice_words": partial(_depthwise, zero_point=-90, channels=8, layers=2),
    "depthwise_planes_twice_five_wide": partial(_depthwise, zero_point=1, pads=_SAME, size=(25, 5)),
    "depthwise_planes_twice_by_two": partial(_depthwise, zero_point=100, stride=(2, 2)),
    "depthwise_compact": _depthwise,
    "depthwise_compact_words": partial(_depthwise, channels=8),
    "depthwise_compact_by_two": partial(_depthwise, stride=(2, 2), channels=4, smaller=True),
    "depthwise_compact_same": partial(_depthwise, pads=_SAME, channels=12, layers=2),
    "depthwise_compact_batch": partial(_depthwise, batch=2, channels=4),
    "conv2d_few_channels_8": _few,
    "conv2d_few_channels_8_dilated": partial(_few, dilate=True),
    "conv2d_few_channels_8_batch": partial(_few, batch=2),
    "conv2d_few_channels_8_five": partial(_few, channels=5, tallest=3),
    "conv2d_few_channels_12": partial(_few, channels=7, tallest=3, coarser=4),
    "conv2d_few_channels_12_taps": partial(_few, channels=1, tallest=8, coarser=8),
    "conv2d_few_channels_twice": partial(_few, zero_point=5),
    "conv2d_few_channels_twice_wide": partial(_few, channels=7, tallest=3, zero_point=-100),
    "add_words": partial(_add, kind=ops.Add),
    "add_words_after_relu": partial(_add, kind=ops.Add, zero_point=-128),
    "add_words_sub": partial(_add, kind=ops.Sub),
    "avg_pool_words": partial(_pool, kind=ops.AvgPool2D),
    "avg_pool_words_rescale": partial(_pool, kind=ops.AvgPool2D, rescale=True),
    "avg_pool_words_global": partial(_global, kind=ops.AvgPool2D, size=(25, 5)),
    "avg_pool_words_many": partial(_global, kind=ops.AvgPool2D, size=(31, 25)),
    "max_pool_words": partial(_pool, kind=ops.MaxPool2D),
    "max_pool_words_rescale": partial(_pool, kind=ops.MaxPool2D, rescale=True),
    "mean_words": partial(_global, kind=ops.Mean, size=(7, 5)),
    "mean_words_many": partial(_global, kind=ops.Mean, size=(31, 25)),
    "mean_flat": partial(_global, kind=ops.Mean, size=(7, 5), channels=5),
    "mean_flat_few": partial(_global, kind=ops.Mean, size=(1, 3), channels=13),
    "mean_flat_many": partial(_global, kind=ops.Mean, size=(35, 31), channels=2),
    "fully_connected_eight": _dense,
    "fully_connected_eight_by_channel": partial(_dense, per_channel=True),
    "fully_connected_eight_rows": partial(_dense, rows=3, depth=20, outputs=12),
    "fully_connected_eight_deep": partial(_dense, depth=202),
    "fully_connected_eight_twice": partial(_dense, zero_point=3),
    "fully_connected_eight_twice_by_channel": partial(_dense, zero_point=-20, per_channel=True),
    "fully_connected_eight_prepared": partial(_dense, widens=True),
    "fully_connected_eight_prepared_rows": partial(_dense, widens=True, rows=2, depth=12),
    "fully_connected_eight_prepared_deep": partial(_dense, widens=True, depth=72),
    "fully_connected_eight_prepared_twice": partial(_dense, widens=True, zero_point=100),
    "fully_connected_eight_prepared_twice_by_channel": partial(_dense, widens=True, zero_point=0, per_channel=True),
    "depthwise_planes_large": partial(_depthwise, pads=_SAME, size=(30, 40), channels=5),
    "depthwise_planes_large_by_two": partial(_depthwise, pads=_SAME, size=(30, 41), channels=4, stride=(2, 2)),
    "lstm_eight": partial(recurrent_graphs.lstm, multiple=4, finer=5),
    "lstm_eight_clipped": partial(recurrent_graphs.lstm, multiple=4, clip=0.4, finer=4),
    "lstm_words_s16": partial(recurrent_graphs.lstm, multiple=4, dtype=DType.INT16),
    "lstm_words": partial(recurrent_graphs.lstm, multiple=4),
    "lstm_words_clipped": partial(recurrent_graphs.lstm, multiple=4, clip=0.4),
    **signal_graphs.WORDS,
    **product_graphs.GENERATORS,
    **dot_graphs.GENERATORS,
    **line_graphs.GENERATORS,
    "transpose_words": partial(transposed, shape=(1, 8, 12)),
    "transpose_bytes": partial(transposed, shape=(2, 7, 16)),
    "transpose_few": partial(transposed, shape=(1, 3, 20)),
    **dot_graphs.MORE_GENERATORS,
    "mean_rows": _mean_of_rows,
}
