"""Compares two measurements of one network on one board."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import OutputError

_NAMES = ("board", "core", "counter")
_SAME = (*_NAMES, "clock_hz")
_SIZES = ("flash_bytes", "ram_bytes", "arena_bytes", "stack_bytes")
_COUNTS = ("cycles", "instructions")


@dataclass(frozen=True, slots=True)
class Change:
    """One number before and after; smaller is better for all of them."""

    name: str
    old: float
    new: float

    @property
    def growth(self) -> float:
        """The relative change: 0.02 is an increase of 2 %. Infinite for an increase from 0."""
        if self.old == 0:
            return float("inf") if self.new > 0 else 0.0
        return (self.new - self.old) / self.old

    def is_worse(self, tolerance: float) -> bool:
        return self.growth > tolerance


def tolerance_of(text: str) -> float:
    """ "2%" or "2.5 %" → 0.02, 0.025. Raises OutputError for other text: a bare 2 is ambiguous."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?%", text.strip())
    if match is None:
        raise OutputError(f"tolerance {text!r} is not a percentage; write it like 2% or 0.5%")
    return float(match[1]) / 100


def load_measurement(path: Path) -> Mapping[str, Any]:
    """The content of a file of `mcuquant bench DIR --json FILE`. Raises OutputError for other files."""
    try:
        measurement = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OutputError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise OutputError(f"{path} is not JSON: {error}") from error
    needed = (*_SAME, "macs", *_SIZES, "latency_us", "layers")
    missing = [key for key in needed if not isinstance(measurement, dict) or key not in measurement]
    if missing:
        raise OutputError(
            f"{path} is not a measurement: it has no {missing[0]!r}; make one: mcuquant bench DIR --json {path}"
        )
    assert isinstance(measurement, dict)
    _check_values(measurement, path)
    return measurement


def _check_values(measurement: Mapping[str, Any], path: Path) -> None:
    """Raises OutputError for a value of another type, as in an edited file."""
    unit = str(measurement["counter"]).partition(" ")[0]
    counts = {unit, *(name for name in _COUNTS if name in measurement)}
    numbers = ["clock_hz", "macs", *_SIZES, "latency_us", *sorted(counts)]
    _check_types(measurement, dict.fromkeys(_NAMES, str) | dict.fromkeys(numbers, (int, float)), str(path))
    if not isinstance(measurement["layers"], list):
        raise OutputError(f"{path}: 'layers' is {measurement['layers']!r}, expected a list; measure again")
    for i, row in enumerate(measurement["layers"]):
        _check_types(row if isinstance(row, dict) else {}, {"name": str, unit: (int, float)}, f"{path}, layer {i}")


def _check_types(row: Mapping[str, Any], types: Mapping[str, type | tuple[type, ...]], where: str) -> None:
    """Raises OutputError for another type, and for numbers that no measurement has: NaN, infinity and below 0."""
    for key, kind in types.items():
        value = row.get(key)
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf
        if not isinstance(value, kind) or (kind is not str and not is_number):
            expected = "a string" if kind is str else "a number >= 0"
            raise OutputError(f"{where}: {key!r} is {value!r}, expected {expected}; measure again")


def compare(old: Mapping[str, Any], new: Mapping[str, Any], any_network: bool = False) -> tuple[Change, ...]:
    """Every number that both have: flash, RAM, cycles or instructions, latency; then the layers' counts.

    Raises OutputError for different boards, cores, counters or clocks, or, unless `any_network`, different networks
    (see `ir.metrics.structure_digest`).
    """
    for key in _SAME:
        if old[key] != new[key]:
            values = f"{old[key]!r} and {new[key]!r}"
            raise OutputError(
                f"the measurements differ in {key}: {values}; only measurements of the same one can be compared"
            )
    structures = {m["structure_digest"] for m in (old, new) if m.get("structure_digest")}
    if not any_network and len(structures) == 2:
        raise OutputError(
            f"the measurements are of different networks, {old['network']!r} and {new['network']!r}: their inputs, "
            "outputs or operations differ; --any-network compares them anyway"
        )
    names = [*_SIZES, *(unit for unit in _COUNTS if unit in old and unit in new), "latency_us"]
    return tuple(Change(name, old[name], new[name]) for name in names)


def layer_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Change, ...]:
    """Counts by layer, if both networks have the same layers in the same order; else none."""
    if [row["name"] for row in old["layers"]] != [row["name"] for row in new["layers"]]:
        return ()
    unit = str(old["counter"]).partition(" ")[0]
    pairs = zip(old["layers"], new["layers"], strict=True)
    return tuple(Change(f"{i} {a['name']}", a[unit], b[unit]) for i, (a, b) in enumerate(pairs))


def worse(changes: Iterable[Change], tolerance: float) -> tuple[Change, ...]:
    return tuple(change for change in changes if change.is_worse(tolerance))
