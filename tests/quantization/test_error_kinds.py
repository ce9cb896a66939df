"""Kinds of a layer's error: weights, rounding, clipping; and the advice for the largest."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from floats import quantized, random_float_network, snrs

from mcuquant.ir import DType, Graph, QParams, ops
from mcuquant.quantization import LayerSnr, Weights
from mcuquant.quantization.error_kinds import Kind, advice
from mcuquant.quantization.weight_scales import WEIGHTED


def row(name: str, **kinds: float) -> LayerSnr:
    return LayerSnr(0, name, "Conv2D", (1, 4), 20.0, 20.0, 20.0, {Kind(kind): db for kind, db in kinds.items()})


def test_the_advice_is_for_the_largest_error() -> None:
    rows = [row("first", weights=30.0, rounding=40.0), row("second", weights=21.04, clipping=33.0)]
    assert advice(rows) == (
        "Largest error: weights of second, 21.0 dB on the outputs. Give its weights more bits: "
        "mq.Weights(bits={'second': 8, ...}), or a larger --weight-bytes; at 8 bits --adaptive-rounding lowers it."
    )
    assert advice([*rows, row("third", rounding=20.0)]) == (
        "Largest error: rounding of third, 20.0 dB on the outputs. Give its output more bits: --activations mixed."
    )
    assert advice([row("last", clipping=-3.0)]) == (
        "Largest error: clipping of last, -3.0 dB on the outputs. Widen its range: --method minmax, or calibration "
        "data with the largest values."
    )
    assert advice([row("exact")]) == advice([]) == ""


def test_fewer_bits_are_an_error_of_weights() -> None:
    for seed in range(3):
        graph, samples = random_float_network(seed)
        plain = Weights(quantizer="nearest", adaptive_rounding=False, correct_bias=False)
        eight, two = (snrs(graph, quantized(graph, samples, weights=replace(plain, bits=n)), samples) for n in (8, 2))
        layers = [(a, b) for a, b in zip(eight, two, strict=True) if Kind.WEIGHTS in b.kinds_db]
        assert len(layers) == sum(isinstance(op, WEIGHTED) for op in graph.ops)
        for a, b in layers:
            assert b.kinds_db[Kind.WEIGHTS] < a.kinds_db.get(Kind.WEIGHTS, math.inf) - 10
        assert all(Kind.CLIPPING not in r.kinds_db or r.kinds_db[Kind.CLIPPING] > 0 for r in eight)


def narrowed(graph: Graph, tensor_id: int) -> Graph:
    """With a quarter of the range of one tensor."""
    t = graph[tensor_id]
    q = QParams.of(np.float64(t.scale) / 4, t.zero_point)
    return graph.with_(tensors={**graph.tensors, tensor_id: replace(t, q=q)})


def test_a_narrow_range_clips() -> None:
    graph, samples = random_float_network(1)
    made = quantized(graph, samples, method="minmax")
    (first, *_) = (op.output for op in made.ops if isinstance(op, ops.Conv2D))
    index = [r.index for r in snrs(graph, made, samples)].index(
        next(i for i, op in enumerate(made.ops) if op.output == first)
    )
    wide, narrow = (snrs(graph, g, samples)[index].kinds_db for g in (made, narrowed(made, first)))
    assert narrow[Kind.CLIPPING] < wide.get(Kind.CLIPPING, math.inf) - 10
    assert narrow[Kind.ROUNDING] > wide[Kind.ROUNDING]
    assert made[first].dtype is DType.INT8


def test_operations_that_move_values_have_no_error() -> None:
    for seed in range(3):
        graph, samples = random_float_network(seed)
        made = quantized(graph, samples)
        for layer in snrs(graph, made, samples):
            if layer.index >= 0 and layer.own_db == math.inf:
                assert layer.kinds_db == {}
