"""Networks by rows: every byte is that of the network over the whole image, wherever it is cut."""

from __future__ import annotations

import layers
import numpy as np
import pytest
from nets import Net, random_inputs
from row_graphs import network, window
from row_replay import Replay, replay
from stream_graphs import flat

from mcuquant.arithmetic.interpreter import run
from mcuquant.errors import UnsupportedOpError
from mcuquant.ir import DType, Graph, Level, ops
from mcuquant.ir.verify import verify
from mcuquant.passes.row_schedule import cuts, row_fed


def _check(graph: Graph, cut: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    (x,) = random_inputs(rng, graph)
    fed = row_fed(graph, cut)
    verify(fed.graph, Level.LOWERABLE)
    portions = [int(n) for n in rng.integers(0, x.shape[1] // 2, 2)]
    for y, expected in zip(replay(fed, x, portions), run(graph, [x]), strict=True):
        np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("seed", range(60))
def test_rows_give_the_bytes_of_the_whole_image(seed: int) -> None:
    graph = network(seed, DType.INT16 if seed % 8 == 7 else DType.INT8)
    _check(graph, cuts(graph)[-1], seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1400))
def test_many_networks_at_every_cut(seed: int) -> None:
    graph = network(seed, DType.INT16 if seed % 8 == 7 else DType.INT8)
    for cut in cuts(graph):
        _check(graph, cut, seed)


def test_images_follow_each_other() -> None:
    """Nothing of an image is left in the lines when the next one comes."""
    graph = network(3)
    machine = Replay(row_fed(graph, cuts(graph)[-1]))
    for seed in range(3):
        (x,) = random_inputs(np.random.default_rng(seed), graph)
        outputs = machine.feed(x[0])
        assert outputs is not None
        np.testing.assert_array_equal(outputs[0], run(graph, [x])[0])


def test_a_residual_reads_the_line_of_the_layer_beside_it() -> None:
    """x goes to a convolution of three rows and to the addition: three rows of it are enough for both."""
    net = Net(np.random.default_rng(0))
    x = net.input((1, 12, 4, 4))
    w = net.weights((4, 3, 3, 4), 0)
    pad = ops.Padding(top=1, bottom=1, left=1, right=1)
    y = net.apply(ops.Conv2D, (x, w), (1, 12, 4, 4), net.sum_quant(x, w, 36), padding=pad)
    graph = net.graph(layers.binary(net, y, ops.Add, x))
    fed = row_fed(graph, 2)
    assert {line.tensor: line.kept for line in fed.lines} == {x: 2, y: 0, graph.outputs[0]: 0}
    assert fed.sweeps == 13
    _check(graph, 2, 0)


def _refused(graph: Graph) -> str:
    with pytest.raises(UnsupportedOpError) as refusal:
        cuts(graph)
    return str(refusal.value)


def test_networks_without_rows_are_refused() -> None:
    net = Net(np.random.default_rng(0))
    x = net.input((1, 6, 4, 2))
    assert "Reshape reads all rows" in _refused(net.graph(layers.fully_connected(net, flat(net, x), 3)))
    net = Net(np.random.default_rng(0))
    assert "(1, 1, 9, 2) has one row" in _refused(
        net.graph(layers.relu(net, net.input((1, 1, 9, 2)), ops.Activation.RELU))
    )
    net = Net(np.random.default_rng(0))
    assert "has shape (1, 9)" in _refused(net.graph(layers.fully_connected(net, net.input((1, 9)), 3)))
    net = Net(np.random.default_rng(0))
    x = net.input((1, 6, 4, 2))
    y = net.apply(ops.Transpose, (x,), (1, 4, 6, 2), net.tensors[x].q, perm=(0, 2, 1, 3))
    assert "Transpose reads all rows" in _refused(net.graph(y))


def test_the_first_layer_that_reads_all_rows_ends_the_row_part() -> None:
    net = Net(np.random.default_rng(1))
    x = window(net, net.input((1, 10, 3, 2)), ops.Conv2D, 1)
    graph = net.graph(layers.fully_connected(net, flat(net, x), 3))
    assert cuts(graph) == (1,)
