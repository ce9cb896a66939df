"""The sweeps of a network that is fed by rows: which tensor gets a row when, as facts and as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table

from ..passes.row_schedule import RowFed
from .tables import bytes_text, table

WIDTH = 24
"""Characters of the picture of all sweeps."""


def lines_of(fed: RowFed) -> list[dict[str, Any]]:
    """The tensors of the row part, in the order in which a sweep computes them.

    Row r of each comes in sweep `first` + r * `every`; `kept` older rows are in RAM, and the newest for a part of a
    sweep.
    """
    return [
        {
            "name": fed.whole[line.tensor].name,
            "rows": line.rows,
            "row_bytes": fed.whole[line.tensor].nbytes // line.rows,
            "kept": line.kept,
            "first": line.first,
            "every": line.every,
        }
        for line in fed.lines
    ]


def row_table(feed: Mapping[str, Any]) -> Table:
    """The lines of manifest.json's `feed`; the picture has a mark where rows come, from the first to the last sweep."""
    grid = table("*tensor", ">rows", ">kept", ">kept bytes", ">sweep", ">every", f"{feed['sweeps']} sweeps")
    grid.columns[-1].no_wrap = True
    for line in feed["lines"]:
        kept_bytes = bytes_text(line["kept"] * line["row_bytes"])
        numbers = (f"{line['rows']:,}", str(line["kept"]), kept_bytes, str(line["first"]), str(line["every"]))
        grid.add_row(line["name"], *numbers, "".join(_marks(line, feed["sweeps"])))
    return grid


def _marks(line: Mapping[str, Any], sweeps: int) -> Iterator[str]:
    width = min(WIDTH, sweeps)
    coming = {line["first"] + row * line["every"] for row in range(line["rows"])}
    for i in range(width):
        yield "#" if coming & {*range(i * sweeps // width, (i + 1) * sweeps // width)} else "."


def feed_text(feed: Mapping[str, Any]) -> str:
    """A sentence about the row part."""
    share = f"{feed['operations']} of {feed['operations_of_network']} operations"
    return f"Fed by rows: {share} compute one row at a time, in {feed['sweeps']} sweeps for {feed['rows']} rows."
