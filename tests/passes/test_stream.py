"""A network of windows over a stream: every byte is that of the window network, from the first hop on."""

from __future__ import annotations

from pathlib import Path

import layers
import numpy as np
import pytest
from harness import build_device, build_host, check_stream
from nets import Net
from stream_graphs import flat, network, phased_network, valid_network

import mcuquant as mq
from mcuquant.arithmetic import interpreter
from mcuquant.boards.core import CORES
from mcuquant.errors import UnsupportedOpError
from mcuquant.ir import Array, Graph, Level, ops
from mcuquant.ir.metrics import state_bytes, total_macs
from mcuquant.ir.verify import verify
from mcuquant.passes.stream import Streamed
from mcuquant.passes.timeline import Timeline, motions

SEEDS = 40


def check(graph: Graph, streaming: Streamed, hops: int) -> None:
    """Against the window network, over a stream that zeros precede."""
    x, axis, hop = graph[graph.inputs[0]], streaming.axis, streaming.hop
    rng, seen = np.random.default_rng(1), np.full(x.shape, x.zero_point, x.dtype.numpy)
    state = interpreter.reset_state(streaming.graph)
    verify(streaming.graph, Level.LOWERABLE)
    for _ in range(hops):
        new = _rows(rng, x.shape, axis, hop).astype(x.dtype.numpy)
        seen = np.concatenate([np.take(seen, range(hop, x.shape[axis]), axis), new], axis)
        expected = interpreter.run(graph, [seen])
        found = interpreter.run(streaming.graph, [new], state)
        assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


def _rows(rng: np.random.Generator, shape: tuple[int, ...], axis: int, hop: int) -> Array:
    return rng.integers(-128, 128, (*shape[:axis], hop, *shape[axis + 1 :]))


def test_streams_equal_windows() -> None:
    saved = 0
    for seed in range(SEEDS):
        graph, hop = network(seed)
        try:
            streaming = mq.stream(graph, 1, hop)
        except UnsupportedOpError as refusal:
            assert "no row is reused from window to window: " in str(refusal)  # noqa: PT017 - one of many networks
            continue
        check(graph, streaming, graph[graph.inputs[0]].shape[1] // hop + 3)
        saved += total_macs(streaming.graph) < total_macs(graph)
    assert saved > SEEDS // 2


@pytest.mark.slow
def test_many_streams_equal_windows() -> None:
    for seed in range(1000, 1400):
        graph, hop = network(seed)
        try:
            streaming = mq.stream(graph, 1, hop)
        except UnsupportedOpError:
            continue
        check(graph, streaming, graph[graph.inputs[0]].shape[1] // hop + 3)


def compiled() -> list[Graph]:
    graphs = []
    for seed in range(100, 120):
        for make in (network, phased_network):
            graph, hop = make(seed)
            try:
                graphs.append(mq.stream(graph, 1, hop).graph)
            except UnsupportedOpError:
                continue
    return graphs[:6]


def samples(graph: Graph, count: int) -> list[list[Array]]:
    rng, x = np.random.default_rng(2), graph[graph.inputs[0]]
    return [[rng.integers(-128, 128, x.shape).astype(np.int8)] for _ in range(count)]


def test_streams_in_c(tmp_path: Path) -> None:
    graphs = compiled()
    runner = build_host(graphs, tmp_path, CORES["cortex-m4"])
    for i, graph in enumerate(graphs):
        check_stream(graph.name, runner, i, samples(graph, 6))


@pytest.mark.slow
@pytest.mark.emulator
@pytest.mark.parametrize("cpu", ["cortex-m0plus", "cortex-m4", "cortex-m55"])
def test_streams_on_each_core(cpu: str, tmp_path: Path) -> None:
    graphs = compiled()
    runner = build_device(graphs, tmp_path, cpu)
    for i, graph in enumerate(graphs):
        check_stream(graph.name, runner, i, samples(graph, 4))


def test_only_what_is_read_again_is_kept() -> None:
    """Two rows before each convolution of three taps, and all that the last layer reads."""
    streaming = mq.stream(valid_network(), 1, 1)
    assert [(y.op, y.rows, y.reused, y.computed) for y in streaming.layers[:2]] == [
        ("Conv2D", 10, 2, 1),
        ("Conv2D", 8, 7, 1),
    ]
    assert state_bytes(streaming.graph) == 2 * 4 + 2 * 8 + 7 * 6
    assert [y.macs_before // 10 for y in streaming.layers[:1]] == [y.macs_after for y in streaming.layers[:1]]
    assert (streaming.warm_up_rows, streaming.axis, streaming.hop) == (12, 1, 1)


def refusal(graph: Graph, axis: int, hop: int) -> str:
    with pytest.raises(UnsupportedOpError) as caught:
        mq.stream(graph, axis, hop)
    return str(caught.value)


def test_what_cannot_be_a_stream_is_refused() -> None:
    graph = valid_network()
    assert refusal(graph, 4, 1) == "valid: its input has shape (1, 12, 1, 4) and no axis 4 of rows; expected 1 to 3"
    assert refusal(graph, 1, 12) == "valid: 12 new rows of 12 at a time; expected 1 to 11"
    assert refusal(mq.stream(graph, 1, 1).graph, 1, 1) == (
        "valid keeps state between inferences already: it is no network of windows"
    )
    net = Net(np.random.default_rng(0))
    two = net.graph(layers.binary(net, net.input((1, 8, 4)), ops.Add, net.input((1, 8, 4))), name="two")
    assert refusal(two, 1, 1) == "two has 2 inputs; a stream has 1"


def test_a_hop_that_does_not_fit_the_strides_keeps_the_rows_of_every_phase() -> None:
    net = Net(np.random.default_rng(0))
    x = net.input((1, 26, 1, 4))
    for rows in (13, 6):
        n, h, _, c = net.shape(x)
        w = net.weights((4, h - 2 * (rows - 1), 1, c), 0)
        x = net.apply(ops.Conv2D, (x, w), (n, rows, 1, 4), net.sum_quant(x, w, 8), stride=(2, 1))
    graph = net.graph(layers.fully_connected(net, flat(net, x), 3), name="strided")
    fits, phased = mq.stream(graph, 1, 4), mq.stream(graph, 1, 1)
    assert [y.phases for y in fits.layers[:2]] == [1, 1]
    assert [y.phases for y in phased.layers[:2]] == [2, 4]
    assert phased.macs_after <= fits.macs_after
    name = phased.layers[0].name
    assert phased.graph.notes[-2] == (
        f"stream: from {name!r} on: the hop does not fit the strides, so the rows of 4 phases are kept; with "
        "a hop of 4 those of one"
    )
    check(graph, phased, 40)


def test_phases_equal_windows() -> None:
    """Strides of 1 to 3 and any hop: blocks of one row and of several, edges of padding, and every phase."""
    kinds = set()
    for seed in range(SEEDS // 2):
        graph, hop = phased_network(seed)
        try:
            streaming = mq.stream(graph, 1, hop)
        except UnsupportedOpError:
            continue
        check(graph, streaming, graph[graph.inputs[0]].shape[1] // hop + 12)
        times = motions(graph, 1, hop).values()
        kinds |= {(t.period > 1, t.step > 1) for t in times if isinstance(t, Timeline)}
    assert kinds == {(False, False), (False, True), (True, False), (True, True)}


@pytest.mark.slow
def test_many_phases_equal_windows() -> None:
    for seed in range(1000, 1300):
        graph, hop = phased_network(seed)
        try:
            streaming = mq.stream(graph, 1, hop)
        except UnsupportedOpError:
            continue
        check(graph, streaming, graph[graph.inputs[0]].shape[1] // hop + 12)
