"""Horizontal bars: cycles of layers, sensitivity of layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...ir.names import clip
from .marks import Picture, Rect, Text

WIDTH = 960.0
_NUMBER, _LABEL, _VALUE = 26.0, 284.0, 130.0
"""Positions of numbers and bars, and the width after the bars."""
_ROW, _BAR = 24.0, 16.0
_NAME = 32
"""Number of characters of a name that fit the label."""

KINDS = {"Conv2D": "kind-conv", "DepthwiseConv2D": "kind-depthwise", "FullyConnected": "kind-dense"}
OTHER = "kind-other"


@dataclass(frozen=True, slots=True)
class Bar:
    """One row. `value` None is a row without a bar."""

    number: str
    """The name of the step; "" for a row that is no step."""
    label: str
    value: float | None
    text: str
    """The text after the bar."""
    style: str
    title: str


def bars(title: str, summary: str, rows: Sequence[Bar], legend: tuple[tuple[str, str], ...] = ()) -> Picture:
    """Lengths are proportional to the values; negative ones extend to the left of zero."""
    values = [row.value for row in rows if row.value is not None]
    low, high = min([0.0, *values]), max([0.0, *values])
    width = WIDTH - _LABEL - _VALUE
    scale = width / (high - low) if high > low else 0.0
    zero = _LABEL - low * scale
    rects: list[Rect] = []
    texts: list[Text] = []
    for i, row in enumerate(rows):
        top, middle = i * _ROW, i * _ROW + _ROW / 2 + 4
        length = (row.value or 0.0) * scale
        rects.append(Rect(min(zero, zero + length), top + (_ROW - _BAR) / 2, abs(length), _BAR, row.style, row.title))
        texts.append(Text(_NUMBER, middle, row.number, "end", "axis"))
        texts.append(Text(_LABEL - 8, middle, clip(row.label, _NAME), "end", title=row.label))
        texts.append(Text(max(zero, zero + length) + 6, middle, row.text, style="value"))
    height = max(1, len(rows)) * _ROW
    return Picture(title, summary, WIDTH, height, tuple(rects), texts=tuple(texts), legend=legend)


def style_of(op: str) -> str:
    return KINDS.get(op, OTHER)


def kinds_legend(ops: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The used colors and their meanings."""
    styles = [(style, op) for op, style in KINDS.items() if op in ops]
    return (*styles, (OTHER, "other")) if any(op not in KINDS for op in ops) else tuple(styles)
