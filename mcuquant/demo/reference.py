"""TensorFlow Lite Micro's own outputs, if its interpreter is installed (there are wheels for some platforms only)."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np

from ..ir import Array

_ARENA_BYTES = 1 << 20


def outputs(model: bytes, stored: Array) -> Array | None:
    """(N, ...) of a .tflite with one input and one output; None without the package tflite-micro."""
    if find_spec("tflite_micro") is None:
        return None
    from tflite_micro import runtime

    interpreter = runtime.Interpreter.from_bytes(model, arena_size=_ARENA_BYTES)
    return np.concatenate([_one(interpreter, stored[i : i + 1]) for i in range(len(stored))])


def _one(interpreter: object, x: Array) -> Array:
    interpreter.set_input(x, 0)  # type: ignore[attr-defined]
    interpreter.invoke()  # type: ignore[attr-defined]
    return np.array(interpreter.get_output(0))  # type: ignore[attr-defined]
