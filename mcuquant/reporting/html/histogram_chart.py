"""Weights of one layer: filled bars for the device's weights, an outline for those of the float network."""

from __future__ import annotations

from ...ir.names import clip
from ..details import WeightHistogram
from .marks import Line, Picture, Rect, Text, polyline, short

_WIDTH, _HEIGHT = 300.0, 110.0
_TOP, _BOTTOM, _SIDE = 6.0, 20.0, 8.0

LEGEND = (("weights-after", "quantized"), ("weights-before", "float network"))


def histogram(w: WeightHistogram) -> Picture:
    bins, plot = len(w.stored), _HEIGHT - _TOP - _BOTTOM
    highest = max([*w.stored, *(w.source or ()), 1])
    step = (_WIDTH - 2 * _SIDE) / bins

    def y(count: int) -> float:
        return _TOP + plot * (1 - count / highest)

    rects = tuple(
        Rect(_SIDE + i * step, y(n), step, _TOP + plot - y(n), "weights-after", _bin_text(w, i, n))
        for i, n in enumerate(w.stored)
        if n
    )
    base = _TOP + plot
    lines: list[Line] = [polyline([(_SIDE, base), (_WIDTH - _SIDE, base)], "grid")]
    if w.source is not None:
        edges = [(_SIDE + (i + d) * step, y(n)) for i, n in enumerate(w.source) for d in (0, 1)]
        lines.append(polyline([(_SIDE, base), *edges, (_WIDTH - _SIDE, base)], "weights-before"))
    limit = short(w.limit)
    texts = (
        Text(_SIDE, _HEIGHT - 5, f"-{limit}", "start", "axis"),
        Text(_WIDTH / 2, _HEIGHT - 5, "0", "middle", "axis"),
        Text(_WIDTH - _SIDE, _HEIGHT - 5, limit, "end", "axis"),
    )
    return Picture(
        title=f"{w.step} {clip(w.name, 30)}",
        summary=_summary(w),
        width=_WIDTH,
        height=_HEIGHT,
        rects=rects,
        lines=tuple(lines),
        texts=texts,
    )


def _bin_text(w: WeightHistogram, index: int, count: int) -> str:
    width = 2 * w.limit / len(w.stored)
    low = -w.limit + index * width
    before = "" if w.source is None else f", {w.source[index]:,} in the float network"
    return f"{low:.3g} to {low + width:.3g}: {count:,} weights{before}"


def _summary(w: WeightHistogram) -> str:
    return (
        f"{w.op}: {w.elements:,} weights of {w.bits} bits, {w.distinct:,} different, "
        f"{100 * w.zeros / max(1, w.elements):.1f} % zero, between -{w.limit:.4g} and {w.limit:.4g}"
    )
