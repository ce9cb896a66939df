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
from .console import next_step, say, working
from .data import named
from .device import DIRECTORY, FILE, PORT, on_board


@click.command()
@DIRECTORY
@click.option("--data", type=FILE, required=True, metavar="X.npz", help="Array x, inputs; array y, the right classes.")
@PORT
def validate(directory: Path, data: Path, port: str | None) -> None:
    """Measure accuracy on the board, over labelled data.

    x holds inputs (N, ...), real numbers in the model's own layout or stored integers as in model.tflite; y holds N
    class numbers. The board's answers are also compared, byte for byte, with those of the same C on this machine: exit
    code 1 when they differ.

    \b
    Examples:
      mcuquant validate build/net --data test.npz
      mcuquant validate build/net --data test.npz --port /dev/ttyACM0
    """
    project = Project.open(directory)
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
