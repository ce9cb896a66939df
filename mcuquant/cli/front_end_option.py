"""The audio front end of `compile`: the option --frontend, and the manifests of wake words that imply one."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .option_groups import Decorator, option

if TYPE_CHECKING:
    from ..codegen.node_settings import NodeSettings
    from ..features import MicroFrontend
    from ..features.wake_word import WakeWord
    from ..ir import Graph

GROUP = "Front end"
MANIFEST = ".json"
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


@dataclass(frozen=True, slots=True)
class FrontEnd:
    """A front end before a network, and the wake word whose manifest named both."""

    front: MicroFrontend
    frames: int | None
    word: WakeWord | None

    @classmethod
    def of(cls, text: str | None, model: Path) -> FrontEnd | None:
        """From --frontend and the model file. UsageError for a text that describes no front end."""
        from ..features.wake_word import WakeWord

        word = WakeWord.load(model) if model.suffix.lower() == MANIFEST else None
        if text is None:
            return None if word is None else cls(word.front_end, None, word)
        front, frames = _parsed(text)
        return cls(front, frames, word)

    def joined(self, network: Graph) -> Graph:
        from ..features import with_front_end

        return with_front_end(network, self.front, self.frames)

    @property
    def units(self) -> dict[str, Any]:
        """Constants of a node: samples of 16 bits enter the network as they are."""
        from ..features.chain import PCM

        return {"mean": 0.0, "std": 1.0, "lsb": PCM.scale[0]}

    def completed(self, node: NodeSettings, graph: Graph) -> NodeSettings:
        """Settings of a node with those that follow from the front end and the manifest, where none were given."""
        samples = graph[graph.inputs[0]].elements
        stride = samples - self.front.window + self.front.step if node.stride is None else node.stride
        node = replace(node, stride=stride, rate_hz=float(self.front.rate_hz) if node.rate_hz is None else node.rate_hz)
        if self.word is None or node.decision not in (None, "wake"):
            return node
        return replace(
            node,
            decision="wake",
            threshold=self.word.cutoff if node.threshold is None else node.threshold,
            average=self.word.average if node.average == 1 else node.average,
            cool_down=node.cool_down or self.word.cool_down(stride),
        )


def _parsed(text: str) -> tuple[MicroFrontend, int | None]:
    from ..features import MicroFrontend

    kind, *settings = text.split(",")
    if kind != _KIND:
        raise click.UsageError(f"--frontend {text}: {kind!r} is no front end, expected micro, micro,step=320 and so on")
    values = dict(_setting(text, setting) for setting in settings)
    frames = values.pop(_FRAMES, None)
    return MicroFrontend(**values), frames


def _setting(text: str, setting: str) -> tuple[str, Any]:
    from ..features import MicroFrontend

    types = {f.name: str(f.type) for f in fields(MicroFrontend)} | {_FRAMES: "int"}
    name, equals, value = setting.partition("=")
    if not equals or name not in types:
        keys = ", ".join(types)
        raise click.UsageError(f"--frontend {text}: found {setting!r}, expected KEY=VALUE with one of {keys}")
    try:
        return name, {"int": int, "float": float, "str": str}[types[name]](value)
    except ValueError as error:
        raise click.UsageError(f"--frontend {text}: {name} is {value!r}, expected a number ({types[name]})") from error
