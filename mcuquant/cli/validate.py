"""`mcuquant validate`: accuracy on the board, and equality with the host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from ..arithmetic.interpreter import reset_state
from ..errors import CalibrationError, DeviceError
from ..ir import Array
from ..project.folder import Port, check_inputs
from ..project.project import Project
from ..quantization.array_files import named
from ..quantization.labels import check_class_numbers, check_labels, class_count
from ..quantization.sample_layout import to_graph_layout
from ..reporting import tables
from .bench import DIRECTORY, FILE, NEW_FILE, PORT, on_board
from .console import next_step, progress, say, working, write_json


@click.command()
@DIRECTORY
@click.option("--data", type=FILE, metavar="X.npz", help="Array x, inputs; array y, class numbers.")
@click.option("--layers", is_flag=True, help="Name the first layer that differs from the interpreter, if any.")
@click.option("--json", "json_path", type=NEW_FILE, metavar="F", help="Write the accuracy as JSON; - is stdout.")
@PORT
def validate(directory: Path, data: Path | None, layers: bool, json_path: Path | None, port: str | None) -> None:
    """Measure accuracy on the board with labeled data.

    x holds inputs (N, ...), real numbers in the model's own layout or stored integers as in model.tflite; y holds N
    class numbers, compared with the largest score of the first output. A network with several inputs takes, in
    place of x, an array for each by its name in manifest.json. The board's outputs are also compared, byte for
    byte, with those of the same C on this machine. The exit code is 1 when they differ.

    The state of a network with memory is kept from sample to sample.

    With --layers the board runs step by step, and the output of each step is compared with the interpreter's, for the
    inputs x of --data or for random inputs.

    \b
    Examples:
      mcuquant validate build/net --data test.npz
      mcuquant validate build/net --data test.npz --port /dev/ttyACM0
      mcuquant validate build/net --data test.npz --json build/net/validation.json
      mcuquant validate build/net --layers
    """
    project = Project.open(directory)
    if layers:
        if json_path is not None:
            raise click.UsageError("--json writes the accuracy: leave --layers out")
        _layers(project, data, port)
        return
    if data is None:
        raise click.UsageError("add --data X.npz, or --layers")
    stored = _stored(project, data)
    classes = _classes(data, named(data, "y")[0], len(stored[0]), class_count(project.outputs[0].sample))
    with working("running on this machine"):
        expected = project.run_host(*stored)
    answers = on_board(project, stored, port)
    predicted = np.reshape(answers[0], (len(classes), -1)).argmax(axis=1)
    right = int((predicted == classes).sum())
    accuracy = f"{tables.share_text(right, len(classes))} ({right:,} of {len(classes):,})"
    if str(json_path) != "-":
        say(f"Accuracy on {project.board.name}: {accuracy}.")
    equal = _compare(project, answers, expected)
    if json_path is not None:
        write_json(json_path, _facts(project, right, len(classes)))
    if str(json_path) == "-":
        return
    say(equal)
    next_step(f"mcuquant bench {directory}")


RANDOM_SAMPLES = 3


def _layers(project: Project, data: Path | None, port: str | None) -> None:
    """Raises DeviceError with the first difference, if there is one."""
    from ..testing.differ import Oracle, first_difference, seeded_samples

    oracle = Oracle.of(project)
    if data is None:
        samples = list(seeded_samples(project, RANDOM_SAMPLES))
    else:
        stored = _stored(project, data)
        samples = [tuple(x[i : i + 1] for x in stored) for i in range(len(stored[0]))]
    state = reset_state(oracle.graph)
    with project.connect(port) as dut, progress(f"running on {project.board.name}", len(samples)) as done:
        for i, sample in enumerate(samples):
            different = first_difference(project, dut.steps(*sample), oracle.steps(sample, state))
            if different is not None:
                raise DeviceError(f"{project.board.name}, sample {i}: {different}")
            done(i + 1)
    count, name = len(oracle.tensors), project.board.name
    say(f"All {count} steps on {name} equal the interpreter's, over {len(samples)} samples.")
    if project.state_bytes:
        say(f"The state ({project.state_bytes:,} bytes) lived on from sample to sample.")
    if oracle.pairs:
        joined = f"{oracle.pairs} of them are a convolution joined with its pooling"
        say(f"{joined}: the board never holds the whole tensor between the two.")
    next_step(f"mcuquant bench {project.directory}")


def _stored(project: Project, path: Path) -> tuple[Array, ...]:
    """Inputs as the network stores them. Raises CalibrationError for values that are neither real nor stored."""
    names = ["x"] if len(project.inputs) == 1 else [port.name for port in project.inputs]
    arrays = zip(project.inputs, names, named(path, *names), strict=True)
    return check_inputs(project.inputs, [_stored_input(port, path, name, x) for port, name, x in arrays])


def _stored_input(port: Port, path: Path, name: str, x: Array) -> Array:
    if x.dtype == port.dtype.numpy and x.shape[1:] == port.sample:
        return x
    values = ordered(port, path, x, name)
    _warn_of_clipping(port, values, f"array {name!r} of {path}")
    return port.quantize(values)


MOST_CLIPPED = 0.01
"""Fraction of values beyond the input's range that causes no warning."""


def _warn_of_clipping(port: Port, x: Array, name: str) -> None:
    """Warns of values beyond the range, which other calibration data or another preprocessing cause."""
    if port.scale is None or port.zero_point is None:
        return
    limits = np.iinfo(port.dtype.numpy)
    low, high = ((float(stored) - port.zero_point) * port.scale for stored in (limits.min, limits.max))
    clipped = float(((x < low - port.scale / 2) | (x > high + port.scale / 2)).mean())
    if clipped > MOST_CLIPPED:
        click.echo(
            f"warning: {100 * clipped:.3g} % of the values of {name} are beyond the network's input, {low:.4g} to "
            f"{high:.4g}; they reach {float(x.min()):.4g} to {float(x.max()):.4g}: calibrate with data like them",
            err=True,
        )


def ordered(port: Port, path: Path, x: Array, name: str = "x") -> Array:
    """Real inputs in the layout of the graph, from that layout or from the layout of a PyTorch network."""
    as_stored = x.shape[1:] == port.sample
    if as_stored and x.ndim == 4 and len(set(x.shape[1:])) == 1 and x.shape[1] > 1:
        raise CalibrationError(
            f"array {name!r} of {path} has shape {x.shape}, which does not determine the order of its axes; "
            f"give it as {port.dtype}, (N, height, width, channels), as in model.tflite"
        )
    return to_graph_layout(x, (1, *port.sample), name=f"array {name!r} of {path}", channels_first=not as_stored)


def _classes(path: Path, y: Array, count: int, outputs: int) -> Array:
    """`y`, if it has one class of the network per sample. Raises CalibrationError otherwise."""
    check_class_numbers(path, y, count)
    check_labels(f"array 'y' of {path}", int(y.min()), int(y.max()), outputs)
    return y


def _facts(project: Project, right: int, count: int) -> Mapping[str, Any]:
    """The file for `mcuquant report`, with the digest of the firmware."""
    return {
        "accuracy": right / count if count else 0.0,
        "source": f"{count:,} samples on {project.board.name}",
        "right": right,
        "samples": count,
        "board": project.board.name,
        "digest": project.firmware.digest,
    }


def _compare(project: Project, answers: Sequence[Array], expected: Sequence[Array]) -> str:
    """A sentence with the number of equal bytes. Raises DeviceError if outputs of board and host differ."""
    differing = np.flatnonzero((_rows(answers) != _rows(expected)).any(axis=1))
    if differing.size:
        raise DeviceError(
            f"{project.board.name} gives other outputs than the same C on this machine for {differing.size} of "
            f"{len(answers[0])} samples; the first is sample {differing[0]}"
        )
    nbytes = sum(y.nbytes for y in answers)
    return f"All {nbytes:,} bytes equal those of the same C on this machine."


def _rows(outputs: Sequence[Array]) -> Array:
    """The bytes of all outputs, one row per sample, so that NaN compares too."""
    parts = [np.ascontiguousarray(y).reshape(len(y), -1).view(np.uint8) for y in outputs]
    return np.concatenate(parts, axis=1)
