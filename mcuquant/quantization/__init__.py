"""Post-training quantization: a float graph and some samples become an integer graph by TFLite's int8 specification.

Source of the scheme: B. Jacob et al. (CVPR 2018), and tensorflow.org/lite/performance/quantization_spec.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from .. import ops
from ..errors import CalibrationError, GraphError
from ..interp import trace
from ..ir import Array, DType, Graph, Tensor
from .histogram import Histogram
from .methods import METHODS
from .rewrite import rewritten
from .samples import read_samples, single
from .scales import choose
from .sharing import share
from .snr import LayerSnr as LayerSnr
from .snr import output_snr
from .snr import snr_report as snr_report

ACTIVATIONS = {"int8": DType.INT8, "int16": DType.INT16}
_HELD_OUT_EVERY = 4
_HELD_OUT_MOST = 32
"""Every fourth sample, at most 32, judges the methods; all of them calibrate in the end."""


def quantize(
    graph: Graph,
    calibration: Array | Sequence[Array],
    method: str = "auto",
    activations: str = "int8",
    channels_first: bool | None = None,
) -> Graph:
    """A float graph as an integer one (level QUANTISED) with the same tensor ids; weights are int8.

    `calibration`: (N, ...) samples, a hundred typical ones are enough, in the graph's layout or the model's own
    (`channels_first` where the shape does not tell); a sequence of such arrays when the graph has several inputs.
    `method` is minmax, percentile (99.99 %), mse, or auto: the one of the three whose outputs have the best
    signal-to-noise ratio on held-out samples; `notes` says which. `activations` is int8, or int16 (TFLite's 16x8: for
    networks that int8 hurts; slower, twice the RAM).

    Raises CalibrationError for unusable samples, GraphError for a graph that is not float or not folded,
    UnsupportedOpError for an operation without an integer form.
    """
    check_float(graph)
    dtype = _activation_type(activations)
    samples = read_samples(graph, calibration, channels_first)
    if method == "auto":
        return _best(graph, samples, dtype)
    if method not in METHODS:
        known = ", ".join(["auto", *METHODS])
        raise CalibrationError(f"calibration method {method!r} is not known, expected one of: {known}")
    return _noted(_by(graph, _observed(graph, single(samples)), method, dtype), f"calibrated by {method}")


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


def _best(graph: Graph, samples: tuple[Array, ...], dtype: DType) -> Graph:
    """The graph by the method whose outputs have the best SNR on samples it was not calibrated with."""
    held, rest = _split(samples)
    exact: list[list[Array]] = []
    of_held = _observed(graph, single(held), exact)
    of_rest = _observed(graph, single(rest)) if len(rest[0]) else of_held
    inputs = list(single(held))
    db = {m: output_snr(_by(graph, of_rest, m, dtype), inputs, exact) for m in METHODS}
    best = max(db, key=lambda m: db[m])
    seen = {i: of_rest[i] + of_held[i] for i in of_held} if len(rest[0]) else of_held
    found = ", ".join(f"{m} {value:.1f} dB" for m, value in db.items())
    reason = f"calibrated by {best}: the best output SNR on {len(inputs)} held-out samples ({found})"
    return _noted(_by(graph, seen, best, dtype), reason)


def _split(samples: tuple[Array, ...]) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """(held out, rest); with fewer than four samples all judge, and none is left."""
    count = len(samples[0])
    held = np.arange(count) if count < _HELD_OUT_EVERY else np.arange(0, count, _HELD_OUT_EVERY)[:_HELD_OUT_MOST]
    rest = np.setdiff1d(np.arange(count), held)
    return tuple(x[held] for x in samples), tuple(x[rest] for x in samples)


def _observed(
    graph: Graph, inputs: Iterable[Sequence[Array]], outputs: list[list[Array]] | None = None
) -> dict[int, Histogram]:
    """Histogram of every float activation and input over all samples; appends each sample's outputs to `outputs`."""
    seen: dict[int, Histogram] = {}
    for sample in inputs:
        values = trace(graph, sample)
        for t in graph.tensors.values():
            if not t.is_constant and t.dtype is DType.FLOAT32:
                now = Histogram.of(_finite(graph, t, values[t.id]))
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


def _by(graph: Graph, seen: Mapping[int, Histogram], method: str, dtype: DType) -> Graph:
    sharing = share(graph, {i: (h.low, h.high) for i, h in seen.items()}, dtype)
    return rewritten(graph, sharing, choose(graph, sharing, seen, method, dtype), dtype)


def _noted(graph: Graph, note: str) -> Graph:
    return graph.with_(notes=(*graph.notes, f"quantization: {note}"))
