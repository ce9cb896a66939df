"""A program whose weights are stored in flash as a Huffman code and unpacked into RAM before the first inference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .huffman import encode
from .lower import rows
from .program import CArray, CCoded, Program

WORTHWHILE = 0.95
"""Maximum bytes of a code relative to those of the array: a longer code is not used."""


def with_huffman(program: Program) -> Program:
    """The program with a code for every array of weights that it makes smaller. Unpacked arrays count as RAM."""
    return replace(program, arrays=tuple(map(_coded, program.arrays)))


def _coded(array: CArray) -> CArray:
    if not (array.name.startswith("weights") and array.nbytes):
        return array
    data = encode(np.ascontiguousarray(array.data).tobytes())
    if data.nbytes > WORTHWHILE * array.nbytes:
        return array
    return replace(array, coded=CCoded(f"{array.name}_coded", int(data.size), rows(data)))
