"""The rules by which a sensor node derives decisions from the network's first output. Each rule has its C in
firmware/decide.

A rule receives the stored windows (N, samples, channels) and outputs (N, elements) of N inferences, `stride` samples
apart.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..ir import Array
from .decisions import AnomalyDecision, AnyDecision, Decision, ForecastDecision, ValueDecision, WakeDecision
from .fixed_numbers import DecimalScale, ErrorSum, averages

VALUE_BITS = 8
"""Fraction bits of a smoothed output."""
NO_CLASS = -1
NO_SCORE = -1
"""Marks an inference without a preceding forecast in a trace."""
NO_SUM = -(1 << 31)
"""Marks an inference without a sum of scores in a trace."""
NORMAL, HIGH, LOW = 0, 1, 2
_ALARMS = {NORMAL: None, HIGH: "high", LOW: "low"}


@dataclass(frozen=True, slots=True)
class Inferences:
    """Stored windows (N, samples, channels) and outputs (N, elements) of N inferences."""

    windows: Array
    outputs: Array
    stride: int

    def sample(self, i: int) -> int:
        """The newest sample of inference i."""
        return int(self.windows.shape[1]) - 1 + i * self.stride


@dataclass(frozen=True, slots=True)
class Result:
    """The decisions, and (N, k) int32 values that each inference adds to the CRC of its output."""

    decisions: tuple[AnyDecision, ...]
    trace: Array


@dataclass(slots=True)
class Debounce:
    """The state changes when another one has been present for `count` inferences in a row. See mq_debounce.h."""

    count: int
    state: int
    candidate: int
    agreeing: int = 0

    @classmethod
    def of(cls, count: int, state: int) -> Debounce:
        return cls(count, state, state)

    def take(self, observed: int) -> bool:
        """Whether the state changes with this inference."""
        self.agreeing = self.agreeing + 1 if observed == self.candidate else 1
        self.candidate = observed
        if self.agreeing < self.count or observed == self.state:
            return False
        self.state = observed
        return True


@dataclass(frozen=True, slots=True)
class ClassRule:
    """The class with the largest score. `threshold` is the smallest stored score of a class."""

    threshold: int
    debounce: int
    scale: float
    zero_point: int
    kind: ClassVar[str] = "class"
    files: ClassVar[tuple[str, ...]] = ("mq_decide_class.c", "mq_decide_class.h")

    def decide(self, seen: Inferences) -> Result:
        decisions: list[Decision] = []
        debounce = Debounce.of(self.debounce, NO_CLASS)
        for i, row in enumerate(seen.outputs):
            best = int(row.argmax())
            stored = int(row[best])
            if debounce.take(best if stored >= self.threshold else NO_CLASS):
                label = None if debounce.state == NO_CLASS else debounce.state
                decisions.append(Decision(len(decisions) + 1, seen.sample(i), label, self._score(stored), stored))
        return Result(tuple(decisions), np.zeros((len(seen.outputs), 0), np.int32))

    @property
    def text(self) -> str:
        """The criterion of a decision, in words."""
        return f"a decision after {self.debounce} of the same class"

    def _score(self, stored: int) -> float:
        """The value in single precision with three digits, as the firmware prints it."""
        return float(f"{np.float32(self.scale) * np.float32(stored - self.zero_point):.3f}")


@dataclass(frozen=True, slots=True)
class RowError:
    """The difference between `rows` of the window, from `first_row`, and the first elements of the output.

    `is_delayed`: the output is that of the preceding inference (a forecast), so that the first inference has no error.
    """

    sum: ErrorSum
    first_row: int
    rows: int
    is_delayed: bool

    def __call__(self, seen: Inferences) -> list[int]:
        delay = int(self.is_delayed)
        count = len(seen.windows) - delay
        x = seen.windows[delay:, self.first_row : self.first_row + self.rows].reshape(count, -1)
        return self.sum(x, seen.outputs[:count, : x.shape[1]]) if count else []


@dataclass(frozen=True, slots=True)
class AnomalyRule:
    """An alarm from a smoothed score of `on` or more until a score below `off`, each present for `debounce` inferences.

    The score is `error` or, without it, the output itself, which has one element.
    """

    error: RowError | None
    on: int
    off: int
    debounce: int
    weight: int
    """Weight of the newest score, in units of 2^-15."""
    decimal: DecimalScale
    unit: float
    """The real score of one step of a score; `offset` is the real score of 0."""
    offset: float = 0.0
    kind: ClassVar[str] = "anomaly"

    @property
    def files(self) -> tuple[str, ...]:
        own = ("mq_decide_anomaly.c", "mq_decide_anomaly.h", "mq_average.h", "mq_decimal.c", "mq_decimal.h")
        return own if self.error is None else (*own, "mq_error_sum.c", "mq_error_sum.h")

    def decide(self, seen: Inferences) -> Result:
        smoothed = self.smoothed(seen)
        delay = len(seen.outputs) - len(smoothed)
        decisions: list[AnomalyDecision] = []
        debounce = Debounce.of(self.debounce, NORMAL)
        for i, score in enumerate(smoothed, delay):
            if debounce.take(int(score >= (self.off if debounce.state else self.on))):
                is_alarm = bool(debounce.state)
                decisions.append(AnomalyDecision(len(decisions) + 1, seen.sample(i), is_alarm, self.decimal(score)))
        return Result(tuple(decisions), np.array([NO_SCORE] * delay + smoothed, np.int32)[:, None])

    def smoothed(self, seen: Inferences) -> list[int]:
        """The smoothed score of each inference that has one: of all, or of all except the first."""
        scores = [int(n) << VALUE_BITS for n in seen.outputs[:, 0]] if self.error is None else self.error(seen)
        return averages(scores, self.weight)

    @property
    def text(self) -> str:
        return f"an alarm from a score of {self.decimal(self.on):f} on, after {self.debounce} of the same state"

    def real(self, score: float) -> float:
        return score * self.unit + self.offset


@dataclass(frozen=True, slots=True)
class ValueRule:
    """All outputs, smoothed, in their unit, each with an alarm while it is beyond a limit.

    Limits are smoothed stored values with VALUE_BITS fraction bits: an alarm lasts from `high_on` until below
    `high_off`, and from `low_on` until above `low_off`.
    """

    outputs: int
    high_on: int
    high_off: int
    low_on: int
    low_off: int
    debounce: int
    weight: int
    decimal: DecimalScale
    unit: str
    kind: ClassVar[str] = "value"
    files: ClassVar[tuple[str, ...]] = (
        *("mq_decide_value.c", "mq_decide_value.h", "mq_average.h", "mq_decimal.c", "mq_decimal.h"),
    )

    def decide(self, seen: Inferences) -> Result:
        columns = [averages((int(n) << VALUE_BITS for n in column), self.weight) for column in seen.outputs.T]
        states = [list(self._states(column)) for column in columns]
        trace = np.array(columns, np.int32).T
        decisions = tuple(
            ValueDecision(
                i + 1,
                seen.sample(i),
                tuple(self.decimal(int(n)) for n in row),
                tuple(_ALARMS[column[i]] for column in states),
                self.unit,
            )
            for i, row in enumerate(trace)
        )
        return Result(decisions, trace)

    @property
    def text(self) -> str:
        return "a decision with " + ("the value" if self.outputs == 1 else f"{self.outputs} values") + " after each"

    def _states(self, smoothed: list[int]) -> Iterator[int]:
        debounce = Debounce.of(self.debounce, NORMAL)
        for value in smoothed:
            if value >= (self.high_off if debounce.state == HIGH else self.high_on):
                debounce.take(HIGH)
            elif value <= (self.low_off if debounce.state == LOW else self.low_on):
                debounce.take(LOW)
            else:
                debounce.take(NORMAL)
            yield debounce.state


@dataclass(frozen=True, slots=True)
class ForecastRule:
    """The next `rows` samples of all channels, and the error of the preceding forecast."""

    rows: int
    error: RowError
    decimals: tuple[DecimalScale, ...]
    """Number format of each channel."""
    error_decimal: DecimalScale
    kind: ClassVar[str] = "forecast"
    files: ClassVar[tuple[str, ...]] = (
        *("mq_decide_forecast.c", "mq_decide_forecast.h", "mq_decimal.c", "mq_decimal.h"),
        *("mq_error_sum.c", "mq_error_sum.h"),
    )

    @property
    def text(self) -> str:
        return f"a forecast of {self.rows} samples after each"

    def decide(self, seen: Inferences) -> Result:
        errors = [NO_SCORE, *self.error(seen)][: len(seen.outputs)]
        channels = len(self.decimals)
        decisions = tuple(
            ForecastDecision(
                i + 1,
                seen.sample(i),
                tuple(
                    tuple(decimal(int(n)) for decimal, n in zip(self.decimals, row, strict=True))
                    for row in output.reshape(-1, channels)
                ),
                None if errors[i] == NO_SCORE else self.error_decimal(errors[i]),
            )
            for i, output in enumerate(seen.outputs)
        )
        return Result(decisions, np.array(errors, np.int32)[:, None])


@dataclass(frozen=True, slots=True)
class WakeRule:
    """A wake word when the sum of the last `average` scores has been above `limit` for `debounce` inferences.

    After it, `cool_down` inferences are ignored, and `average` new scores are needed.
    """

    average: int
    limit: int
    debounce: int
    cool_down: int
    decimal: DecimalScale
    kind: ClassVar[str] = "wake"
    files: ClassVar[tuple[str, ...]] = (*("mq_decide_wake.c", "mq_decide_wake.h", "mq_decimal.c", "mq_decimal.h"),)

    def decide(self, seen: Inferences) -> Result:
        decisions: list[WakeDecision] = []
        trace = list(self._sums(seen.outputs[:, 0].tolist(), seen, decisions))
        return Result(tuple(decisions), np.array(trace, np.int32)[:, None])

    def _sums(self, scores: list[int], seen: Inferences, decisions: list[WakeDecision]) -> Iterator[int]:
        """The sum of the last scores after each inference, NO_SUM without one; appends decisions."""
        last: deque[int] = deque(maxlen=self.average)
        agreeing = ignored = 0
        for i, score in enumerate(scores):
            if ignored:
                ignored -= 1
                yield NO_SUM
                continue
            last.append(score)
            total = sum(last) if len(last) == self.average else NO_SUM
            agreeing = agreeing + 1 if total > self.limit else 0
            yield total
            if agreeing == self.debounce:
                decisions.append(WakeDecision(len(decisions) + 1, seen.sample(i), self.decimal(total)))
                last.clear()
                agreeing, ignored = 0, self.cool_down

    @property
    def text(self) -> str:
        return f"a wake word from a mean of {self.average} scores above {self.decimal(self.limit):f} on"


Rule = ClassRule | AnomalyRule | WakeRule | ValueRule | ForecastRule
RULES: dict[str, type[Rule]] = {rule.kind: rule for rule in (ClassRule, AnomalyRule, WakeRule, ValueRule, ForecastRule)}
