"""Random networks that keep something between inferences."""

from __future__ import annotations

from dataclasses import replace

import layers
import numpy as np
from nets import Net

from mcuquant.ir import Array, DType, Graph, Role, Tensor, Update, ops
from mcuquant.passes import run_passes


def state(net: Net, like: int, rows: int | None = None, value: Array | None = None) -> int:
    """A state of a tensor's type, scale and shape, or of `rows` of its rows; it starts as real zeros or `value`."""
    t = net.tensors[like]
    shape = t.shape if rows is None else (t.shape[0], rows, *t.shape[2:])
    start = np.full(shape, t.zero_point) if value is None else value
    return net.tensor(shape, t.dtype, Role.STATE, q=t.q, data=start.astype(t.dtype.numpy))


def delayed(net: Net, x: int, rows: int, updates: list[Update]) -> int:
    """`rows` rows from before, and those of `x` behind them; the newest are kept."""
    kept, (n, h, *rest) = state(net, x, rows), net.shape(x)
    q, none = net.tensors[x].q, (0,) * len(rest)
    joined = net.apply(ops.Concat, (kept, x), (n, rows + h, *rest), q, axis=1, dtype=net.tensors[x].dtype)
    ones = (1,) * (2 + len(rest))
    newest = net.apply(ops.Slice, (joined,), (n, rows, *rest), q, begin=(0, h, *none), step=ones)
    updates.append(Update(kept, newest))
    return joined


def stream(rng: np.random.Generator, dtype: DType = DType.INT8) -> Graph:
    """Convolutions over lines of random lengths; what is kept is some words long, or no whole number of them."""
    net, updates = Net(rng, dtype), list[Update]()
    x = net.input((1, net.size(1, 4), 1, net.size(1, 9)))
    for _ in range(net.size(1, 3)):
        joined = delayed(net, x, net.size(1, 6), updates)
        height, channels = net.shape(joined)[1], net.shape(joined)[3]
        outputs, taps = net.size(1, 9), net.size(1, height)
        w = net.weights((outputs, taps, 1, channels), 0)
        y = net.sum_quant(joined, w, taps * channels)
        x = net.apply(ops.Conv2D, (joined, w), (1, height - taps + 1, 1, outputs), y)
    return replace(net.graph(layers.fully_connected(net, x, 3), name="stream"), updates=tuple(updates))


def accumulator(rng: np.random.Generator) -> Graph:
    """A whole value that each inference changes, with an initial value of its own, beside a delay of the input."""
    net = Net(rng)
    x = net.input((1, 5, 1, 3))
    q = net.tensors[x].q
    total = state(net, x, value=rng.integers(-128, 128, (1, 5, 1, 3)))
    before = state(net, x)
    later = net.apply(ops.Add, (total, before), (1, 5, 1, 3), q)
    y = layers.fully_connected(net, later, 2)
    return replace(net.graph(y, name="accumulator"), updates=(Update(total, later), Update(before, x)))


def shared_rows(rng: np.random.Generator) -> Graph:
    """Two lines of the same rows, of which one is read by others too, and an output that is a line's new rows."""
    net, updates = Net(rng), list[Update]()
    x = layers.lookup(net, net.input((1, 2, 1, 4)))
    first, second = (delayed(net, x, rows, updates) for rows in (3, 2))
    newest = updates[0].value
    outputs = [layers.fully_connected(net, t, 2) for t in (first, second, newest)]
    return replace(net.graph(*outputs, x, name="shared_rows"), updates=tuple(updates))


def views(rng: np.random.Generator) -> Graph:
    """A line read under another shape, its new rows written under another shape, and a state that is output."""
    net, updates = Net(rng), list[Update]()
    row = layers.fully_connected(net, net.input((1, 6)), 8)
    x = net.apply(ops.Reshape, (row,), (1, 1, 1, 8), net.tensors[row].q)
    joined = delayed(net, x, 2, updates)
    flat = net.apply(ops.Reshape, (joined,), (1, 24), net.tensors[joined].q)
    y = layers.fully_connected(net, flat, 4)
    kept = state(net, y)
    updates.append(Update(kept, y))
    both = net.apply(ops.Maximum, (y, kept), (1, 4), net.tensors[y].q)
    return replace(net.graph(both, y, name="views"), updates=tuple(updates))


def deep(rng: np.random.Generator) -> Graph:
    """A delay of a delay: the older rows go from state to state."""
    net = Net(rng)
    x = net.input((1, 3))
    t: Tensor = net.tensors[x]
    first, second = state(net, x), state(net, x)
    moved = net.apply(ops.Slice, (first,), (1, 3), t.q, begin=(0, 0), step=(1, 1))
    y = net.apply(ops.Add, (first, second), (1, 3))
    return replace(net.graph(y, name="deep"), updates=(Update(first, x), Update(second, moved)))


def chained(rng: np.random.Generator) -> Graph:
    """A step that reads one line and writes into the next: nothing of it is in the arena."""
    net, updates = Net(rng), list[Update]()
    x = delayed(net, net.input((1, 1, 1, 4)), 2, updates)
    w = net.weights((1, 3, 1, 4), 3)
    y = net.apply(ops.DepthwiseConv2D, (x, w), (1, 1, 1, 4), net.sum_quant(x, w, 3))
    joined = delayed(net, y, 3, updates)
    return replace(net.graph(layers.fully_connected(net, joined, 2), name="chained"), updates=tuple(updates))


def shown(rng: np.random.Generator) -> Graph:
    """Outputs that are a state, a line, its newest rows and its new rows, under other shapes."""
    net, updates = Net(rng), list[Update]()
    x = layers.lookup(net, net.input((1, 2, 1, 4)))
    delayed(net, x, 3, updates)
    kept = state(net, x)
    flat = [
        net.apply(ops.Reshape, (i,), (1, net.tensors[i].elements), net.tensors[i].q)
        for i in (kept, x, updates[0].value)
    ]
    updates.append(Update(kept, x))
    return run_passes(replace(net.graph(*flat, name="shown"), updates=tuple(updates)))


def every() -> dict[str, Graph]:
    """One of each, and more streams."""
    made = {f"stream {seed}": stream(np.random.default_rng(seed)) for seed in range(6)}
    made |= {f"stream int16 {seed}": stream(np.random.default_rng(seed), DType.INT16) for seed in range(2)}
    kinds = (accumulator, shared_rows, views, deep, chained, shown)
    return made | {kind.__name__: kind(np.random.default_rng(7)) for kind in kinds}
