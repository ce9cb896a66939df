"""`mcuquant validate`: how often the board is right, and whether it answers as the host does."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from .. import report
from ..errors import CalibrationError, DeviceError
from ..ir import Array
from ..layout import to_graph_layout
from ..project import Port, Project
from .console import next_step, progress, say, working
from .data import named
from .device import DIRECTORY, FILE, PORT, on_board


@click.command()
@DIRECTORY
@click.option("--data", type=FILE, metavar="X.npz", help="Array x, inputs; array y, the right classes.")
@click.option("--layers", is_flag=True, help="Name the first layer that differs from the interpreter, if any.")
@PORT
def validate(directory: Path, data: Path | None, layers: bool, port: str | None) -> None:
    """Measure accuracy on the board, over labelled data.

    x holds inputs (N, ...), real numbers in the model's own layout or stored integers as in model.tflite; y holds N
    class numbers. The board's answers are also compared, byte for byte, with those of the same C on this machine: exit
    code 1 when they differ.

    With --layers the board runs step by step, and every step's output is compared with the interpreter's: over the
    inputs x of --data, or over random ones without.

    \b
    Examples:
      mcuquant validate build/net --data test.npz
      mcuquant validate build/net --data test.npz --port /dev/ttyACM0
      mcuquant validate build/net --layers
    """
    project = Project.open(directory)
    if layers:
        _layers(project, data, port)
        return
    if data is None:
        raise click.UsageError("add --data X.npz, or --layers")
    x, y = named(data, "x", "y")
    stored = _stored(project, data, x)
    classes = _classes(data, y, len(stored))
    with working("running on this machine"):
        (expected, *_) = project.run_host(stored)
    (answers, *_) = on_board(project, (stored,), port)
    predicted = np.reshape(answers, (len(answers), -1)).argmax(axis=1)
    right = int((predicted == classes).sum())
    say(f"Accuracy on {project.board.name}: {report.share_text(right, len(classes))} ({right:,} of {len(classes):,}).")
    _compare(project, answers, expected)
    next_step(f"mcuquant bench {directory}")


RANDOM_SAMPLES = 3


def _layers(project: Project, data: Path | None, port: str | None) -> None:
    """DeviceError with the first difference, if there is one."""
    from ..differ import Oracle, first_difference, seeded_samples

    oracle = Oracle.of(project)
    if data is None:
        samples = list(seeded_samples(project, RANDOM_SAMPLES))
    else:
        samples = [(x[None],) for x in _stored(project, data, *named(data, "x"))]
    with project.connect(port) as dut, progress(f"running on {project.board.name}", len(samples)) as done:
        for i, sample in enumerate(samples):
            different = first_difference(project, dut.steps(*sample), oracle.steps(sample))
            if different is not None:
                raise DeviceError(f"{project.board.name}, sample {i}: {different}")
            done(i + 1)
    count, name = len(oracle.tensors), project.board.name
    say(f"All {count} steps on {name} equal the interpreter's, over {len(samples)} samples.")
    next_step(f"mcuquant bench {project.directory}")


def _stored(project: Project, path: Path, x: Array) -> Array:
    """Inputs as the network stores them. CalibrationError when they are neither real numbers nor that."""
    if len(project.inputs) != 1:
        raise CalibrationError(
            f"{project.directory} has {len(project.inputs)} inputs; validate takes networks with one"
        )
    (port,) = project.inputs
    if x.dtype == port.dtype.numpy and x.shape[1:] == port.shape[1:]:
        return x
    return port.quantize(ordered(port, path, x))


def ordered(port: Port, path: Path, x: Array) -> Array:
    """Real inputs in the graph's layout: already so, or in that of a PyTorch network."""
    as_stored = x.shape[1:] == port.shape[1:]
    if as_stored and x.ndim == 4 and len(set(x.shape[1:])) == 1 and x.shape[1] > 1:
        raise CalibrationError(
            f"array 'x' of {path} has shape {x.shape}, from which the order of its axes cannot be told; "
            f"give it as {port.dtype}, (N, height, width, channels), as in model.tflite"
        )
    return to_graph_layout(x, port.shape, name=f"array 'x' of {path}", channels_first=not as_stored)


def _classes(path: Path, y: Array, count: int) -> Array:
    if y.shape != (count,) or y.dtype.kind not in "iu":
        raise CalibrationError(
            f"array 'y' of {path} is {y.dtype} of shape {y.shape}; expected {count} class numbers, one a sample"
        )
    return y


def _compare(project: Project, answers: Array, expected: Array) -> None:
    """DeviceError unless the board's answers are the host's."""
    differing = np.flatnonzero((answers != expected).reshape(len(answers), -1).any(axis=1))
    if differing.size:
        raise DeviceError(
            f"{project.board.name} answers {differing.size} of {len(answers)} samples otherwise than the same C on "
            f"this machine, the first is sample {differing[0]}"
        )
    say(f"All {answers.nbytes:,} bytes equal those of the same C on this machine.")
