"""Random recurrent networks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import state_graphs
from nets import Net

from mcuquant.ir import DType, Graph, QParams, Role, Update, ops


def lstm(
    rng: np.random.Generator,
    dtype: DType = DType.INT8,
    stateful: bool = False,
    clip: float = 0.0,
    multiple: int = 1,
    finer: int = 1,
) -> Graph:
    """An LSTM over a few steps whose gates are neither all open nor all shut; it starts from constants or a state.

    `finer` times as many inputs and units have weights of a smaller scale.
    """
    net = Net(rng, dtype)
    steps, inputs, units = (
        net.size(1, 5),
        multiple * net.size(1, 14 // multiple),
        finer * multiple * net.size(1, 9 // multiple),
    )
    x = net.input((1, steps, inputs), scale=0.02 * (1 if dtype is DType.INT8 else 1 / 256))
    w, r = (_weights(net, units, depth, finer) for depth in (inputs, units))
    unit = net.scale(x) * np.array(net.tensors[w].q.scale, np.float32)  # type: ignore[union-attr]
    wide = DType.INT32 if dtype is DType.INT8 else DType.INT64
    b = net.constant(np.rint(rng.normal(0, 1, 4 * units) / unit), wide, QParams.of(unit, 0, 0))
    h_q = QParams.of(1 / 128 if dtype is DType.INT8 else 1 / 32768, net.zero_point(dtype) // 4)
    c_q = QParams.of(2.0 ** -net.size(9, 13))
    h, c = (net.tensor((1, units), t, Role.ACTIVATION, q=q) for t, q in ((dtype, h_q), (DType.INT16, c_q)))
    starts = [_start(net, i, stateful) for i in (h, c)]
    y = net.tensor((1, steps, units), dtype, Role.ACTIVATION, q=h_q)
    net.ops.append(ops.Lstm(inputs=(x, w, r, b, *starts), outputs=(y, h, c), cell_clip=clip))
    updates = tuple(Update(s, i) for s, i in zip(starts, (h, c), strict=True)) if stateful else ()
    return replace(net.graph(y, name="lstm"), updates=updates)


def _weights(net: Net, units: int, depth: int, finer: int) -> int:
    scales = net.rng.uniform(0.5, 2, 4) / (40 * finer * np.sqrt(depth))
    q = QParams.of(np.repeat(scales, units), 0, 0)
    return net.constant(net.rng.integers(-127, 128, (4 * units, depth)), DType.INT8, q)


def _start(net: Net, like: int, stateful: bool) -> int:
    t = net.tensors[like]
    if stateful:
        return state_graphs.state(net, like)
    return net.constant(net.rng.integers(-30, 30, t.shape), t.dtype, t.q)
