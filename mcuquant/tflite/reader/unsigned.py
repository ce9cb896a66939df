"""Tensors of uint8, as quantized by TensorFlow 1 and delivered by cameras, are read as int8: values and zero points
minus 128.

Operators that move values, and those whose uint8 kernel is the int8 kernel with other limits, give equal results.
Others round differently: average pooling of ties, tables, means.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ...ir import QParams, Tensor
from ..schema import ModelFile, OperatorRow
from ..schema.rows import PADDING_VALID

_SAME = frozenset(
    (
        *("QUANTIZE", "DEQUANTIZE", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "MAX_POOL_2D", "SOFTMAX"),
        *("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "RELU", "ARG_MAX", "SHAPE"),
        *("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE", "PAD", "PADV2", "MIRROR_PAD", "PACK", "UNPACK", "SPLIT"),
        *("SPLIT_V", "SLICE", "STRIDED_SLICE", "GATHER", "RESIZE_NEAREST_NEIGHBOR", "DEPTH_TO_SPACE"),
        *("SELECT_V2", "GATHER_ND", "EMBEDDING_LOOKUP", "DYNAMIC_UPDATE_SLICE"),
        *("EQUAL", "NOT_EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL"),
        *("SPACE_TO_DEPTH", "SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND", "REVERSE_V2", "TILE", "BROADCAST_TO"),
    )
)


def is_unsigned(file: ModelFile, index: int) -> bool:
    return 0 <= index < len(file.tensors) and file.tensors[index].type == "UINT8"


def is_exact(file: ModelFile, row: OperatorRow) -> bool:
    """Whether the operator's results are those of uint8 if its uint8 tensors are read as int8."""
    if not any(is_unsigned(file, i) for i in (*row.inputs, *row.outputs)):
        return True
    if row.code in ("CONCATENATION", "RELU6"):
        return len({file.tensors[i].quantization for i in (*row.inputs, *row.outputs)}) == 1
    if row.code == "AVERAGE_POOL_2D":
        window = int(row.options.get("filter_height", 0)) * int(row.options.get("filter_width", 0))  # type: ignore[arg-type]
        return window % 2 == 1 and row.options.get("padding") == PADDING_VALID
    return row.code in _SAME


def refusal(file: ModelFile) -> str | None:
    """One sentence about all operators that are not exact."""
    rows = [f"operator {i} ({row.code})" for i, row in enumerate(file.operators) if not is_exact(file, row)]
    if not rows:
        return None
    more = "" if len(rows) == 1 else f" and {len(rows) - 1} more" if len(rows) > 2 else f" and {rows[1]}"
    verb = "rounds" if len(rows) == 1 else "round"
    return f"{rows[0]}{more} of uint8 {verb} otherwise than of int8; convert the model with int8 quantization"


def notes(file: ModelFile) -> Iterator[str]:
    for word, indices in (("input", file.inputs), ("output", file.outputs)):
        names = [repr(file.tensors[i].name) for i in indices if is_unsigned(file, i)]
        if names:
            plural = "s" if len(names) > 1 else ""
            verb = "are" if plural else "is"
            yield f"{word}{plural} {', '.join(names[:4])} {verb} uint8 in the file and int8 here: each value less 128"


def signed_weights(w: Tensor, channel_axis: int, with_zero_point: bool) -> Tensor:
    """Weights that were uint8, as int8 without a zero point if they fit, else with one."""
    values, q = w.integer_values, w.qparams
    if int(values.min()) >= -128 and int(values.max()) <= 127:
        return replace(w, data=values.astype(np.int8), q=QParams(q.scale, 0, q.axis))
    if with_zero_point:
        return w
    zeros = (q.zero_point,) * w.shape[channel_axis]
    return replace(w, q=QParams(q.scale, 0, channel_axis, zeros))
