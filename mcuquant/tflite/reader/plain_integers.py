"""INT8 and INT16 tensors without a scale, of operators that read stored numbers alone: a scale of 1 says the same."""

from __future__ import annotations

from dataclasses import replace

from ..schema import ModelFile, Quantization
from ..schema.rows import CUSTOM_OPTIONS

SCALE_FREE = frozenset(
    (
        *("CAST", "MAXIMUM", "MINIMUM", "SELECT_V2", "GATHER", "GATHER_ND", "EMBEDDING_LOOKUP"),
        "DYNAMIC_UPDATE_SLICE",
        *("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE", "CONCATENATION", "PACK", "UNPACK", "SPLIT", "SPLIT_V"),
        *("SLICE", "STRIDED_SLICE", "PAD", "REVERSE_V2", "BROADCAST_TO", "TILE", "ZEROS_LIKE", "FILL"),
        *CUSTOM_OPTIONS,
    )
)
"""Operators whose results do not depend on scales."""
_TYPES = ("INT8", "INT16")


def with_unit_scales(file: ModelFile) -> ModelFile:
    """The file with a scale of 1 for each such tensor."""
    scaled = {i for row in file.operators if row.code not in SCALE_FREE for i in (*row.inputs, *row.outputs)}
    touched = {i for row in file.operators for i in (*row.inputs, *row.outputs)} - scaled
    unit = Quantization((1.0,), (0,))
    tensors = tuple(
        replace(t, quantization=unit) if i in touched and t.type in _TYPES and not t.quantization else t
        for i, t in enumerate(file.tensors)
    )
    return replace(file, tensors=tensors) if tensors != file.tensors else file
