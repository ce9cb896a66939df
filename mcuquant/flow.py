"""The whole path, top to bottom: a model becomes a graph, a plan, a program, sources, firmware."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from .arithmetic import interpreter
from .boards.board import DEFAULT_BOARD, Board, load_board
from .codegen.application import DUT, LIBRARY, NODE, Application, application
from .codegen.budget import check_built, check_fits, within_flash
from .codegen.budget import goal as goal_of
from .codegen.emit import emit, emit_library
from .codegen.lower import lower
from .codegen.lower_rows import lower_rows
from .codegen.node_settings import NodeSettings
from .codegen.program import Program
from .codegen.sensor_node import configure, fit
from .codegen.sources import Sources
from .codegen.weight_coding import with_huffman
from .errors import GraphError, ModelError, OutputError, UnsupportedOpError
from .firmware_build import build
from .firmware_build.manifest_file import MANIFEST, manifest_text
from .firmware_build.step_calls import Steps
from .ir import Graph, Level, serialize
from .ir.verify import verify
from .passes import run_passes
from .passes.row_schedule import RowFed
from .passes.shrink import shrink as shrink_graph
from .passes.stream import Streamed, streamed
from .planner import Goal, Plan, plan
from .planner.objective import DEFAULT
from .planner.row_plan import plan_rows
from .project.folder import NETWORK_FILES, check_network_file, file_digests
from .project.project import Project
from .quantization import LayerSnr, Weights
from .quantization import equalize as equalize
from .quantization import quantize as quantize_graph
from .quantization.prescribed import is_prescribed, prescribed
from .quantization.samples import Scaling
from .reporting.details import DETAILS, details_of
from .reporting.manifest import built_facts, feed_facts, manifest_of, stream_facts
from .tflite.reader import from_tflite as tflite_frontend
from .tflite.writer.to_tflite import WEIGHTED, to_tflite
from .torch_import import from_torch as torch_frontend

MODEL_FILE, NETWORK_FILE = "model.tflite", "network.mq"
ROWS = "rows"
"""The portion of an image that a network can be fed by."""


def from_torch(module: Any, example: Any) -> Graph:
    """A torch.nn.Module, exported on `example`, as a graph: float, or integer if PyTorch quantized it (PT2E).

    Raises UnsupportedOpError with the list of unsupported operations.
    """
    return _ready(torch_frontend.from_torch(module, example))


def from_tflite(source: str | Path | bytes) -> Graph:
    """A .tflite file, int8, int16 or float. Raises ModelError if it cannot be read."""
    return _ready(tflite_frontend.load(source))


def load(path: str | Path) -> Graph:
    """A model file by its ending: .pt2 (torch.export), .tflite, or .mq (`save`)."""
    match Path(path).suffix.lower():
        case ".mq":
            return serialize.from_bytes(Path(path).read_bytes(), str(path))
        case ".tflite":
            return from_tflite(path)
        case ".pt2":
            return _ready(torch_frontend.load_pt2(path))
        case other:
            raise ModelError(
                f"{path}: models end in .pt2 (torch.export.save), .tflite or .mq, found {other or 'no ending'!r}"
            )


def save(graph: Graph, path: str | Path) -> None:
    """Save a graph, including compressed weights, as a .mq file for `load`."""
    if Path(path).suffix.lower() != ".mq":
        raise ModelError(f"{path}: a saved graph ends in .mq")
    Path(path).write_bytes(serialize.to_bytes(graph))


def network_of(directory: str | Path) -> Graph:
    """The network that a project was compiled from.

    Raises OutputError if the folder does not contain it, or contains another one.
    """
    for name in (NETWORK_FILE, MODEL_FILE):
        if (Path(directory) / name).is_file():
            check_network_file(Path(directory), name)
            return load(Path(directory) / name)
    raise OutputError(f"{directory} has neither {NETWORK_FILE} nor {MODEL_FILE}: compile it again")


def _ready(graph: Graph) -> Graph:
    """Simplifies an imported graph; networks trained for integers become integer graphs."""
    graph = run_passes(graph)
    return run_passes(prescribed(graph)) if is_prescribed(graph) else graph


def quantize(
    graph: Graph,
    calibration: Any,
    method: str = "auto",
    channels_first: bool | None = None,
    activations: str = "int8",
    weights: Weights | str = "nearest",
    scaling: Scaling | None = None,
    improve: bool = True,
) -> Graph:
    """Quantize a float graph with samples in its layout or the model's own; see `quantization.quantize`."""
    integers = quantize_graph(graph, calibration, method, activations, channels_first, weights, scaling, improve)
    return run_passes(integers)


def stream(graph: Graph, axis: int, hop: int) -> Streamed:
    """Convert a network of windows to a stream network with equal outputs; `compile` accepts its `graph`.

    `axis` is the axis of the rows in the input's shape (1 for the rows of NHWC), `hop` the number of new rows per
    inference. `layers` lists what is reused per layer. Raises UnsupportedOpError if nothing can be reused.
    """
    done = streamed(shrink_graph(graph), axis, hop)
    return replace(done, graph=run_passes(done.graph))


def compile(
    graph: Graph,
    board: str | Path | Board = DEFAULT_BOARD,
    output: str | Path | None = None,
    name: str = "model",
    build_firmware: bool = True,
    shrink: bool = True,
    app: str = DUT,
    model_id: str | None = None,
    source: Graph | None = None,
    snr: Sequence[LayerSnr] = (),
    node: NodeSettings | None = None,
    optimize: str = DEFAULT,
    max_ram: int | None = None,
    max_flash: int | None = None,
    huffman: bool = False,
    streaming: Streamed | None = None,
    feed: str | None = None,
) -> Project:
    """Compile a quantized graph to a C project in `output` (default build/NAME) and, unless `build` is false, firmware.

    `shrink` removes what no input can change; outputs stay equal to the bit. `app` "mlperf" speaks the protocol of
    MLPerf Tiny's runner as the model `model_id` (ad01, ic01, kws01, vww01; by default derived from the input's shape).
    `optimize` is "speed", "balanced" or "size"; `max_ram` limits the bytes of the arena, `max_flash` those of constants
    and the network's code (docs/planner.md). With `huffman`, weights that a Huffman code makes smaller are stored so in
    flash and unpacked into RAM before the first inference.

    A network that .tflite cannot express gives a project without model.tflite, and a note with the reason. `source`,
    the original float graph, and `snr`, the result of `snr_report`, are for `mcuquant report`. "node" processes sliding
    windows of sensor samples with the settings `node`, which it requires; "library" is the network alone, for the
    user's own program. `streaming` is the result of `stream` that contains `graph`, for manifest.json. With `feed`
    "rows", the network takes its image row by row from the top, and never holds it whole (docs/rows.md).

    Nothing is left behind if a stage fails. Raises BudgetError if the network exceeds the board or the limits,
    ToolError if the compiler is missing, OutputError if `output` contains foreign files.
    """
    target = board if isinstance(board, Board) else load_board(board)
    settings = _Settings(
        board=target,
        directory=Path(output) if output is not None else Path("build") / name,
        name=name,
        build_firmware=build_firmware,
        app=app,
        model_id=model_id,
        source=source,
        snr=tuple(snr),
        node=node,
        max_flash=max_flash,
        huffman=huffman,
        streaming=streaming,
        feed=feed,
    )
    build.check_free(settings.directory)
    graph = shrink_graph(graph) if shrink else graph
    return within_flash(
        lambda goal: _compiled(graph, settings, goal), goal_of(graph, target, optimize, max_ram, max_flash)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settings:
    """The arguments of `compile` that its stages need."""

    board: Board
    directory: Path
    name: str
    build_firmware: bool
    app: str
    model_id: str | None
    source: Graph | None
    snr: tuple[LayerSnr, ...]
    node: NodeSettings | None
    max_flash: int | None
    huffman: bool
    streaming: Streamed | None
    feed: str | None


@dataclass(slots=True)
class _Work:
    """One compilation: each stage adds what the later ones need."""

    graph: Graph
    settings: _Settings
    goal: Goal
    plan: Plan = field(init=False)
    fed: RowFed | None = None
    """The network by rows, if it is fed by them."""
    program: Program = field(init=False)
    application: Application = field(init=False)
    board: Board = field(init=False)
    """The board with the rate of the application."""
    sources: Sources = field(init=False)
    documents: Mapping[str, str | bytes] = field(init=False)
    """The model's own file and the details for the report."""
    manifest: dict[str, Any] = field(init=False)


def _compiled(graph: Graph, settings: _Settings, goal: Goal) -> Project:
    work = _Work(graph, settings, goal)
    for stage in _STAGES:
        stage(work)
    return Project(settings.directory, work.manifest, work.board)


def _plan_and_lower(work: _Work) -> None:
    if work.settings.feed is None:
        work.plan, work.program = to_program(work.graph, work.settings.board, work.settings.name, work.goal)
        return
    if work.settings.feed != ROWS:
        raise ModelError(f"a network can be fed by {ROWS!r}, found {work.settings.feed!r}")
    planned = plan_rows(_lowerable(work.graph), work.settings.board.core, work.goal)
    work.fed, work.plan, work.program = planned.fed, planned.plan, lower_rows(planned, work.settings.name)


def _code_weights(work: _Work) -> None:
    if work.settings.huffman:
        work.program = with_huffman(work.program)


def _check_memory(work: _Work) -> None:
    check_fits(work.graph, work.plan, work.program, work.settings.board)


def _configure(work: _Work) -> None:
    plain = application(work.program, work.settings.app, work.settings.model_id)
    work.application = _with_node(plain, work.graph, work.settings.node)
    work.board = work.application.board(work.settings.board)


def _emit_sources(work: _Work) -> None:
    is_library = work.settings.app == LIBRARY
    work.sources = (
        emit_library(work.program, work.board) if is_library else emit(work.program, work.board, work.application)
    )


def _describe(work: _Work) -> None:
    settings, (graph, model) = work.settings, _as_tflite(work.graph)
    work.documents = {**model, DETAILS: details_of(graph, work.plan, settings.source, settings.snr).to_text()}
    manifest = manifest_of(graph, work.plan, work.program, work.board, work.sources, work.application)
    work.manifest = {
        **manifest,
        NETWORK_FILES: file_digests(model),
        "max_flash_bytes": settings.max_flash,
        **stream_facts(settings.streaming),
        **feed_facts(work.fed, work.program),
    }


def _build_project(work: _Work) -> None:
    with build.output_folder(work.settings.directory) as staging:
        if work.settings.build_firmware:
            _build_firmware(work, staging)
        files = {**work.sources.files, **work.documents, MANIFEST: manifest_text(work.manifest)}
        build.write(files, staging)


def _build_firmware(work: _Work, staging: Path) -> None:
    steps = Steps.of_manifest(work.manifest)
    if work.settings.app != LIBRARY:
        firmware = build.build(work.sources, work.board, staging, steps)
        work.manifest["firmware"] = built_facts(firmware, work.program, work.board)
        network_bytes = work.manifest["firmware"]["network_flash_bytes"]
        check_built(work.program, work.plan, network_bytes, work.settings.max_flash)
    elif shutil.which(build.COMPILER):
        build.try_library(work.sources, work.board, steps)


_STAGES: tuple[Callable[[_Work], None], ...] = (
    _plan_and_lower,
    _code_weights,
    _check_memory,
    _configure,
    _emit_sources,
    _describe,
    _build_project,
)
"""The stages from a quantized graph to a project, in order; docs/architecture.md has the picture."""


def _as_tflite(graph: Graph) -> tuple[Graph, Mapping[str, bytes]]:
    """The project's model.tflite; without one, a note with the reason, for a network that the format cannot express.

    If a .tflite file contains less than the graph, the graph's own file is beside it.
    """
    own = {NETWORK_FILE: serialize.to_bytes(graph)}
    try:
        exported = to_tflite(graph)
    except ModelError as error:
        return replace(graph, notes=(*graph.notes, f"no {MODEL_FILE}: {error}")), own
    return graph, {MODEL_FILE: exported, **(own if _is_more(graph, exported) else {})}


def _is_more(graph: Graph, exported: bytes) -> bool:
    """Whether a .tflite file contains less than the graph: it has no palettes, no two-bit weights, no zero points and
    multipliers of weights; or its operations differ, as for a function without its own operator.
    """
    weights = [graph[op.inputs[1]] for op in graph.ops if isinstance(op, WEIGHTED)]
    q = [w.q for w in weights if w.q is not None]
    packed = any(w.palette is not None or w.bits == 2 for w in weights)
    if packed or any(q.zero_point or q.zero_points or q.multipliers for q in q):
        return True
    try:
        return [op.kind for op in tflite_frontend.load(exported).ops] != [op.kind for op in graph.ops]
    except UnsupportedOpError:
        return True


def _with_node(app: Application, graph: Graph, settings: NodeSettings | None) -> Application:
    if (app.name == NODE) != (settings is not None):
        raise ModelError(
            f"application {app.name!r} takes no settings of a node; add app='node'"
            if settings is not None
            else "application 'node' must know what a raw sample is: give node=NodeSettings(mean=..., std=..., lsb=...)"
        )
    if settings is None:
        return app
    node = configure(settings, [graph[t] for t in graph.inputs], [graph[t] for t in graph.outputs])
    node = fit(node, settings, partial(interpreter.first_outputs, graph))
    return replace(app, node=node, sensor=settings.sensor_files)


def to_program(graph: Graph, board: Board, name: str = "model", goal: Goal | None = None) -> tuple[Plan, Program]:
    """Plan and lower a quantized graph for a board; by default for speed."""
    steps = plan(_lowerable(graph), board.core, goal)
    return steps, lower(steps, name)


def _lowerable(graph: Graph) -> Graph:
    """The graph, if it is a network of integers. Raises GraphError otherwise."""
    if graph.is_float:
        raise GraphError(
            f"{graph.name}: the network is float; quantize it first with calibration data (--calibration X.npz)"
        )
    return verify(graph, Level.LOWERABLE)
