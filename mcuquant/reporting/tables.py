"""Values → tables and sentences for readers. Nothing here prints, and nothing is wider than 100 columns."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table

from ..boards.board import Board, Region
from ..ir.names import clip

if TYPE_CHECKING:
    from ..codegen.decisions import AnyDecision
    from ..passes.stream import Streamed
    from ..quantization import LayerSnr
    from .record import Record


def bytes_text(nbytes: int) -> str:
    return f"{nbytes:,} B"


def size_text(nbytes: int) -> str:
    """A memory's size as data sheets give it: 512 KiB, 4 MiB."""
    for unit, size in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if nbytes >= size:
            return f"{nbytes / size:g} {unit}"
    return f"{nbytes} B"


def hz_text(hz: int) -> str:
    return f"{hz / 1_000_000:g} MHz"


def share_text(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def shape_text(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def table(*columns: str, title: str | None = None) -> Table:
    """An empty table; a column whose name begins with > is aligned to the right, with * it gives way to the others."""
    grid = Table(
        box=box.SIMPLE_HEAD, show_edge=False, title=title, title_justify="left", title_style="bold", pad_edge=False
    )
    for column in columns:
        if column.startswith(">"):
            grid.add_column(column[1:], justify="right", no_wrap=True)
        elif column.startswith("*"):
            grid.add_column(column[1:], overflow="ellipsis")
        else:
            grid.add_column(column, overflow="fold")
    return grid


def stream_table(streaming: Streamed) -> Table:
    """Reused and computed rows of each layer in a stream network."""
    title = f"A stream of {streaming.hop} new row{'s' if streaming.hop > 1 else ''} at a time"
    grid = table("*layer", "op", ">rows", ">kept", ">computed", ">MACs", ">before", title=title)
    for layer in streaming.layers:
        rows = [str(n) for n in (layer.rows, layer.reused, layer.computed)] if layer.rows else ["all", "", ""]
        grid.add_row(layer.name, layer.op, *rows, f"{layer.macs_after:,}", f"{layer.macs_before:,}")
    grid.add_row("", "", "", "", "", f"{streaming.macs_after:,}", f"{streaming.macs_before:,}")
    return grid


def memory_table(board: Board, flash_bytes: int, ram_bytes: int, arena_bytes: int) -> Table:
    """Flash and RAM used against the board's limits; the arena is part of the RAM."""
    grid = table("memory", ">used", ">limit", ">share")
    rows = (("flash", flash_bytes, board.flash), ("RAM", ram_bytes, board.ram))
    for name, used, region in rows:
        grid.add_row(name, bytes_text(used), bytes_text(region.bytes), share_text(used, region.bytes))
    grid.add_row("  arena", bytes_text(arena_bytes), "", "")
    return grid


def accuracy_table(rows: Iterable[tuple[str, int, float]]) -> Table:
    """Rows of network, number of samples, and share of correct classes (0 to 1)."""
    grid = table("network", ">windows", ">correct")
    for name, count, part in rows:
        grid.add_row(name, f"{count:,}", f"{100 * part:.2f} %")
    return grid


def decision_table(decisions: Sequence[AnyDecision]) -> Table:
    """One row a decision; of more than 40 the middle is left out."""
    columns = decisions[0].columns if decisions else (">class", ">score", ">stored")
    grid = table(">#", ">sample", *columns)
    for i, d in enumerate(decisions):
        if _LONGEST_HALF <= i < len(decisions) - _LONGEST_HALF:
            if i == _LONGEST_HALF:
                grid.add_row("...")
            continue
        grid.add_row(str(d.number), f"{d.sample:,}", *d.cells)
    return grid


_LONGEST_HALF = 20


def quality_heading(records: Iterable[Record]) -> str:
    """The heading of a column of `Record.quality_text`."""
    return ">metric" if any(r.metric for r in records) else ">correct"


def records_table(records: Iterable[Record]) -> Table:
    """Networks one per row: accuracy or another metric, MACs, weights, cycles, and flash and RAM of a firmware."""
    records = list(records)
    grid = table("*network", quality_heading(records), ">MACs", ">weights", ">cycles", ">flash", ">RAM")
    for r in records:
        counts = (r.macs, r.weight_bytes, r.cycles, r.flash_bytes, r.ram_bytes)
        grid.add_row(r.label, r.quality_text, *("-" if n is None else f"{n:,}" for n in counts))
    return grid


def layer_table(layers: Iterable[Mapping[str, Any]]) -> Table:
    """Layers as `describe` lists them: name, op, output, MACs and their share, weights."""
    rows = list(layers)
    total = sum(row["macs"] for row in rows)
    grid = table(">#", "*layer", "op", "output", ">MACs", ">share", ">weights")
    for i, row in enumerate(rows):
        output = f"{shape_text(row['shape'])} {row['dtype']}"
        counts = (f"{row['macs']:,}", share_text(row["macs"], total), f"{row['weights']:,}")
        grid.add_row(str(i), clip(row["name"]), row["op"], output, *counts)
    return grid


def kernel_table(rows: Iterable[Mapping[str, Any]]) -> Table:
    """The kernel of each layer, marked, among those that are better than it in something: cycles, flash or scratch."""
    grid = table(">#", "op", "", "kernel", ">cycles", ">constants", ">code", ">scratch")
    for row in rows:
        head = (str(row["layer"]), row["op"])
        for option in filter(_is_worth_a_line(row["options"]), row["options"]):
            name = option["kernel"] + (f", {option['note']}" if option["note"] else "")
            sizes = (f"{option[key]:,}" for key in ("cycles", "constant_bytes", "code_bytes", "scratch_bytes"))
            grid.add_row(*head, "*" if option["is_chosen"] else "", name, *sizes)
            head = ("", "")
    return grid


def _is_worth_a_line(options: Sequence[Mapping[str, Any]]) -> Callable[[Mapping[str, Any]], bool]:
    """The chosen one, and what no other option is as good as in everything; the first of equals."""

    def costs(option: Mapping[str, Any]) -> tuple[int, ...]:
        return tuple(option[key] for key in ("cycles", "constant_bytes", "code_bytes", "scratch_bytes"))

    def is_worse(option: Mapping[str, Any]) -> bool:
        own, before = costs(option), options[: options.index(option)]
        others = [costs(other) for other in options]
        return own in map(costs, before) or any(
            all(a <= b for a, b in zip(other, own, strict=True)) for other in others if other != own
        )

    return lambda option: option["is_chosen"] or not is_worse(option)


def quantization_table(rows: Iterable[Mapping[str, Any]]) -> Table:
    """Scale and zero point of each activation, the inputs first; bits and scales of each layer's weights."""
    grid = table(">#", "output of", ">scale", ">zero point", ">weights", "their scale", ">scales")
    for row in rows:
        real = ("", "") if row["scale"] is None else (f"{row['scale']:.6g}", str(row["zero_point"]))
        index = "" if row["layer"] is None else str(row["layer"])
        grid.add_row(index, row["op"] or f"input {clip(row['name'])}", *real, *_weights_text(row))
    return grid


def _weights_text(row: Mapping[str, Any]) -> tuple[str, str, str]:
    if row["weight_scales"] is None:
        return "", "", ""
    low, high = (f"{scale:.3g}" for scale in row["weight_scales"])
    return f"{row['weight_bits']} bits", low if low == high else f"{low} to {high}", f"{row['weight_channels']:,}"


def choice_text(facts: Mapping[str, Any]) -> str:
    """The limits and objective of the selection of kernels."""
    estimate = facts["estimate"]
    return (
        f"Selected for {facts['optimize']}; estimated (Cortex-M4, no wait states): {estimate['cycles']:,} cycles, "
        f"{bytes_text(estimate['network_flash_bytes'])} of flash."
    )


def peak_text(peak: Mapping[str, Any]) -> str:
    """Where the arena is fullest, and with what: the tensor that sets it comes first."""
    tensors = [f"  {clip(t['name'])} {shape_text(t['shape'])}: {bytes_text(t['bytes'])}" for t in peak["tensors"][:3]]
    return "\n".join([f"The arena is fullest at {peak['step']}, {peak['op']}, with:", *tensors])


def snr_table(rows: Iterable[LayerSnr]) -> Table:
    """The loss of each layer: by itself, together with all earlier layers, and its effect on the outputs.

    Rows without a number are the network's inputs.
    """
    layers = list(rows)
    worst = min((row.effect_db for row in layers), default=0.0)
    grid = table(">#", "*layer", "*op", "shape", ">alone", ">so far", ">on outputs", "")
    for row in layers:
        mark = "<- largest effect" if row.effect_db == worst else ""
        decibels = (db_text(row.own_db), db_text(row.cumulative_db), db_text(row.effect_db))
        index = str(row.index) if row.index >= 0 else ""
        grid.add_row(index, row.name, row.op, shape_text(row.shape), *decibels, mark)
    return grid


def kinds_table(rows: Iterable[LayerSnr]) -> Table:
    """SNR of the network's outputs if one layer adds one kind of its error and all others are float."""
    from ..quantization.error_kinds import Kind

    grid = table(">#", "*layer", "*op", *(f">{kind}" for kind in Kind))
    for row in rows:
        if row.kinds_db:
            index = str(row.index) if row.index >= 0 else ""
            grid.add_row(index, row.name, row.op, *(db_text(row.kinds_db.get(kind, math.inf)) for kind in Kind))
    return grid


def db_text(db: float) -> str:
    return "exact" if db == math.inf else f"{db:.1f} dB"


def quantizers_table(rows: Iterable[Mapping[str, Any]]) -> Table:
    """Each quantizer at each number of bits: accuracy, SNR relative to the float network, flash, cycles."""
    grid = table("weights by", "formula", ">bits", ">correct", ">outputs", ">constants", ">cycles")
    for row in rows:
        right = "" if row["right"] is None else f"{100 * row['right']:.1f} %"
        sizes = (bytes_text(row["constant_bytes"]), f"{row['cycles']:,}")
        grid.add_row(row["quantizer"], row["formula"], str(row["bits"]), right, db_text(row["output_db"]), *sizes)
    return grid


def boards_table(boards: Iterable[Board]) -> Table:
    grid = table("board", "core", ">clock", ">flash", ">RAM", "tested")
    for b in boards:
        sizes = (size_text(b.flash.bytes), size_text(b.ram.bytes))
        grid.add_row(b.name, core_text(b), hz_text(b.clock_hz), *sizes, _SHORT_STATUS[b.verified.value])
    return grid


_SHORT_STATUS = {
    "untested": "no",
    "emulated": "under emulation",
    "registers": "registers only",
    "hardware": "on hardware",
}
"""The column "tested"."""


def core_text(board: Board) -> str:
    """Cortex-M4 with FPU."""
    family = board.cpu.removeprefix("cortex-").upper().replace("PLUS", "+")
    extras = [name for name, there in (("FPU", board.fpu), ("MVE", board.core.mve)) if there]
    return f"Cortex-{family}" + (f" with {' and '.join(extras)}" if extras else "")


def verified_text(board: Board) -> str:
    """How far the profile has been tried, in words that claim no more."""
    return {
        "untested": "never run",
        "emulated": "under emulation",
        "registers": "never run; registers checked",
        "hardware": "on hardware",
    }[board.verified.value]


def board_details(board: Board) -> Table:
    """Everything a profile says, and what follows from it."""
    grid = Table(box=None, show_header=False, pad_edge=False)
    for name, value in _board_facts(board):
        grid.add_row(name, value)
    return grid


def _board_facts(board: Board) -> Iterable[tuple[str, str]]:
    yield "board", board.name
    yield "description", board.title
    yield "core", core_text(board)
    yield "clock", hz_text(board.clock_hz)
    yield "memory factor", factor_text(board)
    yield "flash", _region_text(board.flash)
    yield "RAM", _region_text(board.ram)
    yield "stack", bytes_text(board.stack_bytes)
    yield "serial port", f"{board.uart.baud} baud, UART at {board.uart.base:#010x}"
    if board.usb is not None:
        yield "USB", f"{board.usb.vid:04x}:{board.usb.pid:04x}"
    if board.flashing is not None:
        yield "flashed by", ", ".join(board.flashing.methods)
    yield "tested", verified_text(board)
    yield "compiler", " ".join(board.compiler_flags)
    if board.qemu is not None:
        yield "emulator", f"qemu-system-arm -machine {board.qemu.machine}"
    if board.emulator_port is not None:
        yield "emulator", f"{board.emulator_port}, with --port {board.emulator_port}"


def factor_text(board: Board) -> str:
    """The cost of memory in addition to the core's cycles, and the source of the figure."""
    if board.memory_factor is None:
        return "unknown"
    return f"{board.memory_factor:g}: {board.memory_factor_source}"


def _region_text(region: Region) -> str:
    return f"{size_text(region.bytes)} from {region.origin:#010x}"
