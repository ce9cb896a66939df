"""`mcuquant demo`: the whole path, on recordings of real movements."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from ..boards.board import DEFAULT_BOARD, Board, load_board
from ..errors import DeviceError
from ..firmware_build import build
from ..reporting import tables
from .bench import on_board
from .console import next_step, progress, say, show, working
from .demo_monitor import FLOAT_FILE, memory, monitor, need_torch
from .demo_wakeword import wakeword

if TYPE_CHECKING:
    from ..demo.data import DemoData
    from ..demo.train import Epoch, Trained
    from ..ir import Array, Graph
    from ..project.project import Project

NAMES = ("movements", "monitor", "wakeword")
"""The demos, the default first."""
WORDS = ("alexa", "okay_nabu", "hey_jarvis", "hey_mycroft")
EVERY = 4
"""Number of test windows that are sent through the serial port."""


@click.command()
@click.argument("name", type=click.Choice(NAMES), default=NAMES[0], metavar="[NAME]")
@click.option("--board", default=DEFAULT_BOARD, show_default=True, help="A name of `mcuquant boards`, or a TOML file.")
@click.option("--seed", default=0, show_default=True, help="Seed of the training, or of the order of phrases.")
@click.option("--word", type=click.Choice(WORDS), default=WORDS[0], show_default=True, help="Of the demo wakeword.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Default: build/demo or build/demo-NAME.")
def demo(name: str, board: str, seed: int, word: str, output: Path | None) -> None:
    """Train, compile and measure a network on real sensor data.

    Ten people wore a smartwatch during seven shoulder exercises. NAME selects the demo:

    \b
    movements  The default. A network is trained on seven people to classify the exercises, compiled to int8
               firmware, and tested on the other three through the board's serial port.
    monitor    An autoencoder learns the motion of seven people. The sensor node raises an alarm for a
               vibration that is added to the recording of another person.
    wakeword   A wake word of the package pymicro-wakeword with its audio front end takes samples of synthetic
               speech (flite, espeak-ng), and decides as pymicro-features and TensorFlow Lite Micro do.

    \b
    Examples:
      mcuquant demo
      mcuquant demo --board qemu-mps3-an547 -o build/demo55
      mcuquant demo monitor
      mcuquant demo wakeword --word okay_nabu
    """
    target = load_board(board)
    output = output or Path("build") / ("demo" if name == NAMES[0] else f"demo-{name}")
    build.check_free(output)
    build.need_firmware_tools()
    if name == "monitor":
        monitor(target, seed, output)
    elif name == "wakeword":
        wakeword(target, word, seed, output)
    else:
        _movements(target, seed, output)


def _movements(target: Board, seed: int, output: Path) -> None:
    """Classification of exercises by a network with a serial port."""
    start = time.monotonic()
    data, trained = _train(seed)
    from .. import flow
    from ..demo import integers
    from ..demo.train import accuracy

    say("\n2. Quantize and compile")
    graph = integers.to_graph(trained.net)
    with working("choosing ranges"):
        int8 = integers.to_integers(graph, data)
    project = _compile(int8, graph, target, output)
    _save(data, output / "data")
    flow.save(graph, output / FLOAT_FILE)
    say("\n3. Run on the board")
    stored = integers.stored_windows(int8, data.test)
    host = integers.host_outputs(int8, stored)
    (device,) = on_board(project, (stored[::EVERY],), None)
    _compare(project, stored[::EVERY], device, host[::EVERY])
    say("\n4. Results")
    some = data.test.every(EVERY)
    rows = [
        ("float, PyTorch", len(stored), accuracy(trained.net, data.test)),
        ("int8, interpreter on this computer", len(stored), integers.accuracy(host, data.test)),
        ("int8, interpreter on this computer", len(device), integers.accuracy(host[::EVERY], some)),
        (f"int8, {project.board.name}", len(device), integers.accuracy(device, some)),
    ]
    show(tables.accuracy_table(rows))
    _measure(project)
    say(f"\nThe demo took {time.monotonic() - start:.0f} s. {output} holds a C project: make -C {output} builds it.")
    node = output.with_name(f"{output.name}-node")
    next_step(
        f"mcuquant bench {output}",
        f"mcuquant report {output}",
        f"mcuquant validate {output} --data {output}/data/test.npz",
        f"mcuquant compile {output}/model.tflite --app node --normalise {output}/data/stats.json -o {node}",
        f"mcuquant node {node} --data {output}/data/recording.npz --float {output}/{FLOAT_FILE}",
    )


def _save(data: DemoData, directory: Path) -> None:
    from ..demo.data import save

    save(data, directory)


def _train(seed: int) -> tuple[DemoData, Trained]:
    say("1. Train on smartwatch recordings of shoulder exercises (PyPI: seglearn)")
    need_torch()
    from ..demo import data as recordings
    from ..demo import train as training

    with working("reading recordings"):
        data = recordings.load()
    say(f"   {len(data.train):,} training windows of 7 people, {len(data.test):,} test windows of 3 others")
    with progress("training", 2 * training.EPOCHS) as done:
        trained = training.train(data, seed, progress=_counted(done))
    epochs = f"{trained.epochs} epochs (selected on one of the 7 people)"
    say(f"   {trained.parameters:,} parameters, {epochs}, {trained.seconds:.0f} s")
    return data, trained


def _counted(done: Callable[[int], None]) -> Callable[[Epoch], None]:
    from ..demo.train import EPOCHS

    return lambda epoch: done(epoch.number + (0 if epoch.choosing else EPOCHS))


def _compile(int8: Graph, source: Graph, board: Board, output: Path) -> Project:
    from .. import flow

    with working("writing and compiling C"):
        project = flow.compile(int8, board, output, source=source)
    memory(project)
    return project


def _compare(project: Project, stored: Array, device: Array, host: Array) -> None:
    """Raises DeviceError unless board, interpreter and, if installed, TensorFlow Lite Micro agree in every byte."""
    from ..demo import reference

    theirs = reference.outputs((project.directory / "model.tflite").read_bytes(), stored)
    for who, expected in (("the interpreter", host), ("TensorFlow Lite Micro", theirs)):
        if expected is not None and not np.array_equal(device, expected):
            raise DeviceError(
                f"{project.board.name} gives other outputs than {who}: this is a defect of mcuquant, please report it"
            )
    others = "the interpreter's" + (" and TensorFlow Lite Micro's" if theirs is not None else "")
    say(f"   {len(device)} windows through the serial port: all {device.nbytes:,} bytes of output equal {others}")


def _measure(project: Project) -> None:
    with working("measuring"), project.connect() as dut:
        measurement = dut.bench()
    say("")
    say(str(measurement))
