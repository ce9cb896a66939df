"""The .tflite container as plain values: `read` bytes to rows, `write` rows to bytes; neither gives them a meaning."""

from .read import read
from .rows import ModelFile, OperatorRow, Quantization, TensorRow
from .write import write

__all__ = ["ModelFile", "OperatorRow", "Quantization", "TensorRow", "read", "write"]
