"""The C kernels equal the interpreter in every byte, on random graphs of every operation.

On this machine under the sanitizers; on emulated cores with unaligned accesses trapped, as Armv6-M would.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

import graphs
import more_graphs
import numpy as np
import pytest
from graphs import Generator, random_inputs, random_network
from harness import (
    ARM,
    PLAIN,
    Runner,
    assert_equal,
    build_device,
    build_host,
    compile_c,
    link_device,
    lowered,
    preferred,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from nets import Net
from variants_under_test import FAMILIES

from mcuquant.boards.core import CORES
from mcuquant.codegen.emit import kernel_headers
from mcuquant.errors import UnsupportedOpError
from mcuquant.ir import DType, Graph, Op, QParams, Role, Shape, ops
from mcuquant.ir.row_ops import OfSums, RowSum
from mcuquant.kernels import VARIANTS
from mcuquant.kernels.scalar import depthwise_scalar, product_scalar
from mcuquant.kernels.shared.axes import merged, strides
from mcuquant.kernels.variant import no_overlap
from mcuquant.planner import Plan, Step, plan

GENERATORS: dict[str, Generator] = graphs.GENERATORS | more_graphs.GENERATORS
GROUPS = 4
DSP = CORES["cortex-m4"]
SAMPLES = 4
SEED = 20


SCALAR = (*product_scalar.VARIANTS, *depthwise_scalar.VARIANTS)


@contextmanager
def plain_kernels() -> Iterator[None]:
    """Without those of cores without SIMD, which `test_scalar` compares."""
    with mock.patch("mcuquant.kernels.VARIANTS", tuple(v for v in VARIANTS if v not in SCALAR)):
        yield


@pytest.fixture
def plain() -> Iterator[None]:
    with plain_kernels():
        yield


def group(index: int) -> list[str]:
    return list(GENERATORS)[index::GROUPS]


def made(name: str, seed: int) -> Graph:
    return GENERATORS[name](np.random.default_rng(seed))


def check_all(names: list[str], program: Runner, seed: int) -> None:
    for index, (name, graph) in enumerate(zip(names, program.graphs, strict=True)):
        rng = np.random.default_rng((seed, index))
        samples = [random_inputs(rng, graph) for _ in range(SAMPLES)]
        for sample, outcome in zip(samples, program.run(index, *samples), strict=True):
            assert_equal(name, graph, outcome, sample)


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("index", range(GROUPS))
def test_every_form_equals_the_interpreter(index: int, tmp_path: Path) -> None:
    names = group(index)
    check_all(names, build_host([made(name, SEED) for name in names], tmp_path), SEED)


FAST = [name for name in GENERATORS if name.startswith("conv2d") and "int16" not in name]
"""Forms that a core with SMLAD has other kernels for."""


def test_forms_of_cores_with_smlad_equal_the_interpreter(tmp_path: Path) -> None:
    """The portable twins of the hand-written instructions, under the sanitizers."""
    built = [(name, made(name, SEED + seed)) for name in FAST for seed in range(4)]
    check_all([name for name, _ in built], build_host([graph for _, graph in built], tmp_path, DSP), SEED)


@pytest.mark.usefixtures("plain")
@pytest.mark.slow
@pytest.mark.parametrize("index", range(GROUPS))
@pytest.mark.parametrize("seed", range(4))
def test_more_of_every_form(index: int, seed: int, tmp_path: Path) -> None:
    names = group(index)
    check_all(names, build_host([made(name, seed) for name in names], tmp_path), seed)


@pytest.mark.usefixtures("plain")
def test_networks_equal_the_interpreter(tmp_path: Path) -> None:
    networks = [random_network(np.random.default_rng(seed)) for seed in range(8)]
    names = [f"network {seed}" for seed in range(8)]
    check_all(names, build_host(networks, tmp_path), SEED)


def test_every_operation_has_an_int8_kernel() -> None:
    named = [getattr(ops, name) for name in ops.__all__]
    kinds = {kind for kind in named if isinstance(kind, type) and issubclass(kind, Op)}
    bases = {base for kind in kinds for base in kind.__mro__[1:]}
    planned = {type(op) for name in GENERATORS if "int16" not in name for op in _planned_ops(name)}
    assert kinds - bases - planned == {ops.BatchNorm, ops.Reshape}


def _planned_ops(name: str) -> list[Op]:
    return [graph.ops[step.op_index] for graph, _, step in _steps(name)]


def _steps(name: str) -> Iterator[tuple[Graph, Plan, Step]]:
    graph = made(name, SEED)
    with plain_kernels():
        plain = plan(graph, PLAIN, only=preferred())
    fast = plan(graph, DSP, only=preferred())
    return ((graph, planned, step) for planned in (plain, fast) for step in planned.steps)


@cache
def _all_steps() -> tuple[tuple[Graph, Plan, Step], ...]:
    """Of what is compared here, and of the families that have tests of their own."""
    here = [step for name in GENERATORS for step in _steps(name)]
    cases = [case for family in FAMILIES for case in family.cases()]
    plans = [plan(graph, core, only=preferred(name)) for name, graph, core in cases]
    return (*here, *((planned.graph, planned, step) for planned in plans for step in planned.steps))


def test_every_variant_is_compared_with_the_interpreter() -> None:
    tested = {step.variant.name for _, _, step in _all_steps()}
    by_rows = {v.name for v in VARIANTS if v.op in (RowSum, OfSums)}  # tests/codegen/test_lower_rows.py
    assert {v.name for v in VARIANTS} - tested == by_rows


def test_outputs_that_run_into_their_inputs_are_compared_too() -> None:
    """Every variant that allows it has a graph where the planner made use of it; those by strips are in test_strips."""
    allowing = {v.name for v in VARIANTS if v.overlap_offsets is not no_overlap and v.op is not ops.ConvPool}
    overlapping = {step.variant.name for graph, planned, step in _all_steps() if _overlaps(graph, planned, step)}
    assert overlapping == allowing


def _overlaps(graph: Graph, planned: Plan, step: Step) -> bool:
    op = graph.ops[step.op_index]
    if op.output not in planned.offsets:
        return False
    y = _place(graph, planned, op.output)
    inputs = (_place(graph, planned, i) for i in op.inputs if i in planned.offsets)
    return any(x.start < y.stop and y.start < x.stop for x in inputs)


def _place(graph: Graph, planned: Plan, tensor: int) -> range:
    return range(planned.offsets[tensor], planned.offsets[tensor] + graph[tensor].nbytes)


def check_on_device(names: list[str], cpu: str, directory: Path) -> None:
    device = build_device([made(name, SEED) for name in names], directory, cpu)
    jobs = [(i, random_inputs(np.random.default_rng(i), graph)) for i, graph in enumerate(device.graphs) for _ in "ab"]
    for (i, sample), outcome in zip(jobs, device.run_all(jobs), strict=True):
        assert_equal(f"{names[i]} on {cpu}", device.graphs[i], outcome, sample)


@pytest.mark.usefixtures("plain")
@pytest.mark.emulator
@pytest.mark.parametrize(("part", "cpu"), list(enumerate(ARM)))
def test_a_third_of_the_forms_on_each_core(part: int, cpu: str, tmp_path: Path) -> None:
    check_on_device(list(GENERATORS)[part::3], cpu, tmp_path)


@pytest.mark.emulator
def test_forms_of_cores_with_smlad_on_the_device(tmp_path: Path) -> None:
    built = [(name, made(name, SEED + seed)) for name in FAST for seed in range(3)]
    device = build_device([graph for _, graph in built], tmp_path, "cortex-m4")
    jobs = [(i, random_inputs(np.random.default_rng((i, n)), g)) for i, (_, g) in enumerate(built) for n in range(3)]
    for (i, sample), outcome in zip(jobs, device.run_all(jobs), strict=True):
        assert_equal(f"{built[i][0]} on cortex-m4", built[i][1], outcome, sample)


@pytest.mark.usefixtures("plain")
@pytest.mark.slow
@pytest.mark.emulator
@pytest.mark.parametrize("cpu", ARM)
def test_every_form_on_each_core(cpu: str, tmp_path: Path) -> None:
    check_on_device(list(GENERATORS), cpu, tmp_path)


@pytest.mark.emulator
@pytest.mark.parametrize(("offset", "status"), [(0, 0), (1, 1)])
@pytest.mark.parametrize("cpu", ARM)
def test_the_emulated_cores_trap_unaligned_accesses(cpu: str, offset: int, status: int, tmp_path: Path) -> None:
    """Else the tests above would prove nothing about Armv6-M."""
    main = tmp_path / "main.c"
    load = f'__asm__ volatile("ldr %0, [%1]" : "=r"(value) : "r"((const char *)words + {offset}));'
    main.write_text(f"int main(void)\n{{ int words[2] = {{0, 0}}; int value; {load} return value; }}\n")
    done = subprocess.run(link_device([main], tmp_path, cpu), capture_output=True, timeout=60, check=False)
    assert done.returncode == status, done.stderr
    assert (b"fault" in done.stderr) == bool(status)


@pytest.mark.emulator
@pytest.mark.parametrize("cpu", ARM)
def test_all_kernels_compile_without_warning_for_arm(cpu: str, tmp_path: Path) -> None:
    everything = tmp_path / "everything.c"
    headers = sorted({v.header for v in VARIANTS})
    everything.write_text("".join(f'#include "kernels/{header}"\n' for header in headers))
    output = str(tmp_path / "everything.o")
    compile_c(["arm-none-eabi-gcc", *ARM[cpu], "-O2", "-c"], [everything], tmp_path, "-o", output)


@pytest.mark.parametrize("header", sorted(kernel_headers()))
def test_kernel_headers_stand_alone(header: str) -> None:
    text = kernel_headers()[header].read_text()
    guard = header.upper().replace(".", "_")
    assert f"#ifndef {guard}\n#define {guard}\n" in text
    assert text.startswith("/* ")


def _lower_error(graph: Graph) -> str:
    with pytest.raises(UnsupportedOpError) as caught:
        lowered(graph, 0)
    return str(caught.value)


def _one(op: type[Op], shape: Shape, y_shape: Shape, dtype: DType = DType.INT8, **attributes: Any) -> Graph:
    net = Net(np.random.default_rng(0), dtype)
    x = net.tensor(shape, dtype, Role.INPUT, q=QParams.of(0.1))
    net.inputs.append(x)
    return net.graph(net.apply(op, (x,), y_shape, QParams.of(0.1), **attributes))


def _fully_connected(weight: int, bias: int, dtype: DType, wide: DType) -> Graph:
    net = Net(np.random.default_rng(0), dtype)
    x = net.tensor((1, 4), dtype, Role.INPUT, q=QParams.of(0.1))
    net.inputs.append(x)
    w = net.constant(np.full((1, 4), weight), DType.INT8, QParams.of(1.0))
    b = net.constant(np.array([bias]), wide, QParams.of(0.1))
    return net.graph(net.apply(ops.FullyConnected, (x, w, b), (1, 1), QParams.of(0.1)))


def test_sums_beyond_32_bits_are_refused() -> None:
    largest = 2**31 - 1 - 4 * 128 * 128
    assert lowered(_fully_connected(-128, largest, DType.INT8, DType.INT32), 0).calls
    assert _lower_error(_fully_connected(-128, largest + 1, DType.INT8, DType.INT32)) == (
        "FullyConnected of 'activation_3': its sums can reach 2,147,483,648, expected at most 2,147,483,647; "
        "make the layer smaller, or quantize it with larger scales"
    )


def test_sums_beyond_48_bits_are_refused() -> None:
    largest = 2**47 - 1 - 4 * 128 * 32768
    assert lowered(_fully_connected(-128, largest, DType.INT16, DType.INT64), 0).calls
    assert _lower_error(_fully_connected(-128, largest + 1, DType.INT16, DType.INT64)) == (
        "FullyConnected of 'activation_3': its sums can reach 140,737,488,355,328, expected at most "
        "140,737,488,355,327; make the layer smaller, or quantize it with larger scales"
    )
    assert "its sums can reach" in _lower_error(_fully_connected(-128, 2**63 - 1, DType.INT16, DType.INT64))


def test_extreme_sums_are_exact(tmp_path: Path) -> None:
    """The largest sums that are let through, with every input at either end of its range."""
    wide = 2**47 - 1 - 4 * 128 * 32768
    narrow = 2**31 - 1 - 4 * 128 * 128
    built = [
        _fully_connected(-128, sign * bias, dtype, acc)
        for bias, dtype, acc in ((narrow, DType.INT8, DType.INT32), (wide, DType.INT16, DType.INT64))
        for sign in (1, -1)
    ]
    program = build_host(built, tmp_path)
    for index, graph in enumerate(built):
        samples = [[np.full((1, 4), v, graph[0].dtype.numpy)] for v in graph[0].dtype.range()]
        for sample, outcome in zip(samples, program.run(index, *samples), strict=True):
            assert_equal(f"extreme {index}", graph, outcome, sample)


def test_means_over_too_much_are_refused() -> None:
    advice = "expected at most 2,147,483,647; make the layer smaller, or quantize it with larger scales"
    mean = _one(ops.Mean, (1, 256, 256, 1), (1, 1, 1, 1), DType.INT16, axes=(1, 2))
    assert _lower_error(mean) == f"Mean of 'activation_1': its sums can reach 2,147,483,648, {advice}"
    pool = _one(ops.AvgPool2D, (1, 256, 256, 1), (1, 1, 1, 1), DType.INT16, window=(256, 256), stride=(1, 1))
    assert _lower_error(pool) == f"AvgPool2D of 'activation_1': its sums can reach 2,147,516,416, {advice}"


def test_too_long_a_softmax_is_refused() -> None:
    assert _lower_error(_one(ops.Softmax, (1, 8192), (1, 8192))) == (
        "Softmax of 'activation_1': its rows have 8,192 elements, expected at most 8,191 of int8"
    )


def test_long_rows_of_equal_values(tmp_path: Path) -> None:
    """Sums so large that every share is rounded to nothing, up to the longest row."""
    lengths = (1, 2, 255, 256, 257, 511, 512, 513, 4096, 8191)
    built = [_one(ops.Softmax, (1, n), (1, n)) for n in lengths]
    program = build_host(built, tmp_path)
    for index, (n, graph) in enumerate(zip(lengths, built, strict=True)):
        sample = [np.full((1, n), 7, np.int8)]
        assert_equal(f"softmax of {n}", graph, program.run(index, sample)[0], sample)


def test_axes_that_cannot_be_merged_are_refused() -> None:
    net = Net(np.random.default_rng(0))
    a, b = net.input((2, 1, 2, 1, 2, 1)), net.input((1, 2, 1, 2, 1, 2))
    graph = net.graph(net.apply(ops.Maximum, (a, b), (2,) * 6))
    assert _lower_error(graph) == (
        "no kernel computes Maximum on int8[2, 1, 2, 1, 2, 1], int8[1, 2, 1, 2, 1, 2], int8[2, 2, 2, 2, 2, 2]; "
        "int8 and int16 activations are supported"
    )


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_merged_axes_walk_the_same_elements(shape: list[int], random: Random) -> None:
    """Two walks, one dense and one over a permuted or broadcast tensor."""
    dense = strides(tuple(shape))
    other = [random.choice([0, step]) for step in random.sample(dense, len(dense))]
    axes = merged(shape, dense, other)
    assert all(size > 1 for size, *_ in axes)
    full = [_walk(shape, step) for step in (dense, other)]
    short = [_walk([a[0] for a in axes], [a[i] for a in axes]) for i in (1, 2)]
    assert short == full


def _walk(sizes: Sequence[int], steps: Sequence[int]) -> list[int]:
    places = [0]
    for size, step in zip(sizes, steps, strict=True):
        places = [place + i * step for place in places for i in range(size)]
    return places
