"""Random graphs that the variants for cores with MVE take, like `fast_graphs`: named after the variant."""

from __future__ import annotations

from functools import partial
from typing import Any

import fast_graphs
import line_graphs
import numpy as np
import product_graphs
import recurrent_graphs
from graphs import Generator
from nets import Net, padded_length, padding

from mcuquant.ir import DType, Graph, QParams, ops
from mcuquant.ir.ops import Activation

_products = product_graphs._products
_NO_PADS = ((0, 0), (0, 0))
_SAME = ((1, 1), (1, 1))
_pointwise = partial(_products, window=(1, 1), pads=_NO_PADS)


def _forms(name: str, of: Generator, **form: Any) -> dict[str, Generator]:
    """Few and many channels, whole vectors and not, one output and more."""
    return {
        name: partial(of, layers=2, **form),
        f"{name}_vectors": partial(of, channels=16, outputs=8, **form),
        f"{name}_many_vectors": partial(of, channels=80, outputs=12, **form),
        f"{name}_many": partial(of, channels=93, outputs=13, **form),
        f"{name}_few_outputs": partial(of, outputs=3, **form),
        f"{name}_batch": partial(of, batch=2, **form),
    }


def _depthwise(rng: np.random.Generator, **form: Any) -> Graph:
    """Depthwise convolution, of random shape unless `form` has it, to an output with `zero_point`."""
    net = Net(rng)
    size = form.get("size") or (net.size(1, 9), net.size(1, 14))
    x = net.input((form.get("batch", 1), *size, form.get("channels") or net.size(1, 9)))
    for _ in range(form.get("layers", 1)):
        x = depthwise(net, x, **form)
    return net.graph(x)


def depthwise(net: Net, x: int, **form: Any) -> int:
    n, h, w, c = net.shape(x)
    window, stride = form.get("window") or (net.size(1, 3), net.size(1, 3)), form.get("stride", (1, 1))
    pads = form.get("pads") or [
        (net.size(0, 2), net.size(max(k - s, 0), 3)) for k, s in zip(window, (h, w), strict=True)
    ]
    out = [padded_length(s, k, t, p) for s, k, t, p in zip((h, w), window, stride, pads, strict=True)]
    weights = product_graphs.extreme_weights(net, (1, *window, c), 3)
    q = fast_graphs.after_relu(net, x, weights, window[0] * window[1])
    attributes = {"stride": stride, "padding": padding(*pads), "activation": form.get("activation", Activation.NONE)}
    inputs = (x, weights, net.bias(x, weights, c, window[0] * window[1]))
    return net.apply(
        ops.DepthwiseConv2D, inputs, (n, *out, c), QParams(q.scale, form.get("zero_point", -128)), **attributes
    )


def _depthwise_forms(name: str, **form: Any) -> dict[str, Generator]:
    """Two rows at a time, or one; few, 16 and more channels."""
    of = partial(_depthwise, **form)
    return {
        name: of,
        f"{name}_same": partial(of, window=(3, 3), pads=_SAME, channels=16, layers=2),
        f"{name}_many": partial(of, window=(3, 3), channels=37),
        f"{name}_batch": partial(of, batch=2, layers=2),
        f"{name}_by_two": partial(of, stride=(2, 2), channels=16),
        f"{name}_across": partial(of, stride=(1, 2), size=(3, 25)),
        f"{name}_down": partial(of, stride=(3, 1)),
    }


def _dense(rng: np.random.Generator, **form: Any) -> Graph:
    """Fully connected layers of a row, or of `rows`."""
    net = Net(rng)
    x = net.input((form.get("rows", 1), form.get("depth") or net.size(1, 70)))
    zero_point = form.get("zero_point", -128)
    y = fast_graphs.dense(net, x, form.get("outputs") or net.size(1, 30), zero_point, form.get("per_channel", False))
    return net.graph(fast_graphs.dense(net, y, net.size(1, 9), zero_point))


GENERATORS: dict[str, Generator] = {
    **_forms("pointwise_mve_above", _pointwise, zero_point=-128),
    **_forms("pointwise_mve_signed", _pointwise, zero_point=11),
    **_forms("pointwise_mve_clamped", _pointwise, zero_point=-20, activation=Activation.RELU),
    "pointwise_mve_above_by_two": partial(_pointwise, zero_point=-128, stride=(2, 2)),
    "pointwise_mve_signed_across": partial(_pointwise, zero_point=4, stride=(1, 3), channels=16),
    "pointwise_mve_above_one_pixel": partial(_pointwise, zero_point=-128, size=(1, 1)),
    "pointwise_mve_above_dense": _dense,
    "pointwise_mve_above_dense_vectors": partial(_dense, depth=48, outputs=32),
    "pointwise_mve_signed_dense_rows": partial(_dense, zero_point=3, rows=3),
    "pointwise_mve_signed_dense_by_channel": partial(_dense, zero_point=-20, per_channel=True),
    "lstm_mve_s8": partial(recurrent_graphs.lstm, finer=5),
    "lstm_mve_s16": partial(recurrent_graphs.lstm, dtype=DType.INT16, finer=5),
    "depthwise_column_mve": partial(line_graphs.column, taps=5),
    "depthwise_column_mve_outputs": partial(
        line_graphs.column, outputs=7, stride=2, dilation=2, channels=7, zero_point=9
    ),
    "depthwise_column_mve_clamped": partial(line_graphs.column, zero_point=-20),
    "depthwise_column_mve_row": partial(line_graphs.column, outputs=4, is_row=True, channels=6, zero_point=5),
    **_depthwise_forms("depthwise_mve_above", zero_point=-128),
    **_depthwise_forms("depthwise_mve_signed", zero_point=7),
    **_depthwise_forms("depthwise_mve_clamped", zero_point=-9, activation=Activation.RELU),
    "depthwise_mve_above_one_row": partial(_depthwise, size=(1, 17), window=(1, 3), pads=((0, 0), (0, 1))),
    "depthwise_mve_above_one_pixel": partial(_depthwise, size=(1, 1), window=(3, 3), pads=_SAME),
    **_forms("conv2d_mve_above", _products, zero_point=-128),
    **_forms("conv2d_mve_signed", _products, zero_point=-100),
    **_forms("conv2d_mve_clamped", _products, zero_point=-90, activation=Activation.RELU6),
    "conv2d_mve_above_same": partial(_products, zero_point=-128, window=(3, 3), pads=_SAME, channels=16, layers=2),
    "conv2d_mve_above_image": partial(
        _products, zero_point=-128, window=(3, 3), stride=(2, 2), channels=3, size=(9, 9)
    ),
    "conv2d_mve_signed_by_two": partial(_products, zero_point=0, window=(2, 3), stride=(1, 2), channels=13),
    "conv2d_mve_above_dilated": partial(_products, zero_point=-128, window=(2, 3), dilation=(2, 3), size=(9, 11)),
    "conv2d_mve_above_tall": partial(
        _products, zero_point=-128, window=(10, 4), stride=(2, 2), channels=1, size=(19, 9)
    ),
    "transpose_mve_words": partial(fast_graphs.transposed, shape=(1, 12, 37)),
    "transpose_mve_bytes": partial(fast_graphs.transposed, shape=(2, 7, 19)),
}
