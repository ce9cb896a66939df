"""`mcuquant boards`: the profiles there are, and what one says."""

from __future__ import annotations

import click

from .. import report
from ..board import board_names, load_board
from .console import next_step, show


@click.command()
@click.argument("name", required=False)
def boards(name: str | None) -> None:
    """List the boards, or all that is known about one.

    NAME is a board of the list, or the path of a profile of your own (a TOML file).

    \b
    Examples:
      mcuquant boards
      mcuquant boards qemu-mps2-an386
      mcuquant boards ./my-board.toml
    """
    if name is None:
        show(report.boards_table(load_board(each) for each in board_names()))
        next_step("mcuquant boards NAME")
        return
    board = load_board(name)
    show(report.board_details(board))
    next_step(f"mcuquant compile MODEL --board {name} --calibration X.npz -o build/model")
