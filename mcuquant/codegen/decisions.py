"""The decisions of a sensor node: one JSON object per line, with a class for each kind."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Decision:
    """A class that was the best for the number of inferences of the debounce and differs from the last decision.

    `sample` is the newest sample of its last inference, from 0. `label` None means that no score reached the threshold.
    `score` is the largest score with three digits; `stored` is the same as a stored value.
    """

    number: int
    sample: int
    label: int | None
    score: float
    stored: int
    columns: ClassVar[tuple[str, ...]] = (">class", ">score", ">stored")
    """Format of the columns; > aligns to the right."""

    def __str__(self) -> str:
        label = "none" if self.label is None else str(self.label)
        return f"{label} at sample {self.sample}, score {self.score:.3f} ({self.stored})"

    @property
    def cells(self) -> tuple[str, ...]:
        """The values of the columns, with a dash for missing values."""
        return "-" if self.label is None else str(self.label), f"{self.score:.3f}", str(self.stored)

    @property
    def line(self) -> str:
        label = "null" if self.label is None else str(self.label)
        return _line(self.number, self.sample, f'"class":{label},"score":{self.score:.3f},"stored":{self.stored}')


@dataclass(frozen=True, slots=True)
class AnomalyDecision:
    """The begin or end of an alarm. `score` is the smoothed error, in the unit of the training data or its square."""

    number: int
    sample: int
    is_alarm: bool
    score: Decimal
    columns: ClassVar[tuple[str, ...]] = ("state", ">score")

    def __str__(self) -> str:
        return f"{'alarm' if self.is_alarm else 'normal'} at sample {self.sample}, score {self.score:f}"

    @property
    def cells(self) -> tuple[str, ...]:
        return "alarm" if self.is_alarm else "normal", f"{self.score:f}"

    @property
    def line(self) -> str:
        return _line(self.number, self.sample, f'"alarm":{json.dumps(self.is_alarm)},"score":{self.score:f}')


@dataclass(frozen=True, slots=True)
class WakeDecision:
    """A wake word. `score` is the mean of the last scores."""

    number: int
    sample: int
    score: Decimal
    columns: ClassVar[tuple[str, ...]] = ("event", ">score")

    def __str__(self) -> str:
        return f"wake at sample {self.sample}, score {self.score:f}"

    @property
    def cells(self) -> tuple[str, ...]:
        return "wake", f"{self.score:f}"

    @property
    def line(self) -> str:
        return _line(self.number, self.sample, f'"wake":true,"score":{self.score:f}')


@dataclass(frozen=True, slots=True)
class ValueDecision:
    """The outputs of one inference in their unit. An alarm is "low", "high" or None."""

    number: int
    sample: int
    values: tuple[Decimal, ...]
    alarms: tuple[str | None, ...]
    unit: str
    columns: ClassVar[tuple[str, ...]] = (">values", "unit", "alarms")

    def __str__(self) -> str:
        values = ", ".join(f"{v:f}{f' {a}' if a else ''}" for v, a in zip(self.values, self.alarms, strict=True))
        return f"{values} {self.unit}".strip() + f" at sample {self.sample}"

    @property
    def cells(self) -> tuple[str, ...]:
        values, alarms = ", ".join(f"{v:f}" for v in self.values), ", ".join(a or "-" for a in self.alarms)
        return values, self.unit, alarms

    @property
    def line(self) -> str:
        values, alarms = _array(self.values), json.dumps(self.alarms, separators=(",", ":"))
        unit = f',"unit":{json.dumps(self.unit)}' if self.unit else ""
        return _line(self.number, self.sample, f'"values":{values},"alarms":{alarms}{unit}')


@dataclass(frozen=True, slots=True)
class ForecastDecision:
    """The samples after `sample`, in the unit of the sensor: one row per sample, one number per channel.

    `error` is the mean squared or absolute difference, in the unit of the training data, between the last forecast and
    the samples since then; None at the first inference.
    """

    number: int
    sample: int
    rows: tuple[tuple[Decimal, ...], ...]
    error: Decimal | None
    columns: ClassVar[tuple[str, ...]] = (">first of the forecast", ">error of the last")

    def __str__(self) -> str:
        return f"{len(self.rows)} samples from {self.sample + 1}, error of the last {self.error}"

    @property
    def cells(self) -> tuple[str, ...]:
        first = ", ".join(f"{v:f}" for v in self.rows[0])
        return first, "-" if self.error is None else f"{self.error:f}"

    @property
    def line(self) -> str:
        rows = "[" + ",".join(_array(row) for row in self.rows) + "]"
        error = "null" if self.error is None else f"{self.error:f}"
        return _line(self.number, self.sample, f'"from":{self.sample + 1},"forecast":{rows},"error":{error}')


AnyDecision = Decision | AnomalyDecision | WakeDecision | ValueDecision | ForecastDecision


def _line(number: int, sample: int, rest: str) -> str:
    return f'{{"decision":{number},"sample":{sample},{rest}}}'


def _array(values: Sequence[Decimal]) -> str:
    return "[" + ",".join(f"{v:f}" for v in values) + "]"


def decision_of(line: str) -> AnyDecision:
    """A decision from a line of a node. Raises ValueError, KeyError or TypeError for any other line."""
    row = json.loads(line, parse_float=Decimal, parse_int=Decimal)
    number, sample = int(row["decision"]), int(row["sample"])
    if "class" in row:
        label = None if row["class"] is None else int(row["class"])
        return Decision(number, sample, label, float(row["score"]), int(row["stored"]))
    if "alarm" in row:
        return AnomalyDecision(number, sample, row["alarm"], row["score"])
    if "wake" in row:
        return WakeDecision(number, sample, row["score"])
    if "forecast" in row:
        return ForecastDecision(number, sample, tuple(map(tuple, row["forecast"])), row["error"])
    return ValueDecision(number, sample, tuple(row["values"]), tuple(row["alarms"]), row.get("unit", ""))


def decision_json(decision: AnyDecision) -> dict[str, Any]:
    """The fields of the line as plain values."""
    row: dict[str, Any] = json.loads(decision.line)
    return row
