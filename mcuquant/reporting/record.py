"""Accuracy and costs of one network: the JSON that compression and search write and `report` reads.

A file holds `{"records": [{"label": ..., "weight_bytes": ..., ...}, ...]}`. A file named
RECORDS in a project's folder describes the project's network and the networks it was made from.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ..errors import OutputError

RECORDS = "records.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One network on one board. None is "unknown"; for all fields but accuracy and merit, smaller is better."""

    label: str
    """A name for readers: "float", "pruned to 50 %", "trial 17"."""
    weight_bytes: int
    """Bytes of weights and biases at their own bit widths, independent of kernels."""
    macs: int | None = None
    """Multiply-accumulates of one inference."""
    accuracy: float | None = None
    """The fraction of correct classifications, 0 to 1."""
    metric: str = ""
    """Name of another metric than accuracy."""
    metric_value: float | None = None
    """Its value."""
    merit: float | None = None
    """The value, or its negative where smaller is better: larger for a better network."""
    accuracy_source: str = ""
    """The data and the program, such as "1,000 test samples, interpreter"."""
    constant_bytes: int | None = None
    """Bytes of constants in flash, as the kernels read them."""
    arena_bytes: int | None = None
    """Bytes of activations and scratch in RAM."""
    flash_bytes: int | None = None
    """Flash bytes of the whole firmware."""
    ram_bytes: int | None = None
    """RAM bytes of the whole firmware, including the stack."""
    cycles: int | None = None
    """Count of one inference."""
    cycles_source: str = ""
    """The source of the count: a text of `device.measure.Counter`, or "estimated by the cost model"."""
    board: str = ""

    @property
    def quality(self) -> float | None:
        """Larger for a better network: accuracy, or the merit of another metric."""
        return self.merit if self.accuracy is None else self.accuracy

    @property
    def quality_text(self) -> str:
        """The metric for readers: a percentage of accuracy, or name and value; "-" if unknown."""
        if self.accuracy is not None:
            return f"{100 * self.accuracy:.2f} %"
        return "-" if self.metric_value is None else f"{self.metric} {self.metric_value:.4g}"

    def to_json(self) -> dict[str, Any]:
        """Plain values without unknown ones."""
        return {key: value for key, value in asdict(self).items() if value not in (None, "")}


def records_text(records: Iterable[Record]) -> str:
    """The content of a file of records."""
    return json.dumps({"records": [record.to_json() for record in records]}, indent=2) + "\n"


def load_records(path: Path) -> tuple[Record, ...]:
    """The records of a file. OutputError, with the place, for anything else."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OutputError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise OutputError(f"{path} is not JSON: {error}") from error
    rows = table.get("records") if isinstance(table, dict) else None
    if not isinstance(rows, list):
        raise OutputError(f'{path} holds no records; expected {{"records": [...]}}, as compress and search write it')
    return tuple(_record(row, f"{path}, record {i}") for i, row in enumerate(rows))


_KINDS: Mapping[str, tuple[type | tuple[type, ...], str]] = {
    "str": (str, "a string"),
    "int": (int, "an integer"),
    "int | None": (int, "an integer"),
    "float | None": ((int, float), "a number"),
}


def _record(row: object, where: str) -> Record:
    if not isinstance(row, dict):
        raise OutputError(f"{where}: expected a table of values, found {row!r}")
    known = {f.name: _KINDS[str(f.type)] for f in fields(Record)}
    for key, value in row.items():
        if key not in known:
            raise OutputError(f"{where}: unknown key {key!r}; there are {', '.join(known)}")
        kind, words = known[key]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise OutputError(f"{where}: {key!r} must be {words}, found {value!r}")
    for key in ("label", "weight_bytes"):
        if key not in row:
            raise OutputError(f"{where}: key {key!r} is missing")
    record = Record(**row)
    _check_ranges(record, where)
    return record


def _check_ranges(record: Record, where: str) -> None:
    if record.accuracy is not None and not 0 <= record.accuracy <= 1:
        raise OutputError(f"{where}: 'accuracy' must be from 0 to 1, found {record.accuracy}")
    for key in ("weight_bytes", "macs", "constant_bytes", "arena_bytes", "flash_bytes", "ram_bytes", "cycles"):
        value = getattr(record, key)
        if value is not None and value < 0:
            raise OutputError(f"{where}: {key!r} must not be negative, found {value}")


def best(records: Iterable[Record], cost: str) -> tuple[Record, ...]:
    """The Pareto-optimal ones by quality and `cost` (a field's name), the cheapest first.

    Records without either number are left out.
    """
    known = [(r.quality, r) for r in records if r.quality is not None and getattr(r, cost) is not None]
    front: list[Record] = []
    highest = -math.inf
    for quality, record in sorted(known, key=lambda pair: (getattr(pair[1], cost), -pair[0], pair[1].label)):
        if quality > highest:
            front.append(record)
            highest = quality
    return tuple(front)
