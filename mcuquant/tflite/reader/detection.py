"""TFLite_Detection_PostProcess as the last step of a file: the network ends before it, the application computes it."""

from __future__ import annotations

from dataclasses import replace

from ..schema import ModelFile, OperatorRow

CODE = "CUSTOM 'TFLite_Detection_PostProcess'"


def without_detection(file: ModelFile) -> ModelFile:
    """The file whose outputs are what the operator reads, if it is the last and all outputs of the file are its own."""
    row = _last(file)
    if row is None:
        return file
    others = tuple(r for r in file.operators if r is not row)
    outputs = tuple(dict.fromkeys(i for i in row.inputs if _is_computed(file, i)))
    return replace(file, operators=others, outputs=outputs)


def detection_notes(file: ModelFile) -> tuple[str, ...]:
    """Notes for the user about the operator that `without_detection` removes."""
    row = _last(file)
    if row is None:
        return ()
    names = ", ".join(repr(file.tensors[i].name) for i in row.inputs if _is_computed(file, i))
    anchors = next((f" and the anchors {file.tensors[i].name!r}" for i in row.inputs if _is_constant(file, i)), "")
    return (
        f"TFLite_Detection_PostProcess is left to the application: the network's outputs are {names}; from them"
        f"{anchors} the application decodes boxes and drops overlaps",
    )


def _last(file: ModelFile) -> OperatorRow | None:
    row = next((r for r in file.operators if r.code == CODE), None)
    if row is None or not all(0 <= i < len(file.tensors) for i in row.inputs):
        return None
    read = {i for r in file.operators for i in r.inputs}
    is_last = not read & set(row.outputs) and set(file.outputs) <= set(row.outputs)
    return row if is_last and any(_is_computed(file, i) for i in row.inputs) else None


def _is_constant(file: ModelFile, index: int) -> bool:
    return file.tensors[index].data is not None


def _is_computed(file: ModelFile, index: int) -> bool:
    return not _is_constant(file, index)
