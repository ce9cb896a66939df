"""Recurrent networks of the field, with weights of int8 and activations of int16: as near to the float network as a
simulation that rounds the same weights and activations and computes gates in float.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

import mcuquant as mq
from mcuquant.arithmetic import interpreter
from mcuquant.ir import Array, Graph, Tensor
from mcuquant.passes import run_passes

STEPS = 24


class DeepConvLstm(nn.Module):
    """Convolutions over the samples of a window of nine channels, two LSTMs, a classifier (Ordóñez and Roggen 2016)."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv1d(9, 16, 5), nn.ReLU(), nn.Conv1d(16, 16, 5), nn.ReLU(), nn.Conv1d(16, 16, 5), nn.ReLU()
        )
        self.lstm = nn.LSTM(16, 32, num_layers=2, batch_first=True)
        self.fc = nn.Linear(32, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, _ = self.lstm(self.convolutions(x).transpose(1, 2))
        return self.fc(y[:, -1])


class CnnGru(nn.Module):
    """Features of a spectrogram by convolutions, a GRU over its frames, a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(nn.Conv1d(20, 24, 3, padding=1), nn.ReLU(), nn.Conv1d(24, 16, 3), nn.ReLU())
        self.gru = nn.GRU(16, 32, batch_first=True)
        self.fc = nn.Linear(32, 12)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, _ = self.gru(self.convolutions(x).transpose(1, 2))
        return self.fc(y[:, -1])


class NoiseGains(nn.Module):
    """Gains of 22 bands from 42 features of noisy speech, frame by frame, by layers as in RNNoise (Valin 2018)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Linear(42, 24)
        self.noise = nn.GRU(24, 48, batch_first=True)
        self.denoise = nn.GRU(72, 64, batch_first=True)
        self.gains = nn.Linear(64, 22)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        dense = torch.tanh(self.features(x.transpose(1, 2)))
        noise, _ = self.noise(dense)
        y, _ = self.denoise(torch.cat([dense, noise], 2))
        return torch.sigmoid(self.gains(y))


NETWORKS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "DeepConvLSTM": (DeepConvLstm, 9),
    "CNN-GRU": (CnnGru, 20),
    "RNNoise": (NoiseGains, 42),
}
"""With the number of channels of the input, (1, channels, STEPS)."""


def drawn(make: Callable[[], nn.Module]) -> nn.Module:
    """With weights three times PyTorch's initial ones: outputs depend on inputs, gates open and shut."""
    torch.manual_seed(11)
    network = make().eval()
    with torch.no_grad():
        for weights in network.parameters():
            weights.mul_(3)
    return network


def signals(count: int, channels: int, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, 0.4, (count, channels, STEPS))
    return (np.cumsum(steps, axis=2) * rng.uniform(0.3, 1, (count, 1, 1))).astype(np.float32)


def rounded(x: Array, t: Tensor | None) -> Array:
    """Real values on the grid of a stored tensor."""
    if t is None or t.q is None or len(t.q.scale) != 1:
        return x
    low, high = t.dtype.range()
    stored = np.clip(np.rint(x / np.float32(t.scale)) + t.zero_point, low, high)
    return ((stored - t.zero_point) * np.float32(t.scale)).astype(np.float32)


def real(t: Tensor) -> Array:
    """The real values of stored weights."""
    q = t.qparams
    along = [-1 if i == q.axis else 1 for i in range(len(t.shape))]
    scales = np.asarray(q.scale, np.float64).reshape(along if q.axis is not None else ())
    return ((t.value.astype(np.float64) - q.zero_point) * scales).astype(np.float32)


def simulated(floats: Graph, stored: Graph, x: Array) -> Array:
    """The first output of the float network with the rounded weights and activations of `stored`."""
    (i,) = floats.inputs
    values = {i: rounded(x, stored.tensors.get(i))}
    for t in floats.tensors.values():
        if t.data is not None:
            twin = stored.tensors.get(t.id)
            values[t.id] = t.data if twin is None or twin.data is None or twin.q is None else real(twin)
    for op in floats.ops:
        results = interpreter.evaluate_all(floats, op, [values[k] for k in op.inputs])
        values |= {k: rounded(y, stored.tensors.get(k)) for k, y in zip(op.outputs, results, strict=True)}
    return values[floats.outputs[0]]


def snr_db(expected: Array, found: Array) -> float:
    """Of what changes in the outputs: their means carry no information."""
    means = expected.reshape(-1, expected.shape[-1]).mean(axis=0)
    return float(10 * np.log10(((expected - means) ** 2).sum() / ((expected - found) ** 2).sum()))


@pytest.mark.parametrize("name", NETWORKS)
def test_gates_of_integers_cost_less_than_a_decibel(name: str) -> None:
    make, channels = NETWORKS[name]
    floats = run_passes(mq.from_torch(drawn(make), torch.zeros(1, channels, STEPS)))
    stored = mq.quantize(floats, signals(24, channels, 1), activations="int16", method="minmax", channels_first=True)
    y = stored[stored.outputs[0]]
    runs: list[tuple[Array, Array, Array]] = []
    for x in signals(8, channels, 2):
        laid = x[None, None].transpose(0, 1, 3, 2)
        (expected,) = interpreter.run(floats, [laid])
        unit = stored[stored.inputs[0]]
        (found,) = interpreter.run(
            stored, [np.rint(laid / np.float32(unit.scale)).clip(-32768, 32767).astype(np.int16)]
        )
        runs.append((expected, found.astype(np.float32) * np.float32(y.scale), simulated(floats, stored, laid)))
    expected, found, simulation = (np.concatenate(part) for part in zip(*runs, strict=True))
    ours, theirs = snr_db(expected, found), snr_db(expected, simulation)
    print(f"{name}: {ours:.2f} dB, simulated {theirs:.2f} dB")
    assert ours > max(theirs - 1, 15)
