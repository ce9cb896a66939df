"""`mcuquant search`: search settings of a recipe, and draw the best ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table

from ..reporting import tables
from ..reporting.record import RECORDS, records_text
from .compress import FILE, needed
from .console import INTERRUPTED, next_step, progress, say, show, write_whole

if TYPE_CHECKING:
    from ..compression.recipe_search import CompletedTrial, SearchResult

AXES = {
    "cycles": "cycles, estimated",
    "macs": "multiply-accumulates",
    "weight_bytes": "bytes of weights",
    "constant_bytes": "bytes of constants in flash",
    "arena_bytes": "bytes of arena",
}
PICTURE = "front.svg"


@click.command()
@click.argument("recipe", metavar="RECIPE.toml", type=FILE)
def search(recipe: Path) -> None:
    """Search settings of a recipe for Pareto-optimal networks.

    The recipe's table [search] lists the settings and the costs. The objectives are accuracy on the validation samples
    and these costs, estimated by the planner. Trials are saved in a storage: after an interruption, run the command
    again to continue. Several processes, or machines that share a database or Optuna's proxy, can run one search. The
    output folder gets records.json, with all trials, and front.svg.

    \b
    The table, in addition to the tables of `mcuquant compress`:
      [search]
      trials = 40
      costs = ["cycles", "constant_bytes", "arena_bytes"]
      storage = "journal:build/search.journal"     # or sqlite:///FILE, postgresql://..., grpc://HOST:PORT
      [search.space]
      "prune.ratio" = { low = 0.2, high = 0.8 }
      "share.entries" = { choices = [4, 16, 64] }

    \b
    Examples:
      mcuquant search recipe.toml
      mcuquant compress recipe.toml --trial 17      make the network of a trial and test it
    """
    with needed():
        from ..compression import recipe_search as searching
    what = searching.Search.load(recipe)
    try:
        with progress("trials", what.settings.trials) as done:
            result = searching.search(recipe, lambda n, _: done(n))
    except KeyboardInterrupt:
        say(f"Interrupted. Finished trials are saved; continue with: mcuquant search {recipe}")
        raise SystemExit(INTERRUPTED) from None
    costs = what.settings.costs
    say(f"{len(result.trials)} trials; {len(result.front)} Pareto-optimal:")
    show(_table(result.front, costs))
    _keep(result, costs, what.folder)
    say(f"Accuracy: {result.trials[0].record.accuracy_source}. Costs: estimated by the planner.")
    say(f"Wrote {what.folder}: {RECORDS}, {PICTURE}.")
    next_step(f"mcuquant compress {recipe} --trial {result.front[0].number}")


def _table(trials: Sequence[CompletedTrial], costs: Sequence[str]) -> Table:
    quality = tables.quality_heading(t.record for t in trials)
    grid = tables.table(">trial", quality, *(f">{cost}" for cost in costs), "*settings")
    for one in trials:
        settings = ", ".join(f"{key} {_value(value)}" for key, value in one.values.items())
        numbers = (f"{one.costs[cost]:,}" for cost in costs)
        grid.add_row(str(one.number), one.record.quality_text, *numbers, settings)
    return grid


def _value(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _keep(result: SearchResult, costs: Sequence[str], folder: Path) -> None:
    from ..reporting.html.scatter_chart import scatter
    from ..reporting.html.svg import standalone

    folder.mkdir(parents=True, exist_ok=True)
    text = records_text(trial.record for trial in result.trials)
    write_whole(folder / RECORDS, lambda file: file.write(text.encode()))
    planned = {t.number: t.record for t in result.trials}
    name = result.trials[0].record.metric or "Accuracy"
    pictures = [scatter(f"{name} against {AXES[cost]}", AXES[cost], cost, planned) for cost in costs]
    write_whole(folder / PICTURE, lambda file: file.write(standalone(pictures).encode()))
