"""`mcuquant boards new`: write the profile of a board whose chip is known."""

from __future__ import annotations

import tomllib
from pathlib import Path

import click

from ..boards.board import FLASH_METHODS, board_names, board_of
from ..boards.chip_families import FAMILIES
from ..boards.new_profile import NewProfile
from ..boards.soc import open_chip_keys, soc_names, soc_table, uart_names
from ..errors import OutputError
from ..reporting import tables
from .console import next_step, say, show


@click.command("new")
@click.argument("name")
@click.option("--soc", metavar="CHIP", help="The chip, such as stm32f446re.")
@click.option("--title", help="One line of text; by default the name and the chip.")
@click.option("--uart", metavar="UART", help="The UART that is connected to the host, such as USART2.")
@click.option("--tx", metavar="PIN", help="Its transmit pin in the vendor's notation, such as PA2, P0.06 or GP0.")
@click.option("--rx", metavar="PIN", help="Its receive pin.")
@click.option("--chip", "chip", multiple=True, metavar="KEY=VALUE", help="A value of [chip]; may be repeated.")
@click.option("--flash-with", multiple=True, type=click.Choice(FLASH_METHODS), help="A flash tool; may be repeated.")
@click.option("-o", "--output", default=".", metavar="DIR", help="Folder of the new file NAME.toml.  [default: .]")
def new(
    name: str,
    soc: str | None,
    title: str | None,
    uart: str | None,
    tx: str | None,
    rx: str | None,
    chip: tuple[str, ...],
    flash_with: tuple[str, ...],
    output: str,
) -> None:
    """Write the profile of a board with a known chip.

    NAME is the board's name: letters, digits, '-' and '_'. The command asks for what the options do not say. The
    profile states that the board is untested.

    \b
    Examples:
      mcuquant boards new my-board
      mcuquant boards new my-board --soc stm32f411ce --uart USART1 --tx PA9 --rx PA10 \\
        --chip hse_hz=25000000 --chip hse_is_bypassed=0
    """
    path = _free_path(name, Path(output))
    soc = soc or _asked("chip", soc_names())
    uart = uart or _asked("UART that is connected to the host", uart_names(soc))
    profile = NewProfile(
        title or f"{name} ({soc.upper()})",
        soc,
        uart,
        tx or click.prompt("transmit pin, such as PA2, P0.06 or GP0", err=True),
        rx or click.prompt("receive pin", err=True),
        _chip_values(soc, chip),
        flash_with,
    )
    board = board_of(tomllib.loads(profile.text), path)
    _write(path, profile.text)
    show(tables.board_details(board))
    say(f"\n{path} is written. Nobody has run this firmware on the board: check the pins with its schematic.")
    next_step(f"mcuquant compile MODEL --board {path} --calibration X.npz -o build/model")


def _free_path(name: str, folder: Path) -> Path:
    path = folder / f"{name}.toml"
    if name in board_names():
        raise click.UsageError(f"{name} is a board that comes with mcuquant; choose another name")
    if path.exists():
        raise OutputError(f"{path} exists; remove it first, or choose another name")
    return path


def _asked(what: str, choices: tuple[str, ...]) -> str:
    if len(choices) == 1:
        return choices[0]
    answer: str = click.prompt(what, type=click.Choice(choices), err=True)
    return answer


def _chip_values(soc: str, stated: tuple[str, ...]) -> dict[str, int]:
    """The values of `--chip`, and the answers for the keys of the family that depend on the board."""
    values = dict(_chip_value(text) for text in stated)
    family = FAMILIES[soc_table(soc)["port"]]
    for key in open_chip_keys(soc, (key.name for key in family.keys)):
        if key not in values:
            meaning = next(each.meaning for each in family.keys if each.name == key)
            values[key] = click.prompt(f"{key} ({meaning})", type=int, err=True)
    return values


def _chip_value(text: str) -> tuple[str, int]:
    key, _, value = text.partition("=")
    try:
        return key, int(value.replace("_", ""), 0)
    except ValueError:
        raise click.UsageError(f"--chip {text}: write KEY=VALUE with a whole number, such as pll_n=84") from None


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}") from error
