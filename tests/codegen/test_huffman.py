"""Huffman-coded weights: the code read back, its length, networks that unpack themselves, and their RAM."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from compressed import pruned, shared
from graphs import random_inputs
from harness import Runner, assert_equal, compile_c, link_device, lowered, model_sources
from hypothesis import given, settings
from hypothesis import strategies as st
from nets import Net

import mcuquant as mq
from mcuquant.boards.board import Region, load_board
from mcuquant.boards.core import CORES
from mcuquant.codegen.huffman import LONGEST, Bytes, code_lengths, encode
from mcuquant.codegen.weight_coding import with_huffman
from mcuquant.errors import BudgetError
from mcuquant.ir import Graph, ops

SUPPORT = Path(__file__).resolve().parents[1] / "support"


def decoded(coded: Bytes, count: int) -> bytes:
    """As the header says, with a table of codes."""
    counts = coded[: 2 * LONGEST].view("<u2").tolist()
    symbols = coded[2 * LONGEST :][: sum(counts)].tolist()
    bits = np.unpackbits(coded[2 * LONGEST + sum(counts) :], bitorder="little").tolist()
    table, code, turn = {}, 0, iter(symbols)
    for length, n in enumerate(counts, 1):
        code <<= 1
        for _ in range(n):
            table[length, code] = next(turn)
            code += 1
    out, at = [], 0
    for _ in range(count):
        code = length = 0
        while (length, code) not in table:
            code, length, at = code << 1 | bits[at], length + 1, at + 1
        out.append(table[length, code])
    return bytes(out)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.integers(1, 256), st.floats(0.3, 3), st.integers(1, 400))
def test_codes_read_back(seed: int, values: int, skew: float, count: int) -> None:
    rng = np.random.default_rng(seed)
    part = np.arange(1, values + 1) ** -skew
    data = rng.choice(rng.permutation(256)[:values], count, p=part / part.sum()).astype(np.uint8).tobytes()
    assert decoded(encode(data), count) == data


def test_codes_have_at_most_15_bits() -> None:
    """Fibonacci's numbers make the longest codes there are."""
    counts = [1, 1]
    while len(counts) < 40:
        counts.append(counts[-1] + counts[-2])
    lengths = code_lengths(np.array(counts))
    assert lengths.max() == LONGEST
    assert (2.0**-lengths).sum() <= 1


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 1000), min_size=2, max_size=60))
def test_codes_are_within_a_bit_of_the_entropy(counts: list[int]) -> None:
    n = np.array(counts)
    part = n / n.sum()
    entropy = float(-(part * np.log2(part)).sum())
    assert entropy <= float((part * code_lengths(n)).sum()) + 1e-9
    assert float((part * code_lengths(n)).sum()) < entropy + 1


def network(seed: int) -> Graph:
    """Sparse, shared and plain layers, whose weights are few values or many."""
    net = Net(np.random.default_rng(seed))
    x = net.input((1, 60))
    for outputs in (200, 20):
        depth = net.shape(x)[1]
        w = net.weights((outputs, depth), 0, per_channel=False, largest=3)
        x = net.apply(ops.FullyConnected, (x, w, net.bias(x, w, outputs, depth)), (1, outputs))
    graph = net.graph(x)
    return {0: graph, 1: pruned(graph, net.rng, 0.8), 2: shared(graph, net.rng, 4, zeros=0.6)}[seed % 3]


def build(directory: Path, cpu: str) -> Runner:
    graphs = tuple(network(seed) for seed in range(3))
    programs = tuple(with_huffman(lowered(g, i, CORES[cpu])) for i, g in enumerate(graphs))
    assert all(p.coded for p in programs)
    sources = [*model_sources(programs, directory), SUPPORT / "host_main.c"]
    return Runner(link_device(sources, directory, cpu), graphs, programs)


@pytest.mark.emulator
@pytest.mark.parametrize("cpu", ["cortex-m4", "cortex-m0plus"])
def test_networks_unpack_themselves_on_the_device(cpu: str, tmp_path: Path) -> None:
    runner = build(tmp_path, cpu)
    jobs = [(i, random_inputs(np.random.default_rng(i), g)) for i, g in enumerate(runner.graphs) for _ in range(2)]
    for (i, sample), outcome in zip(jobs, runner.run_all(jobs), strict=True):
        assert_equal(f"network {i} on {cpu}", runner.graphs[i], outcome, sample)


def test_the_decoder_under_the_sanitizers(tmp_path: Path) -> None:
    """The first inference and the second, from a project."""
    graph = network(2)
    project = mq.compile(graph, output=tmp_path / "net", build_firmware=False, huffman=True)
    plain = mq.compile(graph, output=tmp_path / "plain", build_firmware=False)
    assert project.manifest["constant_bytes"] < plain.manifest["constant_bytes"]
    assert project.manifest["unpacked_bytes"] > 0
    assert plain.manifest["unpacked_bytes"] == 0
    x = np.random.default_rng(1).integers(-128, 128, (3, 60)).astype(np.int8)
    expected = np.concatenate([mq.run(graph, [x[i : i + 1]])[0] for i in range(3)])
    np.testing.assert_array_equal(project.run_host(x, sanitize=True)[0], expected)


def test_what_gets_no_smaller_stays_as_it_is() -> None:
    net = Net(np.random.default_rng(1))
    x = net.input((1, 300))
    w = net.weights((20, 300), 0, per_channel=False)
    program = lowered(net.graph(net.apply(ops.FullyConnected, (x, w), (1, 20))), 0)
    assert with_huffman(program).arrays == program.arrays


def test_ram_that_is_not_there_is_said() -> None:
    graph = network(2)
    board = load_board("qemu-mps2-an386")
    small = replace(board, ram=Region(board.ram.origin, 1024))
    with pytest.raises(BudgetError) as caught:
        mq.compile(graph, board=small, build_firmware=False, huffman=True)
    assert "its unpacked weights take " in str(caught.value)
    assert str(caught.value).endswith(", and there are 1,024; leave them as they are")


def test_the_header_compiles_alone(tmp_path: Path) -> None:
    source = tmp_path / "main.c"
    source.write_text(
        '#include "kernels/mq_huffman.h"\n'
        "int main(void)\n{ static const uint8_t coded[] = {"
        + ", ".join(map(str, encode(b"abracadabra").tolist()))
        + '}; uint8_t to[11]; mq_huffman(coded, to, 11); return memcmp(to, "abracadabra", 11); }\n'
    )
    compile_c(["gcc", "-O2", "-fsanitize=address,undefined"], [source], tmp_path, "-o", str(tmp_path / "main"))
    assert subprocess.run([str(tmp_path / "main")], check=False).returncode == 0
