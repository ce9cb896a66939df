"""`mcuquant doctor`: list what is installed on this machine and what is missing."""

from __future__ import annotations

from collections.abc import Sequence

import click
from rich.table import Table

from ..reporting import tables
from .console import next_step, say, show, working
from .system_checks import Check, checks, missing


@click.command()
@click.pass_context
def doctor(ctx: click.Context) -> None:
    """List what is installed and what is missing.

    The exit code is 1 when a required item is missing. Items that only some users need are listed as optional.
    """
    with working("checking this machine"):
        rows = checks()
    show(_table(rows))
    absent = missing(rows)
    if not absent:
        say("All required items are installed.")
        next_step("mcuquant demo")
        return
    say(f"Missing: {', '.join(check.name for check in absent)}.")
    next_step(*(check.remedy for check in absent))
    ctx.exit(1)


def _table(rows: Sequence[Check]) -> Table:
    grid = tables.table("", "item", "needed for", "version, or how to install it")
    for check in rows:
        grid.add_row(_mark(check), check.name, check.purpose, check.version or check.remedy)
    return grid


def _mark(check: Check) -> str:
    if check.ok:
        return "ok"
    return "MISSING" if check.required else "optional"
