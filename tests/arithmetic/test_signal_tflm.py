"""Operations of audio front ends equal TensorFlow Lite Micro's signal library in every byte, and survive a .tflite."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import signal_graphs
from nets import random_inputs
from tflite_micro import runtime

from mcuquant.arithmetic.interpreter import reset_state, run
from mcuquant.errors import ModelError
from mcuquant.ir import Array, Graph, Level, ops
from mcuquant.ir.verify import verify
from mcuquant.tflite.reader.from_tflite import load
from mcuquant.tflite.writer.to_tflite import to_tflite

ALONE = {
    name: generate
    for name, generate in signal_graphs.GENERATORS.items()
    if "ignores" not in name and "rescale" not in name and name not in signal_graphs.STREAMS
}
FORMS = {**ALONE, **{f"{name}_kept": generate for name, generate in signal_graphs.STREAMS.items()}}
SEEDS, INFERENCES = 5, 6


def reference(model: bytes, stream: list[list[Array]], outputs: int) -> list[list[Array]]:
    """Outputs of each inference, one after the other, as TensorFlow Lite Micro's operators keep their states."""
    interpreter = runtime.Interpreter.from_bytes(model, arena_size=1 << 20)
    results = []
    for sample in stream:
        for i, x in enumerate(sample):
            interpreter.set_input(x, i)
        interpreter.invoke()
        results.append([interpreter.get_output(i).copy() for i in range(outputs)])
    return results


def _compared(graph: Graph, y: Array) -> Array:
    """What the operator defines: `SignalEnergy` leaves the other bins as they are."""
    op = graph.ops[0]
    return y[op.start : op.end] if isinstance(op, ops.Energy) else y


@pytest.mark.parametrize("name", FORMS)
def test_every_operation_equals_the_signal_library(name: str) -> None:
    for seed in range(SEEDS):
        rng = np.random.default_rng((seed, 3))
        graph = verify(FORMS[name](rng), Level.LOWERABLE)
        stream, state = [random_inputs(rng, graph) for _ in range(INFERENCES)], reset_state(graph)
        expected = reference(to_tflite(graph), stream, len(graph.outputs))
        for sample, wanted in zip(stream, expected, strict=True):
            for found, theirs in zip(run(graph, sample, state), wanted, strict=True):
                np.testing.assert_array_equal(_compared(graph, found), _compared(graph, theirs), f"{name} {seed}")


@pytest.mark.parametrize("name", FORMS)
def test_a_tflite_has_the_same_operations(name: str) -> None:
    graph = FORMS[name](np.random.default_rng(1))
    back = load(to_tflite(graph))
    found, stated = ([op for op in g.ops if not isinstance(op, ops.Reshape)] for g in (back, graph))
    assert [(op.kind, op.attributes()) for op in found] == [(op.kind, op.attributes()) for op in stated]
    assert [(t.dtype, t.shape) for t in back.states] == [(t.dtype, t.shape) for t in graph.states]


def test_samples_of_the_lowest_value_are_ordered_as_the_library_does() -> None:
    """Behind -32768 the maximum starts anew with the next element, even where that is below 0."""
    rng = np.random.default_rng(2)
    for size in range(1, 9):
        graph, shape = signal_graphs.fft_auto_scale(rng), (size,)
        tensors = {i: replace(t, shape=shape) if t.shape else t for i, t in graph.tensors.items()}
        graph = replace(graph, tensors=tensors)
        stream = [[rng.choice(np.array([-32768, -5, -3, 0, 2, 300], np.int16), shape)] for _ in range(40)]
        expected = reference(to_tflite(graph), stream, 2)
        for sample, (y, shift) in zip(stream, expected, strict=True):
            found = run(graph, sample)
            assert (found[0].tolist(), int(found[1])) == (y.tolist(), int(shift)), sample


def test_a_state_that_others_read_cannot_be_exported() -> None:
    graph = signal_graphs.spectral_subtraction(np.random.default_rng(0))
    with pytest.raises(ModelError) as error:
        to_tflite(graph)
    assert str(error.value) == (
        "operation 0 (SpectralSubtraction) has a state that does not start as zero, or that other operations read or "
        "write, which .tflite cannot express: compute one frame for each inference"
    )


def test_the_rule_of_the_older_library_cannot_be_exported() -> None:
    graph = signal_graphs.fft_auto_scale(np.random.default_rng(0), ignores_lowest=True)
    with pytest.raises(ModelError) as error:
        to_tflite(graph)
    assert str(error.value) == (
        "operation 0 (FftAutoScale) ignores -32768, as TensorFlow's older library does, which .tflite cannot express: "
        "use the rule of the signal library (ignores_lowest=False)"
    )
