"""A small builder of graphs with random numbers, for tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mcuquant.ir import Activation, Array, DType, Graph, Op, Padding, Pair, QParams, Role, Shape, Tensor

LIMITS = {DType.INT8: 128, DType.INT16: 32768}


@dataclass
class Net:
    """Grows a graph whose activations are of one type. Sizes, scales and values come from `rng`."""

    rng: np.random.Generator
    dtype: DType = DType.INT8
    tensors: dict[int, Tensor] = field(default_factory=dict)
    ops: list[Op] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)

    def graph(self, *outputs: int, name: str = "net") -> Graph:
        return Graph(name, self.tensors, tuple(self.ops), tuple(self.inputs), outputs)

    def tensor(self, shape: Shape, dtype: DType, role: Role, **more: Any) -> int:
        i = len(self.tensors)
        self.tensors[i] = Tensor(i, tuple(int(n) for n in shape), dtype, role, name=f"{role}_{i}", **more)
        return i

    def input(self, shape: Shape, dtype: DType | None = None, scale: float | None = None) -> int:
        dtype = dtype or self.dtype
        i = self.tensor(shape, dtype, Role.INPUT, q=self.quant(dtype, scale))
        self.inputs.append(i)
        return i

    def quant(self, dtype: DType, scale: float | None = None, zero_point: int | None = None) -> QParams | None:
        if dtype not in LIMITS:
            return None
        scale = scale or float(np.exp(self.rng.uniform(np.log(0.002), np.log(0.3)))) * 128 / LIMITS[dtype]
        return QParams.of(scale, self.zero_point(dtype) if zero_point is None else zero_point)

    def zero_point(self, dtype: DType) -> int:
        if dtype is not DType.INT8:
            return 0
        return int(self.rng.choice([-128, 127, 0, *self.rng.integers(-128, 128, 5)]))

    def apply(self, op: type[Op], inputs: tuple[int, ...], shape: Shape, y: Any = None, **attributes: Any) -> int:
        """Append an operation; its output has quantisation `y`, or the builder's type at a random scale."""
        dtype = attributes.pop("dtype", self.dtype)
        i = self.tensor(shape, dtype, Role.ACTIVATION, q=y or self.quant(dtype))
        self.ops.append(op(inputs=inputs, outputs=(i,), **attributes))
        return i

    def constant(self, data: Array, dtype: DType, q: QParams | None = None, bits: int = 0) -> int:
        return self.tensor(data.shape, dtype, Role.CONSTANT, q=q, data=data.astype(dtype.numpy), bits=bits)

    def shape(self, i: int) -> Shape:
        return self.tensors[i].shape

    def scale(self, i: int) -> float:
        return self.tensors[i].scale

    def pick(self, *values: Any) -> Any:
        return values[int(self.rng.integers(len(values)))]

    def size(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def activation(self) -> Activation:
        return self.pick(*Activation)  # type: ignore[no-any-return]

    def weights(
        self, shape: Shape, axis: int, per_channel: bool = True, bits: int = 8, largest: int | None = None
    ) -> int:
        """Weights of random scales, zero point 0."""
        if self.dtype is DType.FLOAT32:
            return self.constant(self.rng.normal(0, 0.5, shape), DType.FLOAT32)
        limit = largest or (1 << (bits - 1)) - 1
        data = self.rng.integers(-limit, limit + 1, shape)
        scales = np.exp(self.rng.uniform(np.log(0.001), np.log(0.02), shape[axis] if per_channel else 1))
        return self.constant(data, DType.INT8, QParams.of(scales, 0, axis if per_channel else None), bits)

    def bias(self, x: int, w: int, channels: int, terms: int, dtype: DType | None = None) -> int:
        """Biases as large as the sums they go to."""
        if self.dtype is DType.FLOAT32:
            return self.constant(self.rng.normal(0, 1, channels), DType.FLOAT32)
        spread = self.spread(x, w, terms)
        q = self.tensors[w].q
        assert q is not None
        scales = np.float32(self.scale(x)) * np.array(q.scale, np.float32)
        wide = dtype or (DType.INT64 if self.dtype is DType.INT16 else DType.INT32)
        data = self.rng.integers(-int(spread) - 1, int(spread) + 2, channels)
        return self.constant(data, wide, QParams.of(scales, 0, 0 if q.per_channel else None))

    def spread(self, x: int, w: int, terms: int) -> float:
        """Standard deviation of a sum of `terms` products, in stored units."""
        data = self.tensors[w].data
        assert data is not None
        return float(
            LIMITS[self.dtype] * 0.6 * (np.sqrt(np.mean(np.square(data.astype(float)))) + 0.3) * np.sqrt(terms)
        )

    def sum_quant(self, x: int, w: int, terms: int, left_shift: bool = False) -> QParams | None:
        """Output quantisation that such sums fill; with `left_shift` so fine that they are multiplied by 1 to 16."""
        if self.dtype is DType.FLOAT32:
            return None
        q = self.tensors[w].q
        assert q is not None
        unit = self.scale(x) * float(np.mean(q.scale))
        if left_shift:
            return self.quant(self.dtype, unit / self.rng.uniform(1, 16), 0)
        filled = LIMITS[self.dtype] * self.rng.uniform(0.2, 1.5)
        return self.quant(self.dtype, unit * self.spread(x, w, terms) / filled)


def random_inputs(rng: np.random.Generator, graph: Graph) -> list[Array]:
    """Values for the graph's inputs: anywhere in range, only the two extremes, or close to zero, by turns."""
    return [_random_value(rng, graph[i], int(rng.integers(4))) for i in graph.inputs]


def _random_value(rng: np.random.Generator, t: Tensor, mode: int) -> Array:
    if t.dtype is DType.FLOAT32:
        return rng.normal(0, (0.1, 1, 3, 10)[mode], t.shape).astype(np.float32)
    low, high = t.dtype.range()
    if t.dtype.is_unsigned:
        return _random_unsigned(rng, t, mode)
    if mode == 0:
        return rng.choice(np.array([low, high], t.dtype.numpy), t.shape)
    if mode == 1:
        near = t.zero_point + rng.integers(-20, 21, t.shape)
        return np.clip(near, low, high).astype(t.dtype.numpy)
    return rng.integers(low, high + 1, t.shape).astype(t.dtype.numpy)


def _random_unsigned(rng: np.random.Generator, t: Tensor, mode: int) -> Array:
    """The ends of the type, or values of any magnitude: of one number of bits, or of one each."""
    low, high = t.dtype.range()
    if mode == 0:
        return rng.choice(np.array([low, high, 1], t.dtype.numpy), t.shape)
    unused = rng.integers(0, t.dtype.bits, t.shape if mode == 1 else ()).astype(t.dtype.numpy)
    return np.asarray(rng.integers(low, high, t.shape, t.dtype.numpy, endpoint=True) >> unused)


def same_padding(size: int, reach: int, stride: int) -> Pair:
    """(before, after) of TFLite's SAME."""
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2


def padded_length(size: int, reach: int, stride: int, pads: Pair) -> int:
    return (size + sum(pads) - reach) // stride + 1


def padding(vertical: Pair, horizontal: Pair) -> Padding:
    return Padding(top=vertical[0], bottom=vertical[1], left=horizontal[0], right=horizontal[1])
