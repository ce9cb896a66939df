"""The front end as a graph, alone and in front of a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..errors import ModelError
from ..ir import Array, DType, Graph, Op, QParams, Role, Shape, Tensor, Update, ops
from .micro_constants import WINDOW_BITS
from .micro_frontend import MicroFrontend

PCM = QParams.of(2.0**-15)
"""Samples: full scale is 1."""
MOST_FRAMES = 16
"""In one inference: each is a chain of its own."""


def front_end_graph(front: MicroFrontend, frames: int = 1) -> Graph:
    """Samples int16 (1, window + (frames - 1) * step) to features int16 (1, frames, channels).

    The noise is a state. An inference takes the window of the first frame and those behind it: the next inference
    begins frames * step samples later.
    """
    builder = _Builder(front)
    x = builder.tensor((1, front.window + (frames - 1) * front.step), DType.INT16, Role.INPUT, PCM, name="samples")
    y = builder.features(x, frames)
    return builder.graph("front_end", (x.id,), (y.id,))


def with_front_end(network: Graph, front: MicroFrontend, frames: int | None = None) -> Graph:
    """A network on features becomes one on samples; its input int8 or int16 holds rows of `front.channels` features.

    An inference computes `frames` new rows; the older ones are kept (a state, silence at first). Default: all of a
    network with a state and of one of up to 4 rows, else 1. ModelError where the input does not fit.
    """
    x = _input(network, front)
    rows = x.elements // front.channels
    new = frames if frames is not None else rows if network.updates or rows <= _MOST_NEW_ROWS else 1
    if not 1 <= new <= min(rows, MOST_FRAMES):
        raise ModelError(
            f"{new} new rows of features for an inference are not valid: the network's input has {rows}, expected 1 to "
            f"{min(rows, MOST_FRAMES)}"
        )
    builder = _Builder(front, dict(network.tensors))
    shape = (1, front.window + (new - 1) * front.step)
    samples = builder.tensor(shape, DType.INT16, Role.INPUT, PCM, name="samples")
    builder.into(x, builder.features(samples, new), rows)
    joined = replace(network, tensors=builder.tensors, inputs=(samples.id,))
    return joined.with_(ops=(*builder.ops, *network.ops), updates=(*builder.updates, *network.updates))


_MOST_NEW_ROWS = 4


def _input(network: Graph, front: MicroFrontend) -> Tensor:
    x = network[network.inputs[0]]
    shape = "x".join(map(str, x.shape))
    if len(network.inputs) != 1 or x.q is None or x.dtype not in (DType.INT8, DType.INT16):
        raise ModelError(
            f"a front end feeds one input of int8 or int16, the network takes {len(network.inputs)}, the first of "
            f"{x.dtype} {shape}: quantize the network first"
        )
    if x.elements % front.channels or x.shape[-1] not in (front.channels, x.elements, 1):
        raise ModelError(
            f"the network's input has shape {shape}, expected rows of {front.channels} features "
            f"(1x{front.channels}, 1x3x{front.channels} and so on)"
        )
    return x


@dataclass(slots=True)
class _Builder:
    front: MicroFrontend
    tensors: dict[int, Tensor] = field(default_factory=dict)
    ops: list[Op] = field(default_factory=list)
    updates: list[Update] = field(default_factory=list)

    def graph(self, name: str, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> Graph:
        return Graph(name, self.tensors, tuple(self.ops), inputs, outputs, updates=tuple(self.updates))

    def tensor(
        self,
        shape: Shape,
        dtype: DType,
        role: Role = Role.ACTIVATION,
        q: QParams | None = None,
        data: Array | None = None,
        name: str = "",
    ) -> Tensor:
        t = Tensor(max(self.tensors, default=-1) + 1, shape, dtype, role, q=q, data=data, name=name)
        self.tensors[t.id] = t
        return t

    def constant(self, data: Array, dtype: DType, name: str) -> Tensor:
        return self.tensor(data.shape, dtype, Role.CONSTANT, None, data.astype(dtype.numpy), name)

    def state(self, like: Tensor, shape: Shape, value: int, name: str) -> Tensor:
        data = np.full(shape, value, like.dtype.numpy)
        return self.tensor(shape, like.dtype, Role.STATE, like.q, data, name)

    def apply(self, op: type[Op], inputs: Sequence[Tensor], *outputs: Tensor, **attributes: object) -> Tensor:
        ids, made = (tuple(t.id for t in tensors) for tensors in (inputs, outputs))
        self.ops.append(op(inputs=ids, outputs=made, **attributes))
        return outputs[0]

    def reshaped(self, x: Tensor, shape: Shape) -> Tensor:
        return self.apply(ops.Reshape, (x,), self.tensor(shape, x.dtype, q=x.q, name=x.name))

    def part(self, x: Tensor, axis: int, first: int, count: int) -> Tensor:
        shape = tuple(count if a == axis else n for a, n in enumerate(x.shape))
        begin = tuple(first if a == axis else 0 for a in range(len(shape)))
        y = self.tensor(shape, x.dtype, q=x.q, name=x.name)
        return self.apply(ops.Slice, (x,), y, begin=begin, step=(1,) * len(shape))

    def features(self, samples: Tensor, frames: int) -> Tensor:
        """(1, frames, channels), one frame after the other: the noise goes from each to the next."""
        front, constants = self.front, self._constants()
        words = (front.channels,)
        like = Tensor(-1, words, DType.UINT32, Role.ACTIVATION)
        first = noise = self.state(like, words, 0, "noise")
        rows = []
        for i in range(frames):
            frame = samples if frames == 1 else self.part(samples, 1, i * front.step, front.window)
            row, noise = self._row(self.reshaped(frame, (front.window,)), noise, constants)
            rows.append(self.reshaped(row, (1, 1, front.channels)))
        self.updates.append(Update(first.id, noise.id))
        if frames == 1:
            return rows[0]
        y = self.tensor((1, frames, front.channels), DType.INT16, q=rows[0].q, name="features")
        return self.apply(ops.Concat, rows, y, axis=1)

    def _constants(self) -> dict[str, Tensor]:
        front, int16 = self.front, DType.INT16
        f = front.filters[2]
        return {
            name: self.constant(data, int16, name)
            for name, data in (
                ("window", front.window_weights),
                ("gains", front.gains),
                ("weights", f.weights),
                ("unweights", f.unweights),
                ("bins", f.bins),
                ("starts", f.starts),
                ("widths", f.widths),
            )
        }

    def _row(self, frame: Tensor, noise: Tensor, constants: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Features (channels) of a frame (window) and the noise behind it."""
        front, channels, int16 = self.front, (self.front.channels,), DType.INT16
        x = self.apply(
            ops.Window,
            (frame, constants["window"]),
            self.tensor(frame.shape, int16, q=PCM, name="window"),
            shift=WINDOW_BITS,
        )
        shift = self.tensor((), DType.INT32, name="shift")
        x = self.apply(
            ops.FftAutoScale,
            (x,),
            self.tensor(frame.shape, int16, q=PCM, name="scale"),
            shift,
            ignores_lowest=front.ignores_lowest,
        )
        length = front.fft_length
        x = self.apply(ops.Rfft, (x,), self.tensor((length + 2,), int16, q=PCM, name="transform"), length=length)
        start, end, _ = front.filters
        x = self.apply(
            ops.Energy, (x,), self.tensor((length // 2 + 1,), DType.UINT32, name="energy"), start=start, end=end
        )
        filters = (constants[name] for name in ("weights", "unweights", "bins", "starts", "widths"))
        x = self.apply(ops.FilterBank, (x, *filters), self.tensor(channels, DType.UINT64, name="filter_bank"))
        x = self.apply(ops.FilterBankSquareRoot, (x, shift), self.tensor(channels, DType.UINT32, name="amplitude"))
        return self._loudness(x, noise, constants["gains"])

    def _loudness(self, amplitudes: Tensor, noise: Tensor, gains: Tensor) -> tuple[Tensor, Tensor]:
        front, channels, p = self.front, (self.front.channels,), self.front.subtraction
        after = self.tensor(channels, DType.UINT32, name="noise")
        x = self.apply(
            ops.SpectralSubtraction,
            (amplitudes, noise),
            self.tensor(channels, DType.UINT32, name="signal"),
            after,
            smoothing=p.smoothing[0],
            one_minus_smoothing=p.rest[0],
            alternate_smoothing=p.smoothing[1],
            alternate_one_minus_smoothing=p.rest[1],
            smoothing_bits=p.up_bits,
            min_signal_remaining=p.min_remaining,
            bits=p.bits,
        )
        loud = self.tensor(channels, DType.UINT32, name="gain")
        x = self.apply(ops.Pcan, (x, after, gains), loud, snr_shift=front.snr_shift)
        y = self.tensor(channels, DType.INT16, q=QParams.of(front.unit), name="feature")
        form = {"output_scale": front.log_scale, "correction_bits": front.correction_bits}
        return self.apply(ops.FilterBankLog, (x,), y, **form), after

    def into(self, x: Tensor, features: Tensor, rows: int) -> None:
        """Write the network's input `x`: the new features in its units, behind the rows that are kept."""
        channels, new = self.front.channels, features.shape[1]
        if new == rows:
            whole = features if features.shape == x.shape else self.reshaped(features, x.shape)
            self.tensors[x.id] = replace(x, role=Role.ACTIVATION)
            self.apply(ops.Rescale, (whole,), self.tensors[x.id])
            return
        row = self.tensor((1, new, channels), x.dtype, q=x.q, name="new_features")
        self.apply(ops.Rescale, (features,), row)
        kept = self.state(row, (1, rows - new, channels), x.zero_point, "features")
        line = self.tensor((1, rows, channels), x.dtype, q=x.q, name="features")
        self.apply(ops.Concat, (kept, row), line, axis=1)
        newest = self.part(line, 1, new, rows - new)
        self.updates.append(Update(kept.id, newest.id))
        self.tensors[x.id] = replace(x, role=Role.ACTIVATION)
        self.apply(ops.Reshape, (line,), self.tensors[x.id])
