"""The .tflite container as plain values: `read` converts bytes to rows, `write` rows to bytes,
without interpretation.
"""

from .read import MAX_FILE_BYTES, read
from .rows import ModelFile, OperatorRow, Quantization, TensorRow, printable
from .write import write

__all__ = ["MAX_FILE_BYTES", "ModelFile", "OperatorRow", "Quantization", "TensorRow", "printable", "read", "write"]
