"""Mixed precision: sensitivity measured, and bits chosen under a budget of bytes."""

from __future__ import annotations

import itertools
import math

import pytest
from floats import quantized, random_float_network
from hypothesis import given, settings
from hypothesis import strategies as st

from mcuquant.errors import BudgetError, CalibrationError
from mcuquant.quantization import LayerBits, Weights, sensitivity
from mcuquant.quantization.precision import bits_within
from mcuquant.quantization.quantizers import BITS, QUANTIZERS
from mcuquant.quantization.weight_scales import WEIGHTED


@st.composite
def costs(draw: st.DrawFn) -> list[LayerBits]:
    """Layers whose noise grows as bits go, as noise does."""
    layers = []
    for i in range(draw(st.integers(1, 5))):
        noise = sorted(draw(st.lists(st.floats(1e-9, 1.0), min_size=3, max_size=3)))
        layers.append(LayerBits(i, f"layer {i}", draw(st.integers(1, 5000)), tuple(noise)))
    return layers


def taken(layers: list[LayerBits], bits: dict[int, int]) -> int:
    return sum(layer.nbytes(bits[layer.output]) for layer in layers)


def noise(layers: list[LayerBits], bits: dict[int, int]) -> float:
    return sum(layer.noise[BITS.index(bits[layer.output])] for layer in layers)


@settings(deadline=None, max_examples=200)
@given(costs(), st.floats(0, 1))
def test_the_choice_keeps_the_budget_and_leaves_no_step_up(layers: list[LayerBits], part: float) -> None:
    least, most = (taken(layers, dict.fromkeys(range(len(layers)), n)) for n in (2, 8))
    budget = least + int(part * (most - least))
    bits = bits_within(layers, budget)
    assert taken(layers, bits) <= budget
    for layer in layers:
        for more in (n for n in BITS if n > bits[layer.output]):
            assert taken(layers, {**bits, layer.output: more}) > budget


@settings(deadline=None, max_examples=100)
@given(costs(), st.floats(0, 1))
def test_the_choice_is_close_to_the_best(layers: list[LayerBits], part: float) -> None:
    """No worse than the best choice that keeps a budget smaller by the largest layer."""
    least, most = (taken(layers, dict.fromkeys(range(len(layers)), n)) for n in (2, 8))
    budget = least + int(part * (most - least))
    tight = budget - max(layer.weights for layer in layers)
    every = (dict(enumerate(choice)) for choice in itertools.product(BITS, repeat=len(layers)))
    best = min((noise(layers, bits) for bits in every if taken(layers, bits) <= tight), default=math.inf)
    assert noise(layers, bits_within(layers, budget)) <= best * (1 + 1e-9)


def test_all_of_8_bits_where_there_is_room() -> None:
    layers = [LayerBits(3, "a", 100, (0.0, 0.1, 0.5)), LayerBits(5, "b", 50, (0.0, 0.01, 0.2))]
    assert bits_within(layers, 150) == {3: 8, 5: 8}
    assert bits_within(layers, 149) == {3: 8, 5: 4}
    assert bits_within(layers, 38) == {3: 2, 5: 2}
    with pytest.raises(BudgetError) as error:
        bits_within(layers, 37)
    assert str(error.value) == "the weights take 38 bytes at 2 bits each, more than the 37 allowed"


def test_fewer_bits_disturb_the_outputs_more() -> None:
    graph, samples = random_float_network(2)
    rows = sensitivity(graph, tuple(samples), QUANTIZERS["nearest"])
    assert [row.output for row in rows] == [op.output for op in graph.ops if isinstance(op, WEIGHTED)]
    for row in rows:
        assert row.noise[0] <= row.noise[1] <= row.noise[2]
    assert 0 < rows[-1].noise[0] < 0.1 * rows[-1].noise[1] < 0.5 * rows[-1].noise[2]


def test_bits_by_name_and_by_budget() -> None:
    graph, samples = random_float_network(2)
    layers = [op for op in graph.ops if isinstance(op, WEIGHTED)]
    last = graph.out(layers[-1]).name
    made = quantized(graph, samples, method="minmax", weights=Weights(bits={last: 4}))
    assert [made[op.inputs[1]].bits for op in made.ops if isinstance(op, WEIGHTED)] == [8] * (len(layers) - 1) + [4]
    total = sum(graph[op.inputs[1]].elements for op in layers)
    made = quantized(graph, samples, method="minmax", weights=Weights(most_bytes=total * 3 // 4))
    bits = [made[op.inputs[1]].bits for op in made.ops if isinstance(op, WEIGHTED)]
    assert sum(-(-made[op.inputs[1]].elements * n // 8) for op, n in zip(layers, bits, strict=True)) <= total * 3 // 4
    assert len(set(bits)) > 1
    assert any(note.startswith("quantization: weights take ") for note in made.notes)


@pytest.mark.parametrize(
    ("bits", "message"),
    [
        ({"nowhere": 4}, "network has no layer with weights named 'nowhere', expected one of: "),
        (3, "weights of 3 bits (layer "),
    ],
)
def test_bits_that_cannot_be_are_refused(bits: int | dict[str, int], message: str) -> None:
    graph, samples = random_float_network(2)
    with pytest.raises(CalibrationError) as error:
        quantized(graph, samples, weights=Weights(bits=bits))
    assert str(error.value).startswith(message)
