"""`mcuquant compare`: a gate between two measurements."""

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
@click.pass_context
def compare_(ctx: click.Context, old: Path, new: Path, tolerance: str, any_network: bool) -> None:
    """Compare flash, RAM, cycles and latency of two measurements.

    Both are files that `mcuquant bench --json` wrote, of the same board, core and counter. The exit
    code is 1 when any number grew by more than the tolerance, for use in continuous integration.

    \b
    Examples:
      mcuquant compare main.json branch.json
      mcuquant compare main.json branch.json --tolerance 0.5%
    """
    limit = tolerance_of(tolerance)
    before, after = load_measurement(old), load_measurement(new)
    changes = compare(before, after, any_network)
    bad = worse(changes, limit)
    if not bad:
        say(f"No value is more than {tolerance} worse on {after['board']}.")
        show(_table(changes))
        say(f"old: {old}; new: {new}")
        return
    say(f"Worse by more than {tolerance} on {after['board']}: {', '.join(change.name for change in bad)}.")
    show(_table([*bad, *worse(layer_changes(before, after), limit)]))
    say(f"old: {old}; new: {new}")
    ctx.exit(1)


def _table(changes: Iterable[Change]) -> Table:
    grid = tables.table("*value", ">old", ">new", ">change")
    for change in changes:
        grid.add_row(change.name, f"{change.old:,}", f"{change.new:,}", f"{100 * change.growth:+.2f} %")
    return grid
