"""The options that say how a float network becomes integers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .option_groups import add_options, option

if TYPE_CHECKING:
    from ..ir import Array, Graph

METHODS = ("auto", "minmax", "percentile", "mse")
QUANTIZERS = (
    *("nearest", "nearest-asymmetric", "nearest-power-of-two"),
    *("linear", "linear-asymmetric", "linear-power-of-two", "double-linear"),
)
_Command = TypeVar("_Command", bound=Callable[..., Any])

GROUP = "Quantization of a float model"
_OPTIONS = (
    option(
        GROUP,
        "--method",
        type=click.Choice(METHODS),
        default="auto",
        show_default=True,
        help="Method that sets the ranges of activations.",
    ),
    option(
        GROUP,
        "--activations",
        type=click.Choice(("int8", "int16", "mixed")),
        default="int8",
        show_default=True,
        help="Type of activations; mixed: int16 in the layers that need it.",
    ),
    option(
        GROUP,
        "--weights",
        type=click.Choice(QUANTIZERS),
        metavar="QUANTIZER",
        default="nearest",
        show_default=True,
        help="Formula for weights; `mcuquant quantizers` compares them.",
    ),
    option(
        GROUP,
        "--weight-bits",
        type=click.Choice(("8", "4", "2")),
        default="8",
        show_default=True,
        help="Bits of weights.",
    ),
    option(
        GROUP,
        "--weight-bytes",
        type=click.IntRange(min=1),
        metavar="N",
        help="Select the bits of each layer; all weights fit in N bytes.",
    ),
    option(GROUP, "--equalize", is_flag=True, help="Equalize the channels of consecutive layers first."),
    option(GROUP, "--adaptive-rounding", is_flag=True, help="Round weights to minimize the error of each layer."),
    option(GROUP, "--correct-bias", is_flag=True, help="Add the mean error of each layer to its bias."),
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
    return add_options(command, _OPTIONS)


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
