"""A sensor node's arithmetic: normalisation, windows, decisions; what its settings may not be."""

from __future__ import annotations

import ctypes
import json
import math
import subprocess
from dataclasses import replace
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import Any

import layers
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from nets import Net

from mcuquant import flow
from mcuquant._assets import folder
from mcuquant.codegen.decision_rules import ClassRule, Inferences
from mcuquant.codegen.decisions import Decision
from mcuquant.codegen.node_settings import NodeSettings
from mcuquant.codegen.sensor_node import Node, NodeRun, configure, difference
from mcuquant.demo import data
from mcuquant.errors import CalibrationError, CalibrationWarning, ModelError, OutputError
from mcuquant.ir import Array, DType, QParams, Role, Tensor
from mcuquant.project.project import Project

X = Tensor(0, (1, 1, 128, 6), DType.INT8, Role.INPUT, q=QParams.of(0.03, -7))
Y = Tensor(1, (1, 5), DType.INT8, Role.ACTIVATION, q=QParams.of(1 / 256, -128))


def node(**more: object) -> Node:
    settings_ = {"mean": 0.0, "std": 1.0, "lsb": 0.001, **more}
    return configure(NodeSettings(**settings_), [X], [Y])  # type: ignore[arg-type]


def class_rule(**more: object) -> ClassRule:
    rule = node(**more).rule
    assert isinstance(rule, ClassRule)
    return rule


@pytest.fixture(scope="module")
def c(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The C of the normalisation, as a function of numbers."""
    folder_ = tmp_path_factory.mktemp("normalise")
    source, library = folder_ / "n.c", folder_ / "n.so"
    source.write_text(
        '#include "node/mq_normalise.h"\n'
        "int32_t normalise(int16_t raw, int32_t m, int32_t s, int64_t o, int32_t low, int32_t high);\n"
        "int32_t normalise(int16_t raw, int32_t m, int32_t s, int64_t o, int32_t low, int32_t high)\n"
        "{ const mq_normal_t n = {m, s, o}; return mq_normalise(raw, &n, low, high); }\n"
    )
    flags = ["-std=c11", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-fsanitize=undefined", "-shared"]
    trap = "-fsanitize-undefined-trap-on-error"
    subprocess.run(["gcc", *flags, trap, "-fPIC", f"-I{folder('firmware')}", source, "-o", library], check=True)
    made = ctypes.CDLL(str(library))
    made.normalise.argtypes = [ctypes.c_int16, ctypes.c_int32, ctypes.c_int32, ctypes.c_int64] + [ctypes.c_int32] * 2
    return made


@settings(deadline=None, max_examples=150)
@given(
    st.floats(-1e4, 1e4),
    st.floats(1e-3, 1e3),
    st.floats(1e-6, 1e2),
    st.floats(2.0**-20, 2.0**10, width=32),
    st.integers(-128, 127),
    st.sampled_from([DType.INT8, DType.INT16]),
    st.lists(st.integers(-32768, 32767), min_size=1, max_size=8),
)
@example(0.0, 1.0, 1.0, 0.5, 0, DType.INT8, [-32768, 32767, 0, -1])
@example(-9999.0, 0.001, 0.01, 1024.0, 127, DType.INT8, [-32768, 32767])
def test_normalisation_is_rounding_to_nearest_and_the_c_s(
    c: ctypes.CDLL, mean: float, std: float, lsb: float, scale: float, zero: int, dtype: DType, counts: list[int]
) -> None:
    """The exact value rounded, but for what is nearer to a tie than the constants are exact."""
    zero = 0 if dtype is DType.INT16 else zero
    x = Tensor(0, (1, 8), dtype, Role.INPUT, q=QParams.of(scale, zero))
    try:
        made = configure(NodeSettings(mean, std, lsb), [x], [Y])
    except CalibrationError:
        return
    raw = np.array(counts, np.int16)[:, None]
    stored = made.normalise(raw)[:, 0]
    (normal,) = made.normals
    low, high = dtype.range()
    slope = Fraction(lsb) / (Fraction(std) * Fraction(x.scale))
    offset = zero - Fraction(mean) / (Fraction(std) * Fraction(x.scale)) + Fraction(1, 2)
    error = Fraction(1 << 15, 1 << normal.shift) + (abs(offset) + 32768 * slope) / (1 << 49)
    for count, found in zip(counts, stored, strict=True):
        assert c.normalise(count, normal.multiplier, normal.shift, normal.offset, low, high) == found
        exact = count * slope + offset
        assert math.floor(exact - error) <= found <= math.floor(exact + error) or found in (low, high)
        assert found == low or exact + error >= low
        assert found == high or exact - error < high + 1


def test_windows_are_those_the_network_was_trained_on() -> None:
    rng = np.random.default_rng(1)
    signal = rng.normal(0, 1, (700, 6))
    made = node(stride=64, lsb=0.0005)
    raw = made.raw(signal)
    expected = data.cut({"X": [made.normalise(raw)], "y": [0], "subject": [1]}, 128, 64).x
    assert np.array_equal(made.windows(raw), expected.transpose(0, 2, 1))
    with pytest.raises(CalibrationError) as caught:
        made.windows(raw[:127])
    assert str(caught.value) == (
        "raw samples: found 127 samples, expected at least one window of 128: the node would make no inference"
    )


def test_values_become_the_nearest_counts() -> None:
    made = node(lsb=[0.5, 0.5, 0.5, 1, 1, 0.1])
    values = np.array([[1.2, -1.3, 1e6, 0.5, 1.5, -1e9]])
    with pytest.warns(CalibrationWarning, match="2 of 6 values of values exceed"):
        assert made.raw(values).tolist() == [[2, -3, 32767, 0, 2, -32768]]


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 4), st.integers(-128, 127), st.lists(st.integers(0, 2**32 - 1), max_size=30))
def test_a_decision_is_the_change_to_what_stood_long_enough(debounce: int, threshold: int, seeds: list[int]) -> None:
    """By runs of equal classes: each that is long enough, unless it repeats the last one that was."""
    scores = np.array([np.random.default_rng(s % 7).integers(-128, 128, 5) for s in seeds], np.int8).reshape(-1, 5)
    rule = replace(class_rule(debounce=debounce), threshold=threshold)
    decisions = rule.decide(Inferences(np.zeros((len(scores), 128, 6), np.int8), scores, stride=10)).decisions
    labels = [int(row.argmax()) if row.max() >= threshold else None for row in scores]
    expected: list[tuple[int, int | None]] = []
    at = 0
    last = None
    for label, run in groupby(labels):
        length = len(list(run))
        if length >= debounce and label != last:
            expected.append((127 + 10 * (at + debounce - 1), label))
            last = label
        at += length
    assert [(d.sample, d.label) for d in decisions if isinstance(d, Decision)] == expected
    assert [d.number for d in decisions] == list(range(1, len(expected) + 1))


def test_threshold_is_the_least_stored_score_that_counts() -> None:
    assert class_rule().threshold == -128
    assert class_rule(threshold=0.5).threshold == 0
    assert class_rule(threshold=0.501).threshold == 1
    assert class_rule(threshold=-3).threshold == -128


def test_a_node_is_the_same_after_the_manifest() -> None:
    made = node(stride=3, threshold=0.7, debounce=4, mean=[0, 1, 2, 3, 4, 5])
    assert Node.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_stride_is_half_a_window_unless_said() -> None:
    assert (node().window, node().channels, node().stride) == (128, 6, 64)


@pytest.mark.parametrize(
    ("shape", "axes"), [((1, 49, 10, 1), (49, 10)), ((1, 80), (80, 1)), ((1, 1, 1, 9), (9, 1)), ((1, 30, 2), (30, 2))]
)
def test_the_time_axis_is_found(shape: tuple[int, ...], axes: tuple[int, int]) -> None:
    made = configure(NodeSettings(0, 1, 0.01), [replace(X, shape=shape)], [Y])
    assert (made.window, made.channels) == axes


FLOAT = replace(X, dtype=DType.FLOAT32, q=None)


@pytest.mark.parametrize(
    ("more", "x", "y", "message"),
    [
        ({"stride": 0}, X, Y, "a stride of 0 samples is not valid: expected 1 or more"),
        ({"debounce": 0}, X, Y, "a debounce of 0 inferences is not valid: expected 1 to 1000"),
        ({"threshold": 1.2}, X, Y, "a threshold of 1.2 is never reached: the network's largest score is 0.996"),
        ({"mean": [1, 2]}, X, Y, "mean has 2 numbers, the network 6 channels: give one or as many"),
        ({"std": 0}, X, Y, "std must be finite and above 0, found 0"),
        ({"mean": math.inf}, X, Y, "mean must be finite, found inf"),
        (
            {"lsb": 100.0},
            X,
            Y,
            "channel 0: one raw count of the sensor is 3.33e+03 steps of the network's input, and one step is 0.03 of "
            "the trained unit; check mean, std and lsb (unit of one raw count)",
        ),
        (
            {"mean": 1e9},
            X,
            Y,
            "channel 0: mean / std is 1e+09, and no count is near it; check mean, std and lsb",
        ),
        ({}, FLOAT, Y, "a node feeds one input of int8 or int16, the network takes float32 1x1x128x6"),
        (
            {},
            replace(X, shape=(1, 32, 32, 3)),
            Y,
            "a node feeds samples over time, the network takes 1x32x32x3: expected a window of samples and up to 256 "
            "channels, 1x1x128x6 or 1x128x6",
        ),
        (
            {"decision": "class"},
            X,
            replace(Y, shape=(1, 1)),
            "a node decides by the largest score, the network's first output is int8 of shape 1x1: expected int8 or "
            "int16, one element a class",
        ),
    ],
)
def test_what_does_not_go_together_is_said(more: dict[str, object], x: Tensor, y: Tensor, message: str) -> None:
    chosen = {"mean": 0.0, "std": 1.0, "lsb": 0.001, **more}
    with pytest.raises((ModelError, CalibrationError)) as caught:
        configure(NodeSettings(**chosen), [x], [y])  # type: ignore[arg-type]
    assert str(caught.value) == message


@pytest.mark.parametrize("raw", [np.zeros((5, 6), np.int32), np.zeros((5, 5), np.int16), np.zeros((0, 6), np.int16)])
def test_other_arrays_than_raw_samples_are_refused(raw: Array) -> None:
    with pytest.raises(CalibrationError) as caught:
        node().windows(raw)
    found = f"{raw.dtype} of shape {raw.shape}"
    assert str(caught.value) == f"raw samples: found {found}; expected int16 of shape (samples, 6)"


ONE, TWO = Decision(1, 9, 2, 0.5, 0), Decision(2, 19, None, 0.1, -100)
RUN = NodeRun(30, 3, 1, (ONE, TWO))


@pytest.mark.parametrize(
    ("board", "told"),
    [
        (RUN, ""),
        (
            replace(RUN, decisions=(ONE, replace(TWO, label=1))),
            "decision 2 is 1 at sample 19, score 0.100 (-100) on the board, none at sample 19, score 0.100 (-100) on "
            "this machine",
        ),
        (replace(RUN, decisions=(ONE,)), "1 decisions on the board, 2 on this machine"),
        (replace(RUN, inferences=2), "2 inferences on the board, 3 on this machine"),
        (replace(RUN, samples=29), "29 samples on the board, 30 on this machine"),
        (replace(RUN, outputs_crc=2), "all decisions are the same, but the scores behind them are not"),
    ],
)
def test_the_first_difference_is_told(board: NodeRun, told: str) -> None:
    assert difference(board, RUN) == told


def test_settings_and_application_belong_together(tmp_path: Path) -> None:
    net = Net(np.random.default_rng(2))
    graph = net.graph(layers.fully_connected(net, net.input((1, 8)), outputs=3))
    with pytest.raises(ModelError) as caught:
        flow.compile(graph, output=tmp_path / "n", app="node")
    assert str(caught.value) == (
        "application 'node' must know what a raw sample is: give node=NodeSettings(mean=..., std=..., lsb=...)"
    )
    with pytest.raises(ModelError) as caught:
        flow.compile(graph, output=tmp_path / "n", node=NodeSettings(0, 1))
    assert str(caught.value) == "application 'dut' takes no settings of a node; add app='node'"
    plain = flow.compile(graph, output=tmp_path / "n", build_firmware=False)
    with pytest.raises(OutputError) as refused:
        _ = Project.open(plain.directory).node
    assert str(refused.value) == f"{plain.directory} is not a sensor node; compile it with --app node"


def test_the_duty_cycle_follows_from_the_rate() -> None:
    made = node(stride=64, rate_hz=100.0)
    assert made.inferences_per_s == 100 / 64
    assert node(stride=64).inferences_per_s is None
    assert Node.from_json(json.loads(json.dumps(made.to_json()))) == made


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"threshold": float("nan")}, "a threshold of nan is not a number: expected a score"),
        ({"threshold": float("inf")}, "a threshold of inf is not a number: expected a score"),
        ({"rate_hz": 0.0}, "a rate of 0 samples a second is not valid: expected more than 0"),
        ({"rate_hz": float("nan")}, "a rate of nan samples a second is not valid: expected more than 0"),
    ],
)
def test_numbers_that_a_node_cannot_have(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ModelError) as caught:
        node(**settings)
    assert str(caught.value) == text
