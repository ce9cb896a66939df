"""Derives the rule of a node's decisions from the settings and the network's tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..errors import CalibrationError, ModelError
from ..ir import Tensor
from .decision_rules import (
    RULES,
    VALUE_BITS,
    AnomalyRule,
    ClassRule,
    ForecastRule,
    RowError,
    Rule,
    ValueRule,
    WakeRule,
)
from .fixed_numbers import average_weight, decimal_scale, error_sum
from .node_settings import NodeSettings

DEBOUNCE_MAX = 1000
AVERAGE_MAX = 64
COOL_DOWN_MAX = 10000
OUTPUTS_MAX = 64
"""Maximum number of output elements that a node reports. Class scores may have more."""
_UNLIMITED = (1 << 31) - 1
_DEFAULTS = NodeSettings(0.0, 1.0)
_BELONGS: Mapping[str, tuple[str, ...]] = {
    "threshold": ("class", "anomaly", "wake"),
    "debounce": ("class", "anomaly", "wake", "value"),
    "average": ("wake",),
    "cool_down": ("wake",),
    "error": ("anomaly", "forecast"),
    "smooth": ("anomaly", "value"),
    "hysteresis": ("anomaly", "value"),
    "normal": ("anomaly",),
    "output_unit": ("value",),
    "output_scale": ("value",),
    "output_offset": ("value",),
    "low": ("value",),
    "high": ("value",),
}
_ERRORS = ("squared", "absolute")


@dataclass(frozen=True, slots=True)
class Frame:
    """The environment of the network: its input and first output, the window, and the unit of the samples.

    `means` and `stds` have one entry per channel: value = stored real value * std + mean.
    """

    x: Tensor
    y: Tensor
    window: int
    channels: int
    stride: int
    means: tuple[float, ...]
    stds: tuple[float, ...]

    @property
    def outputs(self) -> int:
        return math.prod(self.y.shape)

    @property
    def shape_text(self) -> str:
        return "x".join(map(str, self.y.shape))


def rule_of(settings: NodeSettings, frame: Frame) -> Rule:
    """The rule for the settings. Raises ModelError for incompatible settings. A threshold from `normal` is fitted
    later.
    """
    kind = settings.decision or _guess(frame)
    if kind not in RULES:
        raise ModelError(f"decision {kind!r} is not known; there are {', '.join(RULES)}")
    _check_settings(settings, kind)
    return _RULES[kind](settings, frame)


def _guess(frame: Frame) -> str:
    if frame.outputs == frame.window * frame.channels:
        return "anomaly"
    return "value" if frame.outputs == 1 else "class"


def _check_settings(settings: NodeSettings, kind: str) -> None:
    for name, kinds in _BELONGS.items():
        value, default = getattr(settings, name), getattr(_DEFAULTS, name)
        if kind not in kinds and (len(value) > 0 if name == "normal" else value != default):
            raise ModelError(f"{name} belongs to the decisions {', '.join(kinds)}; this node's decision is {kind}")
    if not 1 <= settings.debounce <= DEBOUNCE_MAX:
        raise ModelError(f"a debounce of {settings.debounce} inferences is not valid: expected 1 to {DEBOUNCE_MAX}")
    if settings.error not in _ERRORS:
        raise ModelError(f"error {settings.error!r} is not known; there are {', '.join(_ERRORS)}")
    if not (math.isfinite(settings.hysteresis) and settings.hysteresis >= 0):
        raise ModelError(f"a hysteresis of {settings.hysteresis:g} is not valid: expected 0 or more")


def _class_rule(settings: NodeSettings, frame: Frame) -> Rule:
    if frame.outputs < 2:
        raise ModelError(
            f"a node decides by the largest score, the network's first output is {frame.y.dtype} of shape "
            f"{frame.shape_text}: expected int8 or int16, one element a class"
        )
    return ClassRule(
        _stored_threshold(settings.threshold, frame.y), settings.debounce, frame.y.scale, frame.y.zero_point
    )


def _stored_threshold(real: float | None, y: Tensor) -> int:
    """The smallest stored score that is at least `real`."""
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


def _anomaly_rule(settings: NodeSettings, frame: Frame) -> Rule:
    error = None if frame.outputs == 1 else _row_error(settings, frame, is_forecast=False)
    y = frame.y
    unit = y.scale / 2**VALUE_BITS if error is None else error.sum.unit
    offset = -y.zero_point * y.scale if error is None else 0.0
    resolution = y.scale if error is None else max(unit, _step_error(settings, frame) / 100)
    rule = AnomalyRule(
        error=error,
        on=_UNLIMITED,
        off=_UNLIMITED,
        debounce=settings.debounce,
        weight=average_weight(settings.smooth),
        decimal=decimal_scale(unit, offset, resolution, "the score"),
        unit=unit,
        offset=offset,
    )
    if settings.threshold is not None and len(settings.normal):
        raise ModelError("a threshold and normal recordings to find it were given: leave one out")
    if settings.threshold is None:
        if not len(settings.normal):
            raise ModelError(
                "an anomaly node needs the score of an alarm: give threshold, or normal, recordings of normal "
                "operation (--threshold, --normal)"
            )
        return rule
    return with_threshold(rule, settings.threshold, settings.hysteresis)


def _step_error(settings: NodeSettings, frame: Frame) -> float:
    """The score for a difference of one step of the coarser tensor in every element."""
    step = max(frame.x.scale, frame.y.scale)
    return step * step if settings.error == "squared" else step


def with_threshold(rule: AnomalyRule, threshold: float, hysteresis: float) -> AnomalyRule:
    """An alarm from the real score `threshold`, until the score is below the threshold by the fraction `hysteresis`."""
    if not math.isfinite(threshold):
        raise ModelError(f"a threshold of {threshold:g} is not a number: expected a score")
    if not hysteresis < 1:
        raise ModelError(
            f"a hysteresis of {hysteresis:g} is not valid: expected a share of the threshold, 0 to below 1"
        )
    on, off = (math.ceil((t - rule.offset) / rule.unit) for t in (threshold, threshold - abs(threshold) * hysteresis))
    if not -_UNLIMITED < on < _UNLIMITED:
        raise ModelError(
            f"a threshold of {threshold:g} is never reached: the largest score is {rule.real(_UNLIMITED):g}"
        )
    return replace(rule, on=on, off=off)


def fitted(rule: AnomalyRule, smoothed: list[int], quantile: float, hysteresis: float) -> AnomalyRule:
    """The threshold that the fraction `quantile` of the smoothed scores of normal operation stays below."""
    if not 0 < quantile <= 1:
        raise ModelError(f"a quantile of {quantile:g} is not valid: expected above 0, up to 1")
    if not smoothed:
        raise CalibrationError("the recordings of normal operation give no score: expected at least one more window")
    highest = int(np.quantile(np.array(smoothed, np.int64), quantile, method="higher"))
    return with_threshold(rule, rule.real(highest + 1), hysteresis)


def _row_error(settings: NodeSettings, frame: Frame, is_forecast: bool) -> RowError:
    """The error of a reconstruction against its own window, or of a forecast against the samples until the next
    inference.
    """
    size, is_squared = frame.window * frame.channels, settings.error == "squared"
    if frame.outputs == size and not is_forecast:
        return RowError(error_sum(frame.x, frame.y, size, is_squared), 0, frame.window, False)
    if frame.outputs % frame.channels or frame.stride > frame.window:
        what = "forecast" if is_forecast else "anomaly"
        raise ModelError(
            f"{what}: the network's first output has shape {frame.shape_text}, its window is {frame.window} samples of "
            f"{frame.channels} channels, its stride {frame.stride}: expected "
            + ("" if is_forecast else "the window again, one score, or ")
            + "following samples of all channels, and a stride of at most the window"
        )
    rows = min(frame.stride, frame.outputs // frame.channels)
    sum_ = error_sum(frame.x, frame.y, rows * frame.channels, is_squared)
    return RowError(sum_, frame.window - frame.stride, rows, True)


def _value_rule(settings: NodeSettings, frame: Frame) -> Rule:
    _check_outputs(frame)
    factor, y = settings.output_scale, frame.y
    if not (math.isfinite(factor) and factor > 0 and math.isfinite(settings.output_offset)):
        raise ModelError(f"an output scale of {factor:g} is not valid: expected more than 0, and a finite offset")
    step = y.scale * factor
    offset = settings.output_offset - y.zero_point * step
    limits = (settings.high, -settings.hysteresis), (settings.low, settings.hysteresis)
    (high_on, high_off), (low_on, low_off) = (
        (None, None) if limit is None else (_value(limit, step, offset), _value(limit + back, step, offset))
        for limit, back in limits
    )
    if settings.low is not None and settings.high is not None and settings.low >= settings.high:
        raise ModelError(f"limits {settings.low:g} and {settings.high:g}: expected low below high")
    return ValueRule(
        outputs=frame.outputs,
        high_on=_UNLIMITED if high_on is None else math.ceil(high_on),
        high_off=_UNLIMITED if high_off is None else math.ceil(high_off),
        low_on=-_UNLIMITED if low_on is None else math.floor(low_on),
        low_off=-_UNLIMITED if low_off is None else math.floor(low_off),
        debounce=settings.debounce,
        weight=average_weight(settings.smooth),
        decimal=decimal_scale(step / 2**VALUE_BITS, offset, step, "the output"),
        unit=settings.output_unit,
    )


def _value(real: float, step: float, offset: float) -> float:
    """The limit in smoothed stored values."""
    smoothed = (real - offset) / step * (1 << VALUE_BITS)
    if not abs(smoothed) < _UNLIMITED:
        raise ModelError(f"a limit of {real:g} is never reached: one stored step of the output is {step:g}")
    return smoothed


def _check_outputs(frame: Frame) -> None:
    if frame.outputs > OUTPUTS_MAX:
        raise ModelError(
            f"the network's first output has shape {frame.shape_text}: expected at most {OUTPUTS_MAX} elements"
        )


def _wake_rule(settings: NodeSettings, frame: Frame) -> Rule:
    y, average = frame.y, settings.average
    if frame.outputs != 1 or settings.threshold is None or not math.isfinite(settings.threshold):
        raise ModelError(
            f"a wake word needs a network with one score, and the score that wakes (--threshold): the network's first "
            f"output has shape {frame.shape_text}, the threshold is {settings.threshold}"
        )
    if not (1 <= average <= AVERAGE_MAX and 0 <= settings.cool_down <= COOL_DOWN_MAX):
        raise ModelError(
            f"a mean of {average} scores and a cool-down of {settings.cool_down} inferences are not valid: expected 1 "
            f"to {AVERAGE_MAX} and 0 to {COOL_DOWN_MAX}"
        )
    limit = math.floor(average * (settings.threshold / y.scale + y.zero_point))
    if not average * y.dtype.range()[0] - 1 <= limit < average * y.dtype.range()[1]:
        most = (y.dtype.range()[1] - y.zero_point) * y.scale
        raise ModelError(
            f"a threshold of {settings.threshold:g} is never passed: the network's largest score is {most:.3f}"
        )
    decimal = decimal_scale(y.scale / average, -y.zero_point * y.scale, y.scale / average, "the score")
    return WakeRule(average, limit, settings.debounce, settings.cool_down, decimal)


def _forecast_rule(settings: NodeSettings, frame: Frame) -> Rule:
    _check_outputs(frame)
    error = _row_error(settings, frame, is_forecast=True)
    y = frame.y
    decimals = tuple(
        decimal_scale(y.scale * std, mean - y.zero_point * y.scale * std, y.scale * std, "the forecast")
        for mean, std in zip(frame.means, frame.stds, strict=True)
    )
    resolution = max(error.sum.unit, _step_error(settings, frame) / 100)
    error_decimal = decimal_scale(error.sum.unit, 0.0, resolution, "the error")
    return ForecastRule(frame.outputs // frame.channels, error, decimals, error_decimal)


_RULES: Mapping[str, Callable[[NodeSettings, Frame], Rule]] = {
    "class": _class_rule,
    "anomaly": _anomaly_rule,
    "wake": _wake_rule,
    "value": _value_rule,
    "forecast": _forecast_rule,
}
