"""A program whose weights lie in flash as a Huffman code and are unpacked into RAM before the first inference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .huffman import encode
from .lower import rows
from .program import CArray, CCoded, Program

WORTHWHILE = 0.95
"""Of an array's bytes: a code that is longer is not used."""


def with_huffman(program: Program) -> Program:
    """Every array of weights that gets smaller by it, coded. Its bytes count as RAM too."""
    return replace(program, arrays=tuple(map(_coded, program.arrays)))


def _coded(array: CArray) -> CArray:
    if not (array.name.startswith("weights") and array.nbytes):
        return array
    data = encode(np.ascontiguousarray(array.data).tobytes())
    if data.nbytes > WORTHWHILE * array.nbytes:
        return array
    return replace(array, coded=CCoded(f"{array.name}_coded", int(data.size), rows(data)))
