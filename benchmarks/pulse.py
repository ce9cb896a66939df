"""Heart rate and forecast of a pulse recording as sensor nodes: errors of the float network and of the device.

    pip install --no-deps heartpy==1.2.7
    python -m benchmarks.pulse [--board NAME]

The recording is data3.csv of the wheel `heartpy` (P. van Gent et al., "HeartPy", Transportation Research Part F 66,
2019): 11 minutes of a photoplethysmogram of one person. The first 70 % train and the rest is for evaluation, so that
both are of one person and one sensor. The autocorrelation of a window gives its reference heart rate. Training windows
are stretched in time by 0.75 to 1.5 for a wider range of rates, and the recording for evaluation by 0.8, 1 and 1.25.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor, nn

import mcuquant as mq
from mcuquant.codegen.decision_rules import Inferences, ValueRule
from mcuquant.codegen.node_settings import NodeSettings
from mcuquant.codegen.sensor_node import difference
from mcuquant.demo.train import one_thread
from mcuquant.errors import DeviceError, ToolError
from mcuquant.ir import Array, Graph
from mcuquant.project.project import Project
from mcuquant.reporting.node_quality import Real, float_figures, integer_figures, quality

REQUIREMENT, MEMBER = "heartpy==1.2.7", "heartpy/data/data3.csv"
RATE_HZ, TRAIN_PART = 25, 0.7
WINDOW, STEP = 200, 25
"""Samples of the heart rate's window (8 s), and between two windows."""
PAST, FUTURE = 64, 8
"""Samples that the forecast reads (2.6 s) and predicts (0.3 s)."""
SLOWEST, FASTEST = 45, 170
"""Range of the reference in beats per minute."""
CLOSE = 0.8
"""Fraction of the largest peak of the autocorrelation that counts as a beat."""
CLEAR = 0.4
"""Smallest autocorrelation of clear beats. Windows below it, of a moving hand, have no reference."""
EPOCHS, BATCH = 25, 64


@dataclass(frozen=True, slots=True)
class Case:
    """A node's name, network, training inputs (N, 1, T) and targets (N, K), and its settings."""

    name: str
    net: nn.Module
    x: Array
    y: Array
    settings: dict[str, Any]


@click.command()
@click.option("--board", default="qemu-mps2-an386", show_default=True)
def main(board: str) -> None:
    signal = recording()
    split = int(TRAIN_PART * len(signal))
    mean, std = float(signal[:split].mean()), float(signal[:split].std())
    standard = (signal - mean) / std
    test = np.rint(np.concatenate(list(stretched(signal[split:], (0.8, 1.0, 1.25))))).astype(np.int16)[:, None]
    settings = {"mean": mean, "std": std, "lsb": 1.0, "rate_hz": float(RATE_HZ)}
    for case in (_rate_case(standard[:split]), _forecast_case(standard[:split])):
        with tempfile.TemporaryDirectory(prefix="mq-pulse-") as folder:
            _evaluate(case, board, test, settings, Path(folder) / "node")


def recording() -> Array:
    """(T,) counts at 25 Hz. Raises ToolError without the wheel."""
    try:
        path = Path(str(metadata.distribution("heartpy").locate_file(MEMBER)))
    except metadata.PackageNotFoundError:
        raise ToolError(f"the recording's wheel is not installed: pip install --no-deps {REQUIREMENT}") from None
    with path.open() as file:
        rows = list(csv.reader(file))[1:]
    times = np.array([datetime.fromisoformat(row[0]).timestamp() for row in rows])
    values = np.array([float(row[1]) for row in rows])
    smooth = np.convolve(values, np.ones(4) / 4, "same")
    grid = np.arange(0, times[-1] - times[0], 1 / RATE_HZ)
    return np.interp(grid, times - times[0], smooth)


def heart_rate(window: Array) -> float:
    """Beats per minute of (T,) samples, NaN without clear beats.

    It is the first peak of the autocorrelation that is close to the largest one, because the peak of two beats may be
    as large as that of one. A parabola interpolates between samples.
    """
    x = window - window.mean()
    size = 1 << (2 * len(x) - 1).bit_length()
    spectrum = np.fft.rfft(x, size)
    correlation = np.fft.irfft(spectrum * spectrum.conj(), size)[: len(x)] / np.arange(len(x), 0, -1)
    low, high = round(60 * RATE_HZ / FASTEST), round(60 * RATE_HZ / SLOWEST)
    inside = correlation[low:high]
    is_peak = (inside > correlation[low - 1 : high - 1]) & (inside >= correlation[low + 1 : high + 1])
    peaks = np.flatnonzero(is_peak & (inside >= CLOSE * inside.max()))
    lag = low + int(peaks[0] if len(peaks) else inside.argmax())
    if correlation[lag] < CLEAR * correlation[0]:
        return float("nan")
    a, b, c = correlation[lag - 1 : lag + 2]
    shift = 0.5 * (a - c) / (a - 2 * b + c) if a - 2 * b + c else 0.0
    return 60 * RATE_HZ / (lag + float(np.clip(shift, -0.5, 0.5)))


def windows(signal: Array, length: int, step: int) -> Array:
    return np.lib.stride_tricks.sliding_window_view(signal, length)[::step]


def stretched(signal: Array, factors: Sequence[float]) -> Iterator[Array]:
    for factor in factors:
        yield np.interp(np.arange(0, len(signal) - 1, 1 / factor), np.arange(len(signal)), signal)


def _rate_case(signal: Array) -> Case:
    """Rates are trained as (bpm - 100) / 30."""
    x = np.concatenate([windows(s, WINDOW, STEP // 2) for s in stretched(signal, np.linspace(0.75, 1.5, 12).tolist())])
    y = np.array([heart_rate(w) for w in x])
    x, y = x[np.isfinite(y)], y[np.isfinite(y)]
    net = nn.Sequential(
        *(nn.Conv1d(1, 16, 9, 2, 4), nn.BatchNorm1d(16), nn.ReLU()),
        *(nn.Conv1d(16, 32, 9, 2, 4), nn.BatchNorm1d(32), nn.ReLU()),
        *(nn.Conv1d(32, 32, 5, 2, 2), nn.BatchNorm1d(32), nn.ReLU()),
        *(nn.Flatten(), nn.Dropout(0.3), nn.Linear(800, 32), nn.ReLU(), nn.Linear(32, 1)),
    )
    settings = {"decision": "value", "output_unit": "1/min", "output_scale": 30.0, "output_offset": 100.0}
    return Case("heart rate", net, x[:, None], ((y - 100) / 30)[:, None], {**settings, "stride": STEP})


def _forecast_case(signal: Array) -> Case:
    both = windows(signal, PAST + FUTURE, 3)
    net = nn.Sequential(
        nn.Flatten(), nn.Linear(PAST, 48), nn.ReLU(), nn.Linear(48, 32), nn.ReLU(), nn.Linear(32, FUTURE)
    )
    settings = {"decision": "forecast", "error": "absolute", "stride": FUTURE}
    return Case("forecast", net, both[:, None, :PAST], both[:, PAST:], settings)


def train(case: Case) -> Graph:
    with one_thread():
        torch.manual_seed(0)
        case.net.train()
        for module in case.net.modules():
            if isinstance(module, (nn.Conv1d, nn.Linear, nn.BatchNorm1d)):
                module.reset_parameters()
        x, y = (torch.from_numpy(np.ascontiguousarray(a, np.float32)) for a in (case.x, case.y))
        optimizer = torch.optim.AdamW(case.net.parameters(), lr=2e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=EPOCHS * -(-len(x) // BATCH))
        for _ in range(EPOCHS):
            for batch in torch.split(torch.randperm(len(x)), BATCH):
                _step(case.net(augmented(x[batch])), y[batch], optimizer)
                schedule.step()
    return mq.from_torch(case.net.eval(), np.zeros((1, *case.x.shape[1:]), np.float32))


def augmented(x: Tensor) -> Tensor:
    """Windows of another amplitude and offset, with noise, where the target does not depend on them."""
    if x.shape[-1] == PAST:
        return x
    gain, offset = 0.4 + 1.2 * torch.rand(len(x), 1, 1), 0.5 * torch.randn(len(x), 1, 1)
    return gain * x + offset + 0.15 * torch.randn_like(x)


def _step(output: Tensor, target: Tensor, optimizer: torch.optim.Optimizer) -> None:
    loss = nn.functional.smooth_l1_loss(output, target, beta=0.1)
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def _evaluate(case: Case, board: str, raw: Array, settings: dict[str, Any], output: Path) -> None:
    graph = train(case)
    int8 = mq.quantize(graph, case.x[::8].astype(np.float32), channels_first=True)
    node = NodeSettings(**settings, **case.settings)
    project = mq.compile(int8, board, output, source=graph, app="node", node=node, optimize="speed")
    with project.connect() as dut:
        device, count = dut.run_node(raw), dut.bench().count
    if text := difference(device, project.run_node(raw)):
        raise DeviceError(f"{board}: {text}")
    click.echo(f"{case.name}: {device.inferences:,} inferences equal on {board}, {count:,} modelled cycles each")
    for name, column in qualities(project, graph, raw).items():
        measures = ", ".join(f"{key} {value:.4g}" for key, value in column.items() if not isinstance(value, list))
        click.echo(f"  {name:6} {measures}")


def qualities(project: Project, graph: Graph, raw: Array) -> dict[str, dict[str, Any]]:
    """Measures of the float network and of the device."""
    from mcuquant.arithmetic import interpreter

    node, (x,), y = project.node, project.inputs, project.outputs[0]
    stored = project.run_host(node.windows(raw).reshape(-1, *x.sample))[0]
    seen = node.inferences(raw, stored)
    real = node.real_windows(raw, x.scale or 1.0, x.zero_point)
    outputs = interpreter.first_outputs(graph, real.astype(np.float32))
    float_real = Real(real, outputs.reshape(len(outputs), -1).astype(np.float64))
    figures = {
        "float": float_figures(node, float_real, y.scale or 1.0, y.zero_point),
        "int8": integer_figures(node, seen),
    }
    if not isinstance(node.rule, ValueRule):
        return {name: quality(node, figure, None) for name, figure in figures.items()}
    rates = _rates(raw, node.window, seen)
    has_beats = np.isfinite(rates[:, 0])
    click.echo(
        f"  {has_beats.sum()} windows have clear beats, {rates[has_beats].min():.0f} to {rates[has_beats].max():.0f}"
    )
    return {name: quality(node, figure[has_beats], rates[has_beats]) for name, figure in figures.items()}


def _rates(raw: Array, window: int, seen: Inferences) -> Array:
    """(N, 1) reference of each inference's window."""
    ends = [seen.sample(i) + 1 for i in range(len(seen.outputs))]
    return np.array([[heart_rate(raw[end - window : end, 0].astype(np.float64))] for end in ends])


if __name__ == "__main__":
    main()
