"""Rows as they come: the same outputs however the rows are cut, on the interpreter and on a board."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import layers
import numpy as np
import pytest
import state_graphs
from hypothesis import given, settings
from hypothesis import strategies as st
from nets import Net
from stream_graphs import valid_network

import mcuquant as mq
from mcuquant.arithmetic import interpreter
from mcuquant.errors import CalibrationError
from mcuquant.ir import Array, Graph, ops
from mcuquant.passes.stream import Streamed

ROWS = 29
WINDOW = valid_network()
ZERO = WINDOW[WINDOW.inputs[0]].zero_point
X = np.random.default_rng(0).integers(-128, 128, (1, ROWS, 1, 4)).astype(np.int8)


@lru_cache
def streaming(hop: int) -> Streamed:
    return mq.stream(WINDOW, 1, hop)


@lru_cache
def windows(hop: int) -> Array:
    """Outputs of the network of windows, with zeros before the stream."""
    seen = np.concatenate([np.full((1, 12, 1, 4), ZERO, np.int8), X], 1)
    ends = range(12 + hop, 13 + ROWS, hop)
    return np.concatenate([interpreter.run(WINDOW, [seen[:, end - 12 : end]])[0] for end in ends])


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 11), st.lists(st.integers(0, 9), max_size=12))
def test_rows_may_come_in_any_portions(hop: int, sizes: list[int]) -> None:
    stream = mq.Stream(streaming(hop))
    assert (stream.axis, stream.hop, stream.warm_up_rows, stream.is_warm) == (1, hop, 12, False)
    cuts = [*(c for c in np.cumsum([0, *sizes]) if c < ROWS), ROWS]
    found: list[Array] = []
    for start, stop in pairwise(cuts):
        y = stream.feed(X[:, start:stop])
        assert isinstance(y, np.ndarray)
        found.append(y)
        assert stream.is_warm == (stop // hop * hop >= 12)
        assert stream.is_warm == (stop // hop > stream.warm_up_inferences)
    assert np.array_equal(np.concatenate(found), windows(hop))
    assert stream.rows == ROWS


def test_reset_drops_rows_that_wait() -> None:
    stream = mq.Stream(streaming(2))
    stream.feed(X[:, :5])
    stream.reset()
    assert (stream.rows, stream.is_warm) == (0, False)
    assert np.array_equal(stream.feed(X), windows(2))


@pytest.mark.emulator
def test_a_board_takes_rows_as_they_come(tmp_path: Path) -> None:
    done = streaming(2)
    project = mq.compile(done.graph, output=tmp_path / "net", streaming=done)
    with project.connect() as dut:
        stream = mq.Stream(dut)
        assert (stream.axis, stream.hop, stream.warm_up_rows) == (1, 2, 12)
        first, second = stream.feed(X[:, :9]), stream.feed(X[:, 9:])
        assert np.array_equal(np.concatenate([first, second]), windows(2))
        stream.reset()
        assert np.array_equal(stream.feed(X), windows(2))


def test_a_network_with_state_of_its_own_is_warm_at_once() -> None:
    graph = state_graphs.stream(np.random.default_rng(3))
    x = graph[graph.inputs[0]]
    rows = np.random.default_rng(0).integers(-128, 128, (1, 4 * x.shape[1], *x.shape[2:])).astype(np.int8)
    stream, state = mq.Stream(graph, axis=1), interpreter.reset_state(graph)
    steps = np.split(rows, 4, 1)
    expected = [interpreter.run(graph, [step], state)[0] for step in steps]
    assert np.array_equal(stream.feed(rows), np.concatenate(expected))
    assert stream.is_warm
    assert stream.warm_up_inferences == 0


def two_inputs() -> Graph:
    net = Net(np.random.default_rng(0))
    return net.graph(layers.binary(net, net.input((1, 8, 4)), ops.Add, net.input((1, 8, 4))), name="two")


def test_what_is_no_stream_is_refused() -> None:
    with pytest.raises(CalibrationError, match="the network has 2 inputs; a stream has 1"):
        mq.Stream(two_inputs(), axis=1)
    with pytest.raises(CalibrationError, match="the rows of this network are along axis 1; leave out `axis`"):
        mq.Stream(streaming(2), axis=1)
    with pytest.raises(CalibrationError, match=r"which axis of \(1, 12, 1, 4\) .* `axis` is 1 to 3, found none"):
        mq.Stream(WINDOW)
    stream = mq.Stream(streaming(2))
    with pytest.raises(CalibrationError) as caught:
        stream.feed(X[0])
    assert str(caught.value) == ("the stream takes rows of int8 and shape (1, N, 1, 4), found int8 of shape (29, 1, 4)")
    with pytest.raises(CalibrationError, match="found float64"):
        stream.feed(X.astype(float))
