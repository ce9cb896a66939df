"""The options that say what the choice of kernels is good at, and what the network may take."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from ..planner.objective import DEFAULT, Objective

_Command = TypeVar("_Command", bound=Callable[..., Any])
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20}


class Size(click.ParamType[int]):
    """Bytes, as 20000, 20K (of 1,024 bytes each) or 2M."""

    name = "bytes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"([1-9][0-9]*)([KM]?)", str(value).upper())
        if found is None:
            self.fail(f"{value!r} is no size: expected bytes, as 20000, 20K (of 1,024 bytes) or 2M", param, ctx)
        return int(found[1]) * _UNITS[found[2]]


_OPTIONS = (
    click.option(
        "--optimize",
        type=click.Choice([objective.value for objective in Objective]),
        help=f"What kernels are chosen for: docs/planner.md.  [default: {DEFAULT}]",
    ),
    click.option("--max-ram", type=Size(), metavar="N", help="Most bytes of arena, as 20000 or 20K."),
    click.option("--max-flash", type=Size(), metavar="N", help="Most bytes of flash for the network: constants, code."),
)


def aim_options(command: _Command) -> _Command:
    """--optimize, --max-ram and --max-flash: arguments optimize, max_ram and max_flash."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
