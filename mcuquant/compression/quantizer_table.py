"""A table of every quantizer at every number of bits on one network: accuracy and costs. It does not need PyTorch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arithmetic.interpreter import run
from ..boards.board import Board
from ..errors import CalibrationError
from ..flow import quantize
from ..ir import Array, Graph
from ..quantization import Weights
from ..quantization.labels import check_labels, class_count
from ..quantization.quantizers import BITS, QUANTIZERS
from ..quantization.samples import read_samples, single, spread_evenly
from ..quantization.snr import output_snr, quantized_inputs
from .costs import cost_of

DEFAULT_ROW = "auto"
"""Name of the row of the default settings."""
MOST_SAMPLES = 200
"""Number of samples for the comparison, evenly spaced among those given."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """Results of one quantizer on one network."""

    quantizer: str
    formula: str
    bits: int
    right: float | None
    """Accuracy, 0 to 1; None without labels."""
    output_db: float
    """Signal-to-noise ratio in dB of the outputs, relative to the float network."""
    constant_bytes: int
    """Bytes of all constants as the kernels read them, without code."""
    cycles: int
    """Cycles of one inference by the kernels' cost model."""


def weigh(
    graph: Graph,
    calibration: Any,
    board: Board,
    test: Any = None,
    classes: Array | None = None,
    *,
    bits: Iterable[int] = BITS,
    method: str = "mse",
    channels_first: bool | None = None,
) -> Iterator[Weighed]:
    """Quantize a float graph at each of `bits`: as `quantize` does by default, then with every quantizer alone.

    `test` (else `calibration`) are the samples of the comparison; `classes` (N,) are their class numbers for the first
    output. Raises CalibrationError if the numbers of classes and samples differ.
    """
    samples = _samples(graph, calibration, test, channels_first)
    if classes is not None:
        check_classes(graph, classes, len(samples[0]))
    judges = spread_evenly((*samples, *([] if classes is None else [classes])), MOST_SAMPLES)
    inputs = list(single(judges[: len(samples)]))
    exact = [run(graph, x) for x in inputs]
    for n in bits:
        for name in (DEFAULT_ROW, *QUANTIZERS):
            quantized = _quantized(graph, calibration, method, channels_first, name, n)
            right = None if classes is None else _part_right(quantized, inputs, judges[-1])
            cost = cost_of(quantized, board)
            db = output_snr(quantized, inputs, exact)
            formula = QUANTIZERS[name].formula if name in QUANTIZERS else _chosen(quantized)
            yield Weighed(name, formula, n, right, db, cost.constant_bytes, cost.cycles)


def _quantized(graph: Graph, calibration: Any, method: str, channels_first: bool | None, name: str, bits: int) -> Graph:
    """By default settings, or by a formula without adaptive rounding and bias correction."""
    if name == DEFAULT_ROW:
        return quantize(graph, calibration, channels_first=channels_first, weights=Weights(bits=bits))
    plain = Weights(quantizer=name, bits=bits, adaptive_rounding=False, correct_bias=False)
    return quantize(graph, calibration, method, channels_first, weights=plain)


def _chosen(quantized: Graph) -> str:
    """The quantizer that the default selected, from the notes."""
    notes = [note.removeprefix("quantization: weights by ") for note in quantized.notes if ": weights by " in note]
    return f"{notes[0].partition(':')[0]}, adaptive" if notes else "nearest"


def _samples(graph: Graph, calibration: Any, test: Any, channels_first: bool | None) -> tuple[Array, ...]:
    if test is None:
        return read_samples(graph, calibration, channels_first)
    try:
        return read_samples(graph, test, channels_first)
    except CalibrationError as error:
        raise CalibrationError(str(error).replace("calibration data", "test data")) from error


def check_classes(graph: Graph, classes: Array, count: int) -> None:
    """CalibrationError unless there is a class number of the first output for each of `count` samples."""
    if classes.shape != (count,) or classes.dtype.kind not in "iu":
        raise CalibrationError(
            f"there are {count} samples and classes of {classes.dtype} and shape {classes.shape}; "
            f"expected {count} class numbers, one for each sample"
        )
    count = class_count(graph[graph.outputs[0]].shape[1:])
    check_labels("the test data", int(classes.min()), int(classes.max()), count)


def _part_right(graph: Graph, inputs: Sequence[Sequence[Array]], classes: Array) -> float:
    guesses = [run(graph, quantized_inputs(graph, x))[0].argmax() for x in inputs]
    return float((np.array(guesses) == classes).mean())
