"""Buffers that a PyTorch network changes while it runs are states: streams equal PyTorch's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import mcuquant as mq
from mcuquant.arithmetic import interpreter
from mcuquant.errors import UnsupportedOpError
from mcuquant.ir import Graph, ops


class Cached(nn.Module):
    """A causal convolution that keeps the last rows, and a mean that goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(3, 4, 5)
        self.fc = nn.Linear(4, 2)
        self.register_buffer("past", torch.zeros(1, 3, 4))
        self.register_buffer("mean", torch.full((1, 2), 0.5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        joined = torch.cat([self.past, x], 2)
        self.past.copy_(joined[:, :, -4:])
        y = self.fc(self.conv(joined).relu().mean(2))
        self.mean.mul_(0.9).add_(y * 0.1)
        return y + self.mean


class Assigned(nn.Module):
    """A buffer that is replaced by another tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(3, 4, 3)
        self.register_buffer("past", torch.zeros(1, 3, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        joined = torch.cat([self.past, x], 2)
        self.past = joined[:, :, -2:]
        return self.conv(joined)


class Cell(nn.Module):
    """A gated unit of one step."""

    def __init__(self) -> None:
        super().__init__()
        self.new, self.gate = nn.Linear(7, 4), nn.Linear(7, 4)
        self.register_buffer("h", torch.zeros(1, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        joined = torch.cat([x, self.h], 1)
        z = torch.sigmoid(self.gate(joined))
        h = (1 - z) * torch.tanh(self.new(joined)) + z * self.h
        self.h.copy_(h)
        return h


MODELS = {Cached: (1, 3, 2), Assigned: (1, 3, 2), Cell: (1, 3)}


def module(kind: type[nn.Module]) -> nn.Module:
    torch.manual_seed(3)
    return kind().eval()


def check(graph: Graph, kind: type[nn.Module]) -> None:
    """From the module's own beginning on: exporting does not run it."""
    theirs, state, rng = module(kind), interpreter.reset_state(graph), np.random.default_rng(1)
    for _ in range(6):
        x = rng.normal(size=MODELS[kind]).astype(np.float32)
        with torch.no_grad():
            expected = theirs(torch.from_numpy(x)).numpy()
        ours = x.transpose(0, 2, 1)[:, None] if x.ndim == 3 else x
        (y,) = interpreter.run(graph, [ours], state)
        found = y[:, 0].transpose(0, 2, 1) if y.ndim == 4 else y
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", MODELS)
def test_streams_equal_torch(kind: type[nn.Module]) -> None:
    check(mq.from_torch(module(kind), torch.zeros(MODELS[kind])), kind)


@pytest.mark.parametrize("kind", MODELS)
def test_a_saved_program_keeps_its_state(kind: type[nn.Module], tmp_path: Path) -> None:
    """As torch.export writes it, in-place operations and all."""
    torch.export.save(torch.export.export(module(kind), (torch.zeros(MODELS[kind]),)), tmp_path / "net.pt2")
    check(mq.load(tmp_path / "net.pt2"), kind)


def test_rows_that_are_kept_are_a_line() -> None:
    graph = mq.from_torch(module(Assigned), torch.zeros(1, 3, 2))
    assert [op.kind for op in graph.ops] == ["Concat", "Slice", "Conv2D"]
    assert [t.name for t in graph.states] == ["past"]
    assert isinstance(graph.ops[0], ops.Concat)
    assert graph.ops[0].inputs[0] == graph.updates[0].state


def test_a_quantized_stream_is_near_the_float_one() -> None:
    graph = mq.from_torch(module(Cached), torch.zeros(1, 3, 2))
    samples = np.cumsum(np.random.default_rng(0).normal(0, 0.3, (300, 3, 2)), axis=0).astype(np.float32) % 2 - 1
    integer = mq.quantize(graph, samples, channels_first=True)
    report = mq.snr_report(graph, integer, samples[:100], channels_first=True)
    assert report[-1].cumulative_db > 25


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(1, dtype=torch.int64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.count.add_(1)
        return x + self.count


def test_integers_are_no_state() -> None:
    with pytest.raises(UnsupportedOpError) as caught:
        mq.from_torch(Counting(), torch.zeros(1, 3))
    assert str(caught.value) == "Counting changes its buffer 'count' of int64 while it runs; state is float32"
