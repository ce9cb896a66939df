"""`mcuquant demo monitor`: a sensor node that raises an alarm for unusual motion."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..boards.board import Board, load_board
from ..codegen.node_settings import NodeSettings
from ..device.projection import project_onto
from ..errors import ToolError
from ..reporting import tables
from .console import next_step, progress, say, show, working
from .node import replay

if TYPE_CHECKING:
    from ..demo.monitor import Autoencoder, MonitorData
    from ..device.measurement import Measurement
    from ..ir import Graph
    from ..project.project import Project

FLOAT_FILE = "float.mq"
_PROJECTED = "nucleo-l4r5zi"
"""The board of the projected duty cycle."""
_QUANTILE, _SMOOTH, _DEBOUNCE, _HYSTERESIS = 0.995, 0.25, 3, 0.2


def need_torch() -> None:
    """Raises ToolError without PyTorch, with the command that installs it."""
    if importlib.util.find_spec("torch") is None:
        raise ToolError("the demo trains with PyTorch, which is not installed: pip install torch==2.13.0")


def monitor(board: Board, seed: int, output: Path) -> None:
    """Train an autoencoder, compile a sensor node around it, and replay a recording with an injected fault."""
    need_torch()
    from .. import flow

    start = time.monotonic()
    data, net = _train(seed)
    say("\n2. Quantize and compile a sensor node")
    graph = flow.from_torch(net, np.zeros((1, *data.train.shape[1:]), np.float32))
    with working("choosing ranges"):
        int8 = flow.quantize(graph, data.train[::16])
    with working("writing and compiling C"):
        project = _node(int8, graph, data, board, output)
    memory(project)
    flow.save(graph, output / FLOAT_FILE)
    file = _recording(data, output)
    minutes = len(data.recording) / _rate() / 60
    faults = " and ".join(f"sample {s:,} ({s / _rate():.0f} s)" for s in data.fault_starts)
    say(f"\n3. Replay {minutes:.1f} minutes of another person; a vibration begins at {faults}")
    measurement = replay(project, file, output / FLOAT_FILE, output / "node.json", port=None)
    assert measurement is not None
    _project(project, measurement)
    say(f"\nThe demo took {time.monotonic() - start:.0f} s.")
    next_step(f"mcuquant report {output}", f"mcuquant node {output} --data {file} --float {output / FLOAT_FILE}")


def _train(seed: int) -> tuple[MonitorData, Autoencoder]:
    from ..demo import monitor as demo

    say("1. Train an autoencoder on smartwatch recordings of motion (PyPI: seglearn)")
    with working("reading recordings"):
        data = demo.load()
    say(f"   {len(data.train):,} training windows of 7 people; recordings of an eighth give the alarm's threshold")
    with progress("training", demo.EPOCHS) as done:
        net = demo.train(data, seed, done)
    return data, net


def _node(int8: Graph, graph: Graph, data: MonitorData, board: Board, output: Path) -> Project:
    from .. import flow
    from ..demo.monitor import LSB, STRIDE

    settings = NodeSettings(
        mean=data.mean,
        std=data.std,
        lsb=LSB,
        stride=STRIDE,
        rate_hz=_rate(),
        decision="anomaly",
        normal=data.normal,
        quantile=_QUANTILE,
        smooth=_SMOOTH,
        debounce=_DEBOUNCE,
        hysteresis=_HYSTERESIS,
    )
    return flow.compile(int8, board, output, source=graph, app="node", node=settings)


def _rate() -> float:
    from ..demo.monitor import RATE_HZ

    return RATE_HZ


def _project(project: Project, measurement: Measurement) -> None:
    """Print cycles per decision, and time and duty cycle on a real board."""
    say(f"One inference takes {measurement.count:,} {measurement.counter.value}.")
    board = load_board(_PROJECTED)
    if project.board.cpu != board.cpu:
        return
    latency_us = project_onto(board, measurement).latency_us
    share = latency_us * (project.node.inferences_per_s or 0.0) / 1e6
    say(f"Projected onto {board.title}: {latency_us:,.0f} µs, a duty cycle of {100 * share:.3f} %.")


def _recording(data: MonitorData, output: Path) -> Path:
    """The file of the monitored recording, with labels."""
    path = output / "data" / "recording.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, raw=data.recording, y=data.labels, rate_hz=_rate())
    return path


def memory(project: Project) -> None:
    """Print the notes of the compilation and the memory of the firmware."""
    for note in project.manifest["notes"]:
        say(f"   {note}")
    firmware, arena = project.firmware, project.manifest["arena_bytes"]
    show(tables.memory_table(project.board, firmware.flash_bytes, firmware.ram_bytes, arena))
