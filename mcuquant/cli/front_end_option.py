"""The option of `compile` that puts an audio front end in front of a network."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from .option_groups import Decorator, option

if TYPE_CHECKING:
    from ..ir import Graph

GROUP = "Front end"
_KIND = "micro"
_FRAMES = "frames"


def front_end_option() -> Decorator:
    return option(
        GROUP,
        "--frontend",
        metavar="micro[,KEY=VALUE...]",
        help="Put TensorFlow's audio front end before the network: micro,step=320,channels=49. Keys are those of "
        "mq.features.MicroFrontend, and frames: new rows of features for an inference.",
    )


def with_front_end(graph: Graph, text: str) -> Graph:
    """The network behind the front end that `text` describes. UsageError for a text that does not describe one."""
    from .. import features

    kind, *settings = text.split(",")
    if kind != _KIND:
        raise click.UsageError(f"--frontend {text}: {kind!r} is no front end, expected micro, micro,step=320 and so on")
    values = dict(_setting(text, setting) for setting in settings)
    frames = values.pop(_FRAMES, None)
    front = features.MicroFrontend(**values)
    return features.with_front_end(graph, front, frames)


def _setting(text: str, setting: str) -> tuple[str, Any]:
    from ..features import MicroFrontend

    types = {f.name: str(f.type) for f in fields(MicroFrontend)} | {_FRAMES: "int"}
    name, equals, value = setting.partition("=")
    if not equals or name not in types:
        raise click.UsageError(
            f"--frontend {text}: found {setting!r}, expected KEY=VALUE with one of {', '.join(types)}"
        )
    try:
        return name, {"int": int, "float": float, "str": str}[types[name]](value)
    except ValueError as error:
        raise click.UsageError(f"--frontend {text}: {name} is {value!r}, expected a number ({types[name]})") from error
