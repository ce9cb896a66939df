"""Accuracy against a cost: a numbered point for each network, and a line through the Pareto-optimal ones."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from ..record import Record, best
from .marks import Dot, Line, Picture, Text, polyline, short, ticks

_WIDTH, _HEIGHT = 460.0, 300.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 54.0, 16.0, 14.0, 44.0
_RADIUS = 9.0
_SMALL = 4.0


def scatter(title: str, axis: str, cost: str, records: Mapping[int, Record]) -> Picture:
    """`records` by their numbers in the table; `cost` is a field of Record, `axis` the title of its axis."""
    known = {n: r for n, r in records.items() if r.quality is not None and getattr(r, cost) is not None}
    across = ticks(*_span([float(getattr(r, cost)) for r in known.values()], math.inf))
    highest, unit = (math.inf, "") if any(r.metric for r in known.values()) else (100.0, " %")
    up = ticks(*_span([_value(r) for r in known.values()], highest))

    def place(record: Record) -> tuple[float, float]:
        x = _at(getattr(record, cost), across, _LEFT, _WIDTH - _RIGHT)
        return x, _at(_value(record), up, _HEIGHT - _BOTTOM, _TOP)

    front = best(known.values(), cost)
    places = {n: place(r) for n, r in sorted(known.items(), key=lambda item: (item[1] not in front, item[0]))}
    numbered = _with_room(places)
    dots = [_dot(n, known[n], cost, at, n in numbered, known[n] in front) for n, at in reversed(places.items())]
    labels = [Text(x, y + 3.5, str(n), "middle", "number") for n, (x, y) in places.items() if n in numbered]
    return Picture(
        title=title,
        summary=f"Networks: {len(known)}; Pareto-optimal: {len(front)}. The table below lists all.",
        width=_WIDTH,
        height=_HEIGHT,
        lines=(*_grid(across, up), polyline([place(r) for r in front], "front")),
        dots=tuple(dots),
        texts=(*_axes(across, up, axis, unit), *labels),
    )


def _value(record: Record) -> float:
    """Accuracy in percent, or the value of another metric."""
    return (record.metric_value or 0.0) if record.accuracy is None else 100 * record.accuracy


def _with_room(places: Mapping[int, tuple[float, float]]) -> set[int]:
    """Points whose number does not overlap an earlier one."""
    numbered: set[int] = set()
    for n, (x, y) in places.items():
        if all(math.hypot(x - places[m][0], y - places[m][1]) >= 2 * _RADIUS for m in numbered):
            numbered.add(n)
    return numbered


def _span(values: Sequence[float], most: float) -> tuple[float, float]:
    """From the least to the largest value, extended a bit within 0 and `most`; never of zero width."""
    low, high = min(values), max(values)
    room = (high - low) * 0.1 or high * 0.1 or 1.0
    return (max(0.0, low - room) if low >= 0 else low - room), min(most, high + room)


def _at(value: float, marks: Sequence[float], low: float, high: float) -> float:
    return low + (value - marks[0]) / (marks[-1] - marks[0]) * (high - low)


def _dot(number: int, record: Record, cost: str, at: tuple[float, float], numbered: bool, front: bool) -> Dot:
    title = f"{number} {record.label}: {record.quality_text}, {getattr(record, cost):,} {_UNITS[cost]}"
    return Dot(*at, _RADIUS if numbered else _SMALL, "point best" if front else "point", title)


_UNITS = {
    "weight_bytes": "bytes of weights",
    "cycles": "cycles",
    "macs": "multiply-accumulates",
    "constant_bytes": "bytes of constants",
    "arena_bytes": "bytes of arena",
    "flash_bytes": "bytes of flash",
    "ram_bytes": "bytes of RAM",
}


def _grid(across: Sequence[float], up: Sequence[float]) -> Iterator[Line]:
    for mark in across:
        x = _at(mark, across, _LEFT, _WIDTH - _RIGHT)
        yield polyline([(x, _TOP), (x, _HEIGHT - _BOTTOM)], "grid")
    for mark in up:
        y = _at(mark, up, _HEIGHT - _BOTTOM, _TOP)
        yield polyline([(_LEFT, y), (_WIDTH - _RIGHT, y)], "grid")


def _axes(across: Sequence[float], up: Sequence[float], axis: str, unit: str) -> Iterator[Text]:
    for mark in across:
        yield Text(_at(mark, across, _LEFT, _WIDTH - _RIGHT), _HEIGHT - _BOTTOM + 16, short(mark), "middle", "axis")
    for mark in up:
        yield Text(_LEFT - 6, _at(mark, up, _HEIGHT - _BOTTOM, _TOP) + 4, f"{mark:.4g}{unit}", "end", "axis")
    yield Text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 8, axis, "middle", "axis")
