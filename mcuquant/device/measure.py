"""Measures an inference on a board: with the firmware's timer, or from counts of QEMU's plugin."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from ..boards.board import Board
from ..errors import DeviceError
from .cycle_model import Counts, CycleCounts
from .link import Link
from .measurement import Counter, Layer, LayerMeasurement, Measurement
from .wire import DeviceInfo, Run


def counter_of(board: Board, info: DeviceInfo, is_counting: bool) -> Counter:
    """The counter of the board. `is_counting`: it runs under our emulator with -icount shift=0.

    Raises DeviceError for an emulated board without it, whose ticks are host time.
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
    """Ticks of the board's counter converted to the counter's unit, without the overhead of reading it.

    Under QEMU's -icount shift=0 an instruction takes 1 ns of the timer's time, and a tick 10^9 / counter_hz
    instructions (40 at 25 MHz), which is the resolution.
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
    counter: Counter | None = None,
    runs: int = 3,
    check: Callable[[Run], None] | None = None,
) -> Measurement:
    """Time the network with the last inputs: `runs` times as a whole and step by step; the results are medians.

    `counter` is that of an emulator whose timer counts cycles; None is the one of `counter_of`. `check` is called with
    every whole run and raises if its outputs are wrong. Raises DeviceError if the steps of the board differ from
    `layers`, or if its ticks have no meaning.
    """
    info = link.info
    counter = counter or counter_of(board, info, is_counting)
    if info.steps != len(layers):
        raise DeviceError(f"{board.name}: the firmware has {info.steps} steps, the project {len(layers)} layers")
    whole = [_first_run(link) for _ in range(runs)]
    if check is not None:
        for one in whole:
            check(one)
    steps = [[link.step(i, read=False).ticks for i in range(len(layers))] for _ in range(runs)]
    rows = zip(layers, zip(*steps, strict=True), strict=True) if layers else ()
    return Measurement(
        board=board.name,
        core=board.cpu,
        digest=info.digest,
        counter=counter,
        clock_hz=info.clock_hz,
        count=counts(int(statistics.median(one.ticks for one in whole)), counter, info),
        layers=tuple(LayerMeasurement(y, counts(int(statistics.median(t)), counter, info)) for y, t in rows),
        flash_bytes=flash_bytes,
        ram_bytes=ram_bytes,
        arena_bytes=info.arena_bytes,
        stack_bytes=link.memory().stack_peak,
        state_bytes=info.state_bytes,
    )


def _first_run(link: Link) -> Run:
    """A whole inference, the first of a stream if the network has states."""
    link.reset_state()
    return link.run(read=False)


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
    """One inference from the counts of QEMU's plugin; `steps` are the C functions of the layers, in order.

    Cycles if the core has a model, else instructions; both exact for the executed instructions.
    """
    counter = Counter.COUNTED_INSTRUCTIONS if window.total.cycles is None else Counter.MODELLED_CYCLES
    windows = [window.of(step) for step in steps]
    rows = zip(layers, (0 if f is None else _count(f.total) for f in windows), strict=True)
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
        state_bytes=link.info.state_bytes,
        counts=window.total,
    )


def _count(counts: Counts) -> int:
    return counts.instructions if counts.cycles is None else counts.cycles
