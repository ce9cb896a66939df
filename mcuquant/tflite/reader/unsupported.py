"""Lists everything in a .tflite that mcuquant does not support, before any conversion."""

from __future__ import annotations

from collections.abc import Container, Iterator

from ...errors import UnsupportedOpError
from ..schema import ModelFile, OperatorRow
from ..schema.rows import ABSENT
from .operator_node import ACTIVATIONS
from .tensor_reader import CONSTANT_TYPES, TYPES
from .unsigned import refusal

_MAX_LISTED = 20

INSTEAD = {
    "SHAPE": "convert the model with a fixed input shape",
    "BROADCAST_ARGS": "convert the model with a fixed input shape",
    "WHILE": "loops are not translated; unroll it (in Keras: unroll=True)",
    "IF": "branches are not translated; use the branch that is taken",
    "CUSTOM 'ethos-u'": "compiled by Vela for an Ethos-U; give the .tflite from before Vela",
}
ELSE = "replace it, or end the model before it and compute the rest where the result is read"
FIRST = "replace it, or compute it before the network and make its result an input"

WITH_STATE = ("SVDF", "UNIDIRECTIONAL_SEQUENCE_LSTM")
"""Operators with state in a variable tensor."""

_TYPEINSTEAD = {
    "FLOAT16": "convert the model with float32 or int8 activations",
    "INT4": "convert the model with int8 activations",
}


def refuse_unsupported(file: ModelFile, name: str, handlers: Container[str]) -> None:
    """Raises one UnsupportedOpError that lists every operator with an objection, if there is any."""
    objections = [
        _line(file, i, row, what)
        for i, row, is_first in _with_places(file, handlers)
        for what in _objections(file, row, handlers, is_first)
    ]
    unsigned = refusal(file)
    if not objections and unsigned is None:
        return
    if not objections:
        raise UnsupportedOpError(f"{name}: {unsigned}")
    more = [f"  ... and {len(objections) - _MAX_LISTED} more"] if len(objections) > _MAX_LISTED else []
    head = f"{name} needs what mcuquant does not translate ({len(objections)} of {len(file.operators)} operators):"
    last = [f"  {unsigned}"] if unsigned else []
    raise UnsupportedOpError("\n".join([head, *objections[:_MAX_LISTED], *more, *last]))


def _line(file: ModelFile, index: int, row: OperatorRow, what: str) -> str:
    place = row.outputs[0] if row.outputs else ABSENT
    output = f" that writes {file.tensors[place].name!r}" if 0 <= place < len(file.tensors) else ""
    return f"  operator {index} {row.code}{output}: {what}"


def _with_places(file: ModelFile, handlers: Container[str]) -> Iterator[tuple[int, OperatorRow, bool]]:
    """Each operator, and whether no supported operator precedes it: it cannot be left to the application."""
    outside = {*file.inputs, ABSENT} | {i for i, t in enumerate(file.tensors) if t.data is not None}
    for index, row in enumerate(file.operators):
        is_first = outside.issuperset(row.inputs)
        if is_first and row.code not in handlers:
            outside.update(row.outputs)
        yield index, row, is_first


def _objections(file: ModelFile, row: OperatorRow, handlers: Container[str], is_first: bool) -> Iterator[str]:
    """At most one sentence: the problem and a way out."""
    if row.code not in handlers:
        yield INSTEAD.get(row.code, FIRST if is_first else ELSE)
    elif row.options.get("fused_activation_function", 0) not in ACTIVATIONS and row.code not in WITH_STATE:
        number = row.options["fused_activation_function"]
        yield f"fused activation number {number}; use RELU, RELU6, RELU_N1_TO_1 or an operator of its own after it"
    elif row.options.get("weights_format", 0) != 0:
        yield "shuffled weights; convert the model with the default weights format"
    elif objection := _operand_objection(file, row):
        yield objection


def _operand_objection(file: ModelFile, row: OperatorRow) -> str | None:
    for index in (*row.inputs, *row.outputs):
        if not 0 <= index < len(file.tensors):
            continue
        t = file.tensors[index]
        if t.type not in TYPES or (t.type in CONSTANT_TYPES and t.data is None):
            instead = _TYPEINSTEAD.get(t.type, "use INT8, INT16 or FLOAT32")
            return f"tensor {index} ({t.name!r}) is {t.type}; {instead}"
        if t.is_sparse:
            return f"tensor {index} ({t.name!r}) is stored sparse; convert the model without sparse weights"
        if t.is_variable and row.code not in WITH_STATE:
            return f"tensor {index} ({t.name!r}) is a variable tensor; {row.code} has none"
    return None
