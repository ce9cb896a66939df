"""The cost of an inference, layer by layer, with the kind of its counter, and its table in 100 columns."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .cycle_model import Counts

WIDTH = 100
_GAP = "  "
_LEFT = (1, 2, 3)
"""Indices of text columns; the others are numbers, aligned to the right."""


class Counter(enum.StrEnum):
    """The source of a count. Numbers of different counters are never added or compared."""

    MODELLED_CYCLES = "cycles (modelled from Arm's instruction timings, no wait states)"
    COUNTED_INSTRUCTIONS = "instructions (counted in QEMU)"
    QEMU_INSTRUCTIONS = "instructions (QEMU -icount)"
    RP2040PY_CYCLES = "cycles (modelled by rp2040py, no wait states)"
    CYCCNT_CYCLES = "cycles (DWT CYCCNT)"
    SYSTICK_CYCLES = "cycles (SysTick)"
    TIMER_CYCLES = "cycles (timer of the chip, at the core's clock)"

    @property
    def unit(self) -> str:
        return self.value.partition(" ")[0]

    @property
    def is_emulated(self) -> bool:
        return self in (*_MODELLED, Counter.COUNTED_INSTRUCTIONS, Counter.QEMU_INSTRUCTIONS)


_MODELLED = (Counter.MODELLED_CYCLES, Counter.RP2040PY_CYCLES)


@dataclass(frozen=True, slots=True)
class Layer:
    """One step of the network, named as in the manifest; `shape` is that of its output."""

    name: str
    op: str
    shape: tuple[int, ...]
    macs: int


@dataclass(frozen=True, slots=True)
class LayerMeasurement:
    layer: Layer
    count: int
    """Count in the unit of the measurement's counter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One network on one board. `count` is measured over the whole inference; it is not the sum of
    the layers' counts.
    """

    board: str
    core: str
    digest: str
    counter: Counter
    clock_hz: int
    """The core clock that actually runs or, under emulation, the clock of the profile."""
    count: int
    layers: tuple[LayerMeasurement, ...]
    flash_bytes: int
    ram_bytes: int
    arena_bytes: int
    stack_bytes: int
    """Peak stack in bytes, including that of the application."""
    state_bytes: int = 0
    """Bytes of the states between inferences, outside the arena."""
    counts: Counts | None = None
    """Instructions, loads, stores and bytes read from flash of the whole inference, if QEMU's plugin counted them."""
    notes: tuple[str, ...] = ()
    network: str = ""
    """The network's title."""
    structure_digest: str = ""
    """Digest of the network without weights and widths, see `ir.metrics.structure_digest`."""

    def __str__(self) -> str:
        return measurement_text(self)

    @property
    def macs(self) -> int:
        return sum(row.layer.macs for row in self.layers)

    @property
    def latency_us(self) -> float:
        return self.microseconds(self.count)

    @property
    def latency_source(self) -> str:
        """The kind of `latency_us`."""
        if self.counter in _MODELLED:
            return f"modelled cycles at {self.clock_hz / 1e6:g} MHz; not a board's time"
        if self.counter.is_emulated:
            return f"modelled: one instruction a clock at {self.clock_hz / 1e6:g} MHz; not a board's time"
        return f"measured at {self.clock_hz / 1e6:g} MHz"

    def microseconds(self, count: int) -> float:
        return count * 1e6 / self.clock_hz

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file. The key of a count is the name of its unit."""
        return {
            "board": self.board,
            "core": self.core,
            "digest": self.digest,
            "network": self.network,
            "structure_digest": self.structure_digest,
            "counter": self.counter.value,
            "clock_hz": self.clock_hz,
            **_known(self.counts),
            self.counter.unit: self.count,
            "latency_us": round(self.latency_us, 3),
            "latency_source": self.latency_source,
            "macs": self.macs,
            "flash_bytes": self.flash_bytes,
            "ram_bytes": self.ram_bytes,
            "arena_bytes": self.arena_bytes,
            "state_bytes": self.state_bytes,
            "stack_bytes": self.stack_bytes,
            "layers": [self._layer_json(row) for row in self.layers],
            "notes": list(self.notes),
        }

    def to_trace(self) -> dict[str, Any]:
        """The layers of one inference as a timeline in Chrome's trace event format, which Perfetto opens.

        Times are microseconds (`latency_source` names their kind), one event of phase X per layer. Source: "Trace Event
        Format", section "Complete Events".
        """
        events, start_us = [], 0.0
        for i, row in enumerate(self.layers):
            duration_us = self.microseconds(row.count)
            shape = "x".join(map(str, row.layer.shape))
            arguments = {self.counter.unit: row.count, "macs": row.layer.macs, "output": shape}
            name = f"{i} {row.layer.name}"
            times = {"ts": round(start_us, 3), "dur": round(duration_us, 3)}
            events.append(
                {"name": name, "cat": row.layer.op, "ph": "X", "pid": 1, "tid": 1, **times, "args": arguments}
            )
            start_us += duration_us
        about = {"board": self.board, "network": self.network, "time": self.latency_source}
        return {"traceEvents": events, "displayTimeUnit": "ns", "otherData": about}

    def _layer_json(self, row: LayerMeasurement) -> dict[str, Any]:
        return {
            "name": row.layer.name,
            "op": row.layer.op,
            "shape": list(row.layer.shape),
            "macs": row.layer.macs,
            self.counter.unit: row.count,
            "latency_us": round(self.microseconds(row.count), 3),
        }


def _known(counts: Counts | None) -> dict[str, int]:
    return {} if counts is None else {name: n for name, n in asdict(counts).items() if n is not None}


def measurement_text(m: Measurement) -> str:
    """The layers, the whole inference, memory, and the source of the numbers."""
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
    """Rows as aligned lines, the first underlined. Long names of layers are shortened to fit."""
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
    """Shortens the middle of a name, because names of one network begin alike and differ at the end."""
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
    state = f" and {m.state_bytes:,} B of state" if m.state_bytes else ""
    ram = f"RAM {m.ram_bytes:,} B, including {m.arena_bytes:,} B of arena{state}"
    yield f"  flash {m.flash_bytes:,} B; {ram}; stack used {m.stack_bytes:,} B"
    if m.state_bytes:
        yield "The state is reset before each inference that is timed; between others it lives on."
    yield f"Counted: {m.counter.value}."
    yield f"Time: {m.latency_source}."
    yield from m.notes
