"""The base class of all operations, and the types of their attributes."""

from __future__ import annotations

import enum
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

Pair = tuple[int, int]
"""(along the height, along the width)."""


class Activation(enum.StrEnum):
    """Clamp fused into the operation before it; the bounds are real values."""

    NONE = "none"
    RELU = "relu"
    RELU6 = "relu6"
    RELU_N1_TO_1 = "relu_n1_to_1"

    @property
    def bounds(self) -> tuple[float, float]:
        return _BOUNDS[self]


_BOUNDS = {
    Activation.NONE: (-np.inf, np.inf),
    Activation.RELU: (0.0, np.inf),
    Activation.RELU6: (0.0, 6.0),
    Activation.RELU_N1_TO_1: (-1.0, 1.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Padding:
    """Rows and columns around the image. They count as real zero (average pooling ignores them)."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    @property
    def any(self) -> bool:
        return bool(self.top or self.bottom or self.left or self.right)


NO_PADDING = Padding()


@dataclass(frozen=True, slots=True, kw_only=True)
class Op:
    """Base of all operations. `inputs` and `outputs` are tensor ids; output shapes are those of the output tensors."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @property
    def kind(self) -> str:
        return type(self).__name__

    @property
    def output(self) -> int:
        return self.outputs[0]

    @property
    def inner(self) -> tuple[int, ...]:
        """Tensors of the table that exist only inside the operation."""
        return ()

    def attributes(self) -> dict[str, Any]:
        """The attributes, in declaration order."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("inputs", "outputs")}
