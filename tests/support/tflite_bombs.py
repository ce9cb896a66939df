"""Small files that ask for much: each near a limit of what is read, and made to be slow or large further on.

Without limits their like took a quarter of an hour in the planner (`many_outputs`, `many_parts`), 1.7 GB of texts
(`many_weights`), 32 GB for one padded image (`wide_dilation`), and hours in the analysis of a pool (`large_windows`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from tflite_rows import Rows

from mcuquant.tflite.schema import Quantization


def bombs() -> dict[str, Callable[[], bytes]]:
    """Name -> maker of the file."""
    return {
        "many_outputs": many_outputs,
        "many_parts": many_parts,
        "many_ends": many_ends,
        "many_layers": many_layers,
        "many_weights": many_weights,
        "many_channels": many_channels,
        "constant_convolutions": constant_convolutions,
        "constant_products": constant_products,
        "large_sums": large_sums,
        "large_windows": large_windows,
        "wide_dilation": wide_dilation,
        "long_analysis": long_analysis,
        "many_taps": many_taps,
        "extreme_scales": extreme_scales,
    }


def many_outputs() -> bytes:
    rows = Rows()
    x = rows.input((1, 2))
    y = [rows.op("RELU", [x], (1, 2)) for _ in range(1000)]
    return rows.bytes(rows.op("CONCATENATION", y[:745], (1, 1490), axis=1), *y[745:])


def many_parts() -> bytes:
    rows = Rows()
    parts = rows.op("UNPACK", [rows.input((1, 500))], *[(1,)] * 500, axis=1, num=500)
    return rows.bytes(*parts[:256])


def many_ends() -> bytes:
    rows = Rows()
    inputs = [rows.input((1, 2)) for _ in range(256)]
    return rows.bytes(*[rows.op("RELU", [x], (1, 2)) for x in inputs])


def many_layers() -> bytes:
    rows = Rows()
    y, rng = rows.input((1, 4)), np.random.default_rng(0)
    for _ in range(1000):
        w, b = rows.constant(rng.integers(-127, 127, (4, 4)), "INT8", 0.01), rows.constant(rng.integers(-9, 9, 4))
        y = rows.op("FULLY_CONNECTED", [y, w, b], (1, 4))
    return rows.bytes(y)


def many_weights() -> bytes:
    rows = Rows()
    data = np.random.default_rng(0).integers(-127, 127, (2000, 4000)).astype(np.int8)
    return rows.bytes(
        rows.op("FULLY_CONNECTED", [rows.input((1, 4000)), rows.constant(data, "INT8", 0.01), -1], (1, 2000))
    )


def many_channels() -> bytes:
    rows = Rows()
    rng, channels = np.random.default_rng(0), 60_000
    scales = rng.uniform(0.01, 0.02, channels).astype(np.float32).tolist()
    w = rows.constant(rng.integers(-127, 127, (channels, 10)).astype(np.int8), "INT8", scales)
    return rows.bytes(rows.op("FULLY_CONNECTED", [rows.input((1, 10)), w, -1], (1, channels)))


def constant_convolutions() -> bytes:
    rows = Rows()
    y, w = (rows.constant(np.ones(shape), "INT8", 0.01) for shape in ((1, 64, 64, 64), (64, 5, 5, 64)))
    for _ in range(19):
        y = rows.op("CONV_2D", [y, w], (1, 64, 64, 64), padding=0)
    return rows.bytes(rows.op("RELU", [rows.input((1, 2))], (1, 2)), y)


def constant_products() -> bytes:
    rows = Rows()
    a, b = (rows.constant(np.ones(shape), "INT8", 0.5) for shape in ((1024, 1), (1, 2048)))
    squares = [rows.op("MUL", [a, b], (1024, 2048)) for _ in range(7)]
    return rows.bytes(rows.op("RELU", [rows.input((1, 2))], (1, 2)), *squares)


def large_sums() -> bytes:
    rows = Rows()
    x = y = rows.input((1, 1024, 2048, 1))
    for _ in range(7):
        y = rows.op("ADD", [y, x], (1, 1024, 2048, 1))
    return rows.bytes(y)


def large_windows() -> bytes:
    rows = Rows()
    shape = (1, 1024, 1024, 1)
    x = rows.input(shape)
    average = rows.op("AVERAGE_POOL_2D", [x], (1, 1, 1, 1), filter_width=1024, filter_height=1024)
    return rows.bytes(average, rows.op("MAX_POOL_2D", [x], shape, filter_width=80, filter_height=80, padding=0))


def wide_dilation() -> bytes:
    rows = Rows()
    x, w = rows.input((1, 99, 99, 4)), rows.constant(np.ones((4, 3, 3, 4)), "INT8", 0.01)
    wide = {"dilation_w_factor": 650, "dilation_h_factor": 650}
    return rows.bytes(rows.op("CONV_2D", [x, w], (1, 99, 99, 4), padding=0, **wide))


def long_analysis() -> bytes:
    rows = Rows()
    x, w = rows.input((1, 112, 112, 160)), rows.constant(np.ones((160, 1, 1, 160)), "INT8", 0.01)
    y = rows.op("CONV_2D", [x, w], (1, 112, 112, 160))
    return rows.bytes(y)


def many_taps() -> bytes:
    rows = Rows()
    x, w = rows.input((1, 400, 400, 1)), rows.constant(np.ones((1, 400, 400, 1)), "INT8", 0.01)
    return rows.bytes(rows.op("DEPTHWISE_CONV_2D", [x, w], (1, 1, 1, 1)))


def extreme_scales() -> bytes:
    rows = Rows()
    x = rows.input((1, 4), quantization=Quantization((1e30,), (0,)))
    results = []
    for code, options in (("RELU", {}), ("LEAKY_RELU", {"alpha": 3e38}), ("HARD_SWISH", {}), ("QUANTIZE", {})):
        y = rows.op(code, [x], (1, 4), **options)
        rows.tensors[y] = replace(rows.tensors[y], quantization=Quantization((1e-38,), (0,)))
        results.append(y)
    return rows.bytes(*results)
