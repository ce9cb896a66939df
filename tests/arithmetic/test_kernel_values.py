"""Arithmetic where it is easily wrong: ties, ends of ranges, and every value of functions of one variable."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness import SANITIZE, assert_equal, build_host, compile_c
from nets import Net

from mcuquant.arithmetic import fixedpoint as fx
from mcuquant.ir import Array, DType, Graph, Op, QParams, Role, ops

INT8, INT16, FLOAT32 = DType.INT8, DType.INT16, DType.FLOAT32
ALL_INT16 = np.arange(-32768, 32768, dtype=np.int16).reshape(1, -1)


def _rows(rng: np.random.Generator) -> Array:
    """Accumulators, multipliers, shifts, wide accumulators: random, at the ends of their ranges, and ties."""
    n = 20_000
    x = rng.integers(-(2**31), 2**31, n) >> rng.integers(0, 31, n)
    m = rng.integers(2**30, 2**31, n)
    shift = rng.integers(-31, 32, n)
    wide = rng.integers(-(2**47) + 1, 2**47, n) >> rng.integers(0, 46, n)
    x[: n // 4] = rng.choice([-(2**31), 1 - 2**31, -1, 0, 1, 2**30, 2**31 - 1, *(2 ** np.arange(31))], n // 4)
    m[n // 8 : n // 2] = rng.choice([2**30, 3 * 2**29, 2**31 - 1, 0x7FFF0000, 0x7FFEFFFF], n // 2 - n // 8)
    wide[n // 4 : n // 2] = rng.integers(-(2**20), 2**20, n // 4) << rng.integers(0, 20, n // 4)
    return np.stack([x, m, shift, wide], axis=1)


def test_fixed_point_equals_its_definition(tmp_path: Path) -> None:
    executable = tmp_path / "arithmetic"
    main = Path(__file__).parents[1] / "support" / "arithmetic_main.c"
    compile_c(SANITIZE, [main], tmp_path, "-o", str(executable))
    rows = _rows(np.random.default_rng(1))
    done = subprocess.run([executable], input=rows.tobytes(), capture_output=True, check=True)
    found = np.frombuffer(done.stdout, np.int64).reshape(-1, 9).T
    x, m, shift, wide = rows.T
    quarter = np.sign(x) * (np.abs(x) // 4)
    expected = {
        "high_mul": fx.rounding_doubling_high_mul(x, m),
        "round_shift": fx.rounding_shift_right(x, np.abs(shift)),
        "requantize": fx.requantize(x, m, shift),
        "requantize64": fx.requantize64(wide, m, np.minimum(shift, 14)),
        "exp": fx.exp_on_negative_values(fx.wrap32(-np.abs(x)), 5),
        "reciprocal": fx.reciprocal_one_plus(m),
        "scalar_high_mul": fx.rounding_doubling_high_mul(quarter, m),
        "scalar_high_mul_parts": fx.rounding_doubling_high_mul(quarter, m),
        "scalar_requantize": fx.requantize(quarter, m, -np.maximum(np.abs(shift), 1)),
    }
    for name, row in zip(expected, found, strict=True):
        assert (row == expected[name]).all(), name


def _unary(op: type[Op], x: tuple[DType, float, int], y: tuple[DType, float, int], **attributes: Any) -> Graph:
    """One operation over all 65,536 values, for (type, scale, zero point) of input and output."""
    net = Net(np.random.default_rng(0), y[0])
    i = net.tensor(ALL_INT16.shape, x[0], Role.INPUT, q=None if x[0] is FLOAT32 else QParams.of(x[1], x[2]))
    net.inputs.append(i)
    q = None if y[0] is FLOAT32 else QParams.of(y[1], y[2])
    out = net.tensor(ALL_INT16.shape, y[0], Role.ACTIVATION, q=q)
    net.ops.append(op(inputs=(i,), outputs=(out,), **attributes))
    return net.graph(out, name=op.__name__)


def _int16_functions() -> list[Graph]:
    unit = 1 / 32768
    curves = [
        _unary(op, (INT16, scale, 0), (INT16, unit, 0))
        for op in (ops.Logistic, ops.Tanh)
        for scale in (2.0**-12, 2.0**-11, 2.0**-10, 0.000123, 0.0007, 0.01, 1e-6, 3.0)
    ]
    leaky = [
        _unary(ops.LeakyRelu, (INT16, 0.001, zero), (INT16, scale, 5), alpha=alpha)
        for alpha, scale, zero in ((0.1, 0.0011, 0), (-0.3, 0.0004, -700), (1.5, 0.002, 32767), (-2.0, 0.00001, 3))
    ]
    swish = [
        _unary(ops.HardSwish, (INT16, s, 0), (INT16, t, 0)) for s, t in ((0.0003, 0.0003), (0.1, 0.05), (1e-6, 1e-6))
    ]
    relus = [_unary(ops.Relu, (INT16, 0.001, 0), (INT16, 0.0005, 0), activation=a) for a in list(ops.Activation)[1:]]
    return [*curves, *leaky, *swish, *relus]


def _conversions() -> list[Graph]:
    return [
        _unary(ops.Quantize, (INT16, 0.01, 0), (INT16, 0.005, 0)),
        _unary(ops.Quantize, (INT16, 0.01, -9), (INT16, 0.02, 32767)),
        _unary(ops.Quantize, (INT16, 0.001, 0), (INT8, 0.25, -128)),
        _unary(ops.Dequantize, (INT16, 0.0123, -32768), (FLOAT32, 0, 0)),
        _unary(ops.Dequantize, (INT16, 3e-39, 100), (FLOAT32, 0, 0)),
    ]


def _check(graphs: Sequence[Graph], inputs: Array, tmp_path: Path) -> None:
    program = build_host(graphs, tmp_path)
    for index, graph in enumerate(graphs):
        assert_equal(f"{graph.name} {index}", graph, program.run(index, [inputs])[0], [inputs])


@pytest.mark.parametrize("made", [_int16_functions, _conversions])
def test_functions_of_int16_at_every_value(made: Any, tmp_path: Path) -> None:
    _check(made(), ALL_INT16, tmp_path)


def test_rounding_of_real_numbers(tmp_path: Path) -> None:
    """Ties, their neighbours, and numbers far outside."""
    ties = (np.arange(-20_000, 20_000, dtype=np.float32) + np.float32(0.5)) * np.float32(0.25)
    near = [np.nextafter(ties[9_000:17_000], np.float32(side)) for side in (-np.inf, np.inf)]
    far = np.resize(np.array([1e9, -1e9, 3e9, -3e9, 2.0**31, -(2.0**31), 1e30, -1e30, 0.0, -0.0], np.float32), 9_536)
    x = np.concatenate([ties, *near, far]).reshape(1, -1)
    assert x.shape == ALL_INT16.shape
    quarter = [
        _unary(ops.Quantize, (FLOAT32, 0, 0), (t, 0.25, zero)) for t, zero in ((INT8, -128), (INT8, 3), (INT16, 0))
    ]
    odd = [_unary(ops.Quantize, (FLOAT32, 0, 0), (t, 0.0371, 0)) for t in (INT8, INT16)]
    _check([*quarter, *odd], x, tmp_path)


def test_what_is_no_number_has_a_defined_value(tmp_path: Path) -> None:
    graph = _unary(ops.Quantize, (FLOAT32, 0, 0), (INT8, 0.5, 7))
    x = np.resize(np.array([np.nan, np.inf, -np.inf, 1.0], np.float32), ALL_INT16.shape)
    y = build_host([graph], tmp_path).run(0, [x])[0].outputs[0]
    assert y[0, :4].tolist() == [-128, 127, -128, 9]


def test_softmax_of_differences_that_count_for_nothing(tmp_path: Path) -> None:
    """Scales at which most, few or all differences give exactly zero."""
    net_of = {}
    for scale in (1e-7, 0.01, 0.12, 0.125, 0.5, 4.0, 31.0, 1e6):
        for x_type, y_type, unit, zero in ((INT8, INT8, 1 / 256, -128), (INT8, INT16, 1 / 65536, -32768)):
            net = Net(np.random.default_rng(0), y_type)
            x = net.input((4, 64), x_type, scale)
            y = net.tensor((4, 64), y_type, Role.ACTIVATION, q=QParams.of(unit, zero))
            net.ops.append(ops.Softmax(inputs=(x,), outputs=(y,), beta=1.0))
            net_of[scale, y_type] = net.graph(y, name=f"softmax {scale} {y_type}")
    x = np.concatenate([np.arange(-128, 128), np.arange(-128, 128)])[128:384].astype(np.int8).reshape(4, 64)
    _check(list(net_of.values()), x, tmp_path)


def test_int16_softmax_at_the_ends(tmp_path: Path) -> None:
    graphs = []
    for scale in (1e-6, 10 / 65535, 0.0005, 0.01, 5.0):
        net = Net(np.random.default_rng(0), INT16)
        x = net.input((5, 40), INT16, scale)
        graphs.append(net.graph(net.apply(ops.Softmax, (x,), (5, 40), QParams.of(1 / 32768), beta=1.0)))
    rng = np.random.default_rng(3)
    rows = [np.full(40, -32768), np.full(40, 32767), rng.choice([-32768, 32767], 40), rng.integers(-32768, 32768, 40)]
    x16 = np.stack([*rows, np.append(np.full(39, -32768), 32767)]).astype(np.int16)
    _check(graphs, x16, tmp_path)
