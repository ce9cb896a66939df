"""A sensor node: raw samples in, decisions out. The same arithmetic as firmware/node, in numpy, bit for bit.

    raw counts --normalise--> stored values --windows--> network --decide--> decisions

Normalisation is one multiplication of integers a value: floor((raw * multiplier + offset) / 2^shift), limited to the
network's type. The constants hold all of real = (raw * lsb - mean) / std and stored = round(real / scale) + zero_point.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..errors import CalibrationError, ModelError
from ..ir import Array, DType, Tensor

RAW = np.dtype(np.int16)
MOST_SHIFT = 46
"""So that a sum of a 16-bit count times a 31-bit multiplier and the offset stays in 63 bits."""
CHANNELS_MAX = 256
"""What one request over the serial port can carry of a sample."""
DEBOUNCE_MAX = 1000


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """What a user decides. `mean`, `std` and `lsb` are one number, or one for each channel.

    The network was trained on (value - mean) / std, and a value is a raw count times `lsb`: for an accelerometer of
    +-8 g with 16 bits and a network trained on g, lsb is 8 / 32768. `stride` is in samples, half a window where it is
    None. Without `threshold`, a real score, every class counts. `sensor` holds the driver's files, texts by
    their path (`sensor_files`), or is the text of a single one. `rate_hz` is the rate of samples that the network was
    trained with: recordings of another rate are refused, and the duty cycle follows from it.
    """

    mean: Sequence[float] | float
    std: Sequence[float] | float
    lsb: Sequence[float] | float = 1.0
    stride: int | None = None
    threshold: float | None = None
    debounce: int = 1
    sensor: Mapping[str, str] | str | None = None
    rate_hz: float | None = None

    @property
    def sensor_files(self) -> Mapping[str, str] | None:
        """None for the sensor that replays what comes over the serial port."""
        return {"node_sensor.c": self.sensor} if isinstance(self.sensor, str) else self.sensor


@dataclass(frozen=True, slots=True)
class Normal:
    """The constants of one channel: floor((raw * multiplier + offset) / 2^shift)."""

    multiplier: int
    shift: int
    offset: int


@dataclass(frozen=True, slots=True)
class Decision:
    """A class that stood for as many inferences as wanted, and is another than the last decision's.

    `sample` is the newest one that its last inference saw, from 0; `label` None means that no score reached the
    threshold. `score` is the largest, to three digits; `stored` the same as the network stores it.
    """

    number: int
    sample: int
    label: int | None
    score: float
    stored: int

    def __str__(self) -> str:
        label = "none" if self.label is None else str(self.label)
        return f"{label} at sample {self.sample}, score {self.score:.3f} ({self.stored})"

    @classmethod
    def of(cls, line: str) -> Decision:
        """From the line of JSON that the node writes. ValueError, KeyError or TypeError when it is none."""
        row = json.loads(line)
        return cls(row["decision"], row["sample"], row["class"], row["score"], row["stored"])


@dataclass(frozen=True, slots=True)
class NodeRun:
    """The result of a stream. `outputs_crc` is the CRC-32 of the first output of all inferences."""

    samples: int
    inferences: int
    outputs_crc: int
    decisions: tuple[Decision, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """All of it decided. `threshold` is the least stored score that counts; the scores are the first output."""

    window: int
    channels: int
    stride: int
    debounce: int
    threshold: int
    dtype: DType
    score_dtype: DType
    score_scale: float
    score_zero_point: int
    lsb: tuple[float, ...]
    normals: tuple[Normal, ...]
    rate_hz: float | None = None
    """Samples a second; None where nobody said."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Node:
        types = {"dtype": DType(row["dtype"]), "score_dtype": DType(row["score_dtype"])}
        normals = tuple(Normal(**n) for n in row["normals"])
        return cls(**{**row, **types, "lsb": tuple(row["lsb"]), "normals": normals})

    def raw(self, values: Array) -> Array:
        """(T, channels) real values as raw counts: nearest, limited to 16 bits."""
        info = np.iinfo(RAW)
        limited: Array = np.clip(self._counts(values), info.min, info.max).astype(RAW)
        return limited

    def limited(self, values: Array) -> int:
        """Real values whose raw counts exceed 16 bits, and which `raw` limits."""
        counts, info = self._counts(values), np.iinfo(RAW)
        return int(((counts < info.min) | (counts > info.max)).sum())

    def _counts(self, values: Array) -> Array:
        counts: Array = np.rint(np.asarray(values, np.float64) / np.array(self.lsb))
        return counts

    @property
    def inferences_per_s(self) -> float | None:
        """At the rate of the samples."""
        return None if self.rate_hz is None else self.rate_hz / self.stride

    def check(self, raw: Array, name: str = "raw samples") -> Array:
        """CalibrationError unless it is (T, channels) int16, and a window at least."""
        if raw.ndim != 2 or raw.shape[1] != self.channels or raw.dtype != RAW or not len(raw):
            raise CalibrationError(
                f"{name}: found {raw.dtype} of shape {raw.shape}; expected int16 of shape (samples, {self.channels})"
            )
        if len(raw) < self.window:
            raise CalibrationError(
                f"{name}: found {len(raw):,} samples, expected at least one window of {self.window:,}: "
                "the node would make no inference"
            )
        return np.ascontiguousarray(raw)

    @property
    def samples_per_request(self) -> int:
        """So many fit into a request over the serial port, and lead to 8 inferences at most."""
        return min(512 // (self.channels * RAW.itemsize), 8 * self.stride)

    def normalise(self, raw: Array) -> Array:
        """(T, channels) raw counts as the network stores them."""
        multiplier, shift, offset = (
            np.array([getattr(n, name) for n in self.normals], np.int64) for name in ("multiplier", "shift", "offset")
        )
        stored = (raw.astype(np.int64) * multiplier + offset) >> shift
        limited: Array = np.clip(stored, *self.dtype.range()).astype(self.dtype.numpy)
        return limited

    def windows(self, raw: Array) -> Array:
        """(N, window, channels) stored values: what each inference sees, oldest sample first."""
        stored = self.normalise(self.check(raw))
        views = np.lib.stride_tricks.sliding_window_view(stored, self.window, axis=0)[:: self.stride]
        return np.ascontiguousarray(views.transpose(0, 2, 1))

    def decide(self, scores: Array) -> tuple[Decision, ...]:
        """The decisions that follow from the (N, ...) stored scores of inferences one after the other."""
        decisions: list[Decision] = []
        candidate: int | None = None
        decided: int | None = None
        agreeing = 0
        for i, row in enumerate(map(np.ravel, scores)):
            best = int(row.argmax())
            label = best if row[best] >= self.threshold else None
            agreeing = agreeing + 1 if label == candidate else 1
            candidate = label
            if agreeing >= self.debounce and label != decided:
                decided = label
                sample = self.window - 1 + i * self.stride
                decisions.append(
                    Decision(len(decisions) + 1, sample, label, self._score(int(row[best])), int(row[best]))
                )
        return tuple(decisions)

    def run(self, raw: Array, scores: Array) -> NodeRun:
        """What a node makes of (T, channels) raw counts; `scores` (N, ...) are the first outputs over their windows."""
        return NodeRun(len(raw), len(scores), zlib.crc32(scores.tobytes()), self.decide(scores))

    def _score(self, stored: int) -> float:
        """In single precision and to three digits, as the firmware prints it."""
        return float(f"{np.float32(self.score_scale) * np.float32(stored - self.score_zero_point):.3f}")


def difference(board: NodeRun, host: NodeRun) -> str:
    """ "" when both are the same, else a sentence with the first difference."""
    for ours, theirs in zip(board.decisions, host.decisions, strict=False):
        if ours != theirs:
            return f"decision {theirs.number} is {ours} on the board, {theirs} on this machine"
    for what in ("samples", "inferences"):
        ours, theirs = getattr(board, what), getattr(host, what)
        if ours != theirs:
            return f"{ours} {what} on the board, {theirs} on this machine"
    if len(board.decisions) != len(host.decisions):
        return f"{len(board.decisions)} decisions on the board, {len(host.decisions)} on this machine"
    return (
        ""
        if board.outputs_crc == host.outputs_crc
        else "all decisions are the same, but the scores behind them are not"
    )


def configure(settings: NodeSettings, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> Node:
    """The node around a network. ModelError or CalibrationError says what does not go together."""
    x, y = _sequence(inputs), _scores(outputs)
    window, channels = _axes(x)
    stride = max(1, window // 2) if settings.stride is None else settings.stride
    _check_counts(stride, settings.debounce)
    _check_rate(settings.rate_hz)
    mean, std, lsb = (
        _per_channel(name, value, channels)
        for name, value in (("mean", settings.mean), ("std", settings.std), ("lsb", settings.lsb))
    )
    return Node(
        window=window,
        channels=channels,
        stride=stride,
        debounce=settings.debounce,
        threshold=_threshold(settings.threshold, y),
        dtype=x.dtype,
        score_dtype=y.dtype,
        score_scale=y.scale,
        score_zero_point=y.zero_point,
        lsb=lsb,
        normals=tuple(_normal(i, mean[i], std[i], lsb[i], x) for i in range(channels)),
        rate_hz=settings.rate_hz,
    )


def _sequence(inputs: Sequence[Tensor]) -> Tensor:
    if len(inputs) != 1 or inputs[0].dtype not in (DType.INT8, DType.INT16):
        types = ", ".join(f"{t.dtype} {'x'.join(map(str, t.shape))}" for t in inputs)
        raise ModelError(f"a node feeds one input of int8 or int16, the network takes {types}")
    return inputs[0]


def _axes(x: Tensor) -> tuple[int, int]:
    """(samples, channels): whatever is longer than 1, time first. Both lie so in memory."""
    match [n for n in x.shape if n > 1]:
        case [window]:
            return window, 1
        case [window, channels] if channels <= CHANNELS_MAX:
            return window, channels
    raise ModelError(
        f"a node feeds samples over time, the network takes {'x'.join(map(str, x.shape))}: "
        f"expected a window of samples and up to {CHANNELS_MAX} channels, 1x1x128x6 or 1x128x6"
    )


def _scores(outputs: Sequence[Tensor]) -> Tensor:
    y = outputs[0]
    if y.dtype not in (DType.INT8, DType.INT16) or math.prod(y.shape) < 2:
        raise ModelError(
            f"a node decides by the largest score, the network's first output is {y.dtype} of shape "
            f"{'x'.join(map(str, y.shape))}: expected int8 or int16, one element a class"
        )
    return y


def _check_counts(stride: int, debounce: int) -> None:
    if not 1 <= stride <= 1 << 20:
        raise ModelError(f"a stride of {stride} samples cannot be: expected 1 or more")
    if not 1 <= debounce <= DEBOUNCE_MAX:
        raise ModelError(f"a debounce of {debounce} inferences cannot be: expected 1 to {DEBOUNCE_MAX}")


def _check_rate(rate_hz: float | None) -> None:
    if rate_hz is not None and not (math.isfinite(rate_hz) and rate_hz > 0):
        raise ModelError(f"a rate of {rate_hz:g} samples a second cannot be: expected more than 0")


def _per_channel(name: str, value: Sequence[float] | float, channels: int) -> tuple[float, ...]:
    numbers = np.atleast_1d(np.asarray(value, np.float64)).reshape(-1)
    if numbers.size not in (1, channels):
        raise CalibrationError(
            f"{name} has {numbers.size} numbers, the network {channels} channels: give one or as many"
        )
    if not np.isfinite(numbers).all() or (name != "mean" and (numbers <= 0).any()):
        kind = "finite" if name == "mean" else "finite and above 0"
        raise CalibrationError(f"{name} must be {kind}, found {', '.join(f'{n:g}' for n in numbers)}")
    return tuple(float(n) for n in np.broadcast_to(numbers, channels))


def _threshold(real: float | None, y: Tensor) -> int:
    """The least stored score that is at least `real`."""
    low, high = y.dtype.range()
    if real is None:
        return low
    if not math.isfinite(real):
        raise ModelError(f"a threshold of {real:g} is not a number: expected a score")
    stored = max(low, math.ceil(real / y.scale + y.zero_point))
    if stored > high:
        most = (high - y.zero_point) * y.scale
        raise ModelError(f"a threshold of {real:g} is never reached: the network's largest score is {most:.3f}")
    return stored


def _normal(channel: int, mean: float, std: float, lsb: float, x: Tensor) -> Normal:
    """The largest shift at which neither the multiplier nor the offset overflows."""
    slope, offset = lsb / (std * x.scale), x.zero_point - mean / (std * x.scale) + 0.5
    low, high = x.dtype.range()
    if slope * 65536 < 1.0 or slope > high - low:
        raise CalibrationError(
            f"channel {channel}: one raw count of the sensor is {slope:.3g} steps of the network's input, and "
            f"one step is {std * x.scale:.3g} of the trained unit; check mean, std and lsb (unit of one raw count)"
        )
    if abs(offset) >= 2.0**31:
        raise CalibrationError(
            f"channel {channel}: mean / std is {mean / std:.3g}, and no count is near it; check mean, std and lsb"
        )
    shift = min(MOST_SHIFT, 30 - math.frexp(slope)[1], 61 - math.frexp(offset)[1])
    return Normal(round(slope * 2**shift), shift, round(offset * 2**shift))
