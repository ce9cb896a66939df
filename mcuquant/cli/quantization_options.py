"""The options for the quantization of a float network."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import CalibrationWarning
from ..quantization.array_files import load_arrays, named
from .option_groups import add_options, option

if TYPE_CHECKING:
    from ..ir import Array, Graph

METHODS = ("auto", "minmax", "percentile", "mse")
QUANTIZERS = (
    *("auto", "nearest", "nearest-asymmetric", "nearest-power-of-two"),
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
        default="auto",
        show_default=True,
        help="Formula for weights; `mcuquant quantizers` compares them.  auto: by output error below 8 bits.",
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
    option(
        GROUP,
        "--scaling",
        metavar="FACTOR[,OFFSET]",
        help="Real input = array * FACTOR + OFFSET, for images as bytes: 1/255, or 1/127.5,-1.",
    ),
    option(GROUP, "--equalize", is_flag=True, help="Equalize the channels of consecutive layers first."),
    option(
        GROUP,
        "--adaptive-rounding/--no-adaptive-rounding",
        default=None,
        help="Round weights to minimize the error of each layer.  [below 8 bits]",
    ),
    option(
        GROUP,
        "--correct-bias/--no-correct-bias",
        default=None,
        help="Add the mean error of each layer to its bias.  [below 8 bits]",
    ),
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """The values of the options."""

    method: str
    activations: str
    equalize: bool
    weights: Mapping[str, Any]
    """Fields of `quantization.Weights`."""
    scaling: tuple[float, float] | None = None
    """(factor, offset) that convert the arrays to real inputs."""

    def apply(self, graph: Graph, x: Mapping[str, Array], channels_first: bool | None) -> tuple[Graph, Graph]:
        """(the float graph as quantized, the integer graph)."""
        from .. import flow
        from ..quantization import Weights, as_quantized

        graph = flow.equalize(graph) if self.equalize else graph
        weights = Weights(**self.weights)
        with warnings.catch_warnings():  # the notes contain it too
            warnings.simplefilter("ignore", CalibrationWarning)
            integers = flow.quantize(graph, x, self.method, channels_first, self.activations, weights, self.scaling)
        return as_quantized(graph, integers), integers


def read_calibration(path: Path, graph: Graph) -> dict[str, Array]:
    """The array of each input by name: `x` for a single input, else arrays named after the inputs."""
    names = [graph[i].name for i in graph.inputs]
    arrays = load_arrays(path)
    if len(names) == 1:
        only = next((name for name in ("x", *names, "") if name in arrays), None)
        return {names[0]: arrays[only]} if only is not None else {names[0]: named(path, "x")[0]}
    return dict(zip(names, named(path, *names), strict=True))


def recipe_options(command: _Command) -> _Command:
    """Adds the options to a command, which passes them to `read_recipe`."""
    return add_options(command, _OPTIONS)


def read_recipe(options: Mapping[str, Any]) -> Recipe:
    """Raises UsageError if two options contradict each other."""
    if options["weight_bytes"] is not None and options["weight_bits"] != "8":
        raise click.UsageError("--weight-bytes chooses the bits itself: leave --weight-bits out")
    weights = {
        "quantizer": options["weights"],
        "bits": int(options["weight_bits"]),
        "most_bytes": options["weight_bytes"],
        "adaptive_rounding": options["adaptive_rounding"],
        "correct_bias": options["correct_bias"],
    }
    scaling = None if options["scaling"] is None else _scaling(options["scaling"])
    return Recipe(options["method"], options["activations"], options["equalize"], weights, scaling)


def _scaling(text: str) -> tuple[float, float]:
    """FACTOR or FACTOR,OFFSET; each a number or a fraction."""
    try:
        factor, *offset = map(_quotient, text.split(","))
        (shift,) = offset or [0.0]
    except (ValueError, ZeroDivisionError) as error:
        raise click.UsageError(f"--scaling {text!r}: expected FACTOR or FACTOR,OFFSET, such as 1/127.5,-1") from error
    return factor, shift


def _quotient(text: str) -> float:
    numerator, *divisor = map(float, text.split("/"))
    (below,) = divisor or [1.0]
    return numerator / below
