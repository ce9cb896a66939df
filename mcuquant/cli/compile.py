"""`mcuquant compile`: a model file becomes a C project and firmware."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..boards.board import DEFAULT_BOARD, load_board
from ..codegen.application import APPLICATIONS, DUT, LIBRARY, NODE
from ..codegen.sensor_node import Node
from ..firmware_build.build import check_free
from ..reporting import tables
from ..reporting.row_picture import feed_text
from .console import WIDTH, next_step, say, show, working
from .front_end_option import FrontEnd, front_end_option
from .node import node_options, read_node
from .objective_options import objective_of, objective_options
from .option_groups import GroupedCommand, option
from .quantization_options import GROUP as QUANTIZATION
from .quantization_options import Recipe, read_calibration, read_recipe, recipe_options

if TYPE_CHECKING:
    from ..ir import Array, Graph
    from ..passes.stream import Streamed
    from ..project.project import Project
    from ..quantization import LayerSnr

SNR_SAMPLES = 16
"""Number of samples for the report's SNR; the ratio then settles within a fraction of a dB."""
OUTPUT = "Output"
STREAM = "Stream"
MODEL = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("compile", cls=GroupedCommand)
@click.argument("model", type=MODEL)
@option(
    OUTPUT, "--board", default=DEFAULT_BOARD, show_default=True, help="A name of `mcuquant boards`, or a TOML file."
)
@option(OUTPUT, "-o", "--output", type=click.Path(path_type=Path), metavar="DIR", help="Folder to write.  [build/NAME]")
@option(OUTPUT, "--name", default="model", show_default=True, help="Prefix of the C names: kws gives mq_kws_run.")
@option(
    OUTPUT,
    "--app",
    type=click.Choice(APPLICATIONS),
    default=DUT,
    show_default=True,
    help="dut: serial test firmware; mlperf: MLPerf Tiny's runner; node: a sensor node; library: the network alone.",
)
@option(OUTPUT, "--model-id", metavar="ID", help="Name of the model in the firmware: kws01.  [by its input, or NAME]")
@option(OUTPUT, "--huffman", is_flag=True, help="Huffman-code the weights in flash; unpack them into RAM at start.")
@option(OUTPUT, "--no-build", is_flag=True, help="Write the C project without compiling it.")
@option(
    QUANTIZATION,
    "--calibration",
    type=MODEL,
    metavar="X.npz",
    help="Sample inputs: array x of shape (N, ...); of several inputs, arrays of their names.",
)
@recipe_options
@option(QUANTIZATION, "--snr", is_flag=True, help="Show the signal-to-noise ratio of each layer.")
@option(STREAM, "--stream", "axis", type=int, metavar="AXIS", help="Axis of the input's rows, 1 for those of NHWC.")
@option(STREAM, "--hop", type=int, metavar="N", help="New rows at a time.  [1]")
@option(STREAM, "--feed", type=click.Choice(("rows",)), help="Feed images row by row: only a few rows are in RAM.")
@front_end_option()
@objective_options
@node_options
def compile_(
    model: Path,
    board: str,
    calibration: Path | None,
    snr: bool,
    output: Path | None,
    name: str,
    app: str,
    model_id: str | None,
    huffman: bool,
    no_build: bool,
    axis: int | None,
    hop: int | None,
    feed: str | None,
    frontend: str | None,
    **options: Any,
) -> None:
    """Quantize MODEL and build it for a board.

    MODEL is a .pt2 file of torch.export.save, a .tflite file, a .mq file of mcuquant.save, or the .json manifest of a
    wake word of microWakeWord, whose network gets its audio front end. A float one needs
    --calibration: an .npz file whose array x holds a few hundred typical inputs, in the model's own layout. DIR then
    holds the C project (`make` alone builds it), model.tflite of the quantized network, manifest.json and firmware.elf.

    \b
    Examples:
      mcuquant compile net.pt2 --calibration x.npz -o build/net
      mcuquant compile net_int8.tflite --board qemu-mps3-an547 -o build/net
      mcuquant compile kws.pt2 --calibration x.npz --name kws --no-build -o kws
      mcuquant compile kws.pt2 --calibration x.npz --weight-bits 4 --adaptive-rounding -o build/kws4
      mcuquant compile kws_int8.tflite --app mlperf -o build/kws
      mcuquant compile vww_int8.tflite --optimize speed --max-ram 40K -o build/vww
      mcuquant compile watch.pt2 --calibration x.npz --app node --normalise stats.json -o build/watch
      mcuquant compile kws_int8.tflite --stream 1 --hop 2 -o build/kws
      mcuquant compile vww_int8.tflite --feed rows -o build/vww
      mcuquant compile kws_int8.tflite --frontend micro,step=320 -o build/kws
      mcuquant compile okay_nabu.json --app node -o build/nabu
      mcuquant compile kws_int8.tflite --app library --name kws -o lib/kws
    """
    from .. import flow

    target = load_board(board)
    directory = output or Path("build") / name
    check_free(directory)
    front = FrontEnd.of(frontend, model)
    node = read_node(options, app == NODE, calibration, None if front is None else front.units)
    ready = _network(model, calibration, front, options, snr)
    streaming = _streamed(ready.graph, axis, hop)
    if streaming is not None:
        ready = _Network(streaming.graph)
    if front is not None:
        ready = _Network(front.joined(ready.graph))
        node = None if node is None else front.completed(node, ready.graph)
    with working("writing C" if no_build else "writing and compiling C"):
        project = flow.compile(
            *(ready.graph, target, directory, name),
            build_firmware=not no_build,
            app=app,
            model_id=model_id,
            node=node,
            source=ready.source,
            snr=ready.snr,
            **objective_of(options),
            huffman=huffman,
            streaming=streaming,
            feed=feed,
        )
    _report(project)


@dataclass(frozen=True, slots=True)
class _Network:
    """An integer network; `source` is the float one that it was quantized from, `snr` that of its layers."""

    graph: Graph
    source: Graph | None = None
    snr: tuple[LayerSnr, ...] = ()


def _network(
    model: Path, calibration: Path | None, front: FrontEnd | None, options: dict[str, Any], snr: bool
) -> _Network:
    """The network of the file `model`, quantized if it is a float one."""
    from .. import flow

    with working(f"reading {model.name}"):
        graph = flow.load(model if front is None or front.word is None else front.word.model)
    if graph.is_float:
        recipe = read_recipe(options)
        return _quantized(graph, model, _samples(model, calibration, graph), recipe, snr)
    if calibration is not None:
        raise click.UsageError(f"{model} is already quantized: leave --calibration out")
    return _Network(graph)


def _samples(model: Path, calibration: Path | None, graph: Graph) -> dict[str, Array]:
    if calibration is None:
        raise click.UsageError(f"{model} is a float network: add --calibration X.npz, typical inputs as array x")
    return read_calibration(calibration, graph)


def _streamed(graph: Graph, axis: int | None, hop: int | None) -> Streamed | None:
    """The stream form of a network of windows, with its savings."""
    from ..flow import stream

    if axis is None:
        if hop is not None:
            raise click.UsageError("--hop is the number of new rows of a stream: add --stream AXIS")
        return None
    streaming = stream(graph, axis, 1 if hop is None else hop)
    show(tables.stream_table(streaming))
    say(
        f"The outputs are those of the window's network once {streaming.warm_up_rows} rows have come; before, zeros "
        "stand for those that are missing."
    )
    return streaming


def _quantized(graph: Graph, model: Path, x: dict[str, Array], recipe: Recipe, snr: bool) -> _Network:
    """The integer network, with the SNR by layer if requested."""
    from ..quantization import snr_report
    from ..quantization.error_kinds import advice

    channels_first = model.suffix.lower() == ".pt2"
    with working("quantizing"):
        graph, quantized = recipe.apply(graph, x, channels_first)
    rows: tuple[LayerSnr, ...] = ()
    if snr:
        with working("comparing layers"):
            few = {name: array[:SNR_SAMPLES] for name, array in x.items()}
            rows = snr_report(graph, quantized, few, channels_first, recipe.scaling)
        show(tables.snr_table(rows))
        show(tables.kinds_table(rows))
        say(textwrap.fill(advice(rows), WIDTH))
    return _Network(quantized, graph, rows)


def _report(project: Project) -> None:
    manifest = project.manifest
    say(
        f"{manifest['title']}: {len(manifest['layers'])} layers, {manifest['parameters']:,} parameters, "
        f"{manifest['macs']:,} MACs; for {project.board.name}"
    )
    for note in manifest["notes"]:
        say(f"note: {note}")
    if "feed" in manifest:
        say(feed_text(manifest["feed"]))
    if "node" in manifest:
        say(_node_line(manifest["node"]))
    where = project.directory
    if manifest["app"] == LIBRARY:
        say(f"Wrote {where}: a library for CMake, Zephyr, Arduino and PlatformIO, and {_networks(project)}.")
        next_step(f"cat {where}/README.md")
        return
    if "firmware" not in manifest:
        say(f"Wrote {where}: C project, {_networks(project)}, manifest.json.")
        next_step(f"make -C {where}")
        return
    built = manifest["firmware"]
    show(tables.memory_table(project.board, built["flash_bytes"], built["ram_bytes"], manifest["arena_bytes"]))
    say(f"Wrote {where}: C project, {_networks(project)}, manifest.json, firmware.elf.")
    next_step(f"mcuquant bench {where}", *_in_the_loop(manifest, where))


def _node_line(node: Mapping[str, Any]) -> str:
    """The settings of the node. Stride and channels may follow from the network alone."""
    rate = "" if node["rate_hz"] is None else f" at {node['rate_hz']:g} Hz"
    return (
        f"Node: windows of {node['window']:,} samples of {node['channels']} channels{rate}, an inference every "
        f"{node['stride']:,} samples, {Node.from_json(node).rule.text}."
    )


def _in_the_loop(manifest: Mapping[str, Any], where: Path) -> tuple[str, ...]:
    """The command that checks the result. A node that reads its own sensor cannot replay a recording."""
    if "node" not in manifest:
        return (f"mcuquant validate {where} --data X.npz",)
    return (f"mcuquant node {where} --data X.npz",) if manifest["sensor"] == "replay" else ()


def _networks(project: Project) -> str:
    """The files of the network that exist."""
    from ..flow import MODEL_FILE, NETWORK_FILE

    return ", ".join(name for name in (MODEL_FILE, NETWORK_FILE) if (project.directory / name).is_file())
