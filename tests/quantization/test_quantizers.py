"""The family of weight quantizers: each is its formula, and what follows from it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tflm
from floats import quantized, random_float_network
from harness import Runner, assert_equal, build_host
from hypothesis import given, settings
from hypothesis import strategies as st

from mcuquant.arithmetic import interpreter
from mcuquant.errors import CalibrationError, ModelError
from mcuquant.ir import Array, Graph, Level
from mcuquant.ir.verify import verify
from mcuquant.quantization import Weights
from mcuquant.quantization.quantizers import BITS, QUANTIZERS, Grid, limits, quantizer
from mcuquant.quantization.snr import quantized_inputs
from mcuquant.quantization.weight_scales import WEIGHTED, channel_axis, to_rows
from mcuquant.tflite.writer.to_tflite import to_tflite

FORMS = [(name, bits) for name in QUANTIZERS for bits in BITS]
IN_C = [(name, BITS[i % 3]) for i, name in enumerate(QUANTIZERS)] + [("nearest", 4), ("double-linear", 2)]
"""Of them, those that are compiled."""


Networks = tuple[dict[tuple[str, int], tuple[Graph, list[Array]]], Runner]


def rows(seed: int, channels: int = 6, n: int = 40) -> Array:
    """Channels of widely different ranges, one of them all zeros."""
    rng = np.random.default_rng(seed)
    w = rng.normal(0, 1, (channels, n)) * np.exp(rng.uniform(-4, 1, (channels, 1)))
    w[1] = 0
    return w


def fitted(name: str, bits: int, w: Array) -> Grid:
    chosen = QUANTIZERS[name]
    return chosen.raised(chosen.fit(w, bits), np.full(len(w), 1e-9))


@pytest.mark.parametrize(("name", "bits"), FORMS)
def test_integers_are_what_the_formula_says(name: str, bits: int) -> None:
    w = rows(3)
    grid = fitted(name, bits, w)
    low, high = limits(bits, QUANTIZERS[name].asymmetric)
    scaled = w / grid.scales[:, None] + grid.zeros[:, None]
    cut = np.floor(scaled) if name.startswith("linear") else np.floor(scaled + 0.5)
    expected = np.clip(np.rint(scaled) if name.startswith("nearest") else cut, low, high)
    assert np.array_equal(QUANTIZERS[name].stored(grid, w), expected)
    assert (low, high) == (grid.low, grid.high)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.sampled_from(list(QUANTIZERS)))
def test_at_8_bits_no_weight_is_further_off_than_its_rounding(seed: int, name: str) -> None:
    w = rows(seed)
    grid = fitted(name, 8, w)
    worst = 1.0 if name.startswith("linear") else 0.5
    worst += 0.5 if QUANTIZERS[name].asymmetric else 0.0  # the zero point is rounded too, and an end moves
    error = np.abs(QUANTIZERS[name].meaning(grid, w) - w) / grid.scales[:, None]
    assert error.max() <= worst * (1 + 1e-5)


@pytest.mark.parametrize("name", [n for n in QUANTIZERS if n.endswith("power-of-two")])
@pytest.mark.parametrize("bits", BITS)
def test_powers_of_two_are_that(name: str, bits: int) -> None:
    mantissa, _ = np.frexp(fitted(name, bits, rows(5)).scales)
    assert (mantissa == 0.5).all()


@pytest.mark.parametrize("bits", BITS)
def test_two_levels_are_small_integers_times_one_scale(bits: int) -> None:
    scales = fitted("double-linear", bits, rows(7)).scales
    factors = scales / (scales.max() / 255)
    assert np.allclose(factors, np.rint(factors), rtol=0, atol=1e-4)
    assert factors.min() >= 1 - 1e-4


@pytest.mark.parametrize("name", QUANTIZERS)
@pytest.mark.parametrize("bits", [4, 2])
def test_few_bits_clip_where_that_loses_less(name: str, bits: int) -> None:
    w = np.random.default_rng(11).standard_t(3, (8, 200))
    chosen = QUANTIZERS[name]
    best, unclipped = chosen.fit(w, bits), chosen.clipped(w, bits, 1.0)
    errors = [np.square(chosen.meaning(grid, w) - w).sum() for grid in (best, unclipped)]
    assert errors[0] < errors[1]


@pytest.mark.parametrize(("name", "bits"), FORMS)
def test_scales_are_raised_to_a_floor_and_no_further_than_the_form_asks(name: str, bits: int) -> None:
    w, chosen = rows(13), QUANTIZERS[name]
    grid = chosen.fit(w, bits)
    floor = np.full(len(w), np.median(grid.scales))
    raised = chosen.raised(grid, floor)
    assert (raised.scales >= np.maximum(floor, grid.scales) * (1 - 1e-5)).all()
    again = chosen.raised(raised, floor)
    assert np.array_equal(again.scales, raised.scales)


def test_2_bits_are_four_levels_and_more_are_symmetric() -> None:
    assert [limits(bits) for bits in BITS] == [(-127, 127), (-7, 7), (-2, 1)]
    assert [limits(bits, asymmetric=True) for bits in BITS] == [(-128, 127), (-8, 7), (-2, 1)]


def test_an_unknown_quantizer_is_refused_with_the_known_ones() -> None:
    with pytest.raises(CalibrationError) as error:
        quantizer("best")
    assert str(error.value) == f"quantizer 'best' is not known, expected one of: {', '.join(QUANTIZERS)}"


@pytest.fixture(scope="module")
def networks(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[dict[tuple[str, int], tuple[Graph, list[Array]]], Runner]:
    """A network by every quantizer at every number of bits, and all of them as C."""
    made = {}
    for index, (name, bits) in enumerate(IN_C):
        graph, samples = random_float_network(index)
        weights = Weights(quantizer=name, bits=bits, adaptive_rounding=index % 2 == 0, correct_bias=index % 3 == 0)
        result = verify(quantized(graph, samples, method="minmax", weights=weights), Level.LOWERABLE)
        made[name, bits] = result, quantized_inputs(result, [x[:1] for x in samples])
    return made, build_host([graph for graph, _ in made.values()], tmp_path_factory.mktemp("quantizers"))


@pytest.mark.parametrize(("name", "bits"), IN_C)
def test_networks_are_the_same_in_c_and_in_tensorflow_lite_micro(networks: Networks, name: str, bits: int) -> None:
    made, runner = networks
    graph, inputs = made[name, bits]
    assert bits in {graph[op.inputs[1]].bits for op in graph.ops if isinstance(op, WEIGHTED)}
    (outcome,) = runner.run(IN_C.index((name, bits)), inputs)
    assert_equal(name, graph, outcome, inputs)
    try:
        model = to_tflite(widened(graph))
    except ModelError:  # .tflite knows no weights beyond int8, which zero points and multipliers make
        assert QUANTIZERS[name].asymmetric or name == "double-linear"
        return
    assert np.array_equal(interpreter.run(graph, inputs)[0], tflm.run(model, inputs)[0])


def test_the_graph_says_zero_points_and_multipliers() -> None:
    graph, samples = random_float_network(1)
    for name, bits in (("nearest-asymmetric", 4), ("double-linear", 8)):
        made = quantized(graph, samples, method="minmax", weights=Weights(quantizer=name, bits=bits))
        for op in (op for op in made.ops if isinstance(op, WEIGHTED)):
            q, channels = made[op.inputs[1]].q, len(to_rows(made[op.inputs[1]].data, channel_axis(op)))
            assert q is not None
            assert len(q.zero_points) == (channels if name == "nearest-asymmetric" else 0)
            assert len(q.multipliers) == (channels if name == "double-linear" else 0)
            assert len(q.scale) == (1 if name == "double-linear" else channels)
            assert max(q.multipliers, default=255) > 100


def widened(graph: Graph) -> Graph:
    """The same integers as whole bytes: TensorFlow Lite Micro takes no 4-bit matrix with a scale for each channel."""
    return graph.with_(tensors={i: replace(t, bits=t.dtype.bits) for i, t in graph.tensors.items()})


def test_notes_name_the_quantizer() -> None:
    graph, samples = random_float_network(1)
    result = quantized(graph, samples, method="minmax", weights="double-linear")
    assert result.notes == (
        "quantization: calibrated by minmax",
        "quantization: weights by double-linear, y = floor(w*s1 + 1/2)*s2",
    )
