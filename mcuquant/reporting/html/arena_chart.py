"""The arena over time: steps from left to right, offsets from bottom to top, a rectangle for every buffer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...ir.names import clip
from ..details import Place
from .marks import Line, Picture, Rect, Text, polyline, short, ticks

_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 10.0, 18.0, 40.0
_HEIGHT = 320.0
_NARROW, _WIDE = 22.0, 120.0
"""Minimum and maximum width of a column."""
_PLOT = 888.0
_CHARACTER = 6.6
"""Width of one character in the label of a rectangle."""

LEGEND = (
    ("arena-input", "input"),
    ("arena-activation", "activation"),
    ("arena-output", "output"),
    ("arena-scratch", "scratch of a kernel"),
    ("arena-shared", "bytes that two share, the output running over its input"),
)


def memory_map(places: Sequence[Place], arena_bytes: int, steps: Sequence[str]) -> Picture:
    """`steps` are the names of the steps, in order."""
    columns = len(steps) + 2
    column = min(_WIDE, max(_NARROW, _PLOT / columns))
    width = _LEFT + columns * column + _RIGHT
    top = max([arena_bytes, *(p.offset_bytes + p.size_bytes for p in places)], default=1) or 1
    frame = _Frame(column, _HEIGHT / top)
    rects = [frame.rect(p) for p in places]
    rects += [frame.shared(a, b) for a, b in overlaps(places)]
    marks = [t for t in ticks(0, top) if t <= top]
    return Picture(
        title="Arena over time",
        summary=_summary(places, arena_bytes, steps),
        width=width,
        height=_TOP + _HEIGHT + _BOTTOM,
        rects=tuple(rects),
        lines=tuple(_axes(frame, width, marks, arena_bytes)),
        texts=(*_scale(frame, marks), *_step_numbers(frame, columns), *_labels(frame, places)),
        legend=tuple(entry for entry in LEGEND if entry[0] in {rect.style for rect in rects}),
    )


class _Frame:
    """Converts steps and bytes to the units of the picture. Column 0 is before the first step."""

    def __init__(self, column: float, unit: float) -> None:
        self.column, self.unit = column, unit

    def x(self, step: int) -> float:
        return _LEFT + (step + 1) * self.column

    def y(self, offset_bytes: float) -> float:
        return _TOP + _HEIGHT - offset_bytes * self.unit

    def box(self, first: int, last: int, low: int, high: int, style: str, title: str) -> Rect:
        height = max(1.0, (high - low) * self.unit)
        return Rect(self.x(first), self.y(high), (last - first + 1) * self.column, height, style, title)

    def rect(self, p: Place) -> Rect:
        end = p.offset_bytes + p.size_bytes
        return self.box(p.first_step, p.last_step, p.offset_bytes, end, f"arena-{p.kind}", place_text(p))

    def shared(self, a: Place, b: Place) -> Rect:
        first, last = max(a.first_step, b.first_step), min(a.last_step, b.last_step)
        low = max(a.offset_bytes, b.offset_bytes)
        high = min(a.offset_bytes + a.size_bytes, b.offset_bytes + b.size_bytes)
        title = f"{high - low:,} bytes shared by {a.kind} {a.name} and {b.kind} {b.name}"
        return self.box(first, last, low, high, "arena-shared", title)


def overlaps(places: Sequence[Place]) -> Iterator[tuple[Place, Place]]:
    """Pairs of buffers that share bytes in at least one step."""
    for i, a in enumerate(places):
        for b in places[i + 1 :]:
            in_time = a.first_step <= b.last_step and b.first_step <= a.last_step
            in_space = a.offset_bytes < b.offset_bytes + b.size_bytes and b.offset_bytes < a.offset_bytes + a.size_bytes
            if in_time and in_space:
                yield a, b


def place_text(p: Place) -> str:
    shape = f" {'x'.join(map(str, p.shape))}" if p.shape else ""
    end = p.offset_bytes + p.size_bytes
    return f"{p.kind} {p.name}{shape}: {p.size_bytes:,} bytes at {p.offset_bytes:,} to {end:,}, {lifetime_text(p)}"


def lifetime_text(p: Place) -> str:
    first = "from before the first step" if p.first_step < 0 else f"from step {p.first_step}"
    return f"in step {p.first_step} alone" if p.first_step == p.last_step else f"{first} to step {p.last_step}"


def _summary(places: Sequence[Place], arena_bytes: int, steps: Sequence[str]) -> str:
    kinds = sorted({p.kind for p in places})
    counts = ", ".join(f"{kind} {sum(p.kind == kind for p in places)}" for kind in kinds)
    shared = sum(1 for _ in overlaps(places))
    return (
        f"{len(places)} places in an arena of {arena_bytes:,} bytes over {len(steps)} steps ({counts}); "
        f"{shared} pairs share bytes. The table below lists them."
    )


def _axes(frame: _Frame, width: float, marks: Sequence[float], arena_bytes: int) -> Iterator[Line]:
    for mark in marks:
        yield polyline([(_LEFT, frame.y(mark)), (width - _RIGHT, frame.y(mark))], "grid")
    yield polyline([(_LEFT, frame.y(arena_bytes)), (width - _RIGHT, frame.y(arena_bytes))], "limit")


def _scale(frame: _Frame, marks: Sequence[float]) -> Iterator[Text]:
    for mark in marks:
        yield Text(_LEFT - 6, frame.y(mark) + 4, short(mark), "end", "axis")
    yield Text(_LEFT - 6, 10, "bytes", "end", "axis")


def _step_numbers(frame: _Frame, columns: int) -> Iterator[Text]:
    """The step under each column."""
    bottom = _TOP + _HEIGHT + 16
    for step in range(columns - 2):
        yield Text(frame.x(step) + frame.column / 2, bottom, str(step), "middle", "axis")
    yield Text(frame.x(-1), bottom + 18, "inputs put", "start", "axis")
    yield Text(frame.x(columns - 1), bottom + 18, "outputs taken", "end", "axis")
    if columns * frame.column > 400:
        yield Text((frame.x(-1) + frame.x(columns - 1)) / 2, bottom + 18, "step", "middle", "axis")


def _labels(frame: _Frame, places: Sequence[Place]) -> Iterator[Text]:
    """Labels inside the rectangles that have room for them and share no bytes."""
    busy = {id(p) for pair in overlaps(places) for p in pair}
    for p in places:
        box = frame.rect(p)
        room = int((box.width - 8) / _CHARACTER)
        label = p.kind if p.kind == "scratch" else clip(p.name, max(1, room))
        if room >= max(4, len(label)) and box.height >= 14 and id(p) not in busy:
            yield Text(box.x + box.width / 2, box.y + box.height / 2 + 4, label, "middle", "inside")
