"""`mcuquant flash`: write firmware to a board and verify it."""

from __future__ import annotations

from pathlib import Path

import click

from ..boards.board import load_board
from ..device.flash import flash
from ..errors import BoardError
from ..project.project import Project
from .bench import DIRECTORY
from .console import next_step, say, working


@click.command("flash")
@DIRECTORY
@click.option("--board", metavar="B", help="Profile to use instead of the supplied one.")
@click.option("--probe", metavar="UID", help="Serial number of the debug probe, or the folder of a UF2 drive.")
def flash_(directory: Path, board: str | None, probe: str | None) -> None:
    """Write the firmware of DIR to its board and verify it.

    The profile lists the possible tools: pyOCD, OpenOCD, st-flash, J-Link Commander, bossac, or the drive of a UF2 boot
    loader. The first one that is installed is used. An emulated board is rebooted. With several boards connected,
    --probe selects one; `mcuquant boards --connected` lists them.

    \b
    Examples:
      mcuquant flash build/net
      mcuquant flash build/net --probe 066DFF
    """
    project = Project.open(directory)
    target = project.board if board is None else load_board(board)
    if target.name != project.board.name:
        raise BoardError(
            f"{directory} was compiled for {project.board.name}, not for {target.name}; "
            f"compile it again with --board {target.name}"
        )
    if target.is_emulated:
        _boot(project)
        return
    with working(f"flashing {target.name}"):
        done = flash(target, project.firmware.elf, probe)
    say(f"Flashed {target.name}: {done}.")
    next_step(f"mcuquant bench {directory} --port PORT", "mcuquant boards --connected")


def _boot(project: Project) -> None:
    with working(f"booting {project.board.name}"), project.connect() as dut:
        digest = dut.info.digest
    say(f"{project.board.name} is emulated: it was rebooted and runs the project's build (digest {digest[:12]}).")
    next_step(f"mcuquant bench {project.directory}")
