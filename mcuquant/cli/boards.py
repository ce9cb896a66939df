"""`mcuquant boards`: list the board profiles, or show one."""

from __future__ import annotations

import click

from ..boards.board import board_names, load_board
from ..device.plugged import Plugged, plugged, profiles
from ..reporting import tables
from .console import next_step, say, show


@click.command()
@click.argument("name", required=False)
@click.option("--connected", is_flag=True, help="List connected boards and their profiles.")
def boards(name: str | None, connected: bool) -> None:
    """List the boards, or show one profile.

    NAME is a board of the list, or the path of your own profile (a TOML file).

    \b
    Examples:
      mcuquant boards
      mcuquant boards qemu-mps2-an386
      mcuquant boards ./my-board.toml
      mcuquant boards --connected
    """
    if connected:
        if name is not None:
            raise click.UsageError("--connected lists all connected boards: leave the name out")
        _connected(plugged())
        return
    if name is None:
        show(tables.boards_table(load_board(each) for each in board_names()))
        next_step("mcuquant boards NAME")
        return
    board = load_board(name)
    show(tables.board_details(board))
    next_step(f"mcuquant compile MODEL --board {name} --calibration X.npz -o build/model")


def _connected(ports: tuple[Plugged, ...]) -> None:
    if not ports:
        say("No USB serial port is connected. Emulated boards need none.")
        next_step("mcuquant boards")
        return
    known = [load_board(each) for each in board_names()]
    grid = tables.table("port", "USB id", "serial number", "*description", "profiles")
    for one in ports:
        matching = ", ".join(profiles(one, known)) or "none"
        grid.add_row(one.port, f"{one.usb.vid:04x}:{one.usb.pid:04x}", one.serial or "-", one.description, matching)
    show(grid)
    next_step("mcuquant flash DIR --probe SERIAL")
