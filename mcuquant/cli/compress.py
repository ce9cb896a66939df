"""`mcuquant compress`: compress a network by a recipe, quantize and compile it."""

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
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="DIR", help="Folder to write.  [the recipe's]")
@click.option("--trial", type=int, metavar="N", help="Use the settings of a trial of `mcuquant search`.")
@click.option("--fresh", is_flag=True, help="Repeat every step; ignore the steps of earlier runs.")
@click.option("--best-effort", is_flag=True, help="Accept a result that misses a target of the recipe.")
def compress(recipe: Path, output: Path | None, trial: int | None, fresh: bool, best_effort: bool) -> None:
    """Prune, sparsify, share and quantize a PyTorch network.

    RECIPE.toml lists the steps. The result is compiled.

    The recipe names a Python function that returns the network, files of samples, a board, and the steps. Each step
    is followed by training with the float network as teacher. DIR then holds the files of `mcuquant compile`, and
    records.json with the size and accuracy of the network after each step.

    Finished steps are stored in DIR.steps. An interrupted run continues there when the command runs again. After a
    change of the recipe, only the steps that depend on the change run again.

    \b
    A recipe:
      model = "net.py:build"                # in the recipe's folder, or module:function
      weights = "net.pt"                    # a state dict of torch.save; or [train] epochs = 20
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
        steps_folder = f"{directory}{STEPS_SUFFIX}"
        say(
            f"Reused steps of an earlier run, from {steps_folder}: {', '.join(result.reused)}. "
            "Use --fresh to repeat them."
        )
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
    """Raises ToolError with the install command for a missing package that only compression needs."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in PACKAGES:
            raise
        raise ToolError(f"compression needs the Python package {package}, which is not installed: {NEEDS}") from error


def sources(records: tuple[Record, ...]) -> list[str]:
    """Lines about the source of the numbers in a table of records."""
    accuracy = sorted({r.accuracy_source for r in records if r.accuracy_source})
    cycles = sorted({r.cycles_source for r in records if r.cycles_source})
    lines = [f"Accuracy: {'; '.join(accuracy)}."] if accuracy else []
    return [*lines, *([f"Cycles: {'; '.join(cycles)}."] if cycles else [])]
