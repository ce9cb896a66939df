"""Post-training quantization: a float graph and some samples become an integer graph by TFLite's int8 specification.

Source of the scheme: B. Jacob et al. (CVPR 2018), and tensorflow.org/lite/performance/quantization_spec.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..errors import CalibrationError, CalibrationWarning, GraphError, UnsupportedOpError
from ..ir import Array, DType, Graph, ops
from ..ir.elementwise_table import ELEMENTWISE, Rule
from ..ir.ops import INT8_ONLY
from . import quantizers
from .equalize import equalize as equalize
from .few_bits import CANDIDATES, best_quantizer
from .improvements import Conversion, by_method, improved, method_figures
from .methods import METHODS
from .mixed import mixed
from .observed import Observed
from .precision import LayerBits as LayerBits
from .precision import bits_within, layer_bits, precision_note
from .precision import sensitivity as sensitivity
from .reconstruct import reconstructed
from .sample_checks import checked
from .samples import Scaling, read_samples
from .snr import LayerSnr as LayerSnr
from .snr import as_quantized as as_quantized
from .snr import snr_report as snr_report
from .weight_palettes import with_palettes as with_palettes
from .weight_scales import FittedLayers, fit_weights

MIXED, AUTO = "mixed", "auto"
ACTIVATIONS = {"int8": DType.INT8, "int16": DType.INT16, MIXED: DType.INT8}


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """How weights are quantized; see `quantizers` and docs/quantization.md."""

    quantizer: str = AUTO
    """A key of `quantizers.QUANTIZERS`, or "auto": nearest for 8 bits; below, the one of `few_bits.CANDIDATES` with the
    least error of the outputs on held-out samples.
    """
    bits: int | Mapping[str, int] = 8
    """8, 4 or 2 bits, for all layers except depthwise convolutions, or by the name of a layer's output; layers without
    an entry have 8.
    """
    most_bytes: int | None = None
    """Upper limit of the bytes of all weights. Each layer gets the 8, 4 or 2 bits that change the outputs least within
    it.
    """
    adaptive_rounding: bool | None = None
    """None: below 8 bits, and at 8 bits where the method "auto" finds a gain. The same holds for `correct_bias`."""
    correct_bias: bool | None = None

    @property
    def has_few_bits(self) -> bool:
        """Whether a layer may have fewer than 8 bits."""
        widths = (self.bits,) if isinstance(self.bits, int) else self.bits.values()
        return self.most_bytes is not None or any(n < quantizers.BITS[0] for n in widths)

    @property
    def is_default(self) -> bool:
        """Whether all settings are those of weights of 8 bits, free to improve."""
        nearest = self.quantizer in (AUTO, quantizers.DEFAULT)
        return nearest and not self.has_few_bits and self.adaptive_rounding is None and self.correct_bias is None


def quantize(
    graph: Graph,
    calibration: Any,
    method: str = "auto",
    activations: str = "int8",
    channels_first: bool | None = None,
    weights: Weights | str = AUTO,
    scaling: Scaling | None = None,
    improve: bool = True,
) -> Graph:
    """A float graph as an integer one (level QUANTISED) with the same tensor ids.

    `calibration`: (N, ...) samples, a hundred typical ones are enough, in the graph's layout or the model's own
    (`channels_first` where the shape does not tell): an array, a tensor, a list of samples or batches, a DataLoader, a
    generator; of several inputs a sequence of these, or a mapping of their names. `scaling` makes real numbers of them:
    a factor, or (factor, offset), of numbers or one for each channel. Those of a network with memory are one stream,
    in order.
    `method` is minmax, percentile (99.99 %), mse, or auto: the one of the three whose outputs have the best
    signal-to-noise ratio on held-out samples, and where that is under 20 dB, with int8 weights to nearest, `improve`
    adds what gains of equalization, bias correction and adaptive rounding; `notes` says which. `activations` is int8,
    int16 (TFLite's 16x8: for networks that int8 hurts; slower, twice the RAM), or mixed: int16 for as few layers as
    outputs of 30 dB need. `weights` says how weights become integers (a text: by which quantizer); by default int8,
    symmetric, to nearest.

    Raises CalibrationError for unusable samples or an unknown choice, GraphError for a graph that is not float or not
    folded, UnsupportedOpError for an operation without an integer form, BudgetError when no choice of bits is small
    enough. Warns (CalibrationWarning, and in `notes`) of samples that look wrong.
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
    if method != "auto" and method not in METHODS:
        names = ", ".join(["auto", *METHODS])
        raise CalibrationError(f"calibration method {method!r} is not known, expected one of: {names}")
    samples, problems = checked(graph, read_samples(graph, calibration, channels_first, scaling))
    for problem in problems:
        warnings.warn(problem, CalibrationWarning, stacklevel=2)
    observed = Observed.of(graph, samples)
    bits, notes = _layer_bits(graph, samples, options)
    wide = dict.fromkeys(bits, quantizers.BITS[0])  # the ranges of activations do not depend on bits of weights
    plain = Conversion(graph, observed, _fitted(graph, options.quantizer, wide), dtype, method)
    simple = options.is_default and activations == "int8" and not graph.updates
    conversion, reasons = _best(plain, samples, improve and simple) if method == "auto" else (plain, [])
    conversion, more_notes = _with_weights(conversion, options, bits)
    notes += more_notes
    if activations == MIXED:
        quantized, note = _mixed(conversion, samples)
        notes.append(note)
    else:
        quantized = conversion.whole(samples)
    calibrated = reasons or [f"calibrated by {method}"]
    return _noted(quantized, *(f"warning: {problem}" for problem in problems), *calibrated, *notes)


def _best(conversion: Conversion, samples: tuple[Array, ...], improve: bool) -> tuple[Conversion, list[str]]:
    """Scales by the method with the best output SNR on samples that did not calibrate it, with notes of the reason."""
    db = method_figures(conversion)
    best = max(db, key=lambda method: db[method])
    figures = ", ".join(f"{method} {value:.1f} dB" for method, value in db.items())
    count = len(conversion.observed.inputs)
    note = f"calibrated by {best}: the best output SNR on {count} held-out samples ({figures})"
    conversion = replace(conversion, method=best)
    if not improve:
        return conversion, [note]
    conversion, notes = improved(conversion, samples, db[best])
    return conversion, [note, *notes]


def _layer_bits(graph: Graph, samples: tuple[Array, ...], options: Weights) -> tuple[dict[int, int], list[str]]:
    """Bits of every layer with weights by its output tensor, and notes for the user."""
    if options.most_bytes is None:
        bits = layer_bits(graph, options.bits)
        return (_depthwise_at_8(graph, bits) if isinstance(options.bits, int) else bits), []
    layer_bits(graph, options.bits)
    costs = sensitivity(graph, samples, _quantizer(options.quantizer))
    bits = bits_within(costs, options.most_bytes)
    return bits, [precision_note(costs, bits)]


def _depthwise_at_8(graph: Graph, bits: Mapping[int, int]) -> dict[int, int]:
    """Depthwise layers keep 8 bits: the device stores their few weights in bytes where it can, and fewer bits hurt them
    most.
    """
    depthwise = {op.output for op in graph.ops if isinstance(op, ops.DepthwiseConv2D)}
    return {output: quantizers.BITS[0] if output in depthwise else n for output, n in bits.items()}


def _quantizer(name: str) -> quantizers.Quantizer:
    return quantizers.quantizer(quantizers.DEFAULT if name == AUTO else name)


def _fitted(graph: Graph, name: str, bits: Mapping[int, int]) -> FittedLayers:
    """The grid of every layer with weights."""
    return fit_weights(graph, _quantizer(name), bits)


def _fitted_few(graph: Graph, name: str, bits: Mapping[int, int]) -> FittedLayers:
    """As `_fitted`, but layers of 8 bits are symmetric: only these have the fastest kernels."""
    few, wide = _fitted(graph, name, bits), _fitted(graph, quantizers.DEFAULT, bits)
    return {output: wide[output] if n == quantizers.BITS[0] else few[output] for output, n in bits.items()}


def _with_weights(conversion: Conversion, options: Weights, bits: Mapping[int, int]) -> tuple[Conversion, list[str]]:
    """The conversion with the quantizer, rounding and biases of the options, and notes for the user."""
    is_free = options.has_few_bits and not conversion.graph.updates
    adaptive = conversion.adaptive or (is_free if options.adaptive_rounding is None else options.adaptive_rounding)
    correct = conversion.correct_bias or (is_free if options.correct_bias is None else options.correct_bias)
    _check_states(conversion.graph, adaptive or correct)
    conversion = replace(conversion, adaptive=adaptive, correct_bias=correct)
    if options.quantizer == AUTO and is_free:
        fits = {name: _fitted_few(conversion.graph, name, bits) for name in CANDIDATES}
        best, note = best_quantizer({name: replace(conversion, fitted=fitted) for name, fitted in fits.items()})
        return replace(conversion, fitted=fits[best]), [note, *_improvement_notes(options, adaptive, correct)]
    if options.has_few_bits:
        conversion = replace(conversion, fitted=_fitted(conversion.graph, options.quantizer, bits))
    chosen = _quantizer(options.quantizer)
    notes = [f"weights by {chosen.name}, {chosen.formula}"] if chosen.name != quantizers.DEFAULT else []
    return conversion, [*notes, *(_improvement_notes(options, adaptive, correct) if is_free else [])]


def _improvement_notes(options: Weights, adaptive: bool, correct: bool) -> list[str]:
    """What applies to weights of few bits without an option that asks for it."""
    names = [
        name
        for name, is_on, option in (
            ("adaptive rounding", adaptive, options.adaptive_rounding),
            ("bias correction", correct, options.correct_bias),
        )
        if is_on and option is None
    ]
    return [f"weights of fewer than 8 bits: {' and '.join(names)}"] if names else []


def _check_states(graph: Graph, is_reconstructed: bool) -> None:
    if graph.updates and is_reconstructed:
        raise UnsupportedOpError(
            f"{graph.name} keeps state between inferences; adaptive rounding and bias correction are for networks "
            "without"
        )


def _mixed(conversion: Conversion, samples: tuple[Array, ...]) -> tuple[Graph, str]:
    """Some layers in int16, then rounding and biases for the inputs that the layers receive."""
    graph, observed = conversion.graph, conversion.observed
    narrow = replace(conversion, adaptive=False, correct_bias=False).whole(samples)
    wide = by_method(graph, observed.everywhere, conversion.method, DType.INT16, conversion.fitted)
    quantized, note = mixed(graph, narrow, wide, observed.inputs, observed.outputs)
    if conversion.adaptive or conversion.correct_bias:
        quantized = reconstructed(
            graph, quantized, samples, conversion.adaptive, conversion.correct_bias, conversion.fitted
        )
    return quantized, note


def _check_forms(graph: Graph, dtype: DType) -> None:
    for op in graph.ops:
        if isinstance(op, ops.Cast):
            _check_cast(graph, op)
        row = ELEMENTWISE.get(type(op))
        lacks = row is not None and row.rule(dtype) is Rule.NONE
        if lacks or (isinstance(op, INT8_ONLY) and dtype is DType.INT16):
            raise UnsupportedOpError(
                f"{graph.name}: {op.kind} {graph.out(op).name!r} has no {dtype} form; use other activations, or "
                "another operation"
            )


def _check_cast(graph: Graph, op: ops.Cast) -> None:
    """A cast of real numbers would see stored ones; of truth values it is exact."""
    x, y = graph[op.inputs[0]].dtype, graph.out(op).dtype
    if DType.FLOAT32 in (x, y) and x is not DType.BOOL:
        raise UnsupportedOpError(
            f"{graph.name}: Cast {graph.out(op).name!r} of {x} to {y} has no integer form; expected bool to float32"
        )


def _activation_type(name: str) -> DType:
    if name not in ACTIVATIONS:
        raise CalibrationError(f"activations of type {name!r} are not known, expected one of: {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]


def check_float(graph: Graph) -> None:
    """Raises GraphError unless every activation is float32 (except indices), depends on an input, and batch
    normalization is folded.
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


def _noted(graph: Graph, *notes: str) -> Graph:
    return graph.with_(notes=(*graph.notes, *(f"quantization: {note}" for note in notes)))
