"""Adaptive rounding, bias correction and equalization: what each promises about layers and networks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from floats import quantized, random_float_network
from nets import Net

from mcuquant.arithmetic import interpreter
from mcuquant.arithmetic.interpreter.patches import patches
from mcuquant.arithmetic.interpreter.weighted_sums import products
from mcuquant.ir import Array, DType, Graph, Level, Op, ops
from mcuquant.ir.verify import verify
from mcuquant.quantization import Weights, equalize, snr_report
from mcuquant.quantization.snr import quantized_inputs, real
from mcuquant.quantization.weight_scales import WEIGHTED, channel_axis, to_rows

SEEDS = range(4)
PLAIN = Weights(quantizer="nearest", bits=4, adaptive_rounding=False, correct_bias=False)
ADAPTED = replace(PLAIN, adaptive_rounding=True)


def values(
    float_graph: Graph, graph: Graph, samples: list[Array]
) -> Iterator[tuple[dict[int, Array], dict[int, Array]]]:
    """(float, stored) values of all tensors for each sample."""
    for i in range(len(samples[0])):
        one = [x[i : i + 1] for x in samples]
        yield interpreter.trace(float_graph, one), interpreter.trace(graph, quantized_inputs(graph, one))


def sums(float_graph: Graph, graph: Graph, op: Op, samples: list[Array]) -> Array:
    """(places, C): sums of the integer layer less those of the float layer, biases included, in real units."""
    twin = next(o for o in float_graph.ops if o.output == op.output)
    x, w, *bias = graph.ins(op)
    assert w.q is not None
    along = [-1 if i == w.q.axis else 1 for i in range(len(w.shape))]
    meant = w.data * np.array(w.q.scale).reshape(along)
    rows = []
    for exact, stored in values(float_graph, graph, samples):
        own = products(graph, op, real(x, stored[x.id]).astype(np.float64), meant)
        if bias:
            own = own + bias[0].data * np.array(bias[0].q.scale)
        inputs = [exact[i].astype(np.float64) for i in twin.inputs]
        theirs = products(float_graph, twin, *inputs[:2]) + (inputs[2] if bias else 0)
        rows.append((own - theirs).reshape(-1, own.shape[-1]))
    return np.concatenate(rows)


def layers(graph: Graph) -> list[Op]:
    return [op for op in graph.ops if isinstance(op, WEIGHTED) and not isinstance(op, ops.TransposeConv)]


def test_adaptive_rounding_lowers_the_first_layers_error() -> None:
    """Of later layers too, but their inputs then differ, so that errors say nothing of their rounding."""
    lowered = 0
    for seed in SEEDS:
        graph, samples = random_float_network(seed)
        nearest = quantized(graph, samples, method="minmax", weights=PLAIN)
        adapted = quantized(graph, samples, method="minmax", weights=ADAPTED)
        first = layers(nearest)[0]
        errors = [np.square(sums(graph, g, first, samples)).sum(axis=0) for g in (nearest, adapted)]
        assert (errors[1] <= errors[0] * (1 + 1e-9)).all()
        lowered += int((errors[1] < 0.8 * errors[0]).sum())
    assert lowered >= 3


@pytest.mark.parametrize("seed", SEEDS)
def test_adaptive_rounding_chooses_between_the_two_neighbours(seed: int) -> None:
    graph, samples = random_float_network(seed)
    adapted = quantized(graph, samples, method="minmax", weights=replace(ADAPTED, bits=8))
    verify(adapted, Level.LOWERABLE)
    moved = 0
    for op in layers(adapted):
        twin = next(o for o in graph.ops if o.output == op.output)
        w = adapted[op.inputs[1]]
        steps = to_rows(graph[twin.inputs[1]].data, channel_axis(op)) / np.array(w.q.scale).reshape(-1, 1)
        stored = to_rows(w.data, channel_axis(op))
        assert (np.abs(stored - np.clip(steps, -127, 127)) < 1).all()
        moved += int((stored != np.clip(np.rint(steps), -127, 127)).sum())
    assert moved > 0


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_bias_correction_makes_every_layers_mean_error_zero(seed: int, adaptive: bool) -> None:
    """To half a unit of the stored bias."""
    graph, samples = random_float_network(seed)
    weights = replace(PLAIN, correct_bias=True, adaptive_rounding=adaptive)
    corrected = quantized(graph, samples, method="minmax", weights=weights)
    plain = quantized(graph, samples, method="minmax", weights=PLAIN)
    seen = [op for op in layers(corrected) if len(op.inputs) > 2]
    assert seen
    for op in seen:
        unit = np.array(corrected[op.inputs[2]].q.scale)
        mean = sums(graph, corrected, op, samples).mean(axis=0)
        assert (np.abs(mean) <= unit * 0.5 + 1e-6).all()
    first = seen[0]
    before = sums(graph, plain, first, samples).mean(axis=0)
    has_few_bits = plain[first.inputs[1]].bits < 8  # a depthwise layer keeps 8
    assert not has_few_bits or np.abs(before).max() > np.array(plain[first.inputs[2]].q.scale).max()


def test_both_together_bring_the_outputs_closer() -> None:
    """In sum over networks: for one of them it may be luck."""
    gains = []
    for seed in SEEDS:
        graph, samples = random_float_network(seed)
        db = [
            snr_report(graph, quantized(graph, samples, method="minmax", weights=w), samples, False)[-1].cumulative_db
            for w in (PLAIN, replace(ADAPTED, correct_bias=True))
        ]
        gains.append(db[1] - db[0])
    assert np.mean(gains) > 2


@pytest.mark.parametrize("seed", SEEDS)
def test_patches_times_weights_are_the_layers_sums(seed: int) -> None:
    graph, samples = random_float_network(seed)
    found = interpreter.trace(graph, [x[:1] for x in samples])
    for op in layers(graph):
        x, w = (found[i].astype(np.float64) for i in op.inputs[:2])
        seen = patches(op, x, w.shape, graph.out(op).shape)
        rows = to_rows(w, channel_axis(op))
        made = seen @ rows.reshape(len(seen), -1, rows.shape[1]).swapaxes(1, 2)
        expected = products(graph, op, x, w).reshape(made.shape[1], len(seen), -1).swapaxes(0, 1)
        assert np.allclose(made, expected, rtol=1e-9, atol=1e-9)


def chain(groups: int = 1) -> tuple[Graph, list[Array]]:
    """Convolution, ReLU, depthwise, pooling, convolution in groups, flattening, linear: channels of unlike ranges."""
    net = Net(np.random.default_rng(17), DType.FLOAT32)
    x = net.input((1, 8, 8, 3))
    samples = [net.rng.normal(0, 1, (6, 8, 8, 3)).astype(np.float32)]
    spread = np.exp(net.rng.uniform(-3, 3, 8))

    def constant(data: Array) -> int:
        return net.constant(data, DType.FLOAT32)

    relu = ops.Activation.RELU
    first = net.rng.normal(0, 1, (8, 3, 3, 3)) * spread.reshape(-1, 1, 1, 1)
    ins = (x, constant(first), constant(net.rng.normal(0, 1, 8) * spread))
    y = net.apply(ops.Conv2D, ins, (1, 6, 6, 8), activation=relu)
    own = net.rng.normal(0, 1, (1, 3, 3, 16)) / np.repeat(spread, 2)
    y = net.apply(ops.DepthwiseConv2D, (y, constant(own), constant(net.rng.normal(0, 1, 16))), (1, 4, 4, 16))
    y = net.apply(ops.MaxPool2D, (y,), (1, 2, 2, 16), window=(2, 2), stride=(2, 2))
    mixed = constant(net.rng.normal(0, 1, (4, 1, 1, 16 // groups)) * np.exp(net.rng.uniform(-3, 3, (4, 1, 1, 1))))
    y = net.apply(ops.Conv2D, (y, mixed), (1, 2, 2, 4))
    y = net.apply(ops.Reshape, (y,), (1, 16))
    y = net.apply(ops.FullyConnected, (y, constant(net.rng.normal(0, 1, (5, 16))), constant(np.ones(5))), (1, 5))
    return net.graph(y), samples


@pytest.mark.parametrize("groups", [1, 2])
def test_equalization_keeps_the_function(groups: int) -> None:
    graph, (x,) = chain(groups)
    even = equalize(graph)
    assert even is not graph
    for i in range(len(x)):
        before, after = (interpreter.run(g, [x[i : i + 1]])[0] for g in (graph, even))
        assert np.abs(before - after).max() <= 2e-6 * np.abs(before).max()


def test_equalization_evens_out_the_channels() -> None:
    graph, _ = chain()
    even = equalize(graph)

    def spread(g: Graph) -> float:
        largest = np.abs(g[g.ops[0].inputs[1]].data).reshape(8, -1).max(axis=1)
        return float(largest.max() / largest.min())

    assert spread(graph) > 50
    assert spread(even) < 8


def test_equalization_helps_coarse_scales() -> None:
    graph, (x,) = chain()
    db = []
    for g in (graph, equalize(graph)):
        made = quantized(g, [x], method="minmax", weights="nearest-power-of-two")
        db.append(snr_report(g, made, [x], False)[-1].cumulative_db)
    assert db[1] > db[0] + 3


def test_equalization_stops_where_channels_are_clipped_read_twice_or_put_out() -> None:
    net = Net(np.random.default_rng(3), DType.FLOAT32)
    x = net.input((1, 4, 4, 2))

    def conv(x: int, activation: ops.Activation) -> int:
        w = net.constant(net.rng.normal(0, 1, (2, 1, 1, 2)), DType.FLOAT32)
        return net.apply(ops.Conv2D, (x, w), (1, 4, 4, 2), activation=activation)

    clipped = conv(x, ops.Activation.RELU6)
    twice = conv(clipped, ops.Activation.RELU)
    put_out = conv(net.apply(ops.Add, (conv(twice, ops.Activation.NONE), twice), (1, 4, 4, 2)), ops.Activation.NONE)
    graph = net.graph(conv(put_out, ops.Activation.NONE), put_out)
    assert equalize(graph) is graph
