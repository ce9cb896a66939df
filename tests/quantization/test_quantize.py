"""Post-training quantization: what the specification demands, and that integers stay close to the float network."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tflm
from floats import dense, form, quantized, random_float_network, samples_for, snrs
from graphs import FLOAT_GENERATORS
from hypothesis import given, settings
from hypothesis import strategies as st
from nets import Net

from mcuquant.arithmetic import interpreter
from mcuquant.errors import UnsupportedOpError
from mcuquant.ir import Array, DType, Graph, Level, Op, QParams, Tensor, ops
from mcuquant.ir.elementwise_table import ELEMENTWISE, Rule
from mcuquant.ir.verify import verify
from mcuquant.quantization.scale_groups import FIXED, shares_scale
from mcuquant.quantization.snr import quantized_inputs, real
from mcuquant.quantization.weight_scales import from_range
from mcuquant.tflite.writer.to_tflite import to_tflite

WEIGHTED = (ops.Conv2D, ops.DepthwiseConv2D, ops.FullyConnected, ops.TransposeConv)
ROUGH = {
    *(f"{kind}{form}" for kind in ("div", "floordiv", "floormod") for form in ("", "_broadcast")),
    *("floor", "ceil", "round", "sqrt", "rsqrt", "log", "reciprocal"),
}
"""Functions that jump, or that most numbers of random samples have no value of."""
SMOOTH = sorted(FLOAT_GENERATORS.keys() - ROUGH)
FORMS = [(name, activations) for name in SMOOTH for activations in ("int8", "int16")]


# ---- the specification -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "activations"), FORMS)
def test_every_operation_follows_the_specification(name: str, activations: str) -> None:
    graph, samples = form(name)
    result = quantized(graph, samples, activations=activations)
    verify(result, Level.QUANTISED)
    follows_specification(result, DType(activations))


@pytest.mark.parametrize("seed", range(6))
def test_networks_follow_the_specification(seed: int) -> None:
    graph, samples = random_float_network(seed)
    result = quantized(graph, samples, method=("minmax", "percentile", "mse")[seed % 3])
    verify(result, Level.QUANTISED)
    follows_specification(result, DType.INT8)
    assert {op.output for op in graph.ops} <= {op.output for op in result.ops}


def follows_specification(graph: Graph, dtype: DType) -> None:
    assert all(t.dtype is not DType.FLOAT32 for t in graph.tensors.values())
    for t in graph.tensors.values():
        if t.q is not None:
            assert all(s > 0 and float(np.float32(s)) == s for s in t.q.scale)
            assert dtype is DType.INT8 or t.zero_point == 0
            low, high = t.dtype.range()
            assert low <= t.zero_point <= high
    for op in graph.ops:
        if isinstance(op, WEIGHTED):
            weights_follow_specification(graph, op)
        if shares_scale(op) and graph.out(op).q is not None:
            assert {t.q for t in graph.ins(op)} == {graph.out(op).q}, op.kind
        if (type(op), dtype) in FIXED:
            assert graph.out(op).q == FIXED[type(op), dtype]


def weights_follow_specification(graph: Graph, op: Op) -> None:
    x, w, *bias = graph.ins(op)
    axis = 3 if isinstance(op, ops.DepthwiseConv2D) else 0
    assert w.q is not None
    assert w.data is not None
    assert (w.dtype, w.q.axis, w.q.zero_point, len(w.q.scale)) == (DType.INT8, axis, 0, w.shape[axis])
    assert w.data.min() >= -127
    largest = np.abs(w.data.astype(int)).max(axis=tuple(i for i in range(w.data.ndim) if i != axis))
    assert (largest == 127).all()
    for b in bias:
        assert b.q is not None
        assert b.dtype is (DType.INT32 if x.dtype is DType.INT8 else DType.INT64)
        assert b.q.axis == 0
        assert b.q.scale == tuple(float(np.float32(x.scale) * np.float32(s)) for s in w.q.scale)


@settings(deadline=None, max_examples=200)
@given(st.floats(-1e6, 1e6, width=32), st.floats(-1e6, 1e6, width=32), st.sampled_from([DType.INT8, DType.INT16]))
def test_a_range_is_covered_and_zero_is_exact(a: float, b: float, dtype: DType) -> None:
    low, high = min(a, b), max(a, b)
    q = from_range(low, high, dtype)
    lowest, highest = dtype.range()
    assert lowest <= q.zero_point <= highest
    reach = [(end - q.zero_point) * q.scale[0] for end in (lowest, highest)]
    slack = 0.501 * q.scale[0]
    assert reach[0] <= min(low, 0) + slack
    assert reach[1] >= max(high, 0) - slack


def test_the_finest_scale_is_taken() -> None:
    assert from_range(0.0, 255.0, DType.INT8) == QParams((1.0,), -128)
    assert from_range(-127.5, 127.5, DType.INT8) == QParams((1.0,), 0)
    assert from_range(-1.0, 0.0, DType.INT8) == QParams.of(1 / 255, 127)
    assert from_range(-2.0, 1.0, DType.INT16) == QParams.of(2 / 32767)


# ---- closeness to the float network --------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "activations"), FORMS)
def test_each_operation_is_within_a_step_of_the_float_one(name: str, activations: str) -> None:
    """The float operation on what the stored inputs, weights and biases mean, limited to what the output can hold."""
    graph, samples = form(name)
    result = quantized(graph, samples, method="minmax", activations=activations)
    stored = quantized_inputs(result, [x[:1] for x in samples])
    values = interpreter.trace(result, stored)
    for op in result.ops:
        y = result.out(op)
        exact = float_value(graph, result, op, values)
        if y.q is None:
            continue
        low, high = ((end - y.zero_point) * y.scale for end in y.dtype.range())
        error = np.abs(np.clip(exact, low, high) - real(y, values[op.output])) / y.scale
        assert error.max() <= STEPS_OFF.get((op.kind, activations), 0.76 if activations == "int8" else 1.25)


STEPS_OFF = {
    **{(op.__name__, "int16"): 3.5 for op, row in ELEMENTWISE.items() if row.int16 is Rule.TABLE},
    ("Softmax", "int16"): 3,
    ("SquaredDifference", "int16"): 4,
    ("ResizeBilinear", "int16"): 64,
    ("Logistic", "int16"): 1.5,
    ("Tanh", "int16"): 2.5,
}
"""Kernels that interpolate in tables; int16 in general computes with multipliers cut to 16 bits."""


def float_value(graph: Graph, result: Graph, op: Op, values: dict[int, Array]) -> Array:
    made = {o.output: o for o in graph.ops}
    inputs = [meaning(t, values[t.id]) for t in result.ins(op)]
    return interpreter.evaluate(graph, made[op.output], inputs) if op.output in made else inputs[0]


def meaning(t: Tensor, stored: Array) -> Array:
    if t.q is None or t.q.axis is None:
        return real(t, stored)
    along = np.array(t.q.scale).reshape([-1 if i == t.q.axis else 1 for i in range(stored.ndim)])
    return (stored * along).astype(np.float32)


@pytest.mark.parametrize("activations", ["int8", "int16"])
@pytest.mark.parametrize("name", SMOOTH)
def test_signal_to_noise_of_each_operation(name: str, activations: str) -> None:
    graph, samples = form(name)
    report = snrs(graph, quantized(graph, samples, activations=activations), samples)
    assert [layer.op for layer in report] == ["Input"] * len(graph.inputs) + [op.kind for op in graph.ops]
    assert min(layer.cumulative_db for layer in report) >= (29 if activations == "int8" else 38)


def test_signal_to_noise_of_networks() -> None:
    worst = []
    for seed in range(6):
        graph, samples = random_float_network(seed)
        worst.append(min(layer.cumulative_db for layer in snrs(graph, quantized(graph, samples), samples)))
    assert min(worst) >= 15
    assert np.median(worst) >= 25


# ---- equality with TensorFlow Lite Micro ---------------------------------------------------------------------------


@pytest.mark.parametrize("activations", ["int8", "int16"])
@pytest.mark.parametrize("seed", range(6))
def test_quantized_networks_equal_tflite_micro(seed: int, activations: str) -> None:
    graph, samples = random_float_network(seed)
    result = quantized(graph, samples, activations=activations)
    model = to_tflite(result)
    spread = set()
    for i in range(len(samples[0])):
        stored = quantized_inputs(result, [x[i : i + 1] for x in samples])
        (expected,) = tflm.run(model, stored)
        (found,) = interpreter.run(result, stored)
        assert np.array_equal(found, expected)
        spread |= set(found.ravel().tolist())
    assert len(spread) > 3


# ---- numbers that integers have no room for ------------------------------------------------------------------------


@pytest.mark.parametrize("activations", ["int8", "int16"])
@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e-6, 1e6, 1e12])
def test_weights_and_activations_of_any_size(scale: float, activations: str) -> None:
    rng = np.random.default_rng(1)
    graph = dense(rng.normal(0, scale, (4, 8)), rng.normal(0, scale, 4))
    samples = rng.normal(0, 1, (20, 8)).astype(np.float32)
    result = quantized(graph, samples, activations=activations)
    multipliers_are_below_one(result)
    assert snrs(graph, result, samples)[-1].cumulative_db > (35 if scale > 1e-20 else -1)


@pytest.mark.parametrize("activations", ["int8", "int16"])
@pytest.mark.parametrize("weight", [0.0, 1e-30, 1e-12, 1e-9])
def test_a_channel_that_is_all_but_its_bias_keeps_it(weight: float, activations: str) -> None:
    """Batch normalization leaves such channels; their bias would overflow at the scale of their weights."""
    w, b = np.ones((3, 8)), np.array([0.5, 100.0, -100.0])
    w[1:] = weight
    graph = dense(w, b)
    samples = np.random.default_rng(2).normal(0, 1, (20, 8)).astype(np.float32)
    result = quantized(graph, samples, method="minmax", activations=activations)
    multipliers_are_below_one(result)
    (y,) = interpreter.run(result, quantized_inputs(result, [samples[:1]]))
    out = result[result.outputs[0]]
    assert np.abs(real(out, y)[0, 1:] - b[1:]).max() <= (0.51 if activations == "int8" else 1.01) * out.scale


def test_a_bias_far_beyond_the_output_saturates() -> None:
    """The activation cuts the channel off, so the output's scale knows nothing of its bias."""
    graph = dense(np.eye(2), np.array([0.0, -1e12]), ops.Activation.RELU)
    samples = np.random.default_rng(3).normal(0, 1, (20, 2)).astype(np.float32)
    result = quantized(graph, samples)
    multipliers_are_below_one(result)
    (y,) = interpreter.run(result, quantized_inputs(result, [samples[:1]]))
    assert real(result[result.outputs[0]], y)[0, 1] == 0


def test_sums_that_cancel_do_not_ask_for_a_multiplier_above_one() -> None:
    """x - x is zero but for rounding: the finest scale would be far below one unit of the sum."""
    net = Net(np.random.default_rng(0), DType.FLOAT32)
    x = net.input((1, 4))
    tiny = net.apply(ops.Mul, (x, net.constant(np.full(4, 1e-9), DType.FLOAT32)), (1, 4))
    rest = net.apply(ops.Sub, (net.apply(ops.Add, (x, tiny), (1, 4)), x), (1, 4))
    graph = net.graph(net.apply(ops.Mean, (rest,), (1,), axes=(1,)), name="cancelling")
    samples = np.random.default_rng(4).normal(0, 1, (20, 4)).astype(np.float32)
    result = quantized(graph, samples)
    (y,) = interpreter.run(result, quantized_inputs(result, [samples[:1]]))
    assert abs(real(result[result.outputs[0]], y)[0]) < 0.02


def multipliers_are_below_one(graph: Graph) -> None:
    for op in graph.ops:
        if isinstance(op, WEIGHTED):
            x, w, b = graph.ins(op)
            assert w.q is not None
            assert b.data is not None
            assert all(x.scale * s / graph.out(op).scale < 1 for s in w.q.scale)
            assert np.abs(b.data).max() <= (1 << 30 if b.dtype is DType.INT32 else 1 << 46)


def test_a_tensor_that_is_always_zero_gets_a_scale() -> None:
    graph = dense(np.zeros((2, 3)), np.zeros(2))
    result = quantized(graph, np.ones((4, 3), np.float32))
    (y,) = interpreter.run(result, quantized_inputs(result, [np.ones((1, 3), np.float32)]))
    assert real(result[result.outputs[0]], y).tolist() == [[0, 0]]


# ---- shared scales -------------------------------------------------------------------------------------------------


def two_branches(
    left: type[Op] | None,
    right: type[Op] | None,
    gain: float = 1.0,
    joint: type[Op] = ops.Concat,
    read_again: bool = False,
) -> Graph:
    net = Net(np.random.default_rng(0), DType.FLOAT32)
    x = net.input((1, 2, 2, 3))
    scaled = net.apply(ops.Mul, (x, net.constant(np.full(3, gain), DType.FLOAT32)), (1, 2, 2, 3))
    a = net.apply(left, (scaled,), (1, 2, 2, 3)) if left else scaled
    b = net.apply(right, (x,), (1, 2, 2, 3)) if right else x
    more = {"axis": 3} if joint is ops.Concat else {}
    y = net.apply(joint, (a, b), (1, 2, 2, 6) if joint is ops.Concat else (1, 2, 2, 3), **more)
    return net.graph(*((y, a) if read_again else (y,)), name="branches")


def kinds(graph: Graph) -> list[str]:
    return [op.kind for op in quantized(graph, samples_for(graph, np.random.default_rng(6), 20)).ops]


def test_joined_tensors_share_the_outputs_scale() -> None:
    assert "Quantize" not in kinds(two_branches(None, None))
    assert "Quantize" not in kinds(two_branches(None, None, 0.01))


def test_joined_tensors_with_the_same_prescribed_scale_are_joined_as_they_are() -> None:
    graph = two_branches(ops.Logistic, ops.Logistic)
    assert "Quantize" not in kinds(graph)
    result = quantized(graph, samples_for(graph, np.random.default_rng(6)))
    assert result[result.outputs[0]].q == QParams((1 / 256,), -128)


@pytest.mark.parametrize("joint", [ops.Concat, ops.Maximum, ops.Minimum])
def test_a_prescribed_scale_is_left_by_a_rescale(joint: type[Op]) -> None:
    assert kinds(two_branches(ops.Logistic, None, joint=joint)) == ["Mul", "Logistic", "Quantize", joint.__name__]
    assert kinds(two_branches(ops.Logistic, ops.Tanh, joint=joint)).count("Quantize") == 2


def test_a_small_tensor_that_is_read_elsewhere_keeps_its_scale() -> None:
    assert kinds(two_branches(None, None, 0.01, read_again=True)) == ["Mul", "Quantize", "Concat"]
    assert kinds(two_branches(None, None, 0.8, read_again=True)) == ["Mul", "Concat"]


@pytest.mark.parametrize(("value", "rescaled"), [(None, False), (0.5, False), (2.0, True), (-math.inf, False)])
def test_padding_beyond_a_prescribed_scale_is_rescaled_first(value: float | None, rescaled: bool) -> None:
    net = Net(np.random.default_rng(0), DType.FLOAT32)
    x = net.apply(ops.Logistic, (net.input((1, 3)),), (1, 3))
    graph = net.graph(net.apply(ops.Pad, (x,), (1, 5), pads=((0, 0), (1, 1)), value=value), name="padded")
    samples = np.random.default_rng(7).normal(0, 1, (9, 3)).astype(np.float32)
    result = quantized(graph, samples)
    assert ("Quantize" in [op.kind for op in result.ops]) == rescaled
    (y,) = interpreter.run(result, quantized_inputs(result, [samples[:1]]))
    out = result[result.outputs[0]]
    filled = real(out, y)[0, 0]
    expected = real(out, np.array(-128)) if value == -math.inf else value or 0.0
    assert abs(filled - expected) <= 0.51 * out.scale


def test_a_constant_with_two_readers_is_stored_for_each() -> None:
    net = Net(np.random.default_rng(0), DType.FLOAT32)
    x = net.input((1, 4))
    w, b = net.constant(np.eye(4) * 3, DType.FLOAT32), net.constant(np.ones(4), DType.FLOAT32)
    first = net.apply(ops.FullyConnected, (x, w, b), (1, 4))
    graph = net.graph(net.apply(ops.FullyConnected, (first, w, b), (1, 4)), name="shared")
    samples = np.random.default_rng(8).normal(0, 1, (20, 4)).astype(np.float32)
    result = quantized(graph, samples)
    assert result.ops[0].inputs[1:] == (w, b)
    assert len({*result.ops[0].inputs[1:], *result.ops[1].inputs[1:]}) == 4
    assert snrs(graph, result, samples)[-1].cumulative_db > 35


def test_an_operation_without_int16_form_is_named() -> None:
    graph, samples = form("div")
    with pytest.raises(UnsupportedOpError) as caught:
        quantized(graph, samples, activations="int16")
    assert str(caught.value) == (
        "binary: Div 'activation_2' has no int16 form; use other activations, or another operation"
    )
