"""Operator versions, which tell readers the kernels that a file needs
(tensorflow/lite/tools/versioning/op_version.cc).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...ir.elementwise_table import ELEMENTWISE

_BY_TYPE: Mapping[str, tuple[int, int, int]] = {
    "CONV_2D": (1, 3, 4),
    "DEPTHWISE_CONV_2D": (1, 3, 5),
    "TRANSPOSE_CONV": (3, 3, 3),
    "FULLY_CONNECTED": (5, 6, 7),
    "BATCH_MATMUL": (1, 2, 3),
    "AVERAGE_POOL_2D": (1, 2, 3),
    "MAX_POOL_2D": (1, 2, 3),
    **{row.tflite: row.versions for row in ELEMENTWISE.values() if row.tflite},
    "SOFTMAX": (1, 2, 3),
    "RELU": (1, 2, 3),
    "RELU6": (1, 2, 3),
    "PAD": (1, 2, 3),
    "PADV2": (1, 2, 3),
    "MEAN": (1, 2, 3),
    "LOG_SOFTMAX": (1, 2, 2),
    "SUM": (1, 2, 2),
    "REDUCE_MAX": (1, 2, 3),
    "REDUCE_MIN": (1, 2, 3),
    "RESIZE_BILINEAR": (1, 2, 4),
    "ARG_MAX": (1, 2, 2),
    "CONCATENATION": (1, 2, 3),
    "STRIDED_SLICE": (1, 2, 4),
    "TRANSPOSE": (1, 2, 2),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (1, 3, 4),
    **dict.fromkeys(("EQUAL", "NOT_EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL"), (1, 2, 2)),
    "GATHER": (1, 2, 4),
    "L2_NORMALIZATION": (1, 2, 2),
    "RESIZE_NEAREST_NEIGHBOR": (3, 3, 4),
}
"""Version for float32, int8 and int16 activations; 1 by default."""

_INT4_WEIGHTS = {"CONV_2D": 7, "DEPTHWISE_CONV_2D": 7, "FULLY_CONNECTED": 10}
_COLUMN = {"FLOAT32": 0, "INT8": 1, "INT16": 2}


def version(code: str, types: Sequence[str]) -> int:
    """Version of `code` over inputs of these element types; the activation's type is first or the widest."""
    if "INT4" in types:
        return _INT4_WEIGHTS.get(code, 1)
    columns = [_COLUMN[t] for t in types if t in _COLUMN]
    return _BY_TYPE.get(code, (1, 1, 1))[max(columns, default=0)]
