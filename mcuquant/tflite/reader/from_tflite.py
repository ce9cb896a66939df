"""Reads a .tflite file as a graph.

Reading has three steps, each over values that the previous step checked: the rows of the container
(`tflite.schema.read`), operators that are not supported (`unsupported`), then one handler per operator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ...errors import GraphError, ModelError, UnsupportedOpError
from ...ir import DType, Graph, Level, Op, ops
from ...ir.metrics import effort
from ...ir.verify import verify
from ..schema import MAX_FILE_BYTES, printable, read
from . import (
    compute_handlers,
    discrete_handlers,
    movement_handlers,
    rearrange_handlers,
    recurrent_handlers,
    signal_handlers,
)
from .detection import detection_notes, without_detection
from .float_parts import join_float_parts
from .operator_node import MAX_ENDS, Node, Translation
from .plain_integers import with_unit_scales
from .result_tables import CODE, join_tables, lookup
from .shape_folding import fold_shapes
from .unsupported import refuse_unsupported
from .variables import resolve_variables

MAX_EFFORT = 1 << 33
"""Limit of products and elements of one inference: minutes on a microcontroller, and in calibration or comparison."""

HANDLERS: Mapping[str, Callable[[Node], None]] = {
    **compute_handlers.HANDLERS,
    **movement_handlers.HANDLERS,
    **rearrange_handlers.HANDLERS,
    **recurrent_handlers.HANDLERS,
    **discrete_handlers.HANDLERS,
    **signal_handlers.HANDLERS,
    CODE: lookup,
}


def load(source: str | Path | bytes) -> Graph:
    """Graph of a .tflite, given by its path or its content. QUANTISED or FLOAT, by the types of its activations.

    A batch of unknown size becomes 1. Weights that a float model stores as float16 or int8 become float32.
    Raises ModelError for a file that is not a valid .tflite (the content is not trusted), and UnsupportedOpError that
    lists everything in the file that mcuquant does not translate.
    """
    if isinstance(source, bytes):
        return _graph(source, "the .tflite", None)
    path = Path(source)
    return _graph(_content(path), printable(path.name), printable(path.stem))


def _graph(data: bytes, name: str, title: str | None) -> Graph:
    """`name` is for messages, `title` the graph's name if it differs from the file's own."""
    whole = read(data, name)
    file = without_detection(whole)
    file = with_unit_scales(resolve_variables(join_tables(fold_shapes(file)), name))
    refuse_unsupported(file, name, HANDLERS)
    translation = Translation(file, name, detection_notes(whole))
    return _verified(_translate(translation, title or file.name or "model"), name)


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ModelError(f"cannot read {printable(str(path))}: {error.strerror}") from error


def _translate(translation: Translation, title: str) -> Graph:
    file, name = translation.file, translation.name
    if not (file.operators and file.inputs and file.outputs):
        raise ModelError(f"{name} computes nothing: it needs at least one operator, one input and one output")
    if max(len(file.inputs), len(file.outputs)) > MAX_ENDS:
        counts = f"{len(file.inputs)} inputs and {len(file.outputs)} outputs"
        raise ModelError(f"{name} has {counts}, expected at most {MAX_ENDS} of each")
    translation.open_inputs()
    translation.open_states()
    for index, row in enumerate(file.operators):
        HANDLERS[row.code](Node(translation, index, row))
    graph = join_float_parts(translation.finish(title))
    if (total_effort := sum(effort(graph, op) for op in graph.ops)) > MAX_EFFORT:
        raise ModelError(
            f"{name} goes through {total_effort:,} products and elements for one inference, more than {MAX_EFFORT:,}"
        )
    return graph


def _is_float(graph: Graph, op: Op) -> bool:
    floats = DType.FLOAT32 in (graph[op.inputs[0]].dtype, graph.out(op).dtype)
    return floats and not isinstance(op, ops.Quantize | ops.Dequantize | ops.Reshape | ops.Cast)


def _verified(graph: Graph, name: str) -> Graph:
    """The rules of `verify` that handlers do not check themselves. A violation is an error in the file, not in
    mcuquant.
    """
    quantised = any(t.q is not None for t in graph.tensors.values() if not t.is_constant)
    if quantised and (op := next((op for op in graph.ops if _is_float(graph, op)), None)):
        output = f" that gives {graph.out(op).name!r}" if graph.out(op).name else ""
        raise UnsupportedOpError(
            f"{name}: {op.kind}{output} computes in float32 in a network of integers; convert the model with full "
            "integer quantization, or to float32 as a whole"
        )
    try:
        return verify(graph, Level.QUANTISED if quantised else Level.FLOAT)
    except GraphError as error:
        raise ModelError(f"{name} is not a valid network: {error}") from error
