"""`mcuquant boards`: list the board profiles, show one, write a new one, or test a board."""

from __future__ import annotations

import click

from ..boards.board import board_names, load_board
from ..device.plugged import Plugged, plugged, profiles
from ..reporting import tables
from .boards_new import new
from .boards_verify import verify_
from .console import next_step, say, show


class _Boards(click.Group):
    """A group whose first argument may also be the name of a board: `mcuquant boards NAME`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if CONNECTED in args and any(not each.startswith("-") for each in args):
            raise click.UsageError(f"{CONNECTED} lists all connected boards: leave the name out", ctx)
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            args = [SHOW, *args]
        return super().parse_args(ctx, args)


SHOW = "show"
CONNECTED = "--connected"


@click.group(cls=_Boards, invoke_without_command=True, subcommand_metavar="[NAME | COMMAND [ARGS]...]")
@click.option(CONNECTED, is_flag=True, help="List connected boards and their profiles.")
@click.pass_context
def boards(ctx: click.Context, connected: bool) -> None:
    """List the boards, show one profile, or write a new one.

    NAME is a board of the list, or the path of your own profile (a TOML file).

    \b
    Examples:
      mcuquant boards
      mcuquant boards qemu-mps2-an386
      mcuquant boards ./my-board.toml
      mcuquant boards --connected
      mcuquant boards new my-board
      mcuquant boards verify pico --port /dev/ttyACM0
    """
    if ctx.invoked_subcommand is not None:
        return
    if connected:
        _connected(plugged())
        return
    show(tables.boards_table(load_board(each) for each in board_names()))
    say("\nregisters only: compared with the vendor's description, never run on the board.")
    next_step("mcuquant boards NAME")


@boards.command(SHOW, short_help="Show one profile (the word may be left out).")
@click.argument("name")
def show_one(name: str) -> None:
    """Show one profile.

    NAME is a board of the list, or the path of your own profile (a TOML file).
    """
    board = load_board(name)
    show(tables.board_details(board))
    next_step(f"mcuquant compile MODEL --board {name} --calibration X.npz -o build/model")


boards.add_command(new)
boards.add_command(verify_)


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
