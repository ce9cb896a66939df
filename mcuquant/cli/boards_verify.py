"""`mcuquant boards verify`: the self-test of a board, and the record of its results."""

from __future__ import annotations

import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from ..boards.board import load_board
from ..device.emulator import not_emulated
from ..errors import BoardError, DeviceError
from ..reporting import tables
from .bench import NEW_FILE, PORT
from .console import next_step, progress, say, show, write_whole

if TYPE_CHECKING:
    from ..testing.board_verification import Verification


@click.command("verify")
@click.argument("name")
@PORT
@click.option("--flash-probe", metavar="UID", help="Serial number of the probe that flashes the board.")
@click.option("--by", default="", metavar="TEXT", help="Who made the test; part of the record.")
@click.option("-o", "--output", type=NEW_FILE, metavar="F", help="Write the record, a TOML file.")
def verify_(name: str, port: str | None, flash_probe: str | None, by: str, output: Path | None) -> None:
    """Flash test firmware to a board and check all that its profile claims.

    NAME is a board of the list, or the path of your own profile. Four builds are flashed, one after the other: the
    bytes of three networks, timer, clock, serial port, reset and the report of a crash are checked. The exit
    code is 1 if a check fails. With -o, the record can be sent in, so that the profile becomes `hardware`.

    \b
    Examples:
      mcuquant boards verify ./my-board.toml --port /dev/ttyACM0 --by "Jo, rev. C" -o my-board.verified.toml
      mcuquant boards verify qemu-mps2-an386
      mcuquant boards verify pico --port rp2040py
    """
    from ..testing.board_selection import Selected
    from ..testing.board_verification import COUNT, verify

    board = load_board(name)
    if port is None and not board.is_emulated:
        raise BoardError(not_emulated(board))
    selected = Selected(port, flash_probe, None, "--port")
    with TemporaryDirectory(prefix="mq-") as folder, progress(f"checking {board.name}", COUNT) as done:
        result = verify(board, selected, Path(folder), done)
    _show(result)
    if output is not None:
        record = result.to_toml(by, datetime.date.today()).encode()
        write_whole(output, lambda file: file.write(record))
        say(f"Record: {output}")
    if not result.passed:
        raise DeviceError(f"{board.name}: {sum(c.passed is False for c in result.checks)} checks failed")
    next_step(f"mcuquant compile MODEL --board {name} -o build/model")


def _show(result: Verification) -> None:
    grid = tables.table("check", "result", "*detail")
    for check in result.checks:
        grid.add_row(check.name, {True: "passed", False: "FAILED", None: "not made"}[check.passed], check.detail)
    show(grid)
