"""Operations over the steps of a sequence."""

from __future__ import annotations

from dataclasses import dataclass

from .operation import Op

GATES = 4
"""Input, forget, cell, output: the order of the rows of weights and biases, TFLite's and PyTorch's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lstm(Op):
    """Long short-term memory over T steps, one after the other.

    inputs: x (T*I elements, read as T rows of I), w (4*S, I), r (4*S, S), b (4*S), h (1, S), c (1, S); rows of w, r and
    b are the gates i, f, g, o, each S. outputs: every step's h (T rows of S), the last h (1, S), the last c (1, S).

        i, f, o = sigmoid(w x + b + r h);  g = tanh(w x + b + r h);  c = f c + i g;  h = o tanh(c)

    `cell_clip` limits c to +-cell_clip; 0 does not. Integers: x, h and y are int8 or int16, c is int16 with a scale
    that is a power of two, gates are summed in 1/4096 (TFLite's 8x8->16 and 16x8 kernels).
    """

    cell_clip: float = 0.0
