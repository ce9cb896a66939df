"""`mcuquant report`: one HTML page about a build, and others beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..project.project import Project
from .console import next_step, say, working, write_whole

if TYPE_CHECKING:
    from ..reporting.html.page import Build


@click.command("report")
@click.argument("directory", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("others", metavar="[DIR|RECORDS.json]...", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write.  [DIR/report.html]"
)
def report_(directory: Path, others: tuple[Path, ...], output: Path | None) -> None:
    """Write an HTML report about DIR.

    It shows cycles by layer, the arena over time, weights, sensitivity and accuracy.

    DIR is a folder made by `mcuquant compile`. More folders, and record files written by compress and search, are
    compared with it: accuracy against size and cycles. The page is one file without scripts, and works offline.

    The measurement is read from DIR/bench.json (`mcuquant bench DIR --json DIR/bench.json`) if it is of this build;
    otherwise an emulated board is measured now. Accuracy is read from DIR/validation.json (`mcuquant validate`).

    \b
    Examples:
      mcuquant report build/net
      mcuquant report build/net build/net4 search/records.json -o nets.html
    """
    from ..reporting.html import page

    folders = [directory, *(path for path in others if path.is_dir())]
    files = [path for path in others if not path.is_dir()]
    builds = [_measured(Project.open(f), name) for f, name in zip(folders, page.distinct_names(folders), strict=True)]
    text = page.page(builds, files)
    target = output or directory / "report.html"
    data = text.encode(errors="replace")
    write_whole(target, lambda file: file.write(data))
    say(f"Wrote {target} ({len(data):,} B). Open it in a browser.")
    next_step(f"mcuquant {'bench' if 'firmware' in builds[0].project.manifest else 'inspect'} {directory}")


def _measured(project: Project, name: str) -> Build:
    """An earlier measurement, or a new one of an emulated board."""
    from ..reporting.html import page

    measurement = page.measured_before(project)
    if measurement is None and project.board.is_emulated and (project.directory / "firmware.elf").is_file():
        with working(f"measuring on {project.board.name}"), project.connect() as dut:
            measurement = dut.bench().to_json()
    return page.Build(project, measurement, name)
