"""`mcuquant compress`: a network made smaller by a recipe, quantized and compiled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import BudgetError, ToolError
from ..firmware_build import build
from ..reporting import tables
from .console import next_step, say, show, stages

if TYPE_CHECKING:
    from ..compression.recipe import Recipe
    from ..reporting.record import Record

PACKAGES = ("torch", "torch_pruning", "torchao", "optuna")
NEEDS = "pip install 'mcuquant[compress]'"
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("recipe", metavar="RECIPE.toml", type=FILE)
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="DIR", help="Folder to make.  [the recipe's]")
@click.option("--trial", type=int, metavar="N", help="With the settings of a trial of `mcuquant search`.")
@click.option("--fresh", is_flag=True, help="Make every step anew, whatever an earlier run had finished.")
@click.option("--best-effort", is_flag=True, help="Exit with 0 where a target of the recipe is missed.")
def compress(recipe: Path, output: Path | None, trial: int | None, fresh: bool, best_effort: bool) -> None:
    """Prune, sparsify, share and quantize a PyTorch network.

    RECIPE.toml names the steps; the result is compiled.

    The recipe names a Python function that returns the network, files of samples, a board, and the steps; each step
    is followed by training with the float network as teacher. The folder then holds what `mcuquant compile` makes,
    and records.json: the network after each step.

    Finished steps are kept in DIR.steps. A run that was interrupted goes on from there when it is started again, and
    after a change of the recipe only the steps are made that the change concerns.

    \b
    A recipe:
      model = "net.py:build"                # beside the recipe, or module:function
      weights = "net.pt"                    # a state dict of torch.save; or train it here: [train] epochs = 20
      board = "qemu-mps2-an386"
      output = "build/small"
      [data]
      train = "train.npz"                   # arrays x, y
      valid = "valid.npz"
      test = "test.npz"
      [prune]
      target = { cycles = "25 %", constant_bytes = 20000 }
      [share]
      entries = 16
      [fine_tune]
      epochs = 10

    \b
    Examples:
      mcuquant compress recipe.toml
      mcuquant compress recipe.toml -o build/smaller
      mcuquant compress recipe.toml --fresh
    """
    with needed():
        from ..compression import pipeline
        from ..compression.recipe import load_recipe
        from ..compression.steps import SUFFIX as STEPS_SUFFIX
    settings = load_recipe(recipe) if trial is None else _of_trial(recipe, trial)
    directory = output or Path(settings.output if trial is None else f"{settings.output}/trial-{trial}")
    build.check_free(directory)
    build.need_firmware_tools()
    with stages() as progress:
        result, project = pipeline.compress_file(recipe, directory, settings, progress, fresh)
    if result.reused:
        kept = f"{directory}{STEPS_SUFFIX}"
        say(f"Taken from {kept}, where an earlier run left them: {', '.join(result.reused)}. --fresh makes them anew.")
    show(tables.records_table(result.records))
    for line in sources(result.records):
        say(line)
    say(f"Wrote {project.directory}: C project, manifest.json, records.json, firmware.elf.")
    next_step(f"mcuquant bench {project.directory}", f"mcuquant inspect {project.directory}")
    if result.missed:
        missed = "; ".join(result.missed)
        if not best_effort:
            raise BudgetError(f"{missed}; the table shows what each step costs (--best-effort accepts it)")
        say(f"Missed: {missed}.")


def _of_trial(recipe: Path, trial: int) -> Recipe:
    with needed():
        from ..compression.recipe_search import trial_recipe
    return trial_recipe(recipe, trial)


@contextmanager
def needed() -> Iterator[None]:
    """ToolError, with how to get it, for a package that only compression needs."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in PACKAGES:
            raise
        raise ToolError(f"compression needs the Python package {package}, which is not installed: {NEEDS}") from error


def sources(records: tuple[Record, ...]) -> list[str]:
    """Where the numbers of a table of records come from."""
    accuracy = sorted({r.accuracy_source for r in records if r.accuracy_source})
    cycles = sorted({r.cycles_source for r in records if r.cycles_source})
    lines = [f"Accuracy: {'; '.join(accuracy)}."] if accuracy else []
    return [*lines, *([f"Cycles: {'; '.join(cycles)}."] if cycles else [])]
