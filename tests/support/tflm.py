"""The TensorFlow Lite Micro interpreter, whose reference kernels are what outputs are compared with."""

from __future__ import annotations

from collections.abc import Sequence

from tflite_micro import runtime

from mcuquant.ir import Array

ARENA_BYTES = 1 << 22
"""Its own choice, ten times the file, is too small for small files with large activations."""


def run(model: bytes, inputs: Sequence[Array], outputs: int = 1) -> list[Array]:
    interpreter = runtime.Interpreter.from_bytes(model, arena_size=ARENA_BYTES)
    for i, x in enumerate(inputs):
        interpreter.set_input(x, i)
    interpreter.invoke()
    return [interpreter.get_output(i) for i in range(outputs)]
