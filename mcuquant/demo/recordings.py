"""Reads the smartwatch recordings from their file without executing code of the pickle in it.

The file is numpy's .npy format around a pickled dict of arrays, lists and texts, written by Python 2. A pickle is a
program. This one may only build these four kinds of value, and every name in it refers to a class here that checks its
arguments. numpy itself gets plain bytes of a known size and type.
"""

from __future__ import annotations

import io
import math
import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib import format as npy

from ..errors import ModelError
from ..ir import Array

_TYPES = {"f8": "<f8", "i8": "<i8", "O8": "O"}
"""Permitted numpy type codes, and the types to read them as (the file was written on a little-endian machine)."""
_MAX_ELEMENTS = 1 << 24


@dataclass(slots=True)
class _RawType:
    """Stands for numpy.dtype while unpickling."""

    code: str

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if len(state) < 2 or state[0] != 3 or state[1] not in ("<", "|"):
            raise pickle.UnpicklingError(f"array type {self.code} with the state {state!r}")


class _RawArray:
    """Stands for numpy.ndarray during unpickling: checks the state, then holds the value as `array`."""

    __slots__ = ("array",)
    array: Array

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        version, shape, kind, fortran, data = state
        count = math.prod(shape)
        if version != 1 or not isinstance(kind, _RawType) or not 0 <= count <= _MAX_ELEMENTS:
            raise pickle.UnpicklingError(f"array of shape {shape} and type {kind!r}")
        self.array = _values(kind, data, count).reshape(shape, order="F" if fortran else "C")


def _values(kind: _RawType, data: Any, count: int) -> Array:
    if kind.code == "O8":
        if not isinstance(data, list) or len(data) != count:
            raise pickle.UnpicklingError("array of objects without a list of them")
        values = np.empty(count, dtype=object)
        values[:] = data
        return values
    return np.frombuffer(data, dtype=_TYPES[kind.code], count=count)


def _reconstruct(*_: Any) -> _RawArray:
    return _RawArray()


def _raw_type(code: str, *_: Any) -> _RawType:
    if code not in _TYPES:
        raise pickle.UnpicklingError(f"array type {code!r}")
    return _RawType(code)


def _encode(text: str, encoding: str) -> bytes:
    """The texts of Python 2's byte strings."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"encoding {encoding!r}")
    return text.encode("latin1")


_NAMES: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): _raw_type,
    ("_codecs", "encode"): _encode,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> Any:
        try:
            return _NAMES[module_name, global_name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}") from None


def read_recordings(data: bytes, source: str = "watch_dataset.npy") -> dict[str, Any]:
    """The dict in the file: `X` a list of (samples, 6) arrays, `y`, `subject` and `side` arrays, two lists of names.

    Raises ModelError, with `source`, if the bytes are no such file or its pickle contains anything but arrays.
    """
    try:
        stream = io.BytesIO(data)
        npy.read_magic(stream)
        npy.read_array_header_1_0(stream)
        outer = _Unpickler(stream, encoding="ASCII").load()
        recordings = outer.array.item()
        return {key: _plain(value) for key, value in recordings.items()}
    except Exception as error:  # a hostile pickle can raise anything, which must not become a traceback
        raise ModelError(
            f"{source} is not the recordings file it should be ({error}); nothing in it was run. "
            "Delete it and install seglearn 1.2.5 again: pip install --no-deps seglearn==1.2.5"
        ) from error


def _plain(value: Any) -> Any:
    if isinstance(value, _RawArray):
        return value.array
    return [_plain(item) for item in value] if isinstance(value, list) else value
