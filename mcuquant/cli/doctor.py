"""`mcuquant doctor`: what this machine has and lacks."""

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

    Exits with 1 when something is missing that every user needs; what only some need is listed as optional.
    """
    with working("looking"):
        rows = checks()
    show(_table(rows))
    lacking = missing(rows)
    if not lacking:
        say("Everything needed is there.")
        next_step("mcuquant demo")
        return
    say(f"Missing and needed: {', '.join(check.name for check in lacking)}.")
    next_step(*(check.remedy for check in lacking))
    ctx.exit(1)


def _table(rows: Sequence[Check]) -> Table:
    grid = tables.table("", "what", "for", "found, or how to get it")
    for check in rows:
        grid.add_row(_mark(check), check.name, check.purpose, check.found or check.remedy)
    return grid


def _mark(check: Check) -> str:
    if check.ok:
        return "ok"
    return "MISSING" if check.required else "optional"
