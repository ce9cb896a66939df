"""What an inference costs, layer by layer, and what kind of number that is."""

from __future__ import annotations

import enum
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..board import Board
from ..errors import DeviceError
from .cycles import Counts, CycleCounts
from .link import Link
from .table import measurement_text
from .wire import DeviceInfo


class Counter(enum.StrEnum):
    """Where a count comes from. Numbers of different counters are never added, compared or shown as one."""

    MODELLED_CYCLES = "cycles (modelled from Arm's instruction timings, no wait states)"
    COUNTED_INSTRUCTIONS = "instructions (counted in QEMU)"
    QEMU_INSTRUCTIONS = "instructions (QEMU -icount)"
    CYCCNT_CYCLES = "cycles (DWT CYCCNT)"
    SYSTICK_CYCLES = "cycles (SysTick)"
    TIMER_CYCLES = "cycles (timer of the chip, at the core's clock)"

    @property
    def unit(self) -> str:
        return self.value.partition(" ")[0]

    @property
    def is_emulated(self) -> bool:
        return self in (Counter.MODELLED_CYCLES, Counter.COUNTED_INSTRUCTIONS, Counter.QEMU_INSTRUCTIONS)


@dataclass(frozen=True, slots=True)
class Layer:
    """One step of the network, as its manifest names it; `shape` is that of its output."""

    name: str
    op: str
    shape: tuple[int, ...]
    macs: int


@dataclass(frozen=True, slots=True)
class LayerMeasurement:
    layer: Layer
    count: int
    """In the unit of the measurement's counter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One network on one board. `count` is of the whole inference, measured by itself: not the sum of the layers'."""

    board: str
    core: str
    digest: str
    counter: Counter
    clock_hz: int
    """The core clock actually running, or, under emulation, the board's."""
    count: int
    layers: tuple[LayerMeasurement, ...]
    flash_bytes: int
    ram_bytes: int
    arena_bytes: int
    stack_bytes: int
    """The most that was ever in use, the application's own included."""
    counts: Counts | None = None
    """Of the whole inference: instructions, loads, stores and bytes read from flash, where QEMU's plugin counted."""
    notes: tuple[str, ...] = ()

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
        """What `latency_us` is."""
        if self.counter is Counter.MODELLED_CYCLES:
            return f"modelled cycles at {self.clock_hz / 1e6:g} MHz; not a board's time"
        if self.counter.is_emulated:
            return f"modelled: one instruction a clock at {self.clock_hz / 1e6:g} MHz; not a board's time"
        return f"measured at {self.clock_hz / 1e6:g} MHz"

    def microseconds(self, count: int) -> float:
        return count * 1e6 / self.clock_hz

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file; counts are under the name of their unit."""
        return {
            "board": self.board,
            "core": self.core,
            "digest": self.digest,
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
            "stack_bytes": self.stack_bytes,
            "layers": [self._layer_json(row) for row in self.layers],
            "notes": list(self.notes),
        }

    def _layer_json(self, row: LayerMeasurement) -> dict[str, Any]:
        return {
            "name": row.layer.name,
            "op": row.layer.op,
            "shape": list(row.layer.shape),
            "macs": row.layer.macs,
            self.counter.unit: row.count,
            "latency_us": round(self.microseconds(row.count), 3),
        }


def counter_of(board: Board, info: DeviceInfo, is_counting: bool) -> Counter:
    """What the board's ticks are. `is_counting`: it runs under our emulator with -icount shift=0.

    DeviceError for an emulated board that does not: its ticks are of this computer's clock.
    """
    if board.is_emulated and is_counting:
        return Counter.QEMU_INSTRUCTIONS
    if board.is_emulated:
        raise DeviceError(
            f"{board.name} is emulated and not counting instructions: its timer shows this computer's time, which says "
            "nothing of the network; let mcuquant start the emulator"
        )
    timers = {"systick": Counter.SYSTICK_CYCLES, "timer": Counter.TIMER_CYCLES}
    return timers.get(info.counter, Counter.CYCCNT_CYCLES)


def counts(ticks: int, counter: Counter, info: DeviceInfo) -> int:
    """Ticks of the board's counter in the counter's unit, without what reading it takes.

    Under QEMU's -icount shift=0 an instruction takes 1 ns of the timer's time, a tick 10^9 / counter_hz instructions
    (40 at 25 MHz): no count is finer than that.
    """
    net = max(0, ticks - info.counter_overhead)
    per_second = 1_000_000_000 if counter is Counter.QEMU_INSTRUCTIONS else info.clock_hz
    return round(net * per_second / info.counter_hz)


def measure(
    link: Link,
    board: Board,
    layers: Sequence[Layer],
    *,
    is_counting: bool,
    flash_bytes: int,
    ram_bytes: int,
    runs: int = 3,
) -> Measurement:
    """Time the network over the input put last: `runs` times whole and step by step; medians.

    DeviceError when the board has other steps than `layers`, or ticks that mean nothing.
    """
    info = link.info
    counter = counter_of(board, info, is_counting)
    if info.steps != len(layers):
        raise DeviceError(f"{board.name}: the firmware has {info.steps} steps, the project {len(layers)} layers")
    whole = [link.run(read=False).ticks for _ in range(runs)]
    steps = [[link.step(i, read=False).ticks for i in range(len(layers))] for _ in range(runs)]
    rows = zip(layers, zip(*steps, strict=True), strict=True) if layers else ()
    return Measurement(
        board=board.name,
        core=board.cpu,
        digest=info.digest,
        counter=counter,
        clock_hz=info.clock_hz,
        count=counts(int(statistics.median(whole)), counter, info),
        layers=tuple(LayerMeasurement(y, counts(int(statistics.median(t)), counter, info)) for y, t in rows),
        flash_bytes=flash_bytes,
        ram_bytes=ram_bytes,
        arena_bytes=info.arena_bytes,
        stack_bytes=link.memory().stack_peak,
    )


def modelled(
    window: CycleCounts,
    link: Link,
    board: Board,
    layers: Sequence[Layer],
    steps: Sequence[str],
    *,
    flash_bytes: int,
    ram_bytes: int,
) -> Measurement:
    """One inference as QEMU's plugin saw it; `steps` are the C functions of the layers, in their order.

    Cycles where the core's are modelled, else instructions, both exact for the instructions that ran.
    """
    counter = Counter.COUNTED_INSTRUCTIONS if window.total.cycles is None else Counter.MODELLED_CYCLES
    found = [window.of(step) for step in steps]
    rows = zip(layers, (0 if f is None else _count(f.total) for f in found), strict=True)
    return Measurement(
        board=board.name,
        core=board.cpu,
        digest=link.info.digest,
        counter=counter,
        clock_hz=board.clock_hz,
        count=_count(window.total),
        layers=tuple(LayerMeasurement(layer, count) for layer, count in rows),
        flash_bytes=flash_bytes,
        ram_bytes=ram_bytes,
        arena_bytes=link.info.arena_bytes,
        stack_bytes=link.memory().stack_peak,
        counts=window.total,
    )


def _known(counts: Counts | None) -> dict[str, int]:
    return {} if counts is None else {name: n for name, n in asdict(counts).items() if n is not None}


def _count(counts: Counts) -> int:
    return counts.instructions if counts.cycles is None else counts.cycles
