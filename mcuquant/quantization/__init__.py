"""Post-training quantization: a float graph and some samples become an integer graph by TFLite's int8 specification.

Source of the scheme: B. Jacob et al. (CVPR 2018), and tensorflow.org/lite/performance/quantization_spec.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..arithmetic.interpreter import reset_state, trace
from ..errors import CalibrationError, GraphError, UnsupportedOpError
from ..ir import Array, DType, Graph, Tensor, ops
from ..ir.elementwise_table import ELEMENTWISE, Rule
from . import quantizers
from .equalize import equalize as equalize
from .integer_graph import rewritten
from .methods import METHODS
from .mixed import mixed
from .precision import LayerBits as LayerBits
from .precision import chosen_bits, layer_bits, precision_note
from .precision import sensitivity as sensitivity
from .reconstruct import reconstructed
from .samples import read_samples, single
from .scale_groups import share
from .scales import choose
from .snr import LayerSnr as LayerSnr
from .snr import output_snr
from .snr import snr_report as snr_report
from .softmax_scores import softmax_scores, with_masks_near
from .value_histogram import Histogram
from .weight_palettes import with_palettes as with_palettes
from .weight_scales import FittedLayers, fit_weights

MIXED = "mixed"
ACTIVATIONS = {"int8": DType.INT8, "int16": DType.INT16, MIXED: DType.INT8}
_HELD_OUT_EVERY = 4
_HELD_OUT_MOST = 32
"""Every fourth sample, at most 32, judges the methods; all of them calibrate in the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """How weights become integers; `quantizers` and docs/quantization.md say what each choice does."""

    quantizer: str = quantizers.DEFAULT
    """A key of `quantizers.QUANTIZERS`."""
    bits: int | Mapping[str, int] = 8
    """8, 4 or 2, for all layers or by the name of a layer's output; those not named have 8."""
    most_bytes: int | None = None
    """Each layer gets the 8, 4 or 2 bits that cost the outputs least while all weights together take no more."""
    adaptive_rounding: bool = False
    correct_bias: bool = False


def quantize(
    graph: Graph,
    calibration: Array | Sequence[Array],
    method: str = "auto",
    activations: str = "int8",
    channels_first: bool | None = None,
    weights: Weights | str = quantizers.DEFAULT,
) -> Graph:
    """A float graph as an integer one (level QUANTISED) with the same tensor ids.

    `calibration`: (N, ...) samples, a hundred typical ones are enough, in the graph's layout or the model's own; those
    of a network with memory are one stream, in order
    (`channels_first` where the shape does not tell); a sequence of such arrays when the graph has several inputs.
    `method` is minmax, percentile (99.99 %), mse, or auto: the one of the three whose outputs have the best
    signal-to-noise ratio on held-out samples; `notes` says which. `activations` is int8, int16 (TFLite's 16x8: for
    networks that int8 hurts; slower, twice the RAM), or mixed: int16 for as few layers as outputs of 30 dB need.
    `weights` says how weights become integers (a text: by which
    quantizer); by default int8, symmetric, to nearest.

    Raises CalibrationError for unusable samples or an unknown choice, GraphError for a graph that is not float or not
    folded, UnsupportedOpError for an operation without an integer form, BudgetError when no choice of bits is small
    enough.
    """
    check_float(graph)
    dtype = _activation_type(activations)
    _check_forms(graph, dtype)
    options = Weights(quantizer=weights) if isinstance(weights, str) else weights
    if graph.updates and activations == MIXED:
        raise UnsupportedOpError(
            f"{graph.name} keeps state between inferences, and mixed activations are for networks without; use int8 or "
            "int16"
        )
    samples = read_samples(graph, calibration, channels_first)
    if method != "auto" and method not in METHODS:
        names = ", ".join(["auto", *METHODS])
        raise CalibrationError(f"calibration method {method!r} is not known, expected one of: {names}")
    histograms = _Seen.of(graph, samples)
    fitted, notes = _fitted(graph, samples, options)
    method, reason = _best(graph, histograms, dtype, fitted) if method == "auto" else (method, "")
    quantized = _noted(_by(graph, histograms.everywhere, method, dtype, fitted), f"calibrated by {method}{reason}")
    if activations == MIXED:
        wide = _by(graph, histograms.everywhere, method, DType.INT16, fitted)
        quantized, note = mixed(graph, quantized, wide, histograms.inputs, histograms.outputs)
        notes.append(note)
    if options.adaptive_rounding or options.correct_bias:
        quantized = reconstructed(graph, quantized, samples, options.adaptive_rounding, options.correct_bias)
    return _noted(quantized, *notes)


def _fitted(graph: Graph, samples: tuple[Array, ...], options: Weights) -> tuple[FittedLayers, list[str]]:
    """The grid of every layer with weights, and what a person should know about it."""
    quantizer = quantizers.quantizer(options.quantizer)
    bits, notes = layer_bits(graph, options.bits), list[str]()
    if options.most_bytes is not None:
        costs = sensitivity(graph, samples, quantizer)
        bits = chosen_bits(costs, options.most_bytes)
        notes.append(precision_note(costs, bits))
    if quantizer.name != quantizers.DEFAULT:
        notes.append(f"weights by {quantizer.name}, {quantizer.formula}")
    return fit_weights(graph, quantizer, bits), notes


def _check_forms(graph: Graph, dtype: DType) -> None:
    for op in graph.ops:
        row = ELEMENTWISE.get(type(op))
        lacks = row is not None and row.rule(dtype) is Rule.NONE
        if lacks or (isinstance(op, ops.LogSoftmax) and dtype is DType.INT16):
            raise UnsupportedOpError(
                f"{graph.name}: {op.kind} {graph.out(op).name!r} has no {dtype} form; use other activations, or "
                "another operation"
            )


def _activation_type(name: str) -> DType:
    if name not in ACTIVATIONS:
        raise CalibrationError(f"activations of type {name!r} are not known, expected one of: {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]


def check_float(graph: Graph) -> None:
    """GraphError unless every activation is float32 (indices apart), depends on an input, and batch normalization is
    folded.
    """
    for op in graph.ops:
        if isinstance(op, ops.Quantize | ops.Dequantize) or any(t.q for t in graph.activations(op)):
            raise GraphError(f"{graph.name}: {op.kind} {graph.out(op).name!r} is quantized already; give a float graph")
        if isinstance(op, ops.BatchNorm):
            raise GraphError(f"{graph.name}: BatchNorm {graph.out(op).name!r} must be folded first: passes.run_passes")
        if all(t.is_constant for t in graph.ins(op)):
            raise GraphError(
                f"{graph.name}: {op.kind} {graph.out(op).name!r} computes with constants alone, expected the network's "
                "input to reach it"
            )


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """What the float network does: with held-out samples and with the rest, if there is one."""

    inputs: list[list[Array]]
    """Held-out samples."""
    outputs: list[list[Array]]
    """Of the network for each of them."""
    held: dict[int, Histogram]
    rest: dict[int, Histogram]

    @classmethod
    def of(cls, graph: Graph, samples: tuple[Array, ...]) -> _Seen:
        held_out, rest = _split_stream(samples) if graph.updates else _split(samples)
        outputs: list[list[Array]] = []
        of_held = _observed(graph, single(held_out), outputs)
        return cls(list(single(held_out)), outputs, of_held, _observed(graph, single(rest)) or of_held)

    @property
    def everywhere(self) -> dict[int, Histogram]:
        return self.held if self.rest is self.held else {i: self.rest[i] + self.held[i] for i in self.held}


def _best(graph: Graph, histograms: _Seen, dtype: DType, fitted: FittedLayers) -> tuple[str, str]:
    """The method whose outputs have the best SNR on samples it was not calibrated with, and a note of why."""
    graphs = {m: _by(graph, histograms.rest, m, dtype, fitted) for m in METHODS}
    db = {m: output_snr(g, histograms.inputs, histograms.outputs) for m, g in graphs.items()}
    figures = ", ".join(f"{m} {value:.1f} dB" for m, value in db.items())
    return max(
        db, key=lambda m: db[m]
    ), f": the best output SNR on {len(histograms.inputs)} held-out samples ({figures})"


def _split(samples: tuple[Array, ...]) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """(held out, rest); with fewer than four samples all judge, and none is left."""
    count = len(samples[0])
    held_out = np.arange(count) if count < _HELD_OUT_EVERY else np.arange(0, count, _HELD_OUT_EVERY)[:_HELD_OUT_MOST]
    rest = np.setdiff1d(np.arange(count), held_out)
    return tuple(x[held_out] for x in samples), tuple(x[rest] for x in samples)


def _split_stream(samples: tuple[Array, ...]) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """(held out, rest) of samples that follow one another: the last quarter is a stream of its own."""
    at = len(samples[0]) * (_HELD_OUT_EVERY - 1) // _HELD_OUT_EVERY
    return tuple(x[at:] for x in samples), tuple(x[:at] for x in samples)


def _observed(
    graph: Graph, inputs: Iterable[Sequence[Array]], outputs: list[list[Array]] | None = None
) -> dict[int, Histogram]:
    """Histogram of every float activation and input over all samples; appends each sample's outputs to `outputs`."""
    seen: dict[int, Histogram] = {}
    state = reset_state(graph)
    scores = softmax_scores(graph)
    for sample in inputs:
        values = trace(graph, sample, state)
        for t in graph.tensors.values():
            if not t.is_constant and t.dtype is DType.FLOAT32:
                finite = _finite(graph, t, values[t.id])
                now = Histogram.of(with_masks_near(finite, scores[t.id]) if t.id in scores else finite)
                seen[t.id] = seen[t.id] + now if t.id in seen else now
        if outputs is not None:
            outputs.append([values[i] for i in graph.outputs])
    return seen


def _finite(graph: Graph, t: Tensor, values: Array) -> Array:
    """The finite values; an infinite one (padding before a maximum) is stored as the end of any range."""
    if np.isnan(values).any():
        raise CalibrationError(
            f"{graph.name}: {t.name!r} becomes NaN on the calibration data; the float network is at fault"
        )
    finite = np.isfinite(values)
    return values if finite.all() else values[finite]


def _by(graph: Graph, histograms: Mapping[int, Histogram], method: str, dtype: DType, fitted: FittedLayers) -> Graph:
    sharing = share(graph, {i: (h.low, h.high) for i, h in histograms.items()}, dtype)
    return rewritten(graph, sharing, choose(graph, sharing, histograms, method, dtype, fitted), dtype, fitted)


def _noted(graph: Graph, *notes: str) -> Graph:
    return graph.with_(notes=(*graph.notes, *(f"quantization: {note}" for note in notes)))
