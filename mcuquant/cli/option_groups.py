"""Groups the options of a command in its help, each group under a heading."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])
Decorator = Callable[[Any], Any]


class GroupedOption(click.Option):
    """An option under the heading `group` in the help."""

    def __init__(self, *args: Any, group: str = "", **more: Any) -> None:
        super().__init__(*args, **more)
        self.group = group


class GroupedCommand(click.Command):
    """A command whose help lists options by group, in the order in which the groups are declared."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, list[tuple[str, str]]] = {"Options": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                heading = getattr(param, "group", "") or "Options"
                groups.setdefault(heading, []).append(record)
        for heading, records in groups.items():
            with formatter.section(heading):
                formatter.write_dl(records)


def option(group: str, *names: str, **more: Any) -> Decorator:
    """`click.option` under the heading `group`."""
    return click.option(*names, cls=GroupedOption, group=group, **more)


def add_options(command: _Command, options: Sequence[Decorator]) -> _Command:
    """The command with `options`, in their order."""
    for decorate in reversed(options):
        command = decorate(command)
    return command
