"""Estimated cycles beside counted ones, for one random layer after another: `python -m benchmarks.estimates`.

    python -m benchmarks.estimates [SEED [COUNT]] [--board BOARD] [--kind WORD]

Draws `COUNT` layers of every kind of operation, at sizes that networks have, compiles them side by side and prints the
largest errors of each kernel. `benchmarks.shapes` has the layers with weights.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import mcuquant as mq
from benchmarks.drawn_layers import draw
from benchmarks.estimate_table import Row, table
from mcuquant.boards.board import load_board
from mcuquant.errors import McuquantError
from mcuquant.ir import Activation, DType, Graph, Level, Op, QParams, Role, Shape, Tensor, ops
from mcuquant.ir.verify import verify
from mcuquant.planner import plan

BOARD = "qemu-mps2-an386"
BATCH_BYTES = 150_000
"""Of inputs and outputs in one firmware."""
BATCH = 40
MOST_BYTES = 24_000
"""Of an input or output."""
Rng = np.random.Generator


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One operation by the tensors it has."""

    text: str
    op: Op
    tensors: tuple[Tensor, ...]
    """Inputs and constants in the order of the operation, the output last."""

    @property
    def nbytes(self) -> int:
        return sum(t.nbytes for t in self.tensors)


# --- drawing ---------------------------------------------------------------------------------------------------------


def _shape(rng: Rng, rank: int = 0, most: int = MOST_BYTES) -> Shape:
    """(1, ...) of two to four axes, round numbers most often."""
    rank = rank or int(rng.integers(2, 5))
    while True:
        sizes = [
            int(rng.choice([1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96, 128])) for _ in range(rank - 1)
        ]
        if rng.random() < 0.3:
            sizes[-1] = int(rng.integers(1, 100))
        if 4 <= np.prod(sizes) <= most:
            return (1, *sizes)


def _q(rng: Rng, dtype: DType = DType.INT8, scale: float = 0.0) -> QParams:
    zero = int(rng.choice([-128, 0, int(rng.integers(-60, 61))])) if dtype is DType.INT8 else 0
    return QParams.of(scale or float(rng.uniform(0.01, 0.05)), zero)


def _layer(
    text: str,
    make: Callable[..., Op],
    ins: Sequence[tuple[Shape, QParams | None]],
    y: tuple[Shape, QParams | None],
    dtype: DType = DType.INT8,
    out: DType | None = None,
) -> Layer:
    inputs = [Tensor(i, shape, dtype, Role.INPUT, q=q) for i, (shape, q) in enumerate(ins)]
    output = Tensor(len(ins), y[0], out or dtype, Role.ACTIVATION, q=y[1])
    op = make(inputs=tuple(range(len(ins))), outputs=(len(ins),))
    sizes = " ".join("x".join(map(str, shape[1:])) for shape, _ in ins)
    return Layer(f"{text} {sizes}", op, (*inputs, output))


def _with(kind: Callable[..., Op], **attributes: object) -> Callable[..., Op]:
    return lambda **operands: kind(**operands, **attributes)


def _same(
    text: str, kind: Callable[..., Op], scale_out: float = 0.0, zero: int | None = None
) -> Callable[[Rng, DType], Layer]:
    def make(rng: Rng, dtype: DType) -> Layer:
        shape, x = _shape(rng), _q(rng, dtype)
        y = _q(rng, dtype, x.scale[0] * float(rng.uniform(0.7, 1.5)))
        if scale_out:
            y = QParams.of(scale_out, zero or 0) if dtype is DType.INT8 else QParams.of(1 / 32768)
        return _layer(text, kind, [(shape, x)], (shape, y), dtype)

    return make


def _binary(text: str, kind: Callable[..., Op], product: bool = False) -> Callable[[Rng, DType], Layer]:
    def make(rng: Rng, dtype: DType) -> Layer:
        shape = _shape(rng)
        other = shape if rng.random() < 0.6 else tuple(1 if rng.random() < 0.5 else n for n in shape)
        a, b = _q(rng, dtype), _q(rng, dtype)
        scale = a.scale[0] * b.scale[0] * 60 if product else max(a.scale[0], b.scale[0]) * 1.4
        return _layer(text, kind, [(shape, a), (other, b)], (shape, _q(rng, dtype, scale)), dtype)

    return make


def _slice(rng: Rng, dtype: DType) -> Layer:
    shape, q = _shape(rng), _q(rng, dtype)
    step = tuple(int(rng.choice([1, 1, 1, 2, -1])) if n > 2 else 1 for n in shape)
    count = tuple(
        max(1, int(n * rng.uniform(0.3, 1.0) / abs(s))) if rng.random() < 0.6 else -(-n // abs(s))
        for n, s in zip(shape, step, strict=True)
    )
    begin = tuple(
        n - 1 if s < 0 else int(rng.integers(0, n - (c - 1) * s)) for n, s, c in zip(shape, step, count, strict=True)
    )
    return _layer(f"slice {step} of", _with(ops.Slice, begin=begin, step=step), [(shape, q)], (count, q), dtype)


def _pad(rng: Rng, dtype: DType) -> Layer:
    shape, q = _shape(rng, most=MOST_BYTES // 4), _q(rng, dtype)
    pads = (
        (0, 0),
        *((int(rng.integers(0, 3)), int(rng.integers(0, 3))) if rng.random() < 0.7 else (0, 0) for _ in shape[1:]),
    )
    y = tuple(n + sum(p) for n, p in zip(shape, pads, strict=True))
    return _layer(f"pad {pads[1:]}", _with(ops.Pad, pads=pads), [(shape, q)], (y, q), dtype)


def _concat(rng: Rng, dtype: DType) -> Layer:
    shape = _shape(rng, most=MOST_BYTES // 4)
    axis, rescales = int(rng.integers(1, len(shape))), dtype is DType.INT8 and rng.random() < 0.4
    y, parts = _q(rng, dtype), []
    for _ in range(int(rng.integers(2, 4))):
        n = max(1, int(shape[axis] * rng.uniform(0.3, 1)))
        parts.append(
            (
                (*shape[:axis], n, *shape[axis + 1 :]),
                _q(rng, dtype, y.scale[0] * float(rng.uniform(0.5, 0.99))) if rescales else y,
            )
        )
    total = sum(part[0][axis] for part in parts)
    return _layer(
        f"concat {axis}", _with(ops.Concat, axis=axis), parts, ((*shape[:axis], total, *shape[axis + 1 :]), y), dtype
    )


def _transpose(rng: Rng, dtype: DType) -> Layer:
    shape, q = _shape(rng), _q(rng, dtype)
    perm = (0, *(int(i) + 1 for i in rng.permutation(len(shape) - 1)))
    return _layer(
        f"transpose {perm}", _with(ops.Transpose, perm=perm), [(shape, q)], (tuple(shape[a] for a in perm), q), dtype
    )


def _resize(kind: Callable[..., Op], text: str) -> Callable[[Rng, DType], Layer]:
    def make(rng: Rng, dtype: DType) -> Layer:
        shape, q = _shape(rng, 4, most=MOST_BYTES // 4), _q(rng, dtype)
        by = int(rng.choice([1, 2, 2, 3]))
        y = (1, shape[1] * by, shape[2] * by, shape[3])
        return _layer(
            f"{text} by {by}",
            _with(kind, align_corners=False, half_pixel_centers=bool(rng.random() < 0.5)),
            [(shape, q)],
            (y, q),
            dtype,
        )

    return make


def _reduce(kind: Callable[..., Op], text: str) -> Callable[[Rng, DType], Layer]:
    def make(rng: Rng, dtype: DType) -> Layer:
        shape, q = _shape(rng), _q(rng, dtype)
        axes = tuple(
            sorted(
                int(a) for a in rng.choice(range(1, len(shape)), size=int(rng.integers(1, len(shape))), replace=False)
            )
        )
        y = tuple(n for a, n in enumerate(shape) if a not in axes)
        count = int(np.prod([shape[a] for a in axes]))
        gain = {"sum": count * 0.5, "mean": 1.0}.get(text)
        out = q if gain is None else _q(rng, dtype, q.scale[0] * max(gain, 1.001 / count))
        return _layer(f"{text} {axes}", _with(kind, axes=axes), [(shape, q)], (y, out), dtype)

    return make


def _softmax(rng: Rng, dtype: DType) -> Layer:
    shape = _shape(rng, most=MOST_BYTES // 8)
    y = QParams.of(1 / 256, -128) if dtype is DType.INT8 else QParams.of(1 / 32768)
    return _layer("softmax", _with(ops.Softmax, beta=1.0), [(shape, _q(rng, dtype))], (shape, y), dtype)


def _log_softmax(rng: Rng, _: DType) -> Layer:
    shape = _shape(rng, most=MOST_BYTES // 16)
    return _layer("log-softmax", ops.LogSoftmax, [(shape, _q(rng))], (shape, QParams.of(1 / 16, 127)))


def _arg_max(rng: Rng, dtype: DType) -> Layer:
    shape = _shape(rng)
    axis = int(rng.integers(1, len(shape)))
    y = tuple(n for a, n in enumerate(shape) if a != axis)
    return _layer(
        f"arg-max {axis}", _with(ops.ArgMax, axis=axis), [(shape, _q(rng, dtype))], (y, None), dtype, DType.INT32
    )


def _matmul(rng: Rng, dtype: DType) -> Layer:
    rows, depth, columns = (int(rng.choice([1, 4, 8, 12, 16, 20, 32, 48])) for _ in range(3))
    batch = int(rng.choice([1, 1, 2, 4]))
    a, b = _q(rng, dtype), _q(rng, dtype)
    adj_b = bool(rng.random() < 0.5)
    second = (1, batch, columns, depth) if adj_b else (1, batch, depth, columns)
    y = _q(rng, dtype, a.scale[0] * b.scale[0] * 60 * depth**0.5)
    return _layer(
        f"matmul adj {adj_b}",
        _with(ops.BatchMatMul, adj_a=False, adj_b=adj_b),
        [((1, batch, rows, depth), a), (second, b)],
        ((1, batch, rows, columns), y),
        dtype,
    )


def _convert(rng: Rng, _: DType) -> Layer:
    shape, x = _shape(rng), _q(rng)
    kind = int(rng.integers(4))
    if kind == 0:
        return _layer(
            "quantize to int16", ops.Quantize, [(shape, x)], (shape, _q(rng, DType.INT16, 0.001)), out=DType.INT16
        )
    if kind == 1:
        return _layer("dequantize", ops.Dequantize, [(shape, x)], (shape, None), out=DType.FLOAT32)
    if kind == 2:
        return _layer("quantize float", ops.Quantize, [(shape, None)], (shape, x), DType.FLOAT32, DType.INT8)
    return _layer("requantize", ops.Quantize, [(shape, x)], (shape, _q(rng, scale=x.scale[0] * 1.3)))


KINDS: dict[str, Callable[[Rng, DType], Layer]] = {
    "slice": _slice,
    "pad": _pad,
    "concat": _concat,
    "transpose": _transpose,
    "nearest": _resize(ops.ResizeNearest, "nearest"),
    "bilinear": _resize(ops.ResizeBilinear, "bilinear"),
    "add": _binary("add", ops.Add),
    "sub": _binary("sub", ops.Sub),
    "mul": _binary("mul", ops.Mul, product=True),
    "maximum": lambda rng, dtype: _bounds(rng, dtype, ops.Maximum),
    "minimum": lambda rng, dtype: _bounds(rng, dtype, ops.Minimum),
    "difference": _binary("squared-difference", ops.SquaredDifference, product=True),
    "relu": _same("relu", _with(ops.Relu, activation=Activation.RELU)),
    "leaky": _same("leaky", _with(ops.LeakyRelu, alpha=0.1)),
    "hard-swish": _same("hard-swish", ops.HardSwish),
    "logistic": _same("logistic", ops.Logistic, 1 / 256, -128),
    "tanh": _same("tanh", ops.Tanh, 1 / 128, 0),
    "abs": _same("abs", ops.Abs),
    "exp": _same("exp", ops.Exp),
    "div": lambda rng, _: _binary("div", ops.Div)(rng, DType.INT8),
    "prelu": _binary("prelu", ops.Prelu),
    "softmax": _softmax,
    "log-softmax": _log_softmax,
    "mean": _reduce(ops.Mean, "mean"),
    "sum": _reduce(ops.Sum, "sum"),
    "max": _reduce(ops.ReduceMax, "reduce-max"),
    "min": _reduce(ops.ReduceMin, "reduce-min"),
    "arg-max": _arg_max,
    "matmul": _matmul,
    "convert": _convert,
}


def _bounds(rng: Rng, dtype: DType, kind: type[Op]) -> Layer:
    layer = _binary(kind.__name__.lower(), kind)(rng, dtype)
    q = layer.tensors[0].q
    return replace(layer, tensors=tuple(replace(t, q=q) for t in layer.tensors))


def drawn(seed: int, count: int, kinds: Sequence[str]) -> Iterator[Layer]:
    """`count` layers of each kind, a fifth of them of int16; those that no kernel takes are drawn again."""
    core = load_board(BOARD).core
    for kind in kinds:
        rng, drawn_count = np.random.default_rng((seed, *kind.encode())), 0
        while drawn_count < count:
            dtype = DType.INT16 if rng.random() < 0.2 else DType.INT8
            layer = KINDS[kind](rng, dtype)
            try:
                plan(verify(joined([layer]), Level.QUANTISED), core)
            except McuquantError:
                continue
            drawn_count += 1
            yield replace(layer, text=f"{layer.text} {dtype}")


# --- measuring -------------------------------------------------------------------------------------------------------


def joined(layers: Sequence[Layer]) -> Graph:
    """All layers side by side in one network."""
    tensors: dict[int, Tensor] = {}
    operations, inputs, outputs = list[Op](), list[int](), list[int]()
    for layer in layers:
        base = len(tensors)
        ids = tuple(base + i for i in range(len(layer.tensors)))
        tensors |= {i: replace(t, id=i, name=f"t{i}") for i, t in zip(ids, layer.tensors, strict=True)}
        operations.append(replace(layer.op, inputs=ids[:-1], outputs=ids[-1:]))
        inputs += [i for i in ids[:-1] if tensors[i].role is Role.INPUT]
        outputs.append(ids[-1])
    return Graph("estimates", tensors, tuple(operations), tuple(inputs), tuple(outputs))


def _batches(layers: Sequence[Layer]) -> Iterator[list[Layer]]:
    batch: list[Layer] = []
    for layer in layers:
        if batch and (len(batch) == BATCH or sum(other.nbytes for other in batch) + layer.nbytes > BATCH_BYTES):
            yield batch
            batch = []
        batch.append(layer)
    if batch:
        yield batch


def measured(layers: Sequence[Layer], board: str) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="mq-estimates-") as folder:
        for batch in _batches(layers):
            project = mq.compile(
                joined(batch), board=board, output=Path(folder) / "net", shrink=False, optimize="speed"
            )
            with project.connect() as device:
                counts = [row.count for row in device.bench().layers]
            for layer, row, count in zip(batch, project.manifest["layers"], counts, strict=True):
                kernel = f"{row['kernel'].removeprefix('mq_')} {row['kernel_note']}".strip()
                yield Row(layer.text, kernel, count, row["estimated_cycles"])


def weighted(seed: int, count: int) -> list[Layer]:
    """The layers of `benchmarks.shapes`."""
    layers = []
    for layer in draw(seed, count):
        ids = (*layer.op.inputs, *layer.op.outputs)
        places = tuple(replace(layer.op, inputs=tuple(range(len(ids) - 1)), outputs=(len(ids) - 1,)) for _ in (0,))
        layers.append(Layer(layer.text, places[0], tuple(layer.tensors[i] for i in ids)))
    return layers


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("seed", type=int, nargs="?", default=0)
    parser.add_argument("count", type=int, nargs="?", default=12)
    parser.add_argument("--board", default=BOARD)
    parser.add_argument("--kind", action="append", choices=(*KINDS, "weighted"))
    parser.add_argument("--rows", action="store_true", help="print every layer too")
    arguments = parser.parse_args()
    kinds = arguments.kind or [*KINDS, "weighted"]
    layers = list(drawn(arguments.seed, arguments.count, [kind for kind in kinds if kind != "weighted"]))
    layers += weighted(arguments.seed, 5 * arguments.count) if "weighted" in kinds else []
    rows = list(measured(layers, arguments.board))
    if arguments.rows:
        for row in rows:
            print(f"{row.kernel}: {row.text}: {row.estimate:,} estimated, {row.cycles:,} counted, {row.error:+.0%}")
    print(table(rows))
    print(f"{len(rows)} layers, {np.mean([row.is_close for row in rows]):.0%} within 20 % or 40 cycles")


if __name__ == "__main__":
    main()
