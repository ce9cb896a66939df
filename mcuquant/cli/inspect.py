"""`mcuquant inspect`: properties and costs of a model or a compiled project."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..boards.board import DEFAULT_BOARD, load_board
from ..reporting import tables
from ..reporting.row_picture import row_table
from .console import next_step, say, show, working, write_json
from .objective_options import objective_of, objective_options

if TYPE_CHECKING:
    from ..ir import Graph
    from ..planner import Goal
    from ..project.project import Project


@click.command()
@click.argument("what", metavar="MODEL|DIR", type=click.Path(exists=True, path_type=Path))
@click.option("--board", metavar="B", help=f"Board a MODEL is planned for.  [default: {DEFAULT_BOARD}]")
@objective_options
@click.option("--graph", is_flag=True, help="Print the whole graph: every tensor and operation.")
@click.option(
    "--json",
    "json_path",
    type=click.Path(path_type=Path),
    metavar="F",
    help="Write the facts as JSON; - is stdout.",
)
def inspect(what: Path, board: str | None, graph: bool, json_path: Path | None, **limits: Any) -> None:
    """Show the layers of a model file or a compiled project.

    For each layer, the table of kernels lists the selected one (*) and the alternatives that cost less of something:
    cycles, constants, code or scratch.

    For a MODEL with unsupported operations, the command lists these operations and exits with 1.

    The sizes of a float MODEL are those of its int8 form.

    \b
    Examples:
      mcuquant inspect net.pt2
      mcuquant inspect net_int8.tflite --graph
      mcuquant inspect build/net --json net.json
    """
    if what.is_dir() and board is not None:
        raise click.UsageError(f"{what} was compiled for a board: leave --board out")
    names = [name for name, value in limits.items() if value is not None]
    if what.is_dir() and names:
        raise click.UsageError(f"{what} is compiled already: leave --{names[0].replace('_', '-')} out")
    with working(f"reading {what}"):
        facts = _of_project(what) if what.is_dir() else _of_model(what, board or DEFAULT_BOARD, limits)
    if json_path is not None:
        write_json(json_path, facts)
    if str(json_path) == "-":
        return
    if graph:
        say(facts["graph"])
        return
    _show(facts)
    next_step(_next(what, facts))


def _of_model(path: Path, board: str, limits: Mapping[str, Any]) -> Mapping[str, Any]:
    from .. import flow
    from ..codegen.budget import goal
    from ..reporting import describe

    graph, target = flow.load(path), load_board(board)
    target_goal = goal(graph, target, **objective_of(limits))
    return describe.describe(graph, target, target_goal)


def _of_project(directory: Path) -> Mapping[str, Any]:
    """The network that the folder was compiled from; sizes come from the firmware if it is built."""
    from .. import flow
    from ..project.project import Project
    from ..reporting import describe

    project = Project.open(directory)
    graph = flow.network_of(directory)
    facts = describe.describe(graph, project.board, _goal_of(project, graph))
    measured: dict[str, Any] = {"title": project.manifest["title"]}
    if (directory / "firmware.elf").is_file():
        built = project.firmware
        measured |= {"ram_bytes": built.ram_bytes, "flash_bytes": built.flash_bytes}
        measured |= {"ram_bytes_source": built.elf.name, "flash_bytes_source": built.elf.name}
        measured |= {"network_code_bytes": project.manifest["firmware"]["network_code_bytes"]}
    if project.feed is not None:
        measured |= _by_rows(project)
    return {**facts, **measured}


def _by_rows(project: Project) -> Mapping[str, Any]:
    """The facts of the plan by rows, of which the folder has no alternatives."""
    manifest = project.manifest
    facts = {name: manifest[name] for name in ("feed", "arena_bytes", "constant_bytes", "estimate")}
    return {**facts, "kernels": [], "arena_peak": None}


def _goal_of(project: Project, graph: Graph) -> Goal:
    """The limits that selected the kernels: stricter than the requested ones if the first build was too large."""
    from ..codegen.budget import goal

    manifest = project.manifest
    most_flash = manifest["estimate"].get("most_network_flash_bytes", manifest["max_flash_bytes"])
    return goal(graph, project.board, manifest["optimize"], manifest["max_ram_bytes"], most_flash)


_SIZES = (
    ("arena_bytes", "arena"),
    ("constant_bytes", "constants"),
    ("ram_bytes", "RAM of the firmware"),
    ("flash_bytes", "flash of the firmware"),
)


def _show(facts: Mapping[str, Any]) -> None:
    kind = "float" if facts["float"] else "integer"
    say(f"{facts['title']}: {kind}, {facts['parameters']:,} parameters, {facts['macs']:,} MACs; for {facts['board']}")
    show(tables.layer_table(facts["layers"]))
    if not facts["float"]:
        say("")
        show(tables.quantization_table(facts["quantization"]))
    say("")
    if facts.get("feed"):
        show(row_table(facts["feed"]))
    else:
        show(tables.kernel_table(facts["kernels"]))
    say("")
    say(tables.choice_text(facts))
    for key, text in _SIZES:
        if key in facts:
            say(f"{text}: {tables.bytes_text(facts[key])} ({facts[key + '_source']})")
    if facts["arena_peak"] is not None:
        say(tables.peak_text(facts["arena_peak"]))


def _next(what: Path, facts: Mapping[str, Any]) -> str:
    if what.is_dir():
        return f"mcuquant bench {what}"
    calibration = " --calibration X.npz" if facts["float"] else ""
    return f"mcuquant compile {what}{calibration} -o build/{what.stem}"
