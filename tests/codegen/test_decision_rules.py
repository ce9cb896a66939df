"""The arithmetic of a node's decisions: errors, averages, alarms and decimal numbers."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcuquant.codegen.decision_rules import (
    AnomalyRule,
    Debounce,
    ForecastRule,
    Inferences,
    ValueRule,
    WakeRule,
)
from mcuquant.codegen.decisions import (
    AnomalyDecision,
    Decision,
    ForecastDecision,
    ValueDecision,
    WakeDecision,
    decision_of,
)
from mcuquant.codegen.fixed_numbers import averages, decimal_scale, error_sum
from mcuquant.codegen.node_settings import NodeSettings
from mcuquant.codegen.sensor_node import Node, configure, fit
from mcuquant.errors import ModelError
from mcuquant.ir import DType, QParams, Role, Tensor

WINDOW, CHANNELS = 8, 3
SCALES = st.floats(2.0**-12, 2.0**3)
DTYPES = st.sampled_from([DType.INT8, DType.INT16])


def tensor(shape: tuple[int, ...], dtype: DType = DType.INT8, scale: float = 0.02, zero_point: int = -7) -> Tensor:
    return Tensor(0, shape, dtype, Role.INPUT, q=QParams.of(scale, 0 if dtype is DType.INT16 else zero_point))


def node(shape: tuple[int, ...], y_dtype: DType = DType.INT8, **more: object) -> Node:
    settings_ = {"mean": 0.0, "std": 1.0, "lsb": 0.001, "stride": 2, **more}
    y = tensor(shape, y_dtype, 0.015, 4)
    return configure(NodeSettings(**settings_), [tensor((1, 1, WINDOW, CHANNELS))], [y])  # type: ignore[arg-type]


@settings(deadline=None, max_examples=100)
@given(SCALES, st.floats(0.02, 50), DTYPES, DTYPES, st.booleans(), st.integers(0, 2**32))
def test_an_error_sum_is_the_mean_error(
    scale: float, ratio: float, x_dtype: DType, y_dtype: DType, is_squared: bool, seed: int
) -> None:
    """To the resolution of its differences: a part in 2^11 of the range of both tensors."""
    x, y = tensor((1, 96), x_dtype, scale), tensor((1, 96), y_dtype, scale * ratio, 9)
    rng = np.random.default_rng(seed)
    values = [rng.integers(*t.dtype.range(), (5, 96), endpoint=True).astype(t.dtype.numpy) for t in (x, y)]
    total = error_sum(x, y, 96, is_squared)
    real = [(v.astype(np.float64) - t.zero_point) * t.scale for v, t in zip(values, (x, y), strict=True)]
    e = real[0] - real[1]
    exact = (e * e if is_squared else np.abs(e)).mean(axis=1)
    step = sum((t.dtype.range()[1] - t.dtype.range()[0]) * t.scale for t in (x, y)) / 2**11
    slack = 2 * np.abs(e).mean(axis=1) * step + step**2 if is_squared else step
    assert (np.abs(np.array(total(*values)) * total.unit - exact) <= slack).all()
    assert max(total(*values)) < 2**31


def test_equal_values_of_equal_scales_have_no_error() -> None:
    t = tensor((1, 96))
    x = np.random.default_rng(0).integers(-128, 128, (4, 96)).astype(np.int8)
    assert error_sum(t, t, 96, True)(x, x) == [0, 0, 0, 0]


def test_scales_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(ModelError) as caught:
        error_sum(tensor((1, 9), scale=1e-6), tensor((1, 9), scale=100.0), 9, True)
    assert str(caught.value) == (
        "the scales of input (1e-06) and output (100) are too far apart to compare the two; calibrate with data of both"
    )


@settings(deadline=None, max_examples=200)
@given(st.floats(1e-7, 1e3), st.floats(-1e4, 1e4), st.integers(-(2**31), 2**31 - 1))
def test_a_decimal_is_the_value_rounded(scale: float, offset: float, value: int) -> None:
    d = decimal_scale(scale, offset, scale, "it")
    exact = value * Fraction(scale) + Fraction(offset)
    unit = Fraction(1, 10**d.digits)
    slack = unit / 2 + (abs(value * Fraction(scale)) + abs(Fraction(offset))) / (1 << 28)
    assert abs(Fraction(d(value)) - exact) <= slack
    assert -d(value).as_tuple().exponent == d.digits  # type: ignore[operator]


@pytest.mark.parametrize(("resolution", "digits"), [(1.0, 0), (0.37, 1), (0.1, 1), (0.004, 3), (250.0, 0), (1e-12, 9)])
def test_a_decimal_has_the_digits_of_its_resolution(resolution: float, digits: int) -> None:
    assert decimal_scale(resolution, 0.0, resolution, "it").digits == digits


@given(st.lists(st.integers(-(2**30), 2**30), min_size=1, max_size=30), st.floats(0.01, 1))
def test_averages_are_exponential(values: list[int], weight: float) -> None:
    fixed = round(weight * 2**15)
    expected = float(values[0])
    for value, average in zip(values, averages(values, fixed), strict=True):
        expected += (value - expected) * fixed / 2**15
        assert abs(average - expected) <= 2
    assert averages(values, 1 << 15) == values


@given(st.lists(st.integers(0, 2), max_size=30), st.integers(1, 4))
def test_a_state_changes_when_another_has_held(states: list[int], count: int) -> None:
    debounce = Debounce.of(count, 0)
    current = 0
    for i, state in enumerate(states):
        held = i + 1 >= count and len(set(states[i + 1 - count : i + 1])) == 1
        assert debounce.take(state) == (held and state != current)
        current = state if held else current
        assert debounce.state == current


@pytest.mark.parametrize(
    ("shape", "kind"),
    [((1, 1), "value"), ((1, 5), "class"), ((1, 1, WINDOW, CHANNELS), "anomaly"), ((1, 24), "anomaly")],
)
def test_the_shape_of_the_output_tells_the_kind(shape: tuple[int, ...], kind: str) -> None:
    assert node(shape, **({"threshold": 1.0} if kind == "anomaly" else {})).rule.kind == kind


def anomaly(**more: object) -> tuple[Node, AnomalyRule]:
    made = node((1, 24), **more)
    assert isinstance(made.rule, AnomalyRule)
    return made, made.rule


def seen(count: int, elements: int, seed: int = 0) -> Inferences:
    rng = np.random.default_rng(seed)
    windows = rng.integers(-128, 128, (count, WINDOW, CHANNELS)).astype(np.int8)
    return Inferences(windows, rng.integers(-128, 128, (count, elements)).astype(np.int8), 2)


def test_an_alarm_begins_at_the_threshold_and_ends_below_the_hysteresis() -> None:
    _, rule = anomaly(threshold=2.0, hysteresis=0.25, debounce=1)
    assert rule.real(rule.on) == pytest.approx(2.0, rel=1e-4)
    assert rule.real(rule.off) == pytest.approx(1.5, rel=1e-4)
    levels = [1.0, 2.01, 1.9, 1.51, 1.49, 1.9, 2.5]
    scores = iter(round(level / rule.unit) for level in levels)
    quiet = replace(rule, error=None, weight=1 << 15)
    outputs = np.array([[next(scores) >> 8] for _ in levels])
    made = quiet.decide(Inferences(np.zeros((7, WINDOW, CHANNELS), np.int8), outputs, 2))
    assert [(d.number, d.sample, d.is_alarm) for d in made.decisions if isinstance(d, AnomalyDecision)] == [
        (1, 9, True),
        (2, 15, False),
        (3, 19, True),
    ]


def test_a_wake_word_is_a_mean_above_the_threshold() -> None:
    made = node((1, 1), decision="wake", threshold=0.9, average=3, debounce=2, cool_down=2)
    rule = made.rule
    assert isinstance(rule, WakeRule)
    reached = int(0.9 / 0.015) + 4
    scores = [100, 100, reached, reached, 0, 0, 100, 100, 100, 100, 100, 100, 100]
    outputs = np.array(scores, np.int8)[:, None]
    result = rule.decide(Inferences(np.zeros((len(scores), WINDOW, CHANNELS), np.int8), outputs, 2))
    words = [d for d in result.decisions if isinstance(d, WakeDecision)]
    # The first two means are above it; then two scores are ignored, and three new ones and a second mean needed.
    assert [(d.number, d.sample) for d in words] == [(1, 13), (2, 25)]
    assert float(words[0].score) == pytest.approx(((100 + 2 * reached) / 3 - 4) * 0.015, abs=0.01)
    none = -(1 << 31)
    assert result.trace[:4, 0].tolist() == [none, none, 200 + reached, 100 + 2 * reached]


@given(st.lists(st.integers(-128, 127), max_size=60), st.integers(1, 6), st.integers(1, 3), st.integers(0, 5))
def test_wake_words_are_apart(scores: list[int], average: int, debounce: int, cool_down: int) -> None:
    rule = node((1, 1), decision="wake", threshold=0.2, average=average, debounce=debounce, cool_down=cool_down).rule
    outputs = np.array(scores, np.int8).reshape(-1, 1)
    result = rule.decide(Inferences(np.zeros((len(scores), WINDOW, CHANNELS), np.int8), outputs, 1))
    places = [d.sample - WINDOW + 1 for d in result.decisions]
    assert all(b - a >= cool_down + average + debounce - 1 for a, b in pairwise(places))
    for place in places:
        for i in range(place - debounce + 1, place + 1):
            assert np.mean((np.array(scores[i - average + 1 : i + 1]) - 4) * 0.015) > 0.2 - 1e-9


def test_normal_recordings_give_the_threshold() -> None:
    rng = np.random.default_rng(4)
    raw = [rng.normal(0, 300, (200, CHANNELS)).astype(np.int16) for _ in range(2)]
    made, _ = anomaly(normal=raw, quantile=0.9, smooth=0.5)
    settings_ = NodeSettings(0.0, 1.0, 0.001, stride=2, normal=raw, quantile=0.9, smooth=0.5)
    rule = fit(made, settings_, lambda windows: windows.reshape(len(windows), -1) // 2).rule
    assert isinstance(rule, AnomalyRule)
    scores = [s for r in raw for s in rule.smoothed(made.inferences(r, made.windows(r).reshape(-1, 24) // 2))]
    below = np.mean([s < rule.on for s in scores])
    assert 0.9 <= below < 0.93
    assert rule.off == rule.on


def test_a_forecast_is_compared_with_the_samples_that_came() -> None:
    made = node((1, 4 * CHANNELS), decision="anomaly", threshold=1.0)
    assert isinstance(made.rule, AnomalyRule)
    assert made.rule.error is not None
    data = seen(6, 4 * CHANNELS)
    scores = made.rule.smoothed(data)
    x, y = (data.windows[1:, WINDOW - 2 :].reshape(5, -1), data.outputs[:-1, : 2 * CHANNELS])
    real = (x.astype(float) + 7) * 0.02 - (y.astype(float) - 4) * 0.015
    assert len(scores) == 5
    assert np.allclose(np.array(scores) * made.rule.unit, (real**2).mean(axis=1), rtol=4e-3)
    assert made.rule.decide(data).trace[0] == -1


def test_values_have_a_unit_and_alarms() -> None:
    made = node((1, 2), decision="value", output_scale=10.0, output_offset=50.0, output_unit="N·m", high=58.0, low=40.0)
    assert isinstance(made.rule, ValueRule)
    outputs = np.array([[4, 4], [60, 4], [57, -80], [56, -64]], np.int8)
    result = made.rule.decide(Inferences(np.zeros((4, WINDOW, CHANNELS), np.int8), outputs, 2))
    rows = [(d.values, d.alarms) for d in result.decisions if isinstance(d, ValueDecision)]
    assert rows == [
        ((Decimal("50.0"), Decimal("50.0")), (None, None)),
        ((Decimal("58.4"), Decimal("50.0")), ("high", None)),
        ((Decimal("57.9"), Decimal("37.4")), (None, "low")),
        ((Decimal("57.8"), Decimal("39.8")), (None, "low")),
    ]
    assert result.decisions[1].line == (
        '{"decision":2,"sample":9,"values":[58.4,50.0],"alarms":["high",null],"unit":"N\\u00b7m"}'
    )


def test_a_forecast_is_in_the_unit_of_the_sensor() -> None:
    made = node((1, 2 * CHANNELS), decision="forecast", mean=[0.0, 10.0, 20.0], std=[1.0, 2.0, 4.0], lsb=0.01)
    assert isinstance(made.rule, ForecastRule)
    result = made.rule.decide(seen(2, 2 * CHANNELS))
    first, second = result.decisions
    assert isinstance(first, ForecastDecision)
    assert isinstance(second, ForecastDecision)
    outputs = seen(2, 2 * CHANNELS).outputs
    real = (outputs[0].astype(float).reshape(2, CHANNELS) - 4) * 0.015 * [1, 2, 4] + [0, 10, 20]
    assert np.allclose([[float(n) for n in row] for row in first.rows], real, atol=0.006)
    assert first.error is None
    assert second.error is not None
    assert first.line.startswith('{"decision":1,"sample":7,"from":8,"forecast":[[')


@pytest.mark.parametrize(
    "decision",
    [
        Decision(1, 9, 2, 0.5, -3),
        Decision(2, 9, None, 0.125, 4),
        AnomalyDecision(3, 11, True, Decimal("0.01230")),
        WakeDecision(3, 11, Decimal("0.9531")),
        ValueDecision(4, 5, (Decimal(72), Decimal("-0.5")), (None, "low"), "°C"),
        ValueDecision(4, 5, (Decimal("1.0"),), ("high",), ""),
        ForecastDecision(5, 6, ((Decimal("0.1"), Decimal(2)), (Decimal(3), Decimal("-4.25"))), Decimal("0.000")),
        ForecastDecision(5, 6, ((Decimal("0.1"),),), None),
    ],
)
def test_a_line_holds_the_decision(decision: Decision) -> None:
    again = decision_of(decision.line)
    assert again == decision
    assert again.line == decision.line
    assert json.loads(decision.line)["sample"] == decision.sample


@pytest.mark.parametrize(
    "made",
    [
        lambda: node((1, 4)),
        lambda: node((1, 24), threshold=3.0),
        lambda: node((1, 1), decision="anomaly", threshold=0.5),
        lambda: node((1, 1), decision="wake", threshold=0.5, average=5, cool_down=33),
        lambda: node((1, 2), decision="value", output_unit="bpm", low=0.0),
        lambda: node((1, 6), decision="forecast", error="absolute"),
    ],
)
def test_a_node_of_any_rule_is_the_same_after_the_manifest(made: object) -> None:
    one = made()  # type: ignore[operator]
    assert Node.from_json(json.loads(json.dumps(one.to_json()))) == one


@pytest.mark.parametrize(
    ("shape", "more", "message"),
    [
        (
            (1, 4),
            {"decision": "guess"},
            "decision 'guess' is not known; there are class, anomaly, wake, value, forecast",
        ),
        ((1, 4), {"high": 3.0}, "high belongs to the decisions value; this node's decision is class"),
        (
            (1, 1),
            {"threshold": 3.0},
            "threshold belongs to the decisions class, anomaly, wake; this node's decision is value",
        ),
        (
            (1, 24),
            {},
            "an anomaly node needs the score of an alarm: give threshold, or normal, recordings of normal operation "
            "(--threshold, --normal)",
        ),
        ((1, 24), {"threshold": 1.0, "error": "cubed"}, "error 'cubed' is not known; there are squared, absolute"),
        (
            (1, 24),
            {"threshold": 1.0, "smooth": 0.0},
            "a smoothing of 0 is not valid: expected the weight of the newest score, up to 1",
        ),
        (
            (1, 24),
            {"threshold": 1.0, "hysteresis": 1.5},
            "a hysteresis of 1.5 is not valid: expected a share of the threshold, 0 to below 1",
        ),
        (
            (1, 5),
            {"decision": "anomaly", "threshold": 1.0},
            "anomaly: the network's first output has shape 1x5, its window is 8 samples of 3 channels, its stride 2: "
            "expected the window again, one score, or following samples of all channels, and a stride of at most the "
            "window",
        ),
        (
            (1, 5),
            {"decision": "forecast"},
            "forecast: the network's first output has shape 1x5, its window is 8 samples of 3 channels, its stride 2: "
            "expected following samples of all channels, and a stride of at most the window",
        ),
        (
            (1, 2),
            {"decision": "wake", "threshold": 0.5},
            "a wake word needs a network with one score, and the score that wakes (--threshold): the network's first "
            "output has shape 1x2, the threshold is 0.5",
        ),
        (
            (1, 1),
            {"decision": "wake", "threshold": 9.0},
            "a threshold of 9 is never passed: the network's largest score is 1.845",
        ),
        (
            (1, 1),
            {"decision": "wake", "threshold": 0.5, "average": 65},
            "a mean of 65 scores and a cool-down of 0 inferences are not valid: expected 1 to 64 and 0 to 10000",
        ),
        ((1, 2), {"decision": "value", "low": 2.0, "high": 1.0}, "limits 2 and 1: expected low below high"),
        (
            (1, 100),
            {"decision": "value"},
            "the network's first output has shape 1x100: expected at most 64 elements",
        ),
        (
            (1, 1),
            {"output_scale": -1.0},
            "an output scale of -1 is not valid: expected more than 0, and a finite offset",
        ),
    ],
)
def test_what_does_not_fit_the_kind_is_said(shape: tuple[int, ...], more: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError) as caught:
        node(shape, **more)
    assert str(caught.value) == message
