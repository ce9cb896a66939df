"""Elements of a picture, in the units of its SVG's viewBox. Python computes them, the template prints them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rect:
    x: float
    y: float
    width: float
    height: float
    style: str
    """Its CSS class."""
    title: str = ""
    """A tooltip, which screen readers read too."""


@dataclass(frozen=True, slots=True)
class Line:
    """A polyline, "x,y x,y ..."."""

    points: str
    style: str


@dataclass(frozen=True, slots=True)
class Text:
    x: float
    y: float
    text: str
    anchor: str = "start"
    """Alignment: start, middle, end."""
    style: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Dot:
    x: float
    y: float
    radius: float
    style: str
    title: str


@dataclass(frozen=True, slots=True)
class Picture:
    """One SVG. `title` names it, `summary` describes it in words."""

    title: str
    summary: str
    width: float
    height: float
    rects: tuple[Rect, ...] = ()
    lines: tuple[Line, ...] = ()
    dots: tuple[Dot, ...] = ()
    texts: tuple[Text, ...] = ()
    legend: tuple[tuple[str, str], ...] = ()
    """(CSS class, meaning)."""


def polyline(points: Sequence[tuple[float, float]], style: str) -> Line:
    return Line(" ".join(f"{x:.1f},{y:.1f}" for x, y in points), style)


def ticks(low: float, high: float, most: int = 6) -> tuple[float, ...]:
    """Round numbers (1, 2 or 5 x 10^n apart) from the last one at or below `low` to the first one
    at or above `high`.
    """
    span = high - low
    if span <= 0 or not math.isfinite(span):
        return (low,)
    rough = span / max(1, most - 1)
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * k for k in (1, 2, 5, 10) if unit * k >= rough * 0.999999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return tuple(round(i * step, 10) for i in range(first, last + 1))


def short(value: float) -> str:
    """A number on an axis: 1,500 → 1.5k, 2,000,000 → 2M."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.4g}{unit}"
    return f"{value:.4g}"
