"""The interpreter against the TensorFlow Lite Micro interpreter: every byte equal on random graphs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import discrete_graphs
import graphs
import numpy as np
import pytest
from graphs import FLOAT_GENERATORS, GENERATORS, OUTSIDE_TFLM, random_inputs, random_network
from nets import Net
from tflite_micro import runtime

from mcuquant.arithmetic.interpreter import run, trace
from mcuquant.arithmetic.parameters import params
from mcuquant.errors import CalibrationError, GraphError
from mcuquant.ir import Activation, Array, DType, Graph, QParams, ops
from mcuquant.tflite.writer.to_tflite import to_tflite

ARENA_BYTES = 4 << 20
INT8, INT16, FLOAT32 = DType.INT8, DType.INT16, DType.FLOAT32
SEEDS = range(6)


class Tflm:
    """A graph in the reference interpreter."""

    def __init__(self, graph: Graph) -> None:
        self.outputs = len(graph.outputs)
        self.interpreter = runtime.Interpreter.from_bytes(to_tflite(graph), arena_size=ARENA_BYTES)

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        for i, x in enumerate(inputs):
            self.interpreter.set_input(x, i)
        self.interpreter.invoke()
        return [self.interpreter.get_output(i) for i in range(self.outputs)]


def assert_same_bytes(graph: Graph, rng: np.random.Generator, rounds: int = 4) -> None:
    tflm = Tflm(graph)
    for _ in range(rounds):
        inputs = random_inputs(rng, graph)
        for y, reference in zip(run(graph, inputs), tflm.run(inputs), strict=True):
            assert y.dtype == reference.dtype
            assert np.array_equal(y, reference), f"{graph}\ninputs {inputs}"


@pytest.mark.parametrize("name", sorted(GENERATORS.keys() - OUTSIDE_TFLM))
def test_one_operation(name: str) -> None:
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        assert_same_bytes(GENERATORS[name](rng), rng)


@pytest.mark.parametrize("name", sorted(discrete_graphs.GENERATORS.keys() - discrete_graphs.OUTSIDE_TFLM))
def test_one_operation_on_truth_values_and_whole_numbers(name: str) -> None:
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        assert_same_bytes(discrete_graphs.GENERATORS[name](rng), rng)


@pytest.mark.parametrize("seed", range(25))
def test_networks(seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert_same_bytes(random_network(rng), rng)


@pytest.mark.parametrize("name", sorted(FLOAT_GENERATORS.keys() - OUTSIDE_TFLM - {"gelu", "function"}))
def test_one_float_operation(name: str) -> None:
    """Equal but for the order of sums and the last bits of exp and tanh."""
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        graph = FLOAT_GENERATORS[name](rng)
        tflm = Tflm(graph)
        inputs = random_inputs(rng, graph)
        np.testing.assert_allclose(run(graph, inputs)[0], tflm.run(inputs)[0], rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("seed", range(8))
def test_quotients_of_all_pairs(seed: int) -> None:
    """But those that divide by zero, for which TensorFlow Lite Micro has no result."""
    net = Net(np.random.default_rng(seed))
    a, b = (net.input((1, 65536)) for _ in range(2))
    y = QParams.of(net.scale(a) / net.scale(b) * net.rng.uniform(0.02, 1), net.zero_point(INT8))
    graph = net.graph(net.apply(ops.Div, (a, b), (1, 65536), y, activation=net.activation()))
    pairs = np.stack(np.meshgrid(np.arange(-128, 128), np.arange(-128, 128))).astype(np.int8)
    inputs = [x.reshape(1, -1).copy() for x in pairs]
    defined = inputs[1] != graph[b].zero_point
    assert np.array_equal(run(graph, inputs)[0][defined], Tflm(graph).run(inputs)[0][defined])


@pytest.mark.parametrize("op", [ops.Log, ops.Reciprocal])
def test_functions_with_a_pole_elsewhere(op: type[ops.Unary]) -> None:
    """At the pole TensorFlow Lite Micro converts infinity to an integer, which C leaves open."""
    net = Net(np.random.default_rng(0))
    x = net.input((1, 256), scale=0.03)
    net.tensors[x] = replace(net.tensors[x], q=QParams.of(0.03, -128))
    graph = net.graph(net.apply(op, (x,), (1, 256), QParams.of(0.05, 3)))
    every = np.arange(-128, 128, dtype=np.int8).reshape(1, 256)
    ours, theirs = run(graph, [every])[0], Tflm(graph).run([every])[0]
    assert np.array_equal(ours[:, 1:], theirs[:, 1:])
    assert ours[0, 0] == (-128 if op is ops.Log else 127)


def test_batch_norm_is_an_affine_map() -> None:
    net = Net(np.random.default_rng(0), FLOAT32)
    x = net.input((1, 3, 4))
    scale, offset = (net.constant(net.rng.normal(0, 1, 4), FLOAT32) for _ in range(2))
    graph = net.graph(net.apply(ops.BatchNorm, (x, scale, offset), (1, 3, 4)))
    inputs = random_inputs(net.rng, graph)
    np.testing.assert_allclose(run(graph, inputs)[0], Tflm(graph).run(inputs)[0], rtol=1e-6)


def test_generated_outputs_are_spread() -> None:
    """A generator whose outputs are all one value would prove nothing."""
    for name, generate in GENERATORS.items():
        rng = np.random.default_rng(1)
        cases = [generate(rng) for _ in range(12)]
        values = [len(np.unique(run(graph, random_inputs(rng, graph))[0])) for graph in cases]
        assert np.mean(np.array(values) > 1) > 0.3, name


EVERY_INT16 = np.arange(-32768, 32768, dtype=np.int16)
ALL = (1, 65536)


def wide(op: type[ops.Op], *scales: float, **attributes: Any) -> Graph:
    """`op` on as many int16 inputs of 65536 values as there are scales but one, the output's."""
    net = Net(np.random.default_rng(0), INT16)
    inputs = tuple(net.input(ALL, scale=s) for s in scales[:-1])
    return net.graph(net.apply(op, inputs, ALL, QParams.of(scales[-1]), **attributes))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("op", "attributes"),
    [
        (ops.Relu, {"activation": Activation.RELU}),
        (ops.LeakyRelu, {"alpha": 0.7}),
        (ops.Quantize, {}),
        (ops.Add, {}),
        (ops.Sub, {}),
    ],
)
def test_rescale_factors_have_double_precision(op: type[ops.Op], attributes: dict[str, Any], seed: int) -> None:
    """Single precision would show: a few of the 65536 values then differ by one."""
    rng = np.random.default_rng(seed)
    count = 3 if issubclass(op, ops.Binary) else 2
    graph = wide(op, *(1e-3 * np.exp(rng.uniform(-0.5, 0.5, count))), **attributes)
    inputs = [EVERY_INT16, rng.permutation(EVERY_INT16)][: count - 1]
    inputs = [x.reshape(ALL) for x in inputs]
    assert np.array_equal(run(graph, inputs)[0], Tflm(graph).run(inputs)[0])


@pytest.mark.parametrize("scale_log2", [-12, -11, -13, -12.0001, -9.3, -17])
@pytest.mark.parametrize("op", [ops.Logistic, ops.Tanh])
def test_int16_curves_at_every_input(op: type[ops.Unary], scale_log2: float) -> None:
    """Powers of two near 2^-12 take a way of their own through the kernel."""
    graph = wide(op, 2.0**scale_log2, 2.0**-15)
    inputs = [EVERY_INT16.reshape(ALL)]
    assert np.array_equal(run(graph, inputs)[0], Tflm(graph).run(inputs)[0])


@pytest.mark.parametrize(("dtype", "to"), [(INT8, INT8), (INT8, INT16), (INT16, INT16)])
def test_softmax_over_many_rows(dtype: DType, to: DType) -> None:
    units = {(INT8, INT8): (1 / 256, -128), (INT8, INT16): (1 / 65536, -32768), (INT16, INT16): (1 / 32768, 0)}
    for seed, scale in enumerate((0.01, 0.05, 0.3)):
        net = Net(np.random.default_rng(seed), dtype)
        x = net.input((1, 3000, 5), scale=scale if dtype is INT8 else scale / 256)
        graph = net.graph(net.apply(ops.Softmax, (x,), (1, 3000, 5), QParams.of(*units[dtype, to]), dtype=to))
        inputs = [net.rng.integers(*dtype.range(), (1, 3000, 5)).astype(dtype.numpy)]
        assert np.array_equal(run(graph, inputs)[0], Tflm(graph).run(inputs)[0])


def test_bounds_have_single_precision() -> None:
    """At these scales 6 / scale lies next to a half, on either side of it by the precision it is computed in."""
    for halves in range(1001, 30001, 1200):
        net = Net(np.random.default_rng(0), INT16)
        scale = float(np.float32(6 / (halves + 0.5)))
        a, b = (net.input((1, 2), scale=scale) for _ in range(2))
        graph = net.graph(net.apply(ops.Add, (a, b), (1, 2), QParams.of(scale), activation=Activation.RELU6))
        inputs = [np.array([[32767, -32768]], np.int16), np.zeros((1, 2), np.int16)]
        assert np.array_equal(run(graph, inputs)[0], Tflm(graph).run(inputs)[0])


def test_quantize_divides_in_single_precision() -> None:
    """Inputs next to a half of the scale, on either side."""
    rng = np.random.default_rng(0)
    for scale in (0.0031, 0.017, 0.09):
        net = Net(rng, INT16)
        x = net.input((1, 4096), FLOAT32)
        graph = net.graph(net.apply(ops.Quantize, (x,), (1, 4096), QParams.of(scale)))
        halves = ((rng.integers(-20000, 20000, (1, 4096)) + 0.5) * np.float32(scale)).astype(np.float32)
        inputs = [np.nextafter(halves, np.float32(1e9) * rng.choice(np.array([-1, 0, 1], np.float32), halves.shape))]
        assert np.array_equal(run(graph, inputs)[0], Tflm(graph).run(inputs)[0])


# --- what the reference interpreter refuses is defined by what it accepts --------------------------------------------


def test_a_rescaled_pool_is_a_pool_and_a_quantize() -> None:
    for kind, name in ((ops.MaxPool2D, "max_pool_rescaled"), (ops.AvgPool2D, "avg_pool_rescaled")):
        for seed in SEEDS:
            graph = GENERATORS[name](np.random.default_rng(seed))
            op = replace(graph.ops[0], activation=Activation.NONE)
            assert isinstance(op, kind)
            assert_is_followed_by_quantize(replace(graph, ops=(op,)))


def test_a_rescaled_maximum_is_a_maximum_and_a_quantize() -> None:
    for seed in SEEDS:
        assert_is_followed_by_quantize(GENERATORS["reduce_max_rescaled"](np.random.default_rng(seed)))


def assert_is_followed_by_quantize(graph: Graph) -> None:
    x, y = graph[graph.inputs[0]], graph.out(graph.ops[0])
    middle = replace(y, id=9, q=x.q)
    steps = (replace(graph.ops[0], outputs=(9,)), ops.Quantize(inputs=(9,), outputs=(y.id,)))
    split = replace(graph, tensors={**graph.tensors, 9: middle}, ops=steps)
    inputs = random_inputs(np.random.default_rng(3), graph)
    assert np.array_equal(run(graph, inputs)[0], Tflm(split).run(inputs)[0])


def test_a_rescaled_concatenation_quantizes_its_inputs() -> None:
    for seed in SEEDS:
        graph = GENERATORS["concat_rescaled"](np.random.default_rng(seed))
        op, y = graph.ops[0], graph.out(graph.ops[0])
        middles = {50 + i: replace(graph[i], id=50 + i, q=y.q, role=y.role) for i in op.inputs}
        steps = tuple(ops.Quantize(inputs=(i,), outputs=(50 + i,)) for i in op.inputs)
        joined = replace(op, inputs=tuple(middles))
        split = replace(graph, tensors={**graph.tensors, **middles}, ops=(*steps, joined))
        inputs = random_inputs(np.random.default_rng(seed), graph)
        assert np.array_equal(run(graph, inputs)[0], Tflm(split).run(inputs)[0])


@pytest.mark.parametrize("name", ["transpose_conv_int4", "fully_connected_int4_per_channel", "conv2d_int4_int16"])
def test_int4_weights_mean_the_same_as_int8_ones(name: str) -> None:
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        graph = GENERATORS[name](rng)
        w = graph[graph.ops[0].inputs[1]]
        as_int8 = replace(graph, tensors={**graph.tensors, w.id: replace(w, bits=8)})
        inputs = random_inputs(rng, graph)
        assert np.array_equal(run(graph, inputs)[0], Tflm(as_int8).run(inputs)[0])


@pytest.mark.parametrize("dtype", [INT8, INT16, FLOAT32])
def test_averages_leave_padding_out(dtype: DType) -> None:
    generate = graphs.FLOAT_GENERATORS["avg_pool_padded"] if dtype is FLOAT32 else _named("avg_pool_padded", dtype)
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        graph = generate(rng)
        op = replace(graph.ops[0], activation=Activation.NONE)
        inputs = random_inputs(rng, graph)
        assert isinstance(op, ops.AvgPool2D)
        expected = _average(op, inputs[0].astype(float), graph.out(op).shape)
        y = run(replace(graph, ops=(op,)), inputs)[0]
        assert np.abs(y - expected).max() <= (0.5 if dtype.is_integer else 1e-5)


def _named(name: str, dtype: DType) -> Callable[[np.random.Generator], Graph]:
    return GENERATORS[name if dtype is INT8 else f"{name}_int16"]


def _average(op: ops.AvgPool2D, x: Array, shape: tuple[int, ...]) -> Array:
    y = np.zeros(shape)
    for row in range(shape[1]):
        for column in range(shape[2]):
            top, left = row * op.stride[0] - op.padding.top, column * op.stride[1] - op.padding.left
            seen = x[0, max(top, 0) : top + op.window[0], max(left, 0) : left + op.window[1]]
            y[0, row, column] = seen.mean(axis=(0, 1))
    return y


@pytest.mark.parametrize("suffix", ["", "_int16"])
def test_relu_n1_to_1_is_a_quantize_with_bounds(suffix: str) -> None:
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        graph = GENERATORS[f"relu_n1_to_1{suffix}"](rng)
        y = graph.out(graph.ops[0])
        quantize = replace(graph, ops=(ops.Quantize(inputs=graph.inputs, outputs=graph.outputs),))
        low, high = (y.zero_point + int(np.sign(v)) * int(np.floor(abs(v) / y.scale + 0.5)) for v in (-1.0, 1.0))
        inputs = random_inputs(rng, graph)
        assert np.array_equal(run(graph, inputs)[0], np.clip(Tflm(quantize).run(inputs)[0], low, high))


@pytest.mark.parametrize("scale", [1e-4, 3e-4, 2e-3, 0.05])
def test_int16_hard_swish_is_right_to_two_units(scale: float) -> None:
    graph = wide(ops.HardSwish, scale, scale * 1.3)
    x, y = graph[0], graph[1]
    real = EVERY_INT16 * x.scale
    expected = np.clip(real * np.clip(real + 3, 0, 6) / 6 / y.scale, -32768, 32767)
    assert np.abs(run(graph, [EVERY_INT16.reshape(ALL)])[0][0] - expected).max() < 2


def test_int16_maximum_and_its_place() -> None:
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        graph = GENERATORS["reduce_max_int16"](rng)
        inputs, op = random_inputs(rng, graph), graph.ops[0]
        assert isinstance(op, ops.ReduceMax)
        assert np.array_equal(run(graph, inputs)[0].ravel(), inputs[0].max(axis=op.axes).ravel())
        graph = GENERATORS["arg_max_int16"](rng)
        inputs, op = random_inputs(rng, graph), graph.ops[0]
        assert isinstance(op, ops.ArgMax)
        chosen = np.expand_dims(run(graph, inputs)[0], op.axis)
        first = np.take_along_axis(
            np.cumsum(inputs[0] == inputs[0].max(op.axis, keepdims=True), op.axis), chosen, op.axis
        )
        assert np.array_equal(first, np.ones_like(first))


# --- what is refused -------------------------------------------------------------------------------------------------


def test_an_output_scale_too_small_for_a_sum_is_refused() -> None:
    graph = wide(ops.Add, 1.0, 1.0, 1e-5)
    with pytest.raises(GraphError) as caught:
        params(graph, graph.ops[0])
    assert str(caught.value) == (
        "Add: the scale 9.99999975e-06 of output 2 ('activation_2') is too small for that of the input: "
        "the rescale factor is 6.10352, expected below 1; quantize the output with a larger scale"
    )


def test_an_output_scale_too_small_for_a_hard_swish_is_refused() -> None:
    net = Net(np.random.default_rng(0))
    x = net.input((1, 4), scale=1.0)
    graph = net.graph(net.apply(ops.HardSwish, (x,), (1, 4), QParams.of(1 / 128)))
    with pytest.raises(GraphError) as caught:
        params(graph, graph.ops[0])
    assert str(caught.value) == (
        "HardSwish: the scale 0.0078125 of output 1 ('activation_1') is too small for that of the input: "
        "the rescale factor is 1, expected below 1; quantize the output with a larger scale"
    )
    with pytest.raises(RuntimeError):
        Tflm(graph)


def test_an_input_scale_too_small_for_a_softmax_is_refused() -> None:
    net = Net(np.random.default_rng(0))
    x = net.input((1, 4), scale=1e-9)
    graph = net.graph(net.apply(ops.Softmax, (x,), (1, 4), QParams.of(1 / 256, -128)))
    with pytest.raises(GraphError) as caught:
        params(graph, graph.ops[0])
    assert str(caught.value) == (
        "Softmax: beta * scale of input 0 ('input_0') is 1e-09, expected more than 2^-26; "
        "quantize the input with a larger scale"
    )


def test_scales_out_of_reach_of_int16_curves_are_refused() -> None:
    large, small = wide(ops.Tanh, 6.0, 2.0**-15), wide(ops.HardSwish, 1e-8, 1e-8)
    with pytest.raises(GraphError) as caught:
        params(large, large.ops[0])
    assert str(caught.value) == (
        "an int16 Logistic or Tanh has input scale 6, expected below 5; quantize its input with a smaller scale"
    )
    with pytest.raises(GraphError) as caught:
        params(small, small.ops[0])
    assert str(caught.value) == (
        "HardSwish: input 0 ('input_0') has the int16 scale 9.99999994e-09, expected more than 3.6e-7; "
        "quantize it with a larger scale"
    )


def test_an_operation_that_only_moves_has_no_integers() -> None:
    graph = GENERATORS["reshape"](np.random.default_rng(0))
    with pytest.raises(GraphError) as caught:
        params(graph, graph.ops[0])
    assert str(caught.value) == "Reshape has no integer parameters: it only moves or compares stored values"


def test_inputs_are_those_of_the_graph() -> None:
    graph = GENERATORS["conv2d"](np.random.default_rng(0))
    with pytest.raises(CalibrationError) as caught:
        run(graph, [])
    assert str(caught.value) == "graph 'conv2d' has 1 inputs, 0 arrays were given"
    with pytest.raises(CalibrationError) as caught:
        run(graph, [np.zeros((1, 2), np.float64)])
    shape = graph[0].shape
    assert str(caught.value) == f"input 0 ('input_0') is float64 of shape (1, 2), expected int8 of shape {shape}"


def test_a_trace_holds_every_tensor() -> None:
    rng = np.random.default_rng(2)
    graph = random_network(rng)
    values = trace(graph, random_inputs(rng, graph))
    assert values.keys() == graph.tensors.keys()
    for i, value in values.items():
        assert (value.shape, value.dtype) == (graph[i].shape, graph[i].dtype.numpy)
