"""The options that say what the choice of kernels is good at, and what the network may take."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from ..planner.objective import DEFAULT, Objective
from .option_groups import add_options, option

_Command = TypeVar("_Command", bound=Callable[..., Any])
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20}


class Size(click.ParamType[int]):
    """Bytes, as 20000, 20K (of 1,024 bytes each) or 2M."""

    name = "bytes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"([1-9][0-9]*)([KM]?)", str(value).upper())
        if match is None:
            self.fail(f"{value!r} is not a size; expected bytes, as 20000, 20K (of 1,024 bytes) or 2M", param, ctx)
        return int(match[1]) * _UNITS[match[2]]


GROUP = "Kernel selection"
_OPTIONS = (
    option(
        GROUP,
        "--optimize",
        type=click.Choice([objective.value for objective in Objective]),
        help=f"Objective of the kernel selection (docs/planner.md).  [default: {DEFAULT}]",
    ),
    option(GROUP, "--max-ram", type=Size(), metavar="N", help="Maximum arena in bytes: 20000 or 20K."),
    option(
        GROUP,
        "--max-flash",
        type=Size(),
        metavar="N",
        help="Maximum flash in bytes for constants and code of the network.",
    ),
)


def objective_options(command: _Command) -> _Command:
    """--optimize, --max-ram and --max-flash: arguments optimize, max_ram and max_flash."""
    return add_options(command, _OPTIONS)


def objective_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """The values of these options, as arguments of `flow.compile` and `budget.goal`."""
    values = {name: options[name] for name in ("optimize", "max_ram", "max_flash")}
    return {**values, "optimize": values["optimize"] or DEFAULT}
