"""Hypothesis strategies for what users write: tables of recipes, recordings, and words of a command line."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import click
import numpy as np
from hypothesis import strategies as st

ODD_NUMBERS = st.sampled_from(
    [-1, 0, 1, 2, 3, 7, 10**6, 2**31, 2**63, -0.5, 0.5, 1e-300, 1e300, float("nan"), float("inf")]
)
ODD_TEXTS = st.sampled_from(
    ["", "x", "-1", "25 %", "150 %", "0 %", "nan", "../net.py", "a:b", "net.py:missing", "\u2603 %n", "a" * 300]
)
ODD_VALUES = st.one_of(
    ODD_NUMBERS,
    ODD_TEXTS,
    st.booleans(),
    st.lists(ODD_NUMBERS, max_size=3),
    st.dictionaries(ODD_TEXTS, ODD_NUMBERS, max_size=2),
    st.just([["x"]]),
)


# --- Recipes: TOML tables by the fields of their dataclasses ----------------------------------------------------------

Known = Mapping[str, st.SearchStrategy[Any]]


def tables(cls: type, known: Known, prefix: str = "") -> st.SearchStrategy[dict[str, Any]]:
    """Tables with some of the keys of a dataclass, mostly with values of the right type, sometimes with others.

    `known` has strategies for keys ("prune.target") that need more than a type.
    """
    hints = typing.get_type_hints(cls)
    fields = {f.name: mostly(_strategy(hints[f.name], known, prefix + f.name)) for f in dataclasses.fields(cls)}
    some = st.fixed_dictionaries({}, optional=fields)
    return mostly(some, st.builds(dict.__or__, some, st.dictionaries(ODD_TEXTS, ODD_VALUES, min_size=1, max_size=1)))


def with_one_of(cls: type, known: Known, prefix: str, keys: Iterable[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Tables of a dataclass of which one of `keys` is needed, mostly with exactly one of them."""
    whole, forms = tables(cls, known, prefix), tuple(keys)
    hints = typing.get_type_hints(cls)
    one = st.one_of(*(st.fixed_dictionaries({k: _strategy(hints[k], known, prefix + k)}) for k in forms))
    single = st.builds(lambda table, form: {k: v for k, v in table.items() if k not in forms} | form, whole, one)
    return mostly(single, whole)


def mostly(values: st.SearchStrategy[Any], odd: st.SearchStrategy[Any] = ODD_VALUES) -> st.SearchStrategy[Any]:
    return st.integers(0, 49).flatmap(lambda n: odd if n == 37 else values)


def _strategy(hint: Any, known: Known, key: str) -> st.SearchStrategy[Any]:
    return known[key] if key in known else _of_type(hint, known, f"{key}.")


def _of_type(hint: Any, known: Known, prefix: str) -> st.SearchStrategy[Any]:
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return st.one_of(*(_of_type(p, known, prefix) for p in parts if p is not type(None)))
    if origin is tuple:
        return st.lists(_of_type(parts[0], known, prefix), max_size=3)
    if origin is not None:
        return st.dictionaries(ODD_TEXTS, _of_type(parts[1], known, prefix), max_size=2)
    if dataclasses.is_dataclass(hint):
        return tables(hint, known, prefix)  # type: ignore[arg-type]
    if issubclass(hint, StrEnum):
        return st.sampled_from([str(choice) for choice in hint])
    simple = {
        bool: st.booleans(),
        str: ODD_TEXTS,
        int: st.integers(-1, 4),
        float: st.one_of(st.floats(0, 1), st.floats(-2, 50)),
    }
    return simple[hint]


def toml(table: Mapping[str, Any], path: tuple[str, ...] = ()) -> str:
    """A table as TOML."""
    plain = {k: v for k, v in table.items() if not isinstance(v, dict)}
    lines = [f"{_key(k)} = {_value(v)}" for k, v in plain.items()]
    for key, inner in table.items():
        if isinstance(inner, dict):
            name = (*path, key)
            lines += [f"[{'.'.join(map(_key, name))}]", toml(inner, name)]
    return "\n".join(lines) + "\n"


def _key(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _value(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return _key(value)
        case list() | tuple():
            return "[" + ", ".join(map(_value, value)) + "]"
        case dict():
            return "{" + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + "}"
        case int() | float():
            return repr(value).replace("e+", "e")
    raise TypeError(value)


# --- Recordings -------------------------------------------------------------------------------------------------------

_SHAPES = st.one_of(st.tuples(st.integers(0, 40), st.just(3)), st.lists(st.integers(0, 20), max_size=3).map(tuple))
_TYPES = st.sampled_from(["i2", "i2", "f4", "f8", "i1", "u1", "i8", "u8", "f2", "?", "c8", "U3", "S2", "M8[s]"])


@st.composite
def arrays(draw: st.DrawFn) -> np.ndarray[Any, Any]:
    """Of any type and shape, often int16 or float of (samples, 3), with values beyond what a sensor gives."""
    shape, kind = draw(_SHAPES), np.dtype(draw(_TYPES))
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    if kind.kind in "US":
        return np.full(shape, "ab", kind)
    values = rng.normal(size=shape) * draw(st.sampled_from([0.0, 1.0, 100.0, 1e5, 1e30]))
    if kind.kind == "f":
        with np.errstate(over="ignore"):
            x = values.astype(kind)
        flat = x.reshape(-1)
        if flat.size:
            flat[draw(st.integers(0, flat.size - 1))] = draw(st.sampled_from([0.0, float("nan"), float("inf")]))
        return x
    if kind.kind in "iu":
        info = np.iinfo(kind)
        return np.clip(values, float(info.min) / 2, float(info.max) / 2).astype(kind)
    return np.zeros(shape, kind)


_RECORDING = st.builds(
    lambda name, length, scale, seed: {name: (np.random.default_rng(seed).normal(size=(length, 3)) * scale)},
    st.sampled_from(["raw", "x"]),
    st.integers(6, 40),
    st.sampled_from([1.0, 1000.0]),
    st.integers(0, 9),
).map(lambda arrays: {name: x.astype(np.int16) if name == "raw" else x for name, x in arrays.items()})
_WILD_ARRAYS = st.dictionaries(
    st.sampled_from(["raw", "x", "rate_hz", "y", ""]),
    st.one_of(arrays(), st.sampled_from([np.array(50.0), np.array("fast")])),
    max_size=3,
)


def damaged(data: bytes, damage: tuple[int, int] | None) -> bytes:
    """Bytes cut at a place, or with one byte changed."""
    if damage is None or not data:
        return data
    place, byte = damage
    place %= len(data)
    return data[:place] if byte < 0 else data[:place] + bytes([byte]) + data[place + 1 :]


RECORDINGS = st.one_of(_WILD_ARRAYS, _RECORDING, st.builds(dict.__or__, _RECORDING, _WILD_ARRAYS))
DAMAGE = st.one_of(st.none(), st.none(), st.none(), st.none(), st.tuples(st.integers(0, 10**6), st.integers(-1, 255)))


# --- Command lines ----------------------------------------------------------------------------------------------------

WORDS = st.sampled_from(
    [
        "",
        "-1",
        "0",
        "1",
        "2",
        "8",
        "40K",
        "1e400",
        "nan",
        "inf",
        "x",
        "2%",
        "0.5 %",
        "-3%",
        "all",
        "speed",
        "size",
        "int16",
        "qemu-mps2-an386",
        "pico",
        "none",
        "50",
        "0.6",
        "a" * 200,
        "\u2603",
        "layer=4",
        "relu",
    ]
)


def command_lines(
    command: click.Command, paths: st.SearchStrategy[Path], skipped: frozenset[str]
) -> st.SearchStrategy[list[str]]:
    """Arguments and some options of a command, with the paths given, mostly with values of the right kind."""
    arguments = [p for p in command.params if isinstance(p, click.Argument)]
    options = [p for p in command.params if isinstance(p, click.Option) and not skipped & set(p.opts)]
    return st.builds(
        lambda words, chosen: [*words, *(word for option in chosen for word in option)],
        st.tuples(*(paths.map(str) for p in arguments for _ in range(2 if p.nargs < 0 else 1))),
        st.lists(st.sampled_from(options).flatmap(lambda p: _option(p, paths)), max_size=4) if options else st.just([]),
    )


def _option(option: click.Option, paths: st.SearchStrategy[Path]) -> st.SearchStrategy[list[str]]:
    name = max(option.opts, key=len)
    if option.is_flag:
        return st.just([name])
    match option.type:
        case click.Choice():
            values = mostly(st.sampled_from([str(c) for c in option.type.choices]), WORDS)
        case click.Path():
            values = mostly(paths.map(str), WORDS)
        case _:
            values = WORDS
    return values.map(lambda value: [name, value])
