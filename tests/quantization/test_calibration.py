"""Calibration: what is seen in a tensor, which part of it counts, which layer loses by it, and unusable samples."""

from __future__ import annotations

import math
from dataclasses import replace

import layers
import numpy as np
import pytest
from floats import dense, form, quantized, random_float_network, samples_for, snrs
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from nets import Net

from mcuquant.errors import CalibrationError, GraphError, ModelError, UnsupportedOpError
from mcuquant.ir import Array, DType, Graph, ops
from mcuquant.quantization import quantize
from mcuquant.quantization.methods import METHODS, mse, percentile
from mcuquant.quantization.value_histogram import Histogram

# ---- calibration ---------------------------------------------------------------------------------------------------


def values(size: int = 300) -> st.SearchStrategy[Array]:
    return hnp.arrays(np.float32, st.integers(1, size), elements=st.floats(-1e9, 1e9, width=32))


@settings(deadline=None, max_examples=100)
@given(values(), values())
@example(np.array([2048], np.float32), np.array([-1e-45], np.float32))
def test_histograms_add_without_error(a: Array, b: Array) -> None:
    together, apart = Histogram.of(np.concatenate([a, b])), Histogram.of(a) + Histogram.of(b)
    assert together.exponent == apart.exponent
    assert np.array_equal(together.counts, apart.counts)
    assert (together.zeros, together.low, together.high) == (apart.zeros, apart.low, apart.high)
    assert int(together.counts.sum()) + together.zeros == a.size + b.size


@settings(deadline=None, max_examples=60)
@given(values(), st.sampled_from(list(METHODS)))
def test_a_range_lies_within_what_was_seen_and_holds_zero(x: Array, method: str) -> None:
    seen = Histogram.of(x)
    low, high = METHODS[method](seen, 255)
    assert seen.low <= low <= 0 <= high <= seen.high


def test_the_percentile_leaves_out_a_ten_thousandth() -> None:
    x = np.concatenate([np.linspace(0, 1, 100_000), [1000.0]]).astype(np.float32)
    assert percentile(Histogram.of(x), 255) == pytest.approx((0, 1), abs=1000 / 1024)
    assert METHODS["minmax"](Histogram.of(x), 255) == (0, 1000)


def squared_error(x: Array, low: float, high: float) -> float:
    step = (high - low) / 255
    return float(np.square(np.clip(np.rint(x / step) * step, low, high) - x).sum())


@pytest.mark.parametrize("seed", range(4))
def test_mse_finds_nearly_the_least_error_of_all_ranges(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = (rng.standard_t(3, 4000) * rng.choice([0, 1], 4000)).astype(np.float64)
    low, high = mse(Histogram.of(x), 255)
    tried = [(x.min() * i / 20, x.max() * j / 20) for i in range(1, 21) for j in range(1, 21)]
    assert squared_error(x, low, high) <= 1.03 * min(squared_error(x, *cut) for cut in tried)


def with_an_outlier() -> tuple[Graph, Array]:
    """One input value, far beyond the others and not held out, spoils the scale of all."""
    rng = np.random.default_rng(9)
    x = rng.normal(0, 1, (400, 64)).astype(np.float32)
    x[5, 7] = 100
    return dense(rng.normal(0, 0.2, (6, 64)), rng.normal(0, 0.1, 6)), x


def test_auto_takes_the_method_that_measures_best_and_says_so() -> None:
    graph, samples = with_an_outlier()
    result = quantized(graph, samples)
    warning, note = result.notes
    assert warning == (
        "quantization: warning: sample 5 of 'input_0' reaches 100, 23 times as far as the others: check it"
    )
    assert note.startswith("quantization: calibrated by ")
    best = note.split()[3].rstrip(":")
    assert best == "percentile"
    assert str(result).splitlines()[1:] == str(quantized(graph, samples, method=best)).splitlines()[1:]
    output_db = {m: snrs(graph, quantized(graph, samples, method=m), samples[:4])[-1].cumulative_db for m in METHODS}
    assert output_db[best] == max(output_db.values())
    assert output_db[best] > output_db["minmax"] + 6


def test_one_sample_is_enough() -> None:
    graph, samples = random_float_network(0)
    result = quantized(graph, [x[:1] for x in samples])
    assert result.notes[0].endswith("1 calibration sample; a hundred typical ones are better, 8 the least")
    assert "on 1 held-out samples" in result.notes[1]
    assert not result.is_float


def test_the_same_samples_give_the_same_graph_in_either_layout() -> None:
    net = Net(np.random.default_rng(0), DType.FLOAT32)
    graph = net.graph(layers.conv2d(net, net.input((1, 1, 20, 3)), outputs=4))
    x = np.random.default_rng(1).normal(0, 1, (8, 3, 20)).astype(np.float32)
    own, graphs = quantize(graph, x), quantize(graph, x.transpose(0, 2, 1)[:, None])
    assert str(own) == str(graphs)
    assert str(own) == str(quantize(graph, list(x)))


# ---- which layer loses ---------------------------------------------------------------------------------------------


def test_the_report_shows_the_layer_that_loses() -> None:
    """Three layers alike, but the second has one output a thousand times the others', of no use to the third."""
    rng = np.random.default_rng(10)
    net = Net(rng, DType.FLOAT32)
    y = net.input((1, 16))
    for layer in range(3):
        w = rng.normal(0, 0.25, (16, 16))
        w[0] *= 1000 if layer == 1 else 1
        w[:, 0] *= 1e-6 if layer == 2 else 1
        inputs = (y, net.constant(w, DType.FLOAT32), net.constant(np.zeros(16), DType.FLOAT32))
        y = net.apply(ops.FullyConnected, inputs, (1, 16))
    graph = net.graph(y, name="lossy")
    samples = rng.normal(0, 1, (40, 16)).astype(np.float32)
    _, first, second, third = snrs(graph, quantized(graph, samples, method="minmax"), samples)
    assert first.cumulative_db > 35
    assert third.cumulative_db < 10
    assert min(first.own_db, second.own_db, third.own_db) > 30
    assert second.effect_db < 10
    assert min(first.effect_db, third.effect_db) > 30
    assert (first.index, first.op, first.shape, first.name) == (0, "FullyConnected", (1, 16), graph[3].name)


def test_an_operation_that_loses_nothing_is_infinitely_good() -> None:
    graph, samples = form("reshape")
    source, moved = snrs(graph, quantized(graph, samples), samples)
    assert (source.index, source.op) == (-1, "Input")
    assert moved.own_db == moved.effect_db == math.inf
    assert source.effect_db == source.own_db == moved.cumulative_db < 60


def test_the_report_needs_the_graph_that_was_quantized() -> None:
    graph, samples = form("add")
    other, _ = form("conv2d")
    with pytest.raises(GraphError) as error:
        snrs(other, quantized(graph, samples), samples_for(other, np.random.default_rng(0)))
    name = graph.out(graph.ops[0]).name
    assert str(error.value) == (
        f"{graph.name}: Add {name!r} has no counterpart in the float graph {other.name}; "
        "give the graph that was quantized"
    )


# ---- errors, word for word -----------------------------------------------------------------------------------------


def image() -> Graph:
    net = Net(np.random.default_rng(0), DType.FLOAT32)
    graph = net.graph(layers.conv2d(net, net.input((1, 4, 4, 2)), outputs=4), name="image")
    return graph.with_(tensors={**graph.tensors, 0: replace(graph[0], name="x")})


def spoilt(value: float) -> Array:
    x = np.zeros((5, 4, 4, 2), np.float32)
    x[3, 1, 1, 1] = value
    return x


BAD_SAMPLES = {
    "shape": (
        np.zeros((5, 4, 5, 2), np.float32),
        "calibration data 'x' has shape (5, 4, 5, 2); expected (N, 2, 4, 4) with N samples",
    ),
    "empty": (
        np.zeros((0, 4, 4, 2), np.float32),
        "calibration data 'x' has shape (0, 4, 4, 2), which holds no samples; expected at least one",
    ),
    "nan": (
        spoilt(math.nan),
        "calibration data 'x' holds 1 values that are NaN or infinite, the first in sample 3; expected finite numbers",
    ),
    "infinity": (
        spoilt(math.inf),
        "calibration data 'x' holds 1 values that are NaN or infinite, the first in sample 3; expected finite numbers",
    ),
    "text": (
        np.full((5, 4, 4, 2), "a"),
        "calibration data 'x' is of type <U1; expected floating-point numbers, such as float32",
    ),
}


@pytest.mark.parametrize("name", BAD_SAMPLES)
def test_bad_samples(name: str) -> None:
    samples, message = BAD_SAMPLES[name]
    with pytest.raises(CalibrationError) as error:
        quantize(image(), samples)
    assert str(error.value) == message


def test_a_cube_does_not_tell_its_layout() -> None:
    net = Net(np.random.default_rng(0), DType.FLOAT32)
    graph = net.graph(layers.conv2d(net, net.input((1, 3, 3, 3))))
    x = np.random.default_rng(0).normal(0, 1, (5, 3, 3, 3)).astype(np.float32)
    with pytest.raises(CalibrationError) as error:
        quantize(graph, x)
    assert str(error.value) == (
        "calibration data 'input_0' has shape (5, 3, 3, 3), which does not determine the order of its axes; "
        "say channels_first=True for (N,C,H,W) or channels_first=False for (N,H,W,C)"
    )
    assert str(quantize(graph, x, channels_first=True)) == str(
        quantize(graph, x.transpose(0, 2, 3, 1), channels_first=False)
    )


def test_inputs_and_arrays_must_match() -> None:
    net = Net(np.random.default_rng(0), DType.FLOAT32)
    a, b = net.input((1, 2)), net.input((1, 2))
    graph = net.graph(net.apply(ops.Add, (a, b), (1, 2)), name="sum")
    two, three = np.ones((2, 2), np.float32), np.ones((3, 2), np.float32)
    with pytest.raises(CalibrationError) as error:
        quantize(graph, [two])
    assert str(error.value) == "calibration data: sum has 2 inputs, found 1 arrays of samples"
    with pytest.raises(CalibrationError) as error:
        quantize(graph, [two, three])
    assert str(error.value) == "calibration data: the inputs have [2, 3] samples; expected as many of each"


def test_choices_that_do_not_exist() -> None:
    x = np.ones((2, 4, 4, 2), np.float32)
    with pytest.raises(CalibrationError) as error:
        quantize(image(), x, method="entropy")
    assert str(error.value) == (
        "calibration method 'entropy' is not known, expected one of: auto, minmax, percentile, mse"
    )
    with pytest.raises(CalibrationError) as error:
        quantize(image(), x, activations="int4")
    assert str(error.value) == "activations of type 'int4' are not known, expected one of: int8, int16, mixed"


def test_what_no_input_reaches_cannot_be_quantized() -> None:
    net = Net(np.random.default_rng(0), DType.FLOAT32)
    x, w = net.input((1, 2)), net.constant(np.eye(2), DType.FLOAT32)
    alone = net.apply(ops.FullyConnected, (net.constant(np.ones((1, 2)), DType.FLOAT32), w), (1, 2))
    graph = net.graph(net.apply(ops.FullyConnected, (x, w), (1, 2)), alone, name="half")
    with pytest.raises(GraphError) as error:
        quantize(graph, np.ones((5, 2), np.float32))
    assert str(error.value) == (
        "half: FullyConnected 'activation_3' computes with constants alone, expected the network's input to reach it"
    )


def test_graphs_that_cannot_be_quantized() -> None:
    x = np.random.default_rng(0).normal(0, 1, (5, 4, 4, 2)).astype(np.float32)
    quantized_already = quantize(image(), x)
    name = quantized_already.out(quantized_already.ops[0]).name
    with pytest.raises(GraphError) as error:
        quantize(quantized_already, x)
    assert str(error.value) == f"image: Conv2D {name!r} is quantized already; give a float graph"

    net = Net(np.random.default_rng(0), DType.FLOAT32)
    ones = net.constant(np.ones(2), DType.FLOAT32)
    y = net.apply(ops.BatchNorm, (net.input((1, 2)), ones, ones), (1, 2))
    with pytest.raises(GraphError) as error:
        quantize(net.graph(y, name="unfolded"), np.ones((1, 2), np.float32))
    assert str(error.value) == "unfolded: BatchNorm 'activation_2' must be folded first: passes.run_passes"


def test_weights_that_the_network_computes() -> None:
    net = Net(np.random.default_rng(0), DType.FLOAT32)
    a, b = net.input((1, 3)), net.input((1, 3))
    graph = net.graph(net.apply(ops.FullyConnected, (a, b), (1, 1)), name="product")
    with pytest.raises(UnsupportedOpError) as error:
        quantize(graph, [np.ones((2, 3), np.float32)] * 2)
    assert str(error.value) == (
        "FullyConnected 'activation_2': its weights 'input_1' are computed by the network; "
        "only constant weights can be quantized. Use a matrix product (torch.matmul) instead"
    )


def test_numbers_that_are_none() -> None:
    graph = dense(np.array([[1.0, math.nan]]), np.zeros(1), ops.Activation.NONE)
    with pytest.raises(CalibrationError) as error:
        quantize(graph, np.ones((2, 2), np.float32))
    assert str(error.value) == (
        "dense: 'activation_3' becomes NaN on the calibration data; the float network is at fault"
    )
    graph = dense(np.array([[1.0, math.inf]]), np.zeros(1), ops.Activation.NONE)
    with pytest.raises(ModelError) as fault:
        quantize(graph, np.ones((2, 2), np.float32))
    assert str(fault.value) == (
        "constant 'constant_1' holds NaN or infinity: the network's training diverged; export another"
    )
