"""The options that say how a float network becomes integers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from ..ir import Array, Graph

METHODS = ("auto", "minmax", "percentile", "mse")
QUANTIZERS = (
    *("nearest", "nearest-asymmetric", "nearest-power-of-two"),
    *("linear", "linear-asymmetric", "linear-power-of-two", "double-linear"),
)
_Command = TypeVar("_Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--method", type=click.Choice(METHODS), default="auto", show_default=True, help="How to find ranges."),
    click.option(
        "--activations",
        type=click.Choice(("int8", "int16", "mixed")),
        default="int8",
        show_default=True,
        help="int16 where int8 loses too much; mixed: only in the layers that need it.",
    ),
    click.option(
        "--weights",
        type=click.Choice(QUANTIZERS),
        metavar="QUANTIZER",
        default="nearest",
        show_default=True,
        help="How weights become integers; `mcuquant quantizers` compares the ways.",
    ),
    click.option("--weight-bits", type=click.Choice(("8", "4", "2")), default="8", show_default=True),
    click.option(
        "--weight-bytes", type=click.IntRange(min=1), metavar="N", help="Bits by layer: all weights in N bytes."
    ),
    click.option("--equalize", is_flag=True, help="First even out the channels of consecutive layers."),
    click.option("--adaptive-rounding", is_flag=True, help="Round weights so that each layer's error is least."),
    click.option("--correct-bias", is_flag=True, help="Take each layer's mean error into its bias."),
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """What the options said."""

    method: str
    activations: str
    equalize: bool
    weights: Mapping[str, Any]
    """Fields of `quantization.Weights`."""

    def apply(self, graph: Graph, x: Array, channels_first: bool | None) -> tuple[Graph, Graph]:
        """(The float graph as it was quantized, the integer one)."""
        from .. import flow
        from ..quantization import Weights

        graph = flow.equalize(graph) if self.equalize else graph
        weights = Weights(**self.weights)
        return graph, flow.quantize(graph, x, self.method, channels_first, self.activations, weights)


def recipe_options(command: _Command) -> _Command:
    """Gives a command the options, which it hands to `read_recipe`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def read_recipe(options: Mapping[str, Any]) -> Recipe:
    """UsageError where two of them contradict each other."""
    if options["weight_bytes"] is not None and options["weight_bits"] != "8":
        raise click.UsageError("--weight-bytes chooses the bits itself: leave --weight-bits out")
    weights = {
        "quantizer": options["weights"],
        "bits": int(options["weight_bits"]),
        "most_bytes": options["weight_bytes"],
        "adaptive_rounding": options["adaptive_rounding"],
        "correct_bias": options["correct_bias"],
    }
    return Recipe(options["method"], options["activations"], options["equalize"], weights)
