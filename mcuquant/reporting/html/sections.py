"""The sections of the page. Each has a picture and a table, or the command that provides the missing data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...quantization.error_kinds import Kind
from ...quantization.error_kinds import advice as error_advice
from ..details import Details, Place, Sensitivity
from ..record import Record
from .arena_chart import lifetime_text, memory_map, overlaps
from .bar_chart import Bar, bars, kinds_legend, style_of
from .histogram_chart import LEGEND as WEIGHTS_LEGEND
from .histogram_chart import histogram
from .marks import Picture
from .scatter_chart import scatter


@dataclass(frozen=True, slots=True)
class Table:
    """Columns whose name begins with > hold numbers."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    anchor: str
    heading: str
    text: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
    is_grid: bool = False
    """Small pictures, several in a row, each with its summary under it."""
    legend: tuple[tuple[str, str], ...] = ()
    table: Table | None = None
    advice: tuple[str, str] | None = None
    """The missing data, and the command that provides it."""


def networks(records: Sequence[Record], where: str) -> Section:
    """Accuracy against size and latency of all networks."""
    numbered = dict(enumerate(records, start=1))
    measured = {n: r for n, r in numbered.items() if r.quality is not None}
    pictures = [scatter("Accuracy and weights", "bytes of weights", "weight_bytes", measured)] if measured else []
    kinds = dict.fromkeys((r.board, r.cycles_source) for r in measured.values() if r.cycles is not None)
    for board, source in kinds:
        group = {
            n: r for n, r in measured.items() if r.cycles is not None and (r.board, r.cycles_source) == (board, source)
        }
        on = f" on {board}" if board else ""
        pictures.append(scatter(f"Accuracy and cycles{on}", source or "cycles, source not said", "cycles", group))
    return Section(
        "networks",
        "Accuracy, size and latency",
        pictures=tuple(pictures),
        is_grid=True,
        legend=(("point best", "Pareto-optimal"), ("point", "other networks")) if pictures else (),
        table=Table("Networks", _NETWORK_HEAD, tuple(_network_row(n, r) for n, r in numbered.items()), is_open=True),
        advice=None
        if measured
        else (
            "The accuracy was not measured. Measure it, and add folders or files of records to compare.",
            f"mcuquant validate {where} --data X.npz --json {where}/validation.json",
        ),
    )


_NETWORK_HEAD = (
    ">#",
    "network",
    ">accuracy",
    ">MACs",
    ">weights, B",
    ">constants, B",
    ">flash, B",
    ">RAM, B",
    ">cycles",
    "board",
    "where from",
)


def _network_row(number: int, r: Record) -> tuple[str, ...]:
    numbers = (r.macs, r.weight_bytes, r.constant_bytes, r.flash_bytes, r.ram_bytes, r.cycles)
    sources = "; ".join(text for text in (r.accuracy_source, r.cycles_source) if text)
    accuracy = "" if r.quality is None else r.quality_text
    return (str(number), r.label, accuracy, *("" if n is None else f"{n:,}" for n in numbers), r.board, sources)


def layers(measured: Mapping[str, Any] | None, kernels: Sequence[str], advice: tuple[str, str]) -> Section:
    """Costs of each step. `measured` is a result of `Measurement.to_json`, or None."""
    if measured is None:
        return Section("layers", "Layers", advice=advice)
    unit = str(measured["counter"]).partition(" ")[0]
    rows = list(measured["layers"])
    whole = measured[unit]
    chart = [
        Bar(
            str(i),
            row["name"],
            float(row[unit]),
            f"{row[unit]:,} · {_share(row[unit], whole)}",
            style_of(row["op"]),
            f"{i} {row['name']}, {row['op']}: {row[unit]:,} {unit}, {row['macs']:,} MACs",
        )
        for i, row in enumerate(rows)
    ]
    dearest = max(rows, key=lambda row: row[unit], default=None)
    summary = f"{len(rows)} layers, {whole:,} {unit} in all"
    if dearest is not None:
        summary += f"; {dearest['name']} takes the most, {_share(dearest[unit], whole)}"
    legend = kinds_legend([row["op"] for row in rows])
    return Section(
        "layers",
        f"{unit.capitalize()} by layer",
        text=(f"Counted: {measured['counter']}. Time: {measured['latency_source']}.",),
        pictures=(bars(f"{unit.capitalize()} by layer", f"{summary}.", chart, legend),),
        table=_layer_table(rows, kernels, unit, whole),
    )


def _layer_table(rows: Sequence[Mapping[str, Any]], kernels: Sequence[str], unit: str, whole: int) -> Table:
    head = (">#", "layer", "operation", "kernel", "output", ">MACs", f">{unit}", ">per MAC", ">µs", ">share")
    names = [*kernels, *[""] * (len(rows) - len(kernels))]
    return Table(
        "Layers",
        head,
        tuple(
            (
                str(i),
                row["name"],
                row["op"],
                kernel,
                "x".join(map(str, row["shape"])),
                f"{row['macs']:,}",
                f"{row[unit]:,}",
                f"{row[unit] / row['macs']:.2f}" if row["macs"] else "",
                f"{row['latency_us']:,.1f}",
                _share(row[unit], whole),
            )
            for i, (row, kernel) in enumerate(zip(rows, names, strict=False))
        ),
    )


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else ""


def memory(details: Details, arena_bytes: int, steps: Sequence[str]) -> Section:
    shared = {p for pair in overlaps(details.places) for p in pair}
    rows = tuple(_place_row(p, p in shared) for p in sorted(details.places, key=_order))
    head = ("tensor", "kind", "shape", ">offset, B", ">size, B", "when", "shares bytes")
    return Section(
        "memory",
        "Arena over time",
        text=(
            "Each rectangle is a tensor or a kernel's scratch: as wide as the steps it is needed in, as high as its "
            f"bytes. The dashed line is the arena, {arena_bytes:,} bytes.",
        ),
        pictures=(memory_map(details.places, arena_bytes, steps),),
        table=Table("Places in the arena", head, rows),
    )


def _order(p: Place) -> tuple[int, int, int]:
    return p.first_step, p.last_step, p.offset_bytes


def _place_row(p: Place, shares: bool) -> tuple[str, ...]:
    shape = "x".join(map(str, p.shape))
    return (
        p.name,
        p.kind,
        shape,
        f"{p.offset_bytes:,}",
        f"{p.size_bytes:,}",
        lifetime_text(p),
        "yes" if shares else "",
    )


def weights(details: Details) -> Section:
    has_source = any(w.source is not None for w in details.weights)
    before = "the outline is what the float network had" if has_source else "the float network was not given"
    rows = tuple(
        (str(w.step), w.name, w.op, str(w.bits), f"{w.elements:,}", f"{w.distinct:,}", _share(w.zeros, w.elements))
        for w in details.weights
    )
    return Section(
        "weights",
        "Weights",
        text=(f"Filled is what the device computes with, as real numbers; {before}. Heights are numbers of weights.",),
        pictures=tuple(histogram(w) for w in details.weights),
        is_grid=True,
        legend=WEIGHTS_LEGEND if has_source else WEIGHTS_LEGEND[:1],
        table=Table("Weights by layer", (">#", "layer", "operation", ">bits", ">weights", ">different", ">zero"), rows),
    )


def sensitivity(rows: Sequence[Sensitivity], advice: tuple[str, str]) -> Section:
    """Effect of each layer's rounding on the outputs: the lowest bar is the layer with the largest effect."""
    if not rows:
        return Section("sensitivity", "Sensitivity", advice=advice)
    chart = [
        Bar(
            _number(row),
            row.name,
            row.effect_db,
            _db(row.effect_db),
            style_of(row.op),
            f"{_name(row)}, {row.op}: {_db(row.effect_db)}",
        )
        for row in rows
    ]
    known = [row for row in rows if row.effect_db is not None]
    worst = min(known, key=lambda row: row.effect_db or 0.0, default=None)
    summary = f"{_name(worst)} has the largest effect: {_db(worst.effect_db)}." if worst else "No layer has an error."
    table = tuple(
        (
            *(_name(row), row.op, *map(_db, (row.own_db, row.cumulative_db, row.effect_db))),
            *(_db(row.kinds_db.get(kind)) for kind in Kind),
        )
        for row in rows
    )
    return Section(
        "sensitivity",
        "Sensitivity to quantization",
        text=(
            "Signal to noise of the network's outputs when one layer alone is rounded and all others are float: the "
            "lowest value is the layer with the largest effect; 6 dB are one bit.",
            *((text,) if (text := error_advice(rows)) else ()),
        ),
        pictures=(bars("Sensitivity by layer", summary, chart, kinds_legend([row.op for row in rows])),),
        table=Table(
            "Signal to noise",
            ("layer", "operation", ">alone", ">so far", ">on outputs", *(f">{kind}" for kind in Kind)),
            table,
        ),
    )


def _number(row: Sensitivity) -> str:
    return "" if row.step < 0 else str(row.step)


def _name(row: Sensitivity) -> str:
    return row.name if row.step < 0 else f"{row.step} {row.name}"


def _db(value: float | None) -> str:
    return "exact" if value is None else f"{value:.1f} dB"
