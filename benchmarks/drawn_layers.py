"""Layers drawn from a seed, as sensor networks have them, and the bound of their cycles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mcuquant.ir import DType, Graph, Op, QParams, Role, Tensor, ops

MOST_MACS = 1_500_000
MOST_BYTES = 60_000
"""Of an input or output."""
FIXED = 300
"""Cycles of any layer."""
X, W, B, Y = range(4)
TENSORS = 4
"""Of a layer: tensor ids are those of its own, and `TENSORS` times its place in a network of several more."""


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One operation: input X, weights W and biases B where it has them, output Y."""

    text: str
    op: Op
    tensors: dict[int, Tensor]
    bound: int
    """Cycles that a good kernel takes on Cortex-M4."""


def draw(seed: int, count: int) -> list[Layer]:
    """`count` layers."""
    rng = np.random.default_rng(seed)
    names = list(_SHARES)
    layers: list[Layer] = []
    while len(layers) < count:
        layer = _KINDS[names[rng.choice(len(names), p=np.array(list(_SHARES.values())) / sum(_SHARES.values()))]](rng)
        if layer is not None:
            layers.append(replace(layer, text=f"{len(layers)}: {layer.text}"))
    return layers


def joined(layers: Sequence[Layer]) -> Graph:
    """All layers side by side in one network, each with an input and an output of its own."""
    tensors: dict[int, Tensor] = {}
    operations = []
    for n, layer in enumerate(layers):
        moved = {i: TENSORS * n + i for i in layer.tensors}
        tensors |= {moved[i]: replace(t, id=moved[i], name=f"t{moved[i]}") for i, t in layer.tensors.items()}
        inputs, outputs = (tuple(moved[i] for i in ids) for ids in (layer.op.inputs, layer.op.outputs))
        operations.append(replace(layer.op, inputs=inputs, outputs=outputs))
    places = range(0, TENSORS * len(layers), TENSORS)
    return Graph("shapes", tensors, tuple(operations), tuple(places), tuple(i + Y for i in places))


def _channels(rng: np.random.Generator, most: int = 96) -> int:
    """Round numbers most often."""
    usual = [c for c in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96) if c <= most]
    return int(rng.choice(usual)) if rng.random() < 0.6 else int(rng.integers(1, most + 1))


def _map(rng: np.random.Generator, is_line: bool) -> tuple[int, int]:
    if is_line:
        return (int(rng.choice([8, 16, 25, 32, 50, 64, 100, 128, 256])), 1)
    side = int(rng.choice([1, 2, 3, 4, 5, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32]))
    return (side, side if rng.random() < 0.7 else max(1, side + int(rng.integers(-4, 5))))


def _window(rng: np.random.Generator, is_line: bool) -> tuple[int, int]:
    k = int(rng.choice([1, 2, 3, 3, 3, 4, 5, 5, 7, 9, 15]))
    if is_line:
        return (k, 1)
    return (k, k) if rng.random() < 0.8 else ((1, k) if rng.random() < 0.5 else (k, 1))


@dataclass(frozen=True, slots=True)
class _Slide:
    """How a window slides: output sizes, stride, dilation and padding."""

    out: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: ops.Padding

    @property
    def text(self) -> str:
        return (f" stride {self.stride[0]}" if max(self.stride) > 1 else "") + (
            f" dilation {max(self.dilation)}" if max(self.dilation) > 1 else ""
        )


def _slide(rng: np.random.Generator, size: tuple[int, int], window: tuple[int, int], dilates: bool) -> _Slide | None:
    step = int(rng.choice([1, 1, 1, 1, 2, 2, 3]))
    by = int(rng.choice([2, 3, 4])) if dilates and rng.random() < 0.15 else 1
    stride = tuple(step if s > 1 else 1 for s in size)
    dilation = tuple(by if k > 1 else 1 for k in window)
    span = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
    pads = [k // 2 for k in span] if rng.random() < 0.6 else [0, 0]
    out = [(s + 2 * p - k) // t + 1 for s, p, k, t in zip(size, pads, span, stride, strict=True)]
    if min(out) < 1:
        return None
    padding = ops.Padding(top=pads[0], bottom=pads[0], left=pads[1], right=pads[1])
    return _Slide((out[0], out[1]), (stride[0], stride[1]), (dilation[0], dilation[1]), padding)


def _activation(rng: np.random.Generator, i: int, shape: tuple[int, ...], scale: float, role: Role) -> Tensor:
    zero = -128 if rng.random() < 0.6 else int(rng.integers(-20, 21))
    return Tensor(i, shape, DType.INT8, role, q=QParams.of(scale, zero), name=f"t{i}")


def _weighted(
    rng: np.random.Generator,
    kind: Callable[..., Op],
    x: tuple[int, ...],
    w: tuple[int, ...],
    y: tuple[int, ...],
    figures: tuple[float, float],
    text: str,
    **attributes: object,
) -> Layer | None:
    outputs, axis = y[-1], 3 if kind is ops.DepthwiseConv2D else 0
    terms = int(np.prod(w)) // outputs
    total = int(np.prod(y)) * terms
    if max(np.prod(x), np.prod(y)) > MOST_BYTES or total > MOST_MACS:
        return None
    data = np.clip(np.rint(rng.normal(0, 45, w)), -127, 127).astype(np.int8)
    scales = tuple(float(s) for s in rng.uniform(0.006, 0.01, outputs).astype(np.float32))
    spread = 45 * 75 * float(np.sqrt(terms))
    bias = np.rint(rng.normal(0, spread / 2, outputs)).astype(np.int32)
    tensors = {
        X: _activation(rng, X, x, 0.02, Role.INPUT),
        W: Tensor(W, w, DType.INT8, Role.CONSTANT, data=data, q=QParams(scales, 0, axis if outputs > 1 else None)),
        B: Tensor(B, (outputs,), DType.INT32, Role.CONSTANT, data=bias),
        Y: _activation(rng, Y, y, 0.02 * 0.008 * spread / 50, Role.ACTIVATION),
    }
    op = kind(inputs=(X, W, B), outputs=(Y,), **attributes)
    bound = round(figures[0] * total + figures[1] * np.prod(y) + FIXED)
    return Layer(f"{text}, {total:,} MACs", op, tensors, bound)


def _conv(rng: np.random.Generator, is_line: bool, is_grouped: bool = False) -> Layer | None:
    groups = int(rng.choice([2, 4, 8])) if is_grouped else 1
    size, window = _map(rng, is_line), _window(rng, is_line)
    inputs, outputs = (_channels(rng, 96 // groups) * groups for _ in range(2))
    slide = _slide(rng, size, window, dilates=True)
    if slide is None or (is_grouped and inputs == groups):
        return None
    kind = f"grouped {groups}" if is_grouped else "conv"
    text = f"{kind} {window[0]}x{window[1]}{slide.text} {size[0]}x{size[1]}x{inputs} to {outputs}"
    y = (1, *slide.out, outputs)
    w = (outputs, *window, inputs // groups)
    attributes = {"stride": slide.stride, "dilation": slide.dilation, "padding": slide.padding}
    return _weighted(rng, ops.Conv2D, (1, *size, inputs), w, y, (1.125, 10), text, **attributes)


def _depthwise(rng: np.random.Generator) -> Layer | None:
    is_line = bool(rng.random() < 0.4)
    size, window, channels = _map(rng, is_line), _window(rng, is_line), _channels(rng)
    slide = _slide(rng, size, window, dilates=True)
    if slide is None:
        return None
    text = f"depthwise {window[0]}x{window[1]}{slide.text} {size[0]}x{size[1]}x{channels}"
    y = (1, *slide.out, channels)
    attributes = {"stride": slide.stride, "dilation": slide.dilation, "padding": slide.padding}
    figures = (2, 10)
    return _weighted(
        rng, ops.DepthwiseConv2D, (1, *size, channels), (1, *window, channels), y, figures, text, **attributes
    )


def _connected(rng: np.random.Generator) -> Layer | None:
    depth = int(2 ** rng.uniform(4, 12))
    outputs = int(rng.choice([1, 2, 3, 4, 5, 6, 8, 10, 10, 12, 16, 32, 64, 128]))
    return _weighted(
        rng,
        ops.FullyConnected,
        (1, depth),
        (outputs, depth),
        (1, outputs),
        (1.25, 30),
        f"connected {depth} to {outputs}",
    )


def _pool(rng: np.random.Generator, kind: type[ops.Pool]) -> Layer | None:
    is_line = bool(rng.random() < 0.4)
    size, channels, k = _map(rng, is_line), _channels(rng), int(rng.choice([2, 2, 3, 4]))
    window = (k, 1) if is_line else (k, k)
    stride = tuple(int(min(s, rng.choice([2, k]))) for s in window)
    out = [(s - w) // t + 1 for s, w, t in zip(size, window, stride, strict=True)]
    if min(out) < 1 or np.prod(size) * channels > MOST_BYTES:
        return None
    x = _activation(rng, X, (1, *size, channels), 0.02, Role.INPUT)
    y = replace(x, id=Y, shape=(1, *out, channels), role=Role.ACTIVATION)
    op = kind(inputs=(X,), outputs=(Y,), window=window, stride=(stride[0], stride[1]))
    each = (5 if kind is ops.MaxPool2D else 14) + k * window[1]
    name = "max-pool" if kind is ops.MaxPool2D else "average pool"
    text = f"{name} {window[0]}x{window[1]} stride {stride[0]} {size[0]}x{size[1]}x{channels}"
    return Layer(text, op, {X: x, Y: y}, each * int(np.prod(y.shape)) + FIXED)


def _mean(rng: np.random.Generator) -> Layer | None:
    size, channels = _map(rng, bool(rng.random() < 0.5)), _channels(rng)
    if np.prod(size) * channels > MOST_BYTES:
        return None
    x = _activation(rng, X, (1, *size, channels), 0.02, Role.INPUT)
    y = replace(_activation(rng, Y, (1, channels), 0.015, Role.ACTIVATION), q=QParams.of(0.015, x.zero_point))
    op = ops.Mean(inputs=(X,), outputs=(Y,), axes=(1, 2))
    bound = 30 * channels + round(1.5 * x.elements) + FIXED
    return Layer(f"global average {size[0]}x{size[1]}x{channels}", op, {X: x, Y: y}, bound)


_SHARES = {"conv": 28, "line": 18, "grouped": 6, "depthwise": 18, "connected": 14, "max": 6, "average": 5, "mean": 5}
"""How many of a hundred layers are of each kind."""
_KINDS: dict[str, Callable[[np.random.Generator], Layer | None]] = {
    "conv": lambda rng: _conv(rng, is_line=False),
    "line": lambda rng: _conv(rng, is_line=True),
    "grouped": lambda rng: _conv(rng, bool(rng.random() < 0.4), is_grouped=True),
    "depthwise": _depthwise,
    "connected": _connected,
    "max": lambda rng: _pool(rng, ops.MaxPool2D),
    "average": lambda rng: _pool(rng, ops.AvgPool2D),
    "mean": _mean,
}
