"""MLPerf Tiny's anomaly detection as a sensor node: area under the curve, and equal decisions on every emulated core.

    python -m benchmarks.anomaly [--windows 10000]

The recordings are ad01.npz (log-mel frames of toy cars) in the folder that MCUQUANT_MLPERF_TINY names. Frames are
streamed as samples of one channel, 128 a frame, with an inference per frame over five. The score of a file is the mean
over its windows. Half of the normal files, by seed 0, calibrate the quantization; all others are judged. The network's
constants exceed the flash of the emulated Cortex-M0, so that it is not among the boards.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import click
import numpy as np

from mcuquant import flow
from mcuquant.codegen.decision_rules import AnomalyRule, Inferences
from mcuquant.codegen.node_settings import NodeSettings
from mcuquant.device import cycle_model
from mcuquant.device.counting import Counting
from mcuquant.device.emulator import Emulator
from mcuquant.device.link import Link
from mcuquant.errors import DeviceError
from mcuquant.ir import Array, Graph
from mcuquant.project.project import Project
from mcuquant.reporting.node_quality import Real, float_figures

BANDS, FRAMES = 128, 5
LSB = 0.005
"""Of the log-mel values as 16-bit counts."""
BOARDS = ("qemu-mps2-an385", "qemu-mps2-an386", "qemu-mps2-an500", "qemu-mps2-an505", "qemu-mps3-an547")


@click.command()
@click.option("--windows", default=10_000, show_default=True, help="Windows compared on each emulated core.")
def main(windows: int) -> None:
    folder = Path(os.environ["MCUQUANT_MLPERF_TINY"])
    data = np.load(folder / "ad01.npz")
    files, labels = data["x"].astype(np.float32), data["y"]
    calibration = np.random.default_rng(0).permutation(np.flatnonzero(labels == 0))[: int((labels == 0).sum()) // 2]
    judged = np.setdiff1d(np.arange(len(labels)), calibration)
    real = flow.load(folder / "ad_float.tflite")
    samples = np.concatenate([_windows(files[i])[::20] for i in calibration])
    networks = {"official int8": flow.load(folder / "ad_int8.tflite"), "int8, ours": flow.quantize(real, samples)}
    with tempfile.TemporaryDirectory() as root:
        projects = {name: _node(graph, Path(root) / str(i)) for i, (name, graph) in enumerate(networks.items())}
        scores = {"float": _float_scores(real, projects["int8, ours"], files[judged])}
        scores |= {name: _integer_scores(project, files[judged]) for name, project in projects.items()}
        for name, values in scores.items():
            click.echo(f"{name:14} AUC {_auc(labels[judged], values):.4f} over {len(judged)} files")
        raw = np.concatenate(_raw(files[judged]))[: (windows + FRAMES - 1) * BANDS]
        for board in BOARDS:
            _compare(networks["int8, ours"], board, raw, Path(root) / board)
        cycles = error_sum_cycles(projects["int8, ours"], raw[: FRAMES * BANDS])
        click.echo(f"error sum: {cycles:.2f} modelled cycles per element on Cortex-M4")


def _windows(file: Array) -> Array:
    return np.lib.stride_tricks.sliding_window_view(file, FRAMES, axis=0).transpose(0, 2, 1).reshape(-1, FRAMES * BANDS)


def _raw(files: Array) -> list[Array]:
    return [np.rint(file.reshape(-1, 1) / LSB).astype(np.int16) for file in files]


def _node(graph: Graph, output: Path, board: str = "qemu-mps2-an386") -> Project:
    settings = NodeSettings(0.0, 1.0, LSB, stride=BANDS, threshold=10.0)
    return flow.compile(graph, board, output, app="node", node=settings, optimize="speed")


def _integer_scores(project: Project, files: Array) -> list[float]:
    """Of each file: the mean of its windows' scores, as the node computes them."""
    node, rule = project.node, project.node.rule
    assert isinstance(rule, AnomalyRule)
    raws = _raw(files)
    windows = [node.windows(raw) for raw in raws]
    (port,) = project.inputs
    outputs = project.run_host(np.concatenate(windows).reshape(-1, *port.sample))[0]
    parts = np.split(outputs, np.cumsum([len(w) for w in windows])[:-1])
    pairs = zip(windows, parts, strict=True)
    return [float(np.mean(rule.smoothed(Inferences(w, y, BANDS)))) * rule.unit for w, y in pairs]


def _float_scores(graph: Graph, project: Project, files: Array) -> list[float]:
    from mcuquant.arithmetic import interpreter

    y = project.outputs[0]
    scores = []
    for file in files:
        windows = _windows(file)
        outputs = interpreter.first_outputs(graph, windows)
        real = Real(windows[:, :, None], outputs.reshape(len(outputs), -1))
        scores.append(float(float_figures(project.node, real, y.scale or 1.0, y.zero_point).mean()))
    return scores


def error_sum_cycles(project: Project, raw: Array) -> float:
    """Modelled cycles per element of the reconstruction error; `raw` (T, 1) are the counts of one window."""
    with tempfile.TemporaryDirectory() as folder:
        counting = Counting.of(project.board, project.firmware.elf, "mq_error_sum", Path(folder))
        if counting.file is None:
            raise DeviceError(counting.reason)
        emulator = Emulator(project.board, project.firmware.elf, arguments=counting.arguments)
        with emulator, Link(emulator.transport, default_baud=project.board.uart.baud) as link:
            link.hello()
            link.stream([row.tobytes() for row in raw], project.node.samples_per_request)
        (window,) = cycle_model.read(counting.file)
    assert window.total.cycles is not None
    return window.total.cycles / raw.size


def _auc(labels: Array, scores: list[float]) -> float:
    from sklearn import metrics

    return float(metrics.roc_auc_score(labels, scores))


def _compare(graph: Graph, board: str, raw: Array, output: Path) -> None:
    project = _node(graph, output, board)
    expected = project.run_node(raw)
    with project.connect() as dut:
        node_run = dut.run_node(raw)
    if node_run != expected:
        raise DeviceError(f"{board}: the decisions or scores differ from this machine's")
    click.echo(f"{board:24} {node_run.inferences:,} windows, {len(node_run.decisions):,} decisions: equal")


if __name__ == "__main__":
    main()
