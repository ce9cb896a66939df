"""Weights of fewer than 8 bits by default: the quantizer by measured error, scales by layer error, rounding, biases."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from floats import quantized, random_float_network
from hypothesis import given, settings
from hypothesis import strategies as st

from mcuquant.arithmetic import interpreter
from mcuquant.ir import Array, Graph, Level, Op, ops
from mcuquant.ir.verify import verify
from mcuquant.quantization import Weights
from mcuquant.quantization.few_bits import CANDIDATES, judged_tensors
from mcuquant.quantization.quantizers import QUANTIZERS
from mcuquant.quantization.samples import single
from mcuquant.quantization.snr import output_snr
from mcuquant.quantization.statistics import Statistics
from mcuquant.quantization.weight_scales import WEIGHTED

PLAIN = Weights(quantizer="nearest", bits=4, adaptive_rounding=False, correct_bias=False)


def db(graph: Graph, made: Graph, samples: list[Array]) -> float:
    """SNR of the scores before the softmax."""
    tensors = judged_tensors(graph)
    inputs = list(single(tuple(samples)))
    exact = [[values[i] for i in tensors] for values in (interpreter.trace(graph, x) for x in inputs)]
    return output_snr(made.with_(outputs=tensors), inputs, exact)


@pytest.mark.parametrize("bits", [4, 2])
@pytest.mark.parametrize("seed", range(3))
def test_the_default_beats_the_formula_alone(seed: int, bits: int) -> None:
    graph, samples = random_float_network(seed)
    plain = quantized(graph, samples, weights=replace(PLAIN, bits=bits))
    made = quantized(graph, samples, weights=Weights(bits=bits))
    verify(made, Level.LOWERABLE)
    for op in made.ops:
        if isinstance(op, WEIGHTED):
            assert made[op.inputs[1]].bits == (8 if isinstance(op, ops.DepthwiseConv2D) else bits)
    assert db(graph, made, samples) > db(graph, plain, samples) + 3


def test_the_note_says_what_every_candidate_gave() -> None:
    graph, samples = random_float_network(1)
    made = quantized(graph, samples, weights=Weights(bits=4))
    (note,) = (note for note in made.notes if "weights by" in note)
    found = re.fullmatch(r"quantization: weights by (\S+): the best output SNR on \d+ held-out samples \((.*)\)", note)
    assert found is not None
    figures = {name: float(value) for name, value, _ in (part.split() for part in found[2].split(", "))}
    assert tuple(figures) == CANDIDATES
    assert figures[found[1]] == max(figures.values())
    assert made.notes[-1] == "quantization: weights of fewer than 8 bits: adaptive rounding and bias correction"


def test_layers_of_8_bits_are_symmetric() -> None:
    """With `auto`: the fastest kernels need it, and a depthwise layer is such a layer by default."""
    for seed in range(6):
        graph, samples = random_float_network(seed)
        made = quantized(graph, samples, weights=Weights(bits=2))
        for op in made.ops:
            if isinstance(op, WEIGHTED) and made[op.inputs[1]].bits == 8:
                assert not made[op.inputs[1]].qparams.zero_points
                assert isinstance(op, ops.DepthwiseConv2D)


def test_a_depthwise_layer_takes_the_bits_of_its_name() -> None:
    graph, samples = next(n for n in map(random_float_network, range(20)) if depthwise(n[0]))
    name = graph.out(depthwise(graph)[0]).name
    made = quantized(graph, samples, weights=Weights(bits={name: 4}))
    assert {made[op.inputs[1]].bits for op in depthwise(made)} >= {4}


def depthwise(graph: Graph) -> list[Op]:
    return [op for op in graph.ops if isinstance(op, ops.DepthwiseConv2D)]


def test_a_named_quantizer_is_kept_and_options_are_obeyed() -> None:
    graph, samples = random_float_network(1)
    made = quantized(graph, samples, weights=Weights(quantizer="double-linear", bits=4, correct_bias=False))
    assert made.notes[-2:] == (
        "quantization: weights by double-linear, y = floor(w*s1 + 1/2)*s2",
        "quantization: weights of fewer than 8 bits: adaptive rounding",
    )
    plain = quantized(graph, samples, weights=PLAIN)
    assert not any("fewer than 8 bits" in note for note in plain.notes)


@pytest.mark.parametrize("activations", ["int16", "mixed"])
def test_other_activations(activations: str) -> None:
    graph, samples = random_float_network(2)
    made = quantized(graph, samples, weights=Weights(bits=4), activations=activations)
    verify(made, Level.LOWERABLE)
    assert db(graph, made, samples) > db(graph, quantized(graph, samples, weights=PLAIN), samples) + 3


@pytest.mark.parametrize("name", [name for name in QUANTIZERS if name.endswith("power-of-two")])
def test_powers_of_two_stay_what_they_are(name: str) -> None:
    graph, samples = random_float_network(0)
    made = quantized(graph, samples, weights=Weights(quantizer=name, bits=4))
    for op in made.ops:
        if isinstance(op, WEIGHTED):
            assert set(np.frexp(made[op.inputs[1]].qparams.scale)[0].tolist()) == {0.5}


def test_scores_before_a_softmax_are_judged() -> None:
    for seed in range(6):
        graph, _ = random_float_network(seed)
        for i, judged in zip(graph.outputs, judged_tensors(graph), strict=True):
            maker = graph.producer(i)
            assert maker is not None
            assert judged == (maker.inputs[0] if maker.kind in ("Softmax", "LogSoftmax") else i)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(1, 2), st.integers(1, 4), st.integers(1, 6))
def test_the_best_scale_has_the_least_error(seed: int, groups: int, channels: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(groups, 9, size))
    w = rng.normal(size=(groups * channels, size))
    stats = Statistics.of(x, x @ w.reshape(groups, channels, size).swapaxes(1, 2)).shrunk(w, 0.1)
    steps = rng.integers(-3, 4, w.shape).astype(float)
    scales = stats.best_scales(steps)[:, None]
    for factor in (0.0, 0.5, 0.99, 1.01, 2.0):
        assert (stats.error(steps * scales) <= stats.error(steps * scales * factor) + 1e-9).all()
    assert (stats.error(w) <= stats.error(steps * scales) + 1e-9).all()
