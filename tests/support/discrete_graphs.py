"""Random graphs of truth values and whole numbers, and of what chooses elements by them; like `graphs.GENERATORS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from nets import Net

from mcuquant.ir import DType, Graph, QParams, Relation, Shape, ops
from mcuquant.ir.elementwise_table import ELEMENTWISE

Generator = Callable[[np.random.Generator], Graph]
INT8, INT16, INT32, INT64, BOOL = DType.INT8, DType.INT16, DType.INT32, DType.INT64, DType.BOOL
FLOAT32 = DType.FLOAT32
NAMES = {FLOAT32: "float32", INT8: "int8", INT16: "int16", INT32: "int32", BOOL: "bool"}


def any_shape(net: Net) -> Shape:
    return (1, *(net.size(1, 6) for _ in range(net.size(1, 3))))


def random_constant(net: Net, shape: Shape, dtype: DType, q: QParams | None = None) -> int:
    low, high = dtype.range()
    return net.constant(np.asarray(net.rng.integers(low, high + 1, shape)), dtype, q)


def _operand(net: Net, shape: Shape, dtype: DType, q: QParams | None = None) -> int:
    """A new input, or a constant."""
    if net.pick(False, True):
        return random_constant(net, shape, dtype, q or net.quant(dtype))
    x = net.input(shape, dtype)
    if q is not None:
        net.tensors[x] = replace(net.tensors[x], q=q)
    return x


def _narrower(net: Net, shape: Shape) -> Shape:
    return tuple(net.pick(1, n) for n in shape)[net.size(0, len(shape) - 1) :]


def _plain(net: Net, kind: type[ops.Op], inputs: tuple[int, ...], shape: Shape, dtype: DType, **attributes: Any) -> int:
    return net.apply(kind, inputs, shape, dtype=dtype, **attributes)


def cast(x: DType, y: DType, rng: np.random.Generator) -> Graph:
    net = Net(rng)
    source = net.input(any_shape(net), x)
    return net.graph(net.apply(ops.Cast, (source,), net.shape(source), dtype=y))


def whole_numbers(kind: type[ops.Binary], dtype: DType, broadcast: bool, rng: np.random.Generator) -> Graph:
    net = Net(rng)
    a = net.input(any_shape(net), dtype)
    b = _operand(net, _narrower(net, net.shape(a)) if broadcast else net.shape(a), dtype)
    inputs = (b, a) if net.pick(False, True) else (a, b)
    return net.graph(_plain(net, kind, inputs, net.shape(a), dtype))


def divided(rng: np.random.Generator) -> Graph:
    """By numbers other than 0, which TensorFlow Lite Micro refuses."""
    net = Net(rng)
    a = net.input(any_shape(net), INT32)
    divisors = net.constant(rng.choice([-7, -3, -2, 1, 2, 5, 1000, -(1 << 31)], net.shape(a)), INT32)
    return net.graph(_plain(net, ops.Div, (a, divisors), net.shape(a), INT32))


def compare(dtype: DType, relation: Relation, rng: np.random.Generator) -> Graph:
    net = Net(rng)
    a = net.input(any_shape(net), dtype)
    b = _operand(net, _narrower(net, net.shape(a)), dtype, net.tensors[a].q if net.pick(False, True) else None)
    inputs = (b, a) if net.pick(False, True) else (a, b)
    return net.graph(_plain(net, ops.Compare, inputs, net.shape(a), BOOL, relation=relation))


def select(dtype: DType, rng: np.random.Generator) -> Graph:
    net = Net(rng)
    a = net.input(any_shape(net), dtype)
    condition = net.input(net.pick(net.shape(a), _narrower(net, net.shape(a))), BOOL)
    b = _operand(net, net.pick(net.shape(a), _narrower(net, net.shape(a))), dtype, net.tensors[a].q)
    branches = (b, a) if net.pick(False, True) else (a, b)
    return net.graph(net.apply(ops.Select, (condition, *branches), net.shape(a), net.tensors[a].q, dtype=dtype))


def reduce(kind: type[ops.Reduce], dtype: DType, rng: np.random.Generator) -> Graph:
    net = Net(rng)
    x = net.input((1, net.size(1, 4), net.size(1, 4)), dtype)
    return net.graph(_plain(net, kind, (x,), (1, net.shape(x)[2]), dtype, axes=(1,)))


def _indices(net: Net, shape: Shape, size: int, inside: bool) -> int:
    """A constant of indices, or indices that the network computes from numbers of any size."""
    if inside:
        x = net.input(shape, INT32)
        low, high = net.constant(np.array([0]), INT32), net.constant(np.array([size - 1]), INT32)
        not_below = _plain(net, ops.Maximum, (x, low), shape, INT32)
        return _plain(net, ops.Minimum, (not_below, high), shape, INT32)
    if net.pick(False, True):
        return net.input(shape, INT32)
    return net.constant(net.rng.integers(-2, size + 2, shape), INT32)


def gather(dtype: DType, inside: bool, rng: np.random.Generator) -> Graph:
    net = Net(rng)
    shape = tuple(net.size(1, 5) for _ in range(3))
    batch = net.size(0, 1)
    axis = net.size(batch, 2)
    x = net.input(shape, dtype) if net.pick(False, True) else random_constant(net, shape, dtype, net.quant(dtype))
    chosen = (*shape[:batch], *(net.size(1, 4) for _ in range(net.size(1, 2))))
    indices = _indices(net, chosen, shape[axis], inside or net.tensors[x].is_constant)
    y = shape[:axis] + chosen[batch:] + shape[axis + 1 :]
    return net.graph(net.apply(ops.Gather, (x, indices), y, net.tensors[x].q, dtype=dtype, axis=axis, batch_axes=batch))


def gather_nd(dtype: DType, inside: bool, rng: np.random.Generator) -> Graph:
    net = Net(rng)
    shape = tuple(net.size(2, 5) for _ in range(3))
    x = net.input(shape, dtype)
    chosen = (net.size(1, 4), net.size(1, 3))
    indices = _indices(net, chosen, min(shape), inside)
    y = chosen[:-1] + shape[chosen[-1] :]
    return net.graph(net.apply(ops.GatherNd, (x, indices), y, net.tensors[x].q, dtype=dtype))


def _masked(rng: np.random.Generator) -> Graph:
    """A network of int8: what is above a threshold and not marked, the others replaced."""
    net = Net(rng)
    x, mark = net.input((1, 4, 6)), net.input((1, 4, 1), BOOL)
    threshold = random_constant(net, (1, 1, 1), INT8, net.quant(INT8))
    above = _plain(net, ops.Compare, (x, threshold), (1, 4, 6), BOOL, relation=Relation.GREATER)
    false = net.constant(np.array([False]), BOOL)
    unmarked = _plain(net, ops.Compare, (mark, false), (1, 4, 1), BOOL, relation=Relation.EQUAL)
    kept = _plain(net, ops.Minimum, (above, unmarked), (1, 4, 6), BOOL)
    q = net.tensors[x].q
    other = random_constant(net, (1, 1, 6), INT8, q)
    return net.graph(net.apply(ops.Select, (kept, x, other), (1, 4, 6), q))


def update_slice(dtype: DType, rng: np.random.Generator) -> Graph:
    net = Net(rng)
    shape = tuple(net.size(2, 5) for _ in range(3))
    x, q = net.input(shape, dtype), None
    q = net.tensors[x].q
    update = _operand(net, tuple(net.size(1, n) for n in shape), dtype, q)
    start = net.input((3,), INT32)
    return net.graph(net.apply(ops.UpdateSlice, (x, update, start), shape, q, dtype=dtype))


def add_n(count: int, rng: np.random.Generator) -> Graph:
    net = Net(rng)
    shape = any_shape(net)
    tensors = [net.input(shape)]
    q = net.tensors[tensors[0]].q
    tensors += [_operand(net, shape, INT8, q) for _ in range(count - 1)]
    y = net.quant(INT8, net.scale(tensors[0]) * net.rng.uniform(1, count))
    return net.graph(net.apply(ops.AddN, tuple(tensors), shape, y))


def cum_sum(exclusive: bool, reverse: bool, rng: np.random.Generator) -> Graph:
    net = Net(rng)
    x = net.input((1, net.size(1, 4), net.size(1, 12), net.size(1, 3)))
    y = net.quant(INT8, net.scale(x) * net.rng.uniform(1, 6))
    form = {"axis": net.size(1, 3), "exclusive": exclusive, "reverse": reverse}
    return net.graph(net.apply(ops.CumSum, (x,), net.shape(x), y, **form))


def l2_normalization(rng: np.random.Generator) -> Graph:
    net = Net(rng)
    x = net.input((1, net.size(1, 5), net.pick(1, 3, 8, 300)))
    return net.graph(net.apply(ops.L2Normalization, (x,), net.shape(x), net.quant(INT8, 1 / 128, 0)))


def rescaled(x: DType, y: DType, rng: np.random.Generator) -> Graph:
    """QUANTIZE to or from int32 with a scale."""
    net = Net(rng)
    source = net.input(any_shape(net), x)
    scale = float(np.exp(net.rng.uniform(-9, -5)))
    if x is INT32:
        net.tensors[source] = replace(net.tensors[source], q=QParams.of(scale))
        return net.graph(net.apply(ops.Quantize, (source,), net.shape(source), net.quant(y), dtype=y))
    return net.graph(net.apply(ops.Quantize, (source,), net.shape(source), QParams.of(scale), dtype=y))


_TYPES = (INT8, INT16, INT32, BOOL)
_WHOLE = [(op, dtype) for op, row in ELEMENTWISE.items() for dtype in row.plain]

GENERATORS: dict[str, Generator] = {
    **{f"cast_{NAMES[x]}_to_{NAMES[y]}": partial(cast, x, y) for x in NAMES for y in NAMES if x is not y},
    "cast_int32_to_uint32": partial(cast, INT32, DType.UINT32),
    "cast_uint32_to_int32": partial(cast, DType.UINT32, INT32),
    **{
        f"{op.__name__.lower()}{'_broadcast' if wide else ''}_{NAMES[dtype]}": partial(whole_numbers, op, dtype, wide)
        for op, dtype in _WHOLE
        for wide in (False, True)
    },
    "div_int32_nonzero": divided,
    **{
        f"{relation}_{NAMES[dtype]}": partial(compare, dtype, relation)
        for dtype in _TYPES
        for relation in Relation
        if dtype is INT8 or relation in (Relation.EQUAL, Relation.LESS)
    },
    **{f"select_{NAMES[dtype]}": partial(select, dtype) for dtype in _TYPES},
    **{
        f"{kind.__name__.lower()}_{NAMES[dtype]}": partial(reduce, kind, dtype)
        for kind in (ops.ReduceMax, ops.ReduceMin)
        for dtype in (INT32, BOOL)
    },
    **{f"gather_{NAMES[dtype]}": partial(gather, dtype, False) for dtype in (INT8, INT16, INT32)},
    **{f"gather_nd_{NAMES[dtype]}": partial(gather_nd, dtype, False) for dtype in (INT8, INT16)},
    "gather_inside": partial(gather, INT8, True),
    "gather_nd_inside": partial(gather_nd, INT8, True),
    **{f"update_slice_{NAMES[dtype]}": partial(update_slice, dtype) for dtype in (INT8, INT16, INT32)},
    **{f"add_n_{count}": partial(add_n, count) for count in (2, 3, 5)},
    "cum_sum": partial(cum_sum, False, False),
    "cum_sum_exclusive": partial(cum_sum, True, False),
    "cum_sum_reverse": partial(cum_sum, False, True),
    "cum_sum_both": partial(cum_sum, True, True),
    "l2_normalization": l2_normalization,
    **{f"quantize_{NAMES[x]}_to_int32": partial(rescaled, x, INT32) for x in (INT8, INT16)},
    **{f"quantize_int32_to_{NAMES[y]}": partial(rescaled, INT32, y) for y in (INT8, INT16)},
    "masked": _masked,
}

OUTSIDE_TFLM = frozenset(
    {
        *(name for name in GENERATORS if name.startswith(("gather", "reducemax"))),
        *("div_int32", "div_broadcast_int32", "equal_int16", "less_int16", "less_bool", "select_int32", "select_bool"),
        *(
            "reducemin_int32",
            "floordiv_int32",
            "floordiv_broadcast_int32",
            "floormod_int32",
            "floormod_broadcast_int32",
        ),
    }
    - {"gather_inside", "gather_nd_inside"}
)
"""Forms that the TensorFlow Lite Micro interpreter refuses, indices outside among them."""
