"""`mcuquant compare`: a check for regressions between two measurements."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click
from rich.table import Table

from ..reporting import tables
from ..reporting.compare import Change, compare, layer_changes, load_measurement, tolerance_of, worse
from .console import say, show

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("compare")
@click.argument("old", metavar="OLD.json", type=FILE)
@click.argument("new", metavar="NEW.json", type=FILE)
@click.option("--tolerance", metavar="T%", default="2%", show_default=True, help="Growth that is accepted.")
@click.option("--any-network", is_flag=True, help="Compare measurements of different networks too.")
@click.option("--markdown", is_flag=True, help="Print a Markdown table of all values, for a CI summary.")
@click.pass_context
def compare_(ctx: click.Context, old: Path, new: Path, tolerance: str, any_network: bool, markdown: bool) -> None:
    """Compare flash, RAM, cycles and latency of two measurements.

    Both are files that `mcuquant bench --json` wrote, of the same board, core, counter and clock. The exit
    code is 1 when any number grew by more than the tolerance, for use in continuous integration.

    \b
    Examples:
      mcuquant compare main.json branch.json
      mcuquant compare main.json branch.json --tolerance 0.5%
      mcuquant compare main.json branch.json --markdown >> "$GITHUB_STEP_SUMMARY"
    """
    limit = tolerance_of(tolerance)
    before, after = load_measurement(old), load_measurement(new)
    changes = compare(before, after, any_network)
    bad = worse(changes, limit)
    if bad:
        headline = f"Worse by more than {tolerance} on {after['board']}: {', '.join(change.name for change in bad)}."
        rows = [*bad, *worse(layer_changes(before, after), limit)]
    else:
        headline, rows = f"No value is more than {tolerance} worse on {after['board']}.", list(changes)
    say(headline)
    if before["macs"] != after["macs"]:
        say(f"The networks differ: {before['macs']:,} MACs before, {after['macs']:,} now.")
    if markdown:
        say(_markdown(changes, limit))
    else:
        show(_table(rows))
    say(f"old: {old}; new: {new}")
    ctx.exit(1 if bad else 0)


def _markdown(changes: Iterable[Change], limit: float) -> str:
    """A table for GitHub and GitLab; regressions are bold."""
    lines = ["", "| value | old | new | change |", "|---|---:|---:|---:|"]
    for change in changes:
        mark = "**" if change.is_worse(limit) else ""
        lines.append(f"| {change.name} | {' | '.join(f'{mark}{cell}{mark}' for cell in _cells(change))} |")
    return "\n".join([*lines, ""])


def _cells(change: Change) -> tuple[str, str, str]:
    return f"{change.old:,}", f"{change.new:,}", f"{100 * change.growth:+.2f} %"


def _table(changes: Iterable[Change]) -> Table:
    grid = tables.table("*value", ">old", ">new", ">change")
    for change in changes:
        grid.add_row(change.name, *_cells(change))
    return grid
