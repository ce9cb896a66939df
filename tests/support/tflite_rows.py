"""A small builder of .tflite files by rows, for operators and faults that no graph exports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mcuquant.tflite.schema import ModelFile, OperatorRow, Quantization, TensorRow, write
from mcuquant.tflite.schema.rows import OPTIONS

Shape = tuple[int, ...]
STORED = {"FLOAT32": "<f4", "FLOAT16": "<f2", "INT8": "i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8", "BOOL": "?"}
DEFAULTS: dict[str, Any] = {
    **dict.fromkeys(("stride_w", "stride_h", "dilation_w_factor", "dilation_h_factor", "depth_multiplier"), 1),
    "padding": 1,
    "beta": 1.0,
    "new_shape": (),
    "squeeze_dims": (),
}


@dataclass
class Rows:
    """Tensors are named x0, x1 ... in order of their making; activations are `type` with scale 0.5 and zero point 3."""

    type: str = "INT8"
    tensors: list[TensorRow] = field(default_factory=list)
    operators: list[OperatorRow] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)

    def tensor(self, shape: Shape, type: str = "", **more: Any) -> int:
        type = type or self.type
        zero_point = 3 if type == "INT8" else 0
        quantization = Quantization((0.5,), (zero_point,)) if type in ("INT8", "INT16", "INT4") else None
        row = TensorRow(f"x{len(self.tensors)}", tuple(shape), type, quantization=quantization)
        self.tensors.append(replace(row, **more))
        return len(self.tensors) - 1

    def input(self, shape: Shape, type: str = "", **more: Any) -> int:
        self.inputs.append(self.tensor(shape, type, **more))
        return self.inputs[-1]

    def constant(self, values: Any, type: str = "INT32", scale: float | Sequence[float] = (), axis: int = 0) -> int:
        array = np.asarray(values)
        scales = tuple(np.atleast_1d(scale))
        q = Quantization(scales, (0,) * len(scales), axis) if scales else None
        return self.tensor(array.shape, type, data=array.astype(STORED[type]).tobytes(), quantization=q)

    def op(self, code: str, inputs: Sequence[int], *shapes: Shape, **options: Any) -> Any:
        """Append an operator; its output, or outputs, of these shapes."""
        type = options.pop("type", "")
        outputs = tuple(self.tensor(shape, type) for shape in shapes)
        known = {name: options.pop(name, DEFAULTS.get(name, 0)) for name in OPTIONS.get(code, ("", ()))[1]}
        assert not options, options
        self.operators.append(OperatorRow(code, tuple(inputs), outputs, known))
        return outputs[0] if len(outputs) == 1 else outputs

    def file(self, *outputs: int) -> ModelFile:
        return ModelFile("net", tuple(self.tensors), tuple(self.operators), tuple(self.inputs), outputs)

    def bytes(self, *outputs: int) -> bytes:
        return write(self.file(*outputs))
