"""A measurement as text: the table by layer and what the numbers are, at most 100 columns wide."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .measure import LayerMeasurement, Measurement

WIDTH = 100
_GAP = "  "
_LEFT = (1, 2, 3)
"""Columns of text; the others are numbers, aligned to the right."""


def measurement_text(m: Measurement) -> str:
    """The layers, the whole inference, memory, and where the numbers come from."""
    head = ("#", "layer", "op", "output", "MACs", m.counter.unit, "µs", "share")
    rows = [_row(m, i, row) for i, row in enumerate(m.layers)]
    return "\n".join([*_columns([head, *rows]), *_lines(m)])


def _row(m: Measurement, index: int, row: LayerMeasurement) -> tuple[str, ...]:
    shape = "x".join(map(str, row.layer.shape))
    numbers = (f"{row.layer.macs:,}", f"{row.count:,}", f"{m.microseconds(row.count):,.1f}", _share(row.count, m.count))
    return (str(index), row.layer.name, row.layer.op, shape, *numbers)


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def _columns(rows: Sequence[tuple[str, ...]]) -> Iterable[str]:
    """Rows as aligned lines, the first underlined; layer names give way where a line would be too long."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    too_long = sum(widths) + len(_GAP) * (len(widths) - 1) - WIDTH
    widths[1] = max(len("layer"), widths[1] - max(0, too_long))
    for i, row in enumerate(rows):
        cells = (
            _cell(text, width, column in _LEFT) for column, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        yield _GAP.join(cells).rstrip()
        if i == 0:
            yield _GAP.join("-" * width for width in widths)


def _cell(text: str, width: int, is_left: bool) -> str:
    """Names of one network begin alike and end differently, so what is too long loses its middle."""
    tail = (width - 2) // 2
    short = text if len(text) <= width else text[: width - 2 - tail] + ".." + text[len(text) - tail :]
    return short.ljust(width) if is_left else short.rjust(width)


def _lines(m: Measurement) -> Iterable[str]:
    per_mac = f" ({m.count / m.macs:.2f} per MAC)" if m.macs else ""
    yield ""
    yield f"One inference on {m.board} ({m.core}):"
    yield f"  {m.macs:,} MACs, {m.count:,} {m.counter.unit}{per_mac}, {m.latency_us:,.1f} µs"
    if m.counts:
        c = m.counts
        loads = f"{c.loads:,} loads, {c.stores:,} stores, {c.flash_bytes_read:,} B read from flash"
        yield f"  {c.instructions:,} instructions, {loads}"
    ram = f"RAM {m.ram_bytes:,} B, of it arena {m.arena_bytes:,} B"
    yield f"  flash {m.flash_bytes:,} B; {ram}; stack used {m.stack_bytes:,} B"
    yield f"Counted: {m.counter.value}."
    yield f"Time: {m.latency_source}."
    yield from m.notes
