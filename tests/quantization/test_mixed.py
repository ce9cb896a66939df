"""int16 where int8 is not enough: two integer forms joined layer by layer."""

from __future__ import annotations

import re

import numpy as np
import pytest
import tflm
from floats import quantized, random_float_network, snrs
from harness import assert_equal, build_host
from nets import Net

from mcuquant.arithmetic import interpreter
from mcuquant.ir import Array, DType, Graph, Level, ops
from mcuquant.ir.verify import verify
from mcuquant.quantization import Weights
from mcuquant.quantization.mixed import ENOUGH_DB, merged
from mcuquant.quantization.snr import quantized_inputs
from mcuquant.tflite.writer.to_tflite import to_tflite

SEEDS = range(5)


def forms(seed: int) -> tuple[Graph, list[Array], Graph, Graph]:
    real, samples = random_float_network(seed)
    narrow, wide = (quantized(real, samples, method="minmax", activations=a) for a in ("int8", "int16"))
    return real, samples, narrow, wide


@pytest.mark.parametrize("seed", SEEDS)
def test_with_no_layer_chosen_nothing_changes(seed: int) -> None:
    real, samples, narrow, wide = forms(seed)
    same = merged(real, narrow, wide, ())
    inputs = quantized_inputs(narrow, [x[:1] for x in samples])
    assert [op.kind for op in same.ops] == [op.kind for op in narrow.ops]
    assert np.array_equal(interpreter.run(same, inputs)[0], interpreter.run(narrow, inputs)[0])


@pytest.mark.parametrize("seed", SEEDS)
def test_some_layers_in_int16(seed: int) -> None:
    """Each is as its own form has it; TensorFlow Lite Micro computes the same."""
    real, samples, narrow, wide = forms(seed)
    rng = np.random.default_rng(seed)
    chosen = {op.output for op in real.ops if rng.random() < 0.5}
    made = verify(merged(real, narrow, wide, chosen), Level.LOWERABLE)
    for op in real.ops:
        form = wide if op.output in chosen else narrow
        assert (made[op.output].dtype, made[op.output].q) == (form[op.output].dtype, form[op.output].q)
    assert {made[i].dtype for i in (*made.inputs, *made.outputs)} == {DType.INT8}
    inputs = quantized_inputs(made, [x[:1] for x in samples])
    (theirs,) = tflm.run(to_tflite(made), inputs)
    assert np.array_equal(interpreter.run(made, inputs)[0], theirs)


def test_some_layers_in_int16_as_c(tmp_path_factory: pytest.TempPathFactory) -> None:
    real, samples, narrow, wide = forms(3)
    made = merged(real, narrow, wide, {op.output for op in real.ops[1::2]})
    inputs = quantized_inputs(made, [x[:1] for x in samples])
    (outcome,) = build_host([made], tmp_path_factory.mktemp("mixed")).run(0, inputs)
    assert_equal("mixed", made, outcome, inputs)


def delicate() -> tuple[Graph, list[Array]]:
    """What counts is the difference of values that are all near 500: int8 steps by 2 there."""
    net = Net(np.random.default_rng(2), DType.FLOAT32)
    x = net.input((1, 4, 4, 2))
    first, offset = net.rng.normal(0, 1, (8, 1, 1, 2)), np.full(8, 500.0)
    ins = (x, net.constant(first, DType.FLOAT32), net.constant(offset, DType.FLOAT32))
    y = net.apply(ops.Conv2D, ins, (1, 4, 4, 8))
    difference = np.concatenate([np.eye(4), -np.eye(4)], axis=1).reshape(4, 1, 1, 8)
    ins = (y, net.constant(difference, DType.FLOAT32), net.constant(np.zeros(4), DType.FLOAT32))
    y = net.apply(ops.Conv2D, ins, (1, 4, 4, 4))
    return net.graph(y), [net.rng.normal(0, 1, (24, 4, 4, 2)).astype(np.float32)]


def test_layers_go_to_int16_until_the_outputs_are_good_enough() -> None:
    real, samples = delicate()
    rows = {}
    for activations in ("int8", "mixed", "int16"):
        made = quantized(real, samples, method="minmax", activations=activations)
        rows[activations] = snrs(real, made, samples)[-1].cumulative_db
    assert rows["int8"] < 10 < rows["mixed"]
    assert made.notes == ("quantization: calibrated by minmax",)
    made = quantized(real, samples, method="minmax", activations="mixed")
    found = re.fullmatch(
        r"quantization: (\d) layers? of 2 in int16, so that the outputs have ([\d.]+) dB", made.notes[-1]
    )
    assert found
    assert int(found[1]) >= 1


@pytest.mark.parametrize("seed", SEEDS)
def test_a_network_that_int8_serves_stays_int8(seed: int) -> None:
    real, samples = random_float_network(seed)
    plain = quantized(real, samples, method="minmax")
    made = quantized(real, samples, method="minmax", activations="mixed")
    db = float(made.notes[-1].rpartition(" dB")[0].rpartition(" ")[2])
    wide = {t.dtype for t in made.tensors.values() if not t.is_constant} - {DType.INT8}
    assert bool(wide) == (not made.notes[-1].startswith("quantization: 0 layers"))
    assert db >= ENOUGH_DB or wide
    assert wide or str(made) == str(plain)


def test_weights_may_be_tuned_in_mixed_networks() -> None:
    real, samples = delicate()
    tuned = Weights(bits=8, adaptive_rounding=True, correct_bias=True)
    made = verify(quantized(real, samples, method="minmax", activations="mixed", weights=tuned), Level.LOWERABLE)
    assert {t.dtype for t in made.tensors.values() if not t.is_constant} == {DType.INT8, DType.INT16}
