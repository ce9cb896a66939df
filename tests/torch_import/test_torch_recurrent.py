"""Recurrent layers and cells of PyTorch: the float graph equals PyTorch, the integer one is near it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from harness import build_host, check_random
from torch import nn

import mcuquant as mq
from mcuquant.arithmetic import interpreter
from mcuquant.boards.core import CORES
from mcuquant.ir import Array, DType, Graph, QParams, ops
from mcuquant.passes import run_passes

STEPS, INPUTS, UNITS = 7, 5, 6


class Last(nn.Module):
    """A layer over a window, and a classifier of its last step and its last state."""

    def __init__(self, layer: nn.Module, width: int) -> None:
        super().__init__()
        self.layer, self.fc = layer, nn.Linear(2 * width, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, state = self.layer(x)
        last = state[0] if isinstance(state, tuple) else state
        ends = torch.cat([y[:, -1], last.reshape(1, -1)[:, -y.shape[-1] :]], 1)
        return self.fc(ends)


class Cell(nn.Module):
    """A cell whose state is a buffer: one step of a stream."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell, self.fc = cell, nn.Linear(UNITS, 2)
        self.register_buffer("h", torch.zeros(1, UNITS))
        self.register_buffer("c", torch.zeros(1, UNITS))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if isinstance(self.cell, nn.LSTMCell):
            h, c = self.cell(x, (self.h, self.c))
            self.c.copy_(c)
        else:
            h = self.cell(x, self.h)
        self.h.copy_(h)
        return self.fc(h)


def layer(kind: Callable[..., nn.Module], width: int = UNITS, **options: object) -> nn.Module:
    torch.manual_seed(5)
    return Last(kind(INPUTS, UNITS, **options), width).eval()


LAYERS = {
    "lstm": layer(nn.LSTM, batch_first=True),
    "lstm of two layers, both ways": layer(nn.LSTM, 2 * UNITS, num_layers=2, bidirectional=True, batch_first=True),
    "lstm without bias": layer(nn.LSTM, bias=False, batch_first=True),
    "gru": layer(nn.GRU, batch_first=True),
    "gru of two layers": layer(nn.GRU, num_layers=2, batch_first=True),
    "gru both ways": layer(nn.GRU, 2 * UNITS, bidirectional=True, batch_first=True),
    "rnn": layer(nn.RNN, batch_first=True),
    "rnn of relu": layer(nn.RNN, nonlinearity="relu", batch_first=True),
}


def sequence(rng: np.random.Generator) -> Array:
    """(1, T, I); to PyTorch's signals, and so to the graph, T are channels."""
    return np.cumsum(rng.normal(0, 0.3, (1, STEPS, INPUTS)), axis=1).astype(np.float32)


def laid(x: Array) -> Array:
    return x.transpose(0, 2, 1)[:, None]


@cache
def graph_of(name: str) -> Graph:
    return mq.from_torch(LAYERS[name], torch.zeros(1, STEPS, INPUTS))


@pytest.mark.parametrize("name", LAYERS)
def test_layers_equal_torch(name: str) -> None:
    rng = np.random.default_rng(1)
    for _ in range(3):
        x = sequence(rng)
        with torch.no_grad():
            expected = LAYERS[name](torch.from_numpy(x)).numpy()
        (y,) = interpreter.run(graph_of(name), [laid(x)])
        np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


def samples(count: int) -> Array:
    rng = np.random.default_rng(2)
    return np.concatenate([sequence(rng) for _ in range(count)])


LEAST_DB = {"int8": 23, "int16": 38}
"""Of the outputs; weights are int8 in both."""


@cache
def integer(name: str, activations: str) -> Graph:
    return mq.quantize(graph_of(name), samples(24), activations=activations, method="minmax", channels_first=True)


@pytest.mark.parametrize("activations", LEAST_DB)
@pytest.mark.parametrize("name", ["lstm", "lstm of two layers, both ways", "gru", "rnn"])
def test_integer_layers_are_near_the_float_ones(name: str, activations: str) -> None:
    report = mq.snr_report(graph_of(name), integer(name, activations), samples(8), channels_first=True)
    assert report[-1].cumulative_db > LEAST_DB[activations]


def test_integer_layers_in_c(tmp_path: Path) -> None:
    graphs = [run_passes(integer(name, kind)) for name in ("lstm",) for kind in LEAST_DB]
    runner = build_host(graphs, tmp_path, CORES["cortex-m4"])
    check_random(["lstm", "lstm int16"], runner, 2)


CELLS = {kind.__name__: kind for kind in (nn.LSTMCell, nn.GRUCell, nn.RNNCell)}


def cell(name: str) -> nn.Module:
    torch.manual_seed(6)
    return Cell(CELLS[name](INPUTS, UNITS)).eval()


@pytest.mark.parametrize("name", CELLS)
def test_cells_are_streams(name: str) -> None:
    graph, theirs = mq.from_torch(cell(name), torch.zeros(1, INPUTS)), cell(name)
    xs = sequence(np.random.default_rng(3))[0].repeat(4, axis=0)
    state, expected = interpreter.reset_state(graph), []
    for x in xs:
        with torch.no_grad():
            expected.append(theirs(torch.from_numpy(x[None])).numpy())
        (y,) = interpreter.run(graph, [x[None]], state)
        np.testing.assert_allclose(y, expected[-1], rtol=1e-4, atol=1e-5)
    assert len(graph.states) == (2 if name == "LSTMCell" else 1)
    stored = mq.quantize(graph, xs, activations="int16", method="minmax")
    assert mq.snr_report(graph, stored, xs)[-1].cumulative_db > 35


def test_the_cell_of_an_lstm_is_int16_by_a_power_of_two() -> None:
    graph = integer("lstm", "int8")
    (op,) = (op for op in graph.ops if isinstance(op, ops.Lstm))
    y, h, c = (graph[i] for i in op.outputs)
    assert (y.q, h.q) == (QParams((1 / 128,), 0), QParams((1 / 128,), 0))
    assert (c.dtype, c.q) == (DType.INT16, QParams((2.0**-12,), 0))
