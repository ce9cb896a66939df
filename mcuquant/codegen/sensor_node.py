"""A sensor node: raw samples in, decisions out. The arithmetic equals that of firmware/node, in numpy, bit for bit.

raw counts --normalize--> stored values --windows--> network --decide--> decisions

Normalization is one integer multiplication per value: floor((raw * multiplier + offset) / 2^shift), limited to the
network's type. The constants combine real = (raw * lsb - mean) / std and stored = round(real / scale) + zero_point.
"""

from __future__ import annotations

import math
import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass, replace
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np

from ..errors import CalibrationError, CalibrationWarning, ModelError
from ..ir import Array, DType, Tensor
from .decision_rules import RULES, AnomalyRule, Inferences, Rule
from .decisions import AnyDecision
from .node_settings import NodeSettings
from .rule_choice import Frame, fitted, rule_of

RAW = np.dtype(np.int16)
MOST_SHIFT = 46
"""Bits of the multiplier, so that the product with a 16-bit count plus the offset stays within 63 bits."""
CHANNELS_MAX = 256
"""Bytes of a sample that one request over the serial port can carry."""


@dataclass(frozen=True, slots=True)
class Normal:
    """The constants of one channel: floor((raw * multiplier + offset) / 2^shift)."""

    multiplier: int
    shift: int
    offset: int


@dataclass(frozen=True, slots=True)
class NodeRun:
    """The result of a stream. `outputs_crc` is the CRC-32 of the first output and the score of all inferences."""

    samples: int
    inferences: int
    outputs_crc: int
    decisions: tuple[AnyDecision, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """Windows of `window` samples of `channels`, an inference every `stride` samples, and decisions by `rule`."""

    window: int
    channels: int
    stride: int
    dtype: DType
    score_dtype: DType
    lsb: tuple[float, ...]
    normals: tuple[Normal, ...]
    rule: Rule
    rate_hz: float | None = None
    """Samples per second; None if unknown."""

    def to_json(self) -> dict[str, Any]:
        row = asdict(self)
        return {**row, "rule": {"kind": self.rule.kind, **row["rule"]}}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Node:
        rule = dict(row["rule"])
        kind = RULES[rule.pop("kind")]
        node: Node = _revive(cls, {**row, "rule": _revive(kind, rule)})
        return node

    def raw(self, values: Array) -> Array:
        """(T, channels) real values as raw counts: rounded to nearest, limited to 16 bits.

        Raises CalibrationError for another shape and for values of NaN or infinity. Warns (CalibrationWarning) of
        values that are limited.
        """
        return raw_counts(values, self.lsb, self.channels)

    @property
    def inferences_per_s(self) -> float | None:
        """Time of a sample number at the sampling rate."""
        return None if self.rate_hz is None else self.rate_hz / self.stride

    def check(self, raw: Array, name: str = "raw samples") -> Array:
        """Raises CalibrationError unless the recording is (T, channels) int16 with at least one window."""
        if not isinstance(raw, np.ndarray):
            raise CalibrationError(
                f"{name}: found {type(raw).__name__}; expected an array, int16 of shape (samples, {self.channels})"
            )
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
        """Number of samples per request over the serial port; it causes at most 8 inferences."""
        return min(512 // (self.channels * RAW.itemsize), 8 * self.stride)

    def normalise(self, raw: Array) -> Array:
        """(T, channels) raw counts as stored values of the network."""
        multiplier, shift, offset = (
            np.array([getattr(n, name) for n in self.normals], np.int64) for name in ("multiplier", "shift", "offset")
        )
        stored = (raw.astype(np.int64) * multiplier + offset) >> shift
        limited: Array = np.clip(stored, *self.dtype.range()).astype(self.dtype.numpy)
        return limited

    def real_windows(self, raw: Array, scale: float, zero_point: int) -> Array:
        """(N, window, channels) real inputs, neither rounded nor limited; `scale` and `zero_point` are those of the
        input.
        """
        multiplier, shift, offset = (
            np.array([getattr(n, name) for n in self.normals], np.float64) for name in ("multiplier", "shift", "offset")
        )
        stored = (self.check(raw).astype(np.float64) * multiplier + offset) / 2.0**shift - 0.5
        views = np.lib.stride_tricks.sliding_window_view(stored, self.window, axis=0)[:: self.stride]
        real: Array = (views.transpose(0, 2, 1) - zero_point) * scale
        return real

    def windows(self, raw: Array) -> Array:
        """(N, window, channels) stored values: the input of each inference, oldest sample first."""
        stored = self.normalise(self.check(raw))
        views = np.lib.stride_tricks.sliding_window_view(stored, self.window, axis=0)[:: self.stride]
        return np.ascontiguousarray(views.transpose(0, 2, 1))

    def run(self, raw: Array, outputs: Array) -> NodeRun:
        """The result for (T, channels) raw counts; `outputs` (N, ...) are the first outputs over their windows."""
        flat = outputs.reshape(len(outputs), -1)
        result = self.rule.decide(self.inferences(raw, outputs))
        crc = 0
        for row, trace in zip(flat, result.trace.astype("<i4"), strict=True):
            crc = zlib.crc32(row.tobytes() + trace.tobytes(), crc)
        return NodeRun(len(raw), len(outputs), crc, result.decisions)

    def inferences(self, raw: Array, outputs: Array) -> Inferences:
        """The windows of raw counts, with the outputs (N, ...) for them."""
        return Inferences(self.windows(raw), outputs.reshape(len(outputs), -1), self.stride)


def raw_counts(values: Array, lsb: Sequence[float] | float, channels: int | None = None, name: str = "values") -> Array:
    """(T, channels) real values as raw counts of `lsb` each: nearest, limited to 16 bits.

    Raises CalibrationError for another shape and for values of NaN or infinity. Warns (CalibrationWarning) of values
    that are limited, because a real sensor saturates too, and of values that all become the same counts.
    """
    x, units = np.asarray(values), np.atleast_1d(np.asarray(lsb, np.float64))
    if channels is None and x.ndim == 2:
        channels = len(units) if len(units) > 1 else x.shape[1]
    _check_values(name, x, channels)
    info = np.iinfo(RAW)
    counts = np.rint(x.astype(np.float64) / units)
    count = int(((counts < info.min) | (counts > info.max)).sum())
    if count:
        warnings.warn(
            f"{count:,} of {x.size:,} values of {name} exceed the sensor's 16 bits and are limited; "
            f"lsb is {_units_text(units)}",
            CalibrationWarning,
            stacklevel=3,
        )
    limited: Array = np.clip(counts, info.min, info.max).astype(RAW)
    if len(x) and (limited == limited[0]).all() and not (x == x[0]).all():
        warnings.warn(
            f"all values of {name} become the same counts: they differ by less than lsb, {_units_text(units)}",
            CalibrationWarning,
            stacklevel=3,
        )
    return limited


def _units_text(units: Array) -> str:
    return ", ".join(f"{n:g}" for n in units)


def _check_values(name: str, x: Array, channels: int | None) -> None:
    if x.ndim != 2 or x.shape[1] != channels:
        expected = "channels" if channels is None else channels
        raise CalibrationError(f"{name} has shape {x.shape}; expected one recording, (samples, {expected})")
    if x.dtype.kind not in "fiu":
        raise CalibrationError(f"{name} is {x.dtype}; expected numbers")
    bad = np.argwhere(~np.isfinite(x))
    if len(bad):
        sample, channel = map(int, bad[0])
        raise CalibrationError(
            f"{name} holds {len(bad):,} values of NaN or infinity, the first at sample {sample}, channel {channel}; "
            "leave these samples out"
        )


def _revive(kind: Any, value: Any) -> Any:
    """A JSON value converted to the dataclass, enumeration or tuple of a type hint."""
    if is_dataclass(kind) and isinstance(value, Mapping):
        hints = get_type_hints(kind)
        return kind(**{name: _revive(hints[name], item) for name, item in value.items()})  # type: ignore[operator]
    if get_origin(kind) is tuple:
        return tuple(_revive(get_args(kind)[0], item) for item in value)
    if kind is DType:
        return DType(value)
    inner = [k for k in get_args(kind) if is_dataclass(k)]
    return _revive(inner[0], value) if len(inner) == 1 and value is not None else value


def difference(board: NodeRun, host: NodeRun) -> str:
    """ "" if both results are equal, else a sentence with the first difference."""
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
    """The node around a network. Raises ModelError or CalibrationError for settings that do not fit."""
    x, y = _sequence(inputs), _scores(outputs)
    window, channels = _axes(x)
    stride = max(1, window // 2) if settings.stride is None else settings.stride
    _check_stride(stride)
    _check_rate(settings.rate_hz)
    mean, std, lsb = (
        _per_channel(name, value, channels)
        for name, value in (("mean", settings.mean), ("std", settings.std), ("lsb", settings.lsb))
    )
    return Node(
        window=window,
        channels=channels,
        stride=stride,
        dtype=x.dtype,
        score_dtype=y.dtype,
        lsb=lsb,
        normals=tuple(_normal(i, mean[i], std[i], lsb[i], x) for i in range(channels)),
        rule=rule_of(settings, Frame(x, y, window, channels, stride, mean, std)),
        rate_hz=settings.rate_hz,
    )


def fit(node: Node, settings: NodeSettings, infer: Callable[[Array], Array]) -> Node:
    """A node whose alarm threshold is the quantile of the scores over recordings of normal operation.

    `infer` returns the first outputs (N, ...) of stored windows (N, window, channels).
    """
    if not isinstance(node.rule, AnomalyRule) or not len(settings.normal):
        return node
    smoothed: list[int] = []
    for i, raw in enumerate(settings.normal):
        windows = node.windows(node.check(raw, f"normal recording {i}"))
        smoothed += node.rule.smoothed(node.inferences(raw, infer(windows)))
    return replace(node, rule=fitted(node.rule, smoothed, settings.quantile, settings.hysteresis))


def _sequence(inputs: Sequence[Tensor]) -> Tensor:
    if len(inputs) != 1 or inputs[0].dtype not in (DType.INT8, DType.INT16):
        types = ", ".join(f"{t.dtype} {'x'.join(map(str, t.shape))}" for t in inputs)
        raise ModelError(f"a node feeds one input of int8 or int16, the network takes {types}")
    return inputs[0]


def _axes(x: Tensor) -> tuple[int, int]:
    """(samples, channels): the dimensions longer than 1, time first, in the order of memory."""
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
    if y.dtype not in (DType.INT8, DType.INT16):
        raise ModelError(
            f"a node decides by the network's first output, which is {y.dtype} of shape "
            f"{'x'.join(map(str, y.shape))}: expected int8 or int16"
        )
    return y


def _check_stride(stride: int) -> None:
    if not 1 <= stride <= 1 << 20:
        raise ModelError(f"a stride of {stride} samples is not valid: expected 1 or more")


def _check_rate(rate_hz: float | None) -> None:
    if rate_hz is not None and not (math.isfinite(rate_hz) and rate_hz > 0):
        raise ModelError(f"a rate of {rate_hz:g} samples a second is not valid: expected more than 0")


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


def _normal(channel: int, mean: float, std: float, lsb: float, x: Tensor) -> Normal:
    """The largest shift for which neither the multiplier nor the offset overflows."""
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
