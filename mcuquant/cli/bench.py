"""`mcuquant bench` and `run`: commands that need an emulated or connected board."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import numpy as np

from ..boards.board import Board, load_board
from ..device.projection import check_projects, project_onto
from ..errors import CalibrationError
from ..ir import Array
from ..project.project import Project
from ..quantization.array_files import load_arrays
from ..reporting import tables
from .console import next_step, progress, say, working, write_json, write_whole

DIRECTORY = click.argument("directory", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
NEW_FILE = click.Path(dir_okay=False, path_type=Path)
_ONE_PORT = click.option(
    "--port",
    metavar="P",
    callback=lambda ctx, _, value: _port(ctx, value),
    help="Serial port of a board, /dev/ttyACM0; an emulated board needs none. rp2040py: emulate a Pico.",
)


def _way(kind: str, metavar: str, text: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """An option that names a board in place of --port."""
    return click.option(
        f"--{kind}",
        metavar=metavar,
        expose_value=False,
        is_eager=True,
        callback=lambda ctx, _, value: _as_port(ctx, kind, value),
        help=text,
    )


_GDB = _way("gdb", "HOST:PORT", "GDB server of a board compiled as generic:..., in place of a port.")
_PROBE = _way("probe", "UID", "Debug probe of such a board, by serial number; auto: the only one.")


def PORT(command: Callable[..., None]) -> Callable[..., None]:  # noqa: N802 used like the options beside it
    """The three options for a board; all set the argument `port`."""
    return _ONE_PORT(_GDB(_PROBE(command)))


_META = "mcuquant.port"


def _as_port(ctx: click.Context, kind: str, value: str | None) -> None:
    if value is None:
        return
    if _META in ctx.meta:
        raise click.UsageError("--gdb and --probe are two ways to one board: give one")
    ctx.meta[_META] = f"{kind}:{value}"


def _port(ctx: click.Context, value: str | None) -> str | None:
    if value is not None and _META in ctx.meta:
        raise click.UsageError("--gdb and --probe are ways to the board in place of --port: leave it out")
    port: str | None = ctx.meta.get(_META, value)
    return port


@click.command()
@DIRECTORY
@PORT
@click.option("--as", "onto", metavar="B", help="Project the modelled cycles onto a board: a name, or a TOML file.")
@click.option("--json", "json_path", type=NEW_FILE, metavar="F", help="Write the measurement as JSON; - is stdout.")
@click.option("--trace", type=NEW_FILE, metavar="F", help="Write a timeline of the layers, for ui.perfetto.dev.")
def bench(directory: Path, port: str | None, onto: str | None, json_path: Path | None, trace: Path | None) -> None:
    """Run the firmware of DIR and measure each layer.

    DIR is a folder made by `mcuquant compile`. The board of its profile is booted under emulation, or driven through
    --port. Under emulation the numbers are counts, not a board's time; the last lines name the counter.

    --as converts the modelled cycles of an emulated Cortex-M3 or M4 to the time on a board with the same core, from its
    clock and the known cost of its memory. The result is a projection, not a measurement.

    \b
    Examples:
      mcuquant bench build/net
      mcuquant bench build/net --as nucleo-l4r5zi
      mcuquant bench build/net --port /dev/ttyACM0 --json net.json
    """
    project = Project.open(directory)
    target = _target(project, onto, port)
    with working(f"measuring on {project.board.name}"), project.connect(port) as dut:
        measurement = dut.bench()
    projected = project_onto(target, measurement) if target is not None else None
    if json_path is not None:
        write_json(json_path, measurement.to_json() | ({"projected": projected.to_json()} if projected else {}))
    if trace is not None:
        write_json(trace, measurement.to_trace())
    if str(json_path) == "-":
        return
    say(str(measurement))
    if projected is not None:
        say(f"\n{projected}")
    next_step(f"mcuquant validate {directory} --data X.npz")


def _target(project: Project, onto: str | None, port: str | None) -> Board | None:
    """The board of the projection. The check precedes the measurement, so that errors are early."""
    if onto is None:
        return None
    if port is not None:
        raise click.UsageError("--as projects the cycles of an emulated board: leave --port out")
    board = load_board(onto)
    check_projects(board, project.board.cpu)
    return board


@click.command()
@DIRECTORY
@click.option(
    "--inputs", type=FILE, required=True, metavar="X.npy", help="Stored integers, (N, ...) as in model.tflite."
)
@click.option("--outputs", type=NEW_FILE, required=True, metavar="Y.npy", help="File to write the stored outputs to.")
@click.option("--host", is_flag=True, help="Run the same C compiled for this machine instead of the board.")
@click.option("--reset-each", is_flag=True, help="Reset the state before each sample, not only before the first.")
@PORT
def run(directory: Path, inputs: Path, outputs: Path, host: bool, reset_each: bool, port: str | None) -> None:
    """Run stored integers through the firmware of DIR.

    The state of a network with memory is reset before the first sample and kept from sample to sample.

    A network with several inputs takes an .npz file with an array for each, by its name in manifest.json; one with
    several outputs writes such a file.

    \b
    Examples:
      mcuquant run build/net --inputs x.npy --outputs y.npy
      mcuquant run build/net --inputs x.npy --outputs y_host.npy --host
    """
    if host and port:
        raise click.UsageError("--host runs on this machine: leave --port out")
    project = Project.open(directory)
    arrays = _inputs(project, inputs)
    if host:
        with working("running on this machine"):
            answers = project.run_host(*arrays, reset_each=reset_each)
    else:
        answers = on_board(project, arrays, port, reset_each)
    _write(outputs, {p.name: y for p, y in zip(project.outputs, answers, strict=True)})
    say(f"Wrote {outputs}: {', '.join(f'{y.dtype} {tables.shape_text(y.shape)}' for y in answers)}.")
    next_step(f"mcuquant bench {directory}")


def on_board(
    project: Project, arrays: tuple[Array, ...], port: str | None, reset_each: bool = False
) -> tuple[Array, ...]:
    """Run stored inputs (N, ...) on the board; returns its stored outputs, (N, ...)."""
    with project.connect(port) as dut, progress(f"running on {project.board.name}", len(arrays[0])) as done:
        answers = dut.run(*arrays, progress=done, reset_each=reset_each)
    return answers if isinstance(answers, tuple) else (answers,)


def _inputs(project: Project, path: Path) -> tuple[Array, ...]:
    """The arrays of a file in the order of the network's inputs."""
    arrays = load_arrays(path)
    names = [port.name for port in project.inputs]
    if len(names) == 1 and len(arrays) == 1:
        return tuple(arrays.values())
    missing = [name for name in names if name not in arrays]
    if missing:
        raise CalibrationError(
            f"{path} holds no array {missing[0]!r}; the network takes {', '.join(map(repr, names))}: "
            "write them with numpy.savez(file, name=array, ...)"
        )
    return tuple(arrays[name] for name in names)


def _write(path: Path, arrays: dict[str, Array]) -> None:
    if len(arrays) == 1:
        (only,) = arrays.values()
        write_whole(path, lambda file: np.save(file, only, allow_pickle=False))
    else:
        write_whole(path, lambda file: np.savez(file, allow_pickle=False, **arrays))
