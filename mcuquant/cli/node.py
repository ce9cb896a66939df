"""`mcuquant node`: test a sensor node in the loop. Also the options of `compile --app node`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
import numpy as np

from ..codegen.decision_rules import RULES
from ..codegen.node_settings import NodeSettings
from ..codegen.sensor_files import sensor_files
from ..codegen.sensor_node import Node, difference, raw_counts
from ..device.measurement import Measurement
from ..errors import CalibrationError, DeviceError
from ..ir import Array
from ..project.project import Project
from ..quantization.array_files import load_arrays, named, warn_of_unread
from ..reporting import tables
from ..reporting.node_quality import (
    Real,
    at_inferences,
    confusion_rows,
    float_figures,
    integer_figures,
    labels_of,
    measures,
    quality,
    quality_text,
)
from .bench import DIRECTORY, FILE, NEW_FILE, PORT
from .console import next_step, say, show, working, write_whole
from .option_groups import add_options, option

_NEEDED = ("mean", "std", "lsb")
_RECORDING = ("raw", "x", "y", "rate_hz", *_NEEDED)
"""Arrays of a recording; the last ones are for --normalise."""
_SETTINGS = (
    *(
        "normalise",
        "stride",
        "decision",
        "threshold",
        "debounce",
        "average",
        "cool_down",
        "error",
        "smooth",
        "hysteresis",
        "normal",
    ),
    *("quantile", "output_unit", "output_scale", "output_offset", "low", "high", "rate_hz", "sensor", "sensor_include"),
)
_Command = TypeVar("_Command", bound=Callable[..., Any])
GROUP = "Sensor node (--app node)"
_OPTIONS = (
    option(GROUP, "--normalise", type=FILE, metavar="STATS", help="JSON or .npz file with mean, std and lsb."),
    option(GROUP, "--stride", type=int, metavar="N", help="Samples between inferences.  [half a window]"),
    option(GROUP, "--decision", type=click.Choice(list(RULES)), help="Kind of decisions.  [by the output's shape]"),
    option(GROUP, "--threshold", type=float, metavar="P", help="Smallest score of a class, or of an alarm."),
    option(GROUP, "--debounce", type=int, metavar="N", help="Consecutive inferences that change a decision.  [1]"),
    option(GROUP, "--average", type=int, metavar="N", help="Scores whose mean is compared, of a wake word.  [1]"),
    option(GROUP, "--cool-down", type=int, metavar="N", help="Inferences to ignore after a wake word.  [0]"),
    option(GROUP, "--error", type=click.Choice(("squared", "absolute")), help="Error of the output.  [squared]"),
    option(GROUP, "--smooth", type=float, metavar="W", help="Weight of the newest score, up to 1.  [1: no smoothing]"),
    option(GROUP, "--hysteresis", type=float, metavar="H", help="Distance below a limit that ends its alarm.  [0]"),
    option(GROUP, "--normal", type=FILE, metavar="X.npz", multiple=True, help="Recording without anomalies."),
    option(GROUP, "--quantile", type=float, metavar="Q", help="Share of normal scores below the threshold.  [0.995]"),
    option(GROUP, "--output-unit", metavar="UNIT", help="Unit of the values, in the JSON lines."),
    option(GROUP, "--output-scale", type=float, metavar="F", help="Value = output * scale + offset.  [1]"),
    option(GROUP, "--output-offset", type=float, metavar="F", help="Value = output * scale + offset.  [0]"),
    option(GROUP, "--low", type=float, metavar="V", help="Lower limit of the values, in their unit."),
    option(GROUP, "--high", type=float, metavar="V", help="Upper limit of the values, in their unit."),
    option(GROUP, "--rate", "rate_hz", type=float, metavar="HZ", help="Samples a second, for the duty cycle."),
    option(
        GROUP, "--sensor", type=FILE, multiple=True, metavar="FILE", help="Your driver: .c, .h.  [replays over serial]"
    ),
    option(
        GROUP,
        "--sensor-include",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        multiple=True,
        metavar="DIR",
        help="Headers of your driver.",
    ),
)


@click.command("node")
@DIRECTORY
@click.option("--data", type=FILE, required=True, metavar="X.npz", help="Array raw, int16 counts; or x, real values.")
@click.option("--float", "float_model", type=FILE, metavar="MODEL", help="The float network, to compare it too.")
@click.option("--json", "json_path", type=NEW_FILE, metavar="F", help="Write the quality as JSON, for the report.")
@PORT
def node_(directory: Path, data: Path, float_model: Path | None, json_path: Path | None, port: str | None) -> None:
    """Stream a recording through a sensor node.

    The board must make the same decisions as this machine.

    DIR is a folder made by `mcuquant compile --app node` without --sensor: the node replays recordings. The file holds
    one recording of shape (samples, channels): array raw, the sensor's int16 counts, or array x, values in the unit of
    the training data, which are divided by lsb. The exit code is 1 when a decision or a score differs.

    With an array y, one label per sample (a class, 1 for an anomaly, or the value), the quality of the decisions is
    shown: confusion matrix and events, AUC and false alarms, or errors; with --float, the float network's too.

    \b
    Examples:
      mcuquant node build/watch --data recording.npz
      mcuquant node build/watch --data labeled.npz --float watch.pt2 --json build/watch/node.json
      mcuquant node build/watch --data recording.npz --port /dev/ttyACM0
    """
    replay(Project.open(directory), data, float_model, json_path, port)
    next_step(f"mcuquant bench {directory}")


def replay(
    project: Project, data: Path, float_model: Path | None, json_path: Path | None, port: str | None
) -> Measurement | None:
    """Stream a recording and print the result; the measurement of an inference, if the node has a rate."""
    node = project.node
    if project.manifest["sensor"] != "replay":
        raise DeviceError(
            f"{project.directory} reads a sensor of its own and replays no recording; compile the network without "
            "--sensor to test it with one"
        )
    raw = recording(node, data)
    labels = _labels(project, data, len(raw))
    with working("running on this machine"):
        outputs = project.node_outputs(raw)
        expected = node.run(raw, outputs)
    with working(f"running on {project.board.name}"), project.connect(port) as dut:
        node_run = dut.run_node(raw)
        measurement = dut.bench() if node.rate_hz is not None else None
    show(tables.decision_table(node_run.decisions))
    say(f"Samples: {node_run.samples:,}; inferences: {node_run.inferences:,}; decisions: {len(node_run.decisions):,}.")
    if measurement is not None:
        say(_duty_cycle_text(node, measurement))
    text = difference(node_run, expected)
    if text:
        raise DeviceError(f"{project.board.name} makes other decisions than this machine: {text}")
    say(f"All decisions on {project.board.name}, and the scores of all inferences, equal this machine's.")
    columns = _qualities(project, labels, raw, outputs, float_model)
    if columns:
        _show_quality(columns)
    if json_path is not None:
        share = None if measurement is None else duty_cycle(node, measurement)
        text = quality_text(columns, project.firmware.digest, share, node.rate_hz)
        write_whole(json_path, lambda file: file.write(text.encode()))
    return measurement


def _qualities(
    project: Project, labels: Array | None, raw: Array, outputs: Array, float_model: Path | None
) -> dict[str, dict[str, Any]]:
    """The quality of the decisions by network, the float one first; empty without the labels that
    the decisions need.
    """
    node, (x,), y = project.node, project.inputs, project.outputs[0]
    with working("measuring the decisions"):
        seen = node.inferences(raw, outputs)
        figures = {project.board.name: integer_figures(node, seen)}
        if float_model is not None:
            real = _float_run(float_model, node.real_windows(raw, x.scale or 1.0, x.zero_point))
            figures = {"float": float_figures(node, real, y.scale or 1.0, y.zero_point), **figures}
        labels = None if labels is None else at_inferences(labels, seen)
        columns = {name: quality(node, figure, labels) for name, figure in figures.items()}
    return columns if all(columns.values()) else {}


def _labels(project: Project, data: Path, samples: int) -> Array | None:
    """The labels of a recording, checked before it is replayed; None if it has none."""
    arrays = load_arrays(data)
    if "y" not in arrays:
        return None
    classes = int(np.prod(project.outputs[0].sample))
    return labels_of(project.node, arrays["y"], samples, classes, f"array 'y' of {data}")


def _float_run(path: Path, windows: Array) -> Real:
    from .. import flow
    from ..arithmetic import interpreter

    graph = flow.load(path)
    if not graph.is_float:
        raise click.UsageError(f"--float {path} is not a float network")
    (x,) = (graph[i] for i in graph.inputs)
    if x.elements != windows[0].size:
        raise CalibrationError(f"{path} takes {x.elements} values, a window of this node has {windows[0].size}")
    outputs = interpreter.first_outputs(graph, windows.astype(np.float32))
    return Real(windows, outputs.reshape(len(outputs), -1).astype(np.float64))


def _show_quality(columns: Mapping[str, Mapping[str, Any]]) -> None:
    grid = tables.table("decisions", *(f">{name}" for name in columns))
    for name, cells in measures(columns):
        grid.add_row(name, *cells)
    show(grid)
    name, column = list(columns.items())[-1]
    if "confusion" not in column:
        return
    say(f"Inferences of each true class (rows) and reported class (columns) on {name}:")
    matrix = tables.table("true", *(f">{c}" for c in column["classes"]), ">none")
    for row, counts in confusion_rows(column):
        matrix.add_row(row, *counts)
    show(matrix)


def duty_cycle(node: Node, measurement: Measurement) -> float:
    """The share of time that the core computes, 0 to 1; above 1, it is too slow for the rate."""
    assert node.inferences_per_s is not None
    return measurement.latency_us * node.inferences_per_s / 1e6


def _duty_cycle_text(node: Node, measurement: Measurement) -> str:
    """The duty cycle of the core, and the source of the time of an inference."""
    rate, share = node.inferences_per_s, duty_cycle(node, measurement)
    assert rate is not None
    wait_ms, inference_ms = 1000 / rate, measurement.latency_us / 1000
    return (
        f"Duty cycle: {100 * share:.2f} % at {node.rate_hz:g} samples a second, {rate:.3g} inferences a second of "
        f"{measurement.latency_us:,.1f} µs ({measurement.latency_source}). A sample counts after at most "
        f"{wait_ms + inference_ms:,.1f} ms: {wait_ms:,.1f} ms until the next inference, and the inference."
    )


def recording(node: Node, path: Path) -> Array:
    """(T, channels) raw counts of a file: its array `raw`, or `x` in units.

    CalibrationError when it has neither, holds values that are not finite or less than a window, or states (as a number
    `rate_hz`) another rate than the node's.
    """
    arrays = load_arrays(path)
    warn_of_unread(path, arrays, [name for name in _RECORDING if name != "x" or "raw" not in arrays])
    _check_rate(node.rate_hz, arrays, path)
    if "raw" in arrays:
        return node.check(arrays["raw"], f"array 'raw' of {path}")
    if "x" not in arrays:
        contents = "one array without a name" if "" in arrays else ", ".join(map(repr, arrays)) or "nothing"
        raise CalibrationError(
            f"{path} holds neither an array 'raw' (int16 counts) nor 'x' (values), it holds {contents}"
        )
    return node.check(_counted(arrays["x"], node.lsb, node.channels, path), f"array 'x' of {path}")


def _counted(x: Array, lsb: Sequence[float] | float, channels: int | None, path: Path) -> Array:
    """The raw counts of array `x` of a file. Warns of those that are limited."""
    return raw_counts(x, lsb, channels, f"array 'x' of {path}")


def _check_rate(rate_hz: float | None, arrays: Mapping[str, Array], path: Path) -> None:
    if "rate_hz" not in arrays or rate_hz is None:
        return
    rate = arrays["rate_hz"]
    if rate.size != 1 or rate.dtype.kind not in "fiu":
        raise CalibrationError(f"rate_hz of {path} is {rate.tolist()!r}: expected one number of samples a second")
    if float(rate.reshape(-1)[0]) != rate_hz:
        raise CalibrationError(
            f"{path} states a rate of {rate.reshape(-1)[0]} samples a second, the node was compiled for {rate_hz:g}; "
            "resample the recording, or compile with its rate"
        )


def node_options(command: _Command) -> _Command:
    """Gives a command the options, which it hands to `read_node`."""
    return add_options(command, _OPTIONS)


def read_node(
    options: Mapping[str, Any], is_node: bool, calibration: Path | None, units: Mapping[str, Any] | None = None
) -> NodeSettings | None:
    """None where no node is meant. The constants are `units`, or those of --normalise, else of the calibration file."""
    settings = {name: options[name] for name in _SETTINGS if options[name] not in (None, ())}
    if not is_node:
        if settings:
            name = next(iter(settings)).removesuffix("_hz").replace("_", "-")
            raise click.UsageError(f"--{name} belongs to --app node")
        return None
    if "quantile" in settings and "normal" not in settings:
        raise click.UsageError("--quantile belongs to --normal X.npz, recordings of normal operation")
    include = settings.pop("sensor_include", ())
    if include and "sensor" not in settings:
        raise click.UsageError("--sensor-include holds headers of a driver: add its files with --sensor FILE.c")
    source = settings.pop("normalise", None) or calibration
    units = _needed(source) if units is None else units
    sensor = sensor_files(settings.pop("sensor"), include) if "sensor" in settings else None
    rate_hz = settings.get("rate_hz")
    normal = [normal_counts(path, units["lsb"], rate_hz) for path in settings.pop("normal", ())]
    return NodeSettings(**units, **settings, normal=normal, sensor=sensor)


def normal_counts(path: Path, lsb: Sequence[float] | float, rate_hz: float | None) -> Array:
    """(T, channels) raw counts of a recording of normal operation. CalibrationError: another rate, or anomalies."""
    arrays = load_arrays(path)
    _check_rate(rate_hz, arrays, path)
    if np.any(arrays.get("y", 0) == 1):
        raise CalibrationError(f"array 'y' of {path} holds anomalies (1): --normal takes recordings without any")
    if "raw" in arrays:
        return arrays["raw"]
    (x,) = named(path, "x")
    return _counted(x, lsb, None, path)


def _needed(source: Path | None) -> dict[str, Any]:
    units = {} if source is None else constants(source)
    missing = [name for name in _NEEDED if name not in units]
    if missing:
        where = "no file was given" if source is None else f"{source} holds no {missing[0]}"
        raise click.UsageError(
            f"--app node needs the scale of raw samples, and {where}: add --normalise STATS.json with "
            '{"mean": [..], "std": [..], "lsb": [..]}, one number or one a channel, or arrays of these names to '
            "--calibration X.npz. The network was trained on (value - mean) / std; value = raw count * lsb"
        )
    return units


def constants(path: Path) -> dict[str, Any]:
    """`mean`, `std` and `lsb`, as far as a .json or .npz file holds them. CalibrationError for anything else."""
    table = _json(path) if path.suffix.lower() == ".json" else load_arrays(path)
    return {name: _numbers(path, name, table[name]) for name in _NEEDED if name in table}


def _json(path: Path) -> dict[str, Any]:
    try:
        table = json.loads(path.read_text())
    except (ValueError, OSError) as error:
        raise CalibrationError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(table, dict):
        raise CalibrationError(f'{path} holds no object; expected {{"mean": [..], "std": [..], "lsb": [..]}}')
    return table


def _numbers(path: Path, name: str, value: Any) -> tuple[float, ...]:
    try:
        numbers = np.atleast_1d(np.asarray(value)).reshape(-1)
    except ValueError as error:  # rows of different lengths
        raise CalibrationError(f"{name} of {path} is {value!r}: expected a number, or one a channel") from error
    if numbers.dtype.kind not in "fiu" or not numbers.size or not np.isfinite(numbers).all():
        raise CalibrationError(f"{name} of {path} is {value!r}: expected a number, or one a channel")
    return tuple(float(n) for n in numbers)
