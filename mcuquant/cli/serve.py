"""`mcuquant serve`: an emulated board behind a TCP port, for a board farm or another machine."""

from __future__ import annotations

from pathlib import Path

import click

from ..device.serving import serve
from ..errors import BoardError
from ..project.project import Project
from .bench import DIRECTORY
from .console import say


@click.command("serve")
@DIRECTORY
@click.option(
    "--port", "number", type=click.IntRange(0, 65535), default=5001, show_default=True, help="TCP port; 0: a free one."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
def serve_(directory: Path, number: int, host: str) -> None:
    """Serve the emulated board of DIR on a TCP port.

    The board runs the firmware of DIR. One client at a time connects to its serial port, as it would to a board's. The
    client measures what `mcuquant bench DIR` measures: modelled cycles, or counted instructions. Ctrl-C ends it.

    \b
    Examples:
      mcuquant serve build/net --port 5001
      mcuquant bench build/net --port tcp:127.0.0.1:5001        in another terminal
    """
    project = Project.open(directory)
    board = project.board
    if not board.is_emulated:
        raise BoardError(f"{directory} was compiled for {board.name}, which is not emulated: there is nothing to serve")

    def started(port: int) -> None:
        say(f"Serving {board.name} with the firmware of {directory} on tcp:{host}:{port}. Ctrl-C ends it.")

    try:
        serve(board, project.firmware.elf, project.steps.callers[0], host, number, started)
    except KeyboardInterrupt:
        return
