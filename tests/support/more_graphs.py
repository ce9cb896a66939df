"""Random graphs beyond those of `graphs`: forms that only our own interpreter gives a meaning, and awkward shapes.

Like `graphs.GENERATORS`: a name to a function of a random generator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import discrete_graphs
import graphs
import layers
import numpy as np
import recurrent_graphs
import signal_graphs
from compressed import asymmetric, narrow, pruned, shared, two_level, with_weights
from graphs import INT8, INT16, Generator
from nets import Net

from mcuquant.ir import DType, Graph, QParams, Shape, Tensor, ops

FLOAT32, INT32, INT64 = DType.FLOAT32, DType.INT32, DType.INT64
DEEP: Shape = (2, 3, 1, 4, 2, 3)


def batched(generator: Generator, n: int, rng: np.random.Generator) -> Graph:
    """The same network over `n` samples at once."""
    graph = generator(rng)
    tensors = {
        i: t if t.is_constant or not t.shape else replace(t, shape=(n, *t.shape[1:])) for i, t in graph.tensors.items()
    }
    return replace(graph, tensors=tensors)


def off_centre(generator: Generator, rng: np.random.Generator) -> Graph:
    """The same network with a random zero point in every int16 activation."""
    graph = generator(rng)

    def moved(t: Tensor) -> Tensor:
        if t.dtype is not INT16 or t.q is None:
            return t
        return replace(t, q=QParams(t.q.scale, int(rng.choice([-32768, 32767, rng.integers(-3000, 3000)]))))

    return replace(graph, tensors={i: moved(t) for i, t in graph.tensors.items()})


def _plain(dtype: DType, shape: Shape, layer: Any, rng: np.random.Generator, **form: Any) -> Graph:
    net = Net(rng, dtype)
    return net.graph(layer(net, net.input(shape), **form), name=layer.__name__)


def _int4_of_int16(layer: Any, shape: Shape, rng: np.random.Generator, **form: Any) -> Graph:
    """int16 activations, weights of 4 bits."""
    return _plain(INT16, shape, layer, rng, bits=4, **form)


def _narrowing(dtype: DType, rng: np.random.Generator, **form: Any) -> Graph:
    """Several rows, each of fewer outputs than inputs: the output may run into the input behind the reader."""
    return _plain(dtype, (1, 5, 9), layers.fully_connected, rng, rows=True, outputs=4, **form)


def _steps_beyond_16_bits(rng: np.random.Generator) -> Graph:
    def change(w: Tensor, axis: int) -> Tensor:
        assert w.q is not None
        channels = w.shape[axis]
        zeros, multipliers = [-128] * channels, [255 - c for c in range(channels)]
        q = QParams.of(w.q.scale[0] / 256, 0, axis, zeros, multipliers)
        return replace(w, q=q, data=rng.choice([-128, -127, 126, 127], w.shape).astype(np.int8))

    return with_weights(_narrowing(INT8, rng), change)


def _weight_zero_point(rng: np.random.Generator) -> Graph:
    graph = graphs.GENERATORS["fully_connected"](rng)
    w = graph[graph.ops[0].inputs[1]]
    assert w.q is not None
    moved = replace(w, q=QParams(w.q.scale, int(rng.choice([-128, 127, 5]))))
    return replace(graph, tensors={**graph.tensors, w.id: moved})


def _arg_max_int64(dtype: DType, rng: np.random.Generator) -> Graph:
    net = Net(rng, dtype)
    x = net.input((1, 3, 5, 2))
    axis = net.size(1, 3)
    shape = tuple(n for i, n in enumerate(net.shape(x)) if i != axis)
    return net.graph(net.apply(ops.ArgMax, (x,), shape, axis=axis, dtype=INT64))


def _broadcast_matmul(dtype: DType, rng: np.random.Generator) -> Graph:
    net = Net(rng, dtype)
    a, b = net.input((2, 1, 3, 4, 5)), net.input((3, 1, 5, 2))
    unit = net.scale(a) * net.scale(b) * dtype.range()[1]
    return net.graph(net.apply(ops.BatchMatMul, (a, b), (2, 3, 3, 4, 2), net.quant(dtype, unit)))


def _wide_broadcast(dtype: DType, rng: np.random.Generator) -> Graph:
    """Five axes that alternate, so that none can be merged."""
    net = Net(rng, dtype)
    a, b = net.input((2, 1, 3, 1, 2)), net.input((3, 1, 4, 1))
    y = net.quant(dtype, max(net.scale(a), net.scale(b)))
    return net.graph(net.apply(ops.Add, (a, b), (2, 3, 3, 4, 2), y))


def _wide_concat(rng: np.random.Generator) -> Graph:
    """Many inputs of differing scales, one of them constant, one given twice."""
    net = Net(rng)
    parts = [net.input((2, n)) for n in (1, 3, 2, 5, 1, 4)]
    q = net.quant(INT8)
    parts += [net.constant(rng.integers(-128, 128, (2, 2)), INT8, q), parts[1]]
    width = sum(net.shape(p)[1] for p in parts)
    return net.graph(net.apply(ops.Concat, tuple(parts), (2, width), layers.near(net, parts[0]), axis=1))


def _deep_mean(kind: type[ops.Reduce], dtype: DType, rng: np.random.Generator) -> Graph:
    """Six axes, every other one reduced."""
    net = Net(rng, dtype)
    x = net.input((2, 3, 2, 4, 3, 2))
    return net.graph(net.apply(kind, (x,), (3, 4, 2), layers.near(net, x), axes=(0, 2, 4)))


def _chain(rng: np.random.Generator) -> Graph:
    """Element-wise layers in place, reshapes between them, two outputs of which one is also read further on."""
    net = Net(rng)
    x = net.input((1, 4, 6, 3))
    a = layers.relu(net, x, activation=ops.Activation.RELU)
    flat = net.apply(ops.Reshape, (a,), (1, 72), net.tensors[a].q)
    b = layers.curve(net, flat, ops.Logistic)
    c = layers.binary(net, b, ops.Mul, b=flat)
    back = net.apply(ops.Reshape, (c,), (1, 4, 6, 3), net.tensors[c].q)
    return net.graph(b, layers.conv2d(net, back), layers.transpose(net, back))


def _twice(kind: type[ops.Binary], rng: np.random.Generator) -> Graph:
    """Both operands are the same tensor, which the output may overwrite."""
    net = Net(rng)
    x = net.input((1, 4, 6, 3))
    return net.graph(layers.binary(net, x, kind, b=x))


def _moves(dtype: DType) -> dict[str, Generator]:
    """Movements of elements of a type that is not computed with."""
    return {
        f"pad_{dtype}": partial(_plain, dtype, (1, 3, 2, 3), layers.pad),
        f"slice_{dtype}": partial(_plain, dtype, (1, 4, 3, 5), layers.slice_),
        f"transpose_{dtype}": partial(_plain, dtype, (1, 4, 3, 5), layers.transpose),
        f"concat_{dtype}": partial(_plain, dtype, (1, 4, 3), layers.concat),
        f"resize_nearest_{dtype}": partial(_plain, dtype, (1, 3, 4, 2), layers.resize_nearest),
    }


_INT8, _INT16 = graphs.GENERATORS, {n: g for n, g in graphs.GENERATORS.items() if n.endswith("_int16")}


def _compressed(name: str, rng: np.random.Generator, *changes: Callable[..., Graph], **form: Any) -> Graph:
    """A graph of `graphs`, its weights changed in turn; `form` goes to the first change."""
    graph = changes[0](graphs.GENERATORS[name](rng), rng, **form)
    for change in changes[1:]:
        graph = change(graph, rng)
    return graph


def _sparse_forms(of: Callable[..., Generator]) -> dict[str, Generator]:
    """Many zeros: with a codebook, without, with zero points and multipliers."""
    names = ("conv2d", "conv2d_dilated", "conv2d_pointwise", "fully_connected", "fully_connected_rows")
    return {
        **{f"{name}_pruned": of(name, pruned, zeros=0.8) for name in names},
        **{f"{name}_pruned_shared": of(name, shared, entries=5, zeros=0.9) for name in names},
        **{f"{name}_pruned_two_level": of(name, pruned, two_level, zeros=0.95) for name in names},
        "fully_connected_pruned_asymmetric": lambda rng: _sparse_asymmetric(rng),
        "fully_connected_pruned_deep": lambda rng: _sparse_deep(rng),
    }


def _sparse_deep(rng: np.random.Generator) -> Graph:
    """Gaps longer than an entry holds, rows of more than 255 entries and of none."""
    net = Net(rng)
    layer = layers.fully_connected(net, net.input((1, 1500)), outputs=5)
    graph = pruned(net.graph(layer), rng, 0.7)
    w = graph.ins(graph.ops[0])[1]
    assert w.data is not None
    data = w.data.copy()
    data[1], data[2, 20:1480] = 0, 0
    return replace(graph, tensors={**graph.tensors, w.id: replace(w, data=data)})


def _sparse_asymmetric(rng: np.random.Generator) -> Graph:
    """Most weights are at the zero point of their channel."""
    graph = asymmetric(graphs.GENERATORS["fully_connected"](rng), rng, by_channel=True)
    w = graph.ins(graph.ops[0])[1]
    assert w.q is not None
    assert w.data is not None
    zeros = np.array(w.q.zero_points)[:, None]
    near = np.clip(zeros + rng.integers(-9, 10, w.shape) * (rng.random(w.shape) < 0.2), -128, 127)
    return replace(graph, tensors={**graph.tensors, w.id: replace(w, data=near.astype(np.int8))})


def _compressed_forms() -> dict[str, Generator]:
    def of(name: str, *changes: Callable[..., Graph], **form: Any) -> Generator:
        return lambda rng: _compressed(name, rng, *changes, **form)

    kinds = ("conv2d", "depthwise", "transpose_conv", "fully_connected")
    every = (*kinds, *(f"{name}_int16" for name in kinds))
    narrow_sums = ("conv2d_int32_bias_int16", "fully_connected_int32_bias_int16")
    return {
        **{f"{name}_shared": of(name, shared, entries=5, groups=3) for name in (*every, *narrow_sums)},
        **{f"{name}_asymmetric": of(name, asymmetric, by_channel=True) for name in every},
        **{f"{name}_two_level": of(name, narrow, asymmetric, two_level, bits=4) for name in every},
        **{f"{name}_int2": of(name, narrow, bits=2) for name in kinds},
        "conv2d_groups_shared": of("conv2d_groups", shared, entries=16),
        "depthwise_multiplier_two_level": of("depthwise_multiplier", two_level),
        "conv2d_asymmetric_alike": of("conv2d", asymmetric),
        **{f"fully_connected_shared_{n}": of("fully_connected", shared, entries=n) for n in (2, 3, 7, 30, 100, 256)},
        **_sparse_forms(of),
        "fully_connected_shared_two_level": of("fully_connected", shared, asymmetric, two_level, entries=9, groups=2),
    }


GENERATORS: dict[str, Generator] = {
    **_compressed_forms(),
    **discrete_graphs.GENERATORS,
    **signal_graphs.GENERATORS,
    "lstm": recurrent_graphs.lstm,
    "lstm_clipped": partial(recurrent_graphs.lstm, clip=0.4),
    "lstm_int16": partial(recurrent_graphs.lstm, dtype=INT16),
    "depthwise_int4_int16": partial(graphs._one, layers.depthwise, graphs.image, INT16, bits=4),
    "transpose_conv_int4_int16": partial(graphs._one, layers.transpose_conv, graphs.image, INT16, bits=4),
    "fully_connected_int4_int16": partial(graphs._one, layers.fully_connected, graphs.row, INT16, bits=4),
    "conv2d_int4_int32_bias": partial(graphs._one, layers.conv2d, graphs.image, INT16, bits=4, bias=INT32),
    "fully_connected_int4_int32_bias": partial(
        graphs._one, layers.fully_connected, graphs.row, INT16, bits=4, bias=INT32
    ),
    "fully_connected_narrowing_int4": partial(_narrowing, INT8, bits=4),
    "fully_connected_narrowing_int4_int16": partial(_narrowing, INT16, bits=4),
    "fully_connected_narrowing_int32_bias": partial(_narrowing, INT16, bias=INT32),
    "fully_connected_narrowing_int4_int32_bias": partial(_narrowing, INT16, bits=4, bias=INT32),
    "fully_connected_narrowing_two_level": _steps_beyond_16_bits,
    "fully_connected_weight_zero_point": _weight_zero_point,
    "arg_max_int64": partial(_arg_max_int64, INT8),
    "arg_max_int16_int64": partial(_arg_max_int64, INT16),
    "batch_matmul_broadcast": partial(_broadcast_matmul, INT8),
    "batch_matmul_broadcast_int16": partial(_broadcast_matmul, INT16),
    "add_five_axes": partial(_wide_broadcast, INT8),
    "add_five_axes_int16": partial(_wide_broadcast, INT16),
    "concat_many": _wide_concat,
    "mean_six_axes": partial(_deep_mean, ops.Mean, INT8),
    "reduce_max_six_axes": partial(_deep_mean, ops.ReduceMax, INT8),
    "transpose_six_axes": partial(_plain, INT8, DEEP, layers.transpose),
    "slice_six_axes": partial(_plain, INT16, DEEP, layers.slice_),
    "pad_five_axes": partial(_plain, INT8, DEEP[:5], layers.pad),
    "chain": _chain,
    "add_twice": partial(_twice, ops.Add),
    "mul_twice": partial(_twice, ops.Mul),
    **{f"{name}_batch": partial(batched, _INT8[name], 2) for name in ("conv2d", "depthwise", "avg_pool", "max_pool")},
    **{f"{name}_batch": partial(batched, _INT8[name], 2) for name in ("transpose_conv", "resize_nearest", "softmax")},
    **{
        f"{name}_off_centre": partial(off_centre, _INT16[f"{name}_int16"])
        for name in ("add", "sub_broadcast", "leaky_relu", "mean", "quantize", "quantize_to_int8", "quantize_float")
    },
    **{
        f"{name}_off_centre": partial(off_centre, _INT16[f"{name}_int16"])
        for name in ("avg_pool", "max_pool", "reduce_max", "dequantize", "pad", "softmax")
    },
    **_moves(FLOAT32),
    **_moves(INT32),
    **_moves(INT64),
}
