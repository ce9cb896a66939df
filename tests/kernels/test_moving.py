"""Operations that only move elements: their kernels' bytes, and what they are estimated to take."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path

import layers
import numpy as np
import pytest
from harness import ARM, Runner, assert_equal, build_device, build_host, check_random, choose, link_device
from nets import Net, random_inputs

from mcuquant.boards.core import CORES
from mcuquant.device import cycle_model
from mcuquant.ir import DType, Graph, Shape, ops
from mcuquant.kernels import Site
from mcuquant.kernels.shared.moving import matrices, moved

COUNTED = ("cortex-m3", "cortex-m4", "cortex-m55")


def transposed(shape: Shape, perm: tuple[int, ...], dtype: DType = DType.INT8) -> Graph:
    net = Net(np.random.default_rng(0), dtype)
    x = net.input(shape, dtype)
    return net.graph(net.apply(ops.Transpose, (x,), tuple(shape[p] for p in perm), net.tensors[x].q, perm=perm))


MATRICES = [
    transposed((1, rows, columns), (0, 2, 1))
    for rows, columns in (
        (4, 4),
        (8, 12),
        (16, 36),
        (20, 5),
        (5, 20),
        (3, 64),
        (64, 3),
        (7, 9),
        (36, 17),
        (2, 4),
        (4, 2),
    )
]
BATCHES = [
    transposed((2, 3, 8, 12), (0, 1, 3, 2)),
    transposed((3, 8, 4, 6), (2, 3, 0, 1)),
    transposed((1, 4, 3, 8, 5), (0, 3, 2, 4, 1)),
    transposed((1, 4, 6, 8), (0, 3, 1, 2)),
    transposed((1, 8, 6, 4), (0, 2, 1, 3)),
    transposed((1, 12, 8), (0, 2, 1), DType.INT16),
]
ALL = [*MATRICES, *BATCHES]
NAMES = [f"{g[g.inputs[0]].shape} by {g.ops[0].attributes()['perm']}" for g in ALL]


def site(graph: Graph, cpu: str = "cortex-m4") -> Site:
    return Site(graph, graph.ops[0], CORES[cpu])


def test_matrices_of_bytes_are_transposed_by_words() -> None:
    assert choose(site(transposed((1, 5, 20), (0, 2, 1)))).name == "transpose"
    assert choose(site(transposed((1, 20, 5), (0, 2, 1)))).name == "copy"
    assert choose(site(transposed((1, 20, 5), (0, 2, 1)), "cortex-m55")).name == "transpose_mve"
    assert choose(site(transposed((1, 12, 8), (0, 2, 1), DType.INT16))).name == "copy"


def test_pixels_that_stay_together_are_moved_by_words() -> None:
    graph = transposed((1, 8, 6, 4), (0, 2, 1, 3))
    found = moved(site(graph))
    assert matrices(site(graph)) is None
    assert (found.nbytes, found.axes) == (4, ((6, 1, 8), (8, 6, 1)))


def test_slices_at_odd_places_are_moved_by_bytes() -> None:
    net = Net(np.random.default_rng(0))
    x = net.input((1, 6, 8), DType.INT8)
    even, odd = (
        net.graph(net.apply(ops.Slice, (x,), (1, 6, 4), net.tensors[x].q, begin=(0, 0, begin), step=(1, 1, 1)))
        for begin in (2, 3)
    )
    assert [moved(site(replace(g, ops=g.ops[-1:]))).nbytes for g in (even, odd)] == [2, 1]


@pytest.mark.parametrize("cpu", ["cortex-m4", "cortex-m55"])
def test_transpositions_on_the_host(cpu: str, tmp_path: Path) -> None:
    check_random(NAMES, build_host(ALL, tmp_path, CORES[cpu]), 2)


@pytest.mark.emulator
@pytest.mark.parametrize("cpu", ARM)
def test_transpositions_on_each_core(cpu: str, tmp_path: Path) -> None:
    check_random(NAMES, build_device(ALL, tmp_path, cpu), 2)


def random_shape(rng: np.random.Generator) -> Shape:
    """Between 200 and 4,000 elements."""
    while True:
        sizes = np.exp(rng.uniform(0, np.log(60), int(rng.integers(1, 4)))).astype(int)
        if 200 < sizes.prod() < 4000:
            return (1, *sizes.tolist())


def _sliced(net: Net, x: int) -> int:
    begin, step, size = [], [], []
    for n in net.shape(x):
        low, stride = net.size(0, n // 4), net.pick(1, 1, 1, 2, -1)
        begin.append(low if stride > 0 else n - 1 - low)
        step.append(stride)
        size.append((n - 1 - low) // abs(stride) + 1)
    return net.apply(ops.Slice, (x,), tuple(size), net.tensors[x].q, begin=tuple(begin), step=tuple(step))


def _joined(net: Net, x: int) -> int:
    shape, axis = net.shape(x), net.size(1, len(net.shape(x)) - 1)
    part = net.input((*shape[:axis], net.size(1, shape[axis] + 2), *shape[axis + 1 :]))
    net.tensors[part] = replace(net.tensors[part], q=net.tensors[x].q)
    length = shape[axis] + net.shape(part)[axis]
    return net.apply(ops.Concat, (x, part), (*shape[:axis], length, *shape[axis + 1 :]), net.tensors[x].q, axis=axis)


MOVES: dict[str, Callable[[Net, int], int]] = {
    "slice": _sliced,
    "transpose": layers.transpose,
    "pad": layers.pad,
    "concat": _joined,
}


def random_moves(count: int, seed: int) -> list[Graph]:
    made = []
    for i, (name, layer) in product(range(count), MOVES.items()):
        net = Net(np.random.default_rng((seed, i, len(name))))
        made.append(net.graph(layer(net, net.input(random_shape(net.rng)))))
    return made


def counts(graphs: list[Graph], cpu: str, directory: Path) -> list[int]:
    """Of each network's only step: cycles where they are modelled, else instructions. Their bytes are compared too."""
    built = build_device(graphs, directory, cpu)
    windows = [f"{p.prefix}_step_0" for p in built.programs]
    file = directory / "counts"
    arguments = cycle_model.qemu_args(
        cycle_model.plugin(), directory / "device.elf", file, cpu=cpu, flash=[], windows=windows
    )
    runner = Runner((*built.command, *arguments), built.graphs, built.programs)
    jobs = [(i, random_inputs(np.random.default_rng(i), graph)) for i, graph in enumerate(graphs)]
    for (i, sample), outcome in zip(jobs, runner.run_all(jobs), strict=True):
        assert_equal(str(graphs[i].ops[0]), graphs[i], outcome, sample)
    found = {w.function: w.total for w in cycle_model.read(file)}
    return [found[w].cycles or found[w].instructions for w in windows]


def check_estimates(graphs: list[Graph], cpu: str, directory: Path) -> None:
    for graph, count in zip(graphs, counts(graphs, cpu, directory), strict=True):
        estimate = choose(site(graph, cpu)).cycles(site(graph, cpu))
        assert abs(estimate - count) <= 0.2 * count + 20, (estimate, count, str(graph))


@pytest.mark.emulator
@pytest.mark.parametrize("cpu", COUNTED)
def test_moves_take_about_what_was_estimated(cpu: str, tmp_path: Path) -> None:
    check_estimates(random_moves(4, 0), cpu, tmp_path)


@pytest.mark.slow
@pytest.mark.emulator
@pytest.mark.parametrize("cpu", COUNTED)
@pytest.mark.parametrize("seed", range(1, 4))
def test_more_moves_take_about_what_was_estimated(cpu: str, seed: int, tmp_path: Path) -> None:
    check_estimates(random_moves(14, seed), cpu, tmp_path)


MEMORY = """
#include <string.h>
static unsigned char from[64], to[72];
int main(void)
{
    for (int i = 0; i < 64; i++) {
        from[i] = (unsigned char)(i + 1);
    }
    for (int x = 0; x < 4; x++) {
        for (int y = 0; y < 4; y++) {
            for (int n = 0; n < 60; n++) {
                memset(to, 0xEE, sizeof to);
                memcpy(to + 4 + y, from + x, (size_t)n);
                for (int i = 0; i < 72; i++) {
                    const int inside = i >= 4 + y && i < 4 + y + n;
                    if (to[i] != (inside ? i - 4 - y + x + 1 : 0xEE)) {
                        return 1;
                    }
                }
                memcpy(to, from, 64);
                memmove(to + y, to + x, (size_t)n);
                for (int i = 0; i < n; i++) {
                    if (to[y + i] != x + i + 1) {
                        return 2;
                    }
                }
            }
        }
    }
    return 0;
}
"""


@pytest.mark.emulator
@pytest.mark.parametrize("cpu", ["cortex-m0plus", "cortex-m4"])
def test_memory_functions_at_all_places(cpu: str, tmp_path: Path) -> None:
    (tmp_path / "main.c").write_text(MEMORY)
    command = link_device([tmp_path / "main.c"], tmp_path, cpu, ("-O2", "-fno-builtin"))
    assert subprocess.run(command, timeout=60, check=False).returncode == 0
