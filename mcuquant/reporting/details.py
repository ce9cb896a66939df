"""Details of a network that are known at compilation: details.json in the folder of a project.

They are the places and lifetimes in the arena, the distribution of weights before and after quantization, and the
effect of each layer's rounding on the outputs. `mcuquant report` draws them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import OutputError
from ..ir import Array, Graph, Op, Tensor
from ..planner import Plan, live_at, storage
from ..planner.line_layout import line_layout
from ..quantization import LayerSnr, as_quantized

DETAILS = "details.json"
BINS = 41
"""Number of bins of a histogram; odd, so that zero is in the middle of a bin."""
LEAST_DB = -300.0
"""Stands for minus infinity, which JSON cannot express."""


@dataclass(frozen=True, slots=True)
class Place:
    """A tensor or a kernel's scratch in the arena, from `first_step` to `last_step`, both included.

    Step -1 is before the first step, when inputs are written. The step after the last is when outputs are read.
    """

    name: str
    kind: str
    """One of "input", "activation", "output", "scratch"."""
    shape: tuple[int, ...]
    """() for scratch."""
    offset_bytes: int
    size_bytes: int
    first_step: int
    last_step: int


@dataclass(frozen=True, slots=True)
class WeightHistogram:
    """The weights of one step, as real numbers. Bins cover -limit to limit evenly."""

    step: int
    name: str
    op: str
    bits: int
    """Bits of one weight in flash; of its index if weights share a codebook."""
    elements: int
    zeros: int
    """Number of elements that are exactly zero."""
    distinct: int
    """Number of different stored values."""
    limit: float
    stored: tuple[int, ...]
    """Number of elements in each of BINS bins, for the weights that the device uses."""
    source: tuple[int, ...] | None
    """The same for the original float network, if it is given and its layer has the same number of weights."""


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """`quantization.LayerSnr` as JSON numbers: decibels, None without loss."""

    step: int
    """Number of the step; -1 is an input of the network."""
    name: str
    op: str
    own_db: float | None
    cumulative_db: float | None
    effect_db: float | None
    kinds_db: Mapping[str, float] = field(default_factory=dict)
    """Output SNR with one kind of the layer's error alone: weights, rounding, clipping."""


@dataclass(frozen=True, slots=True)
class Details:
    places: tuple[Place, ...]
    weights: tuple[WeightHistogram, ...]
    sensitivity: tuple[Sensitivity, ...]
    """SNR by layer; empty if it was not measured."""

    def to_text(self) -> str:
        return json.dumps(asdict(self)) + "\n"


def details_of(graph: Graph, plan: Plan, source: Graph | None = None, snr: Sequence[LayerSnr] = ()) -> Details:
    """Details of `graph` as compiled; `source` is the original float graph, `snr` the loss by layer."""
    source = None if source is None else as_quantized(source, graph)
    return Details(tuple(_places(plan)), tuple(_weights(plan, source)), tuple(_sensitivity(graph, plan, snr)))


def load_details(path: Path) -> Details:
    """The details that `compile` wrote. Raises OutputError for other files."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        return Details(
            tuple(Place(**{**row, "shape": tuple(row["shape"])}) for row in table["places"]),
            tuple(_loaded_weights(row) for row in table["weights"]),
            tuple(Sensitivity(**row) for row in table["sensitivity"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{path} cannot be read as what compile writes: compile the project again") from error


def _loaded_weights(row: Mapping[str, Any]) -> WeightHistogram:
    source = row["source"]
    return WeightHistogram(
        **{**row, "stored": tuple(row["stored"]), "source": None if source is None else tuple(source)}
    )


def _places(plan: Plan) -> Iterator[Place]:
    graph = plan.graph
    home = storage(graph)
    kinds = {
        **dict.fromkeys((home[i] for i in graph.outputs if i in home), "output"),
        **dict.fromkeys(graph.inputs, "input"),
    }
    for tensor, (first, last) in _lifetimes(plan).items():
        t = graph[tensor]
        kind = kinds.get(tensor, "activation")
        kept = line_layout(graph).kept_bytes.get(tensor, 0)
        shape = (1, 1 + kept // t.nbytes, *t.shape[2:]) if kept else t.shape
        yield Place(t.name, kind, shape, plan.offsets[tensor] - kept, t.nbytes + kept, first, last)
    for i, step in enumerate(plan.steps):
        if step.scratch_offset is not None:
            name = graph.out(graph.ops[step.op_index]).name
            yield Place(name, "scratch", (), step.scratch_offset, step.scratch_bytes, i, i)


def _lifetimes(plan: Plan) -> dict[int, tuple[int, int]]:
    """First and last step of every tensor in the arena, from the operations during which it is alive."""
    graph = plan.graph
    alive = {i: set(live_at(graph, i)) for i in range(-1, len(graph.ops) + 1)}
    steps = {-1: -1, len(graph.ops): len(plan.steps), **{s.op_index: i for i, s in enumerate(plan.steps)}}
    spans: dict[int, tuple[int, int]] = {}
    for op_index in sorted(steps):
        for tensor in sorted(alive[op_index]):
            first, _ = spans.get(tensor, (steps[op_index], 0))
            spans[tensor] = (first, steps[op_index])
    return spans


def _weights(plan: Plan, source: Graph | None) -> Iterator[WeightHistogram]:
    """The counterpart in `source`: the operation with the same output, or that of the convolution inside."""
    graph, counterparts = plan.graph, {} if source is None else {op.output: op for op in source.ops}
    for i, step in enumerate(plan.steps):
        op = graph.ops[step.op_index]
        w = _constant(graph, op)
        if w is None:
            continue
        counterpart = counterparts.get(op.inner[0] if op.inner else op.output)
        before = None if source is None or counterpart is None else _constant(source, counterpart)
        yield _histograms(i, graph.out(op).name, op.kind, w, before)


def _constant(graph: Graph, op: Op) -> Tensor | None:
    """The first constant operand; biases follow from it."""
    return next((t for t in graph.ins(op) if t.data is not None and t.elements), None)


def _histograms(step: int, name: str, op: str, w: Tensor, before: Tensor | None) -> WeightHistogram:
    values = real_values(w)
    floats = None if before is None or before.elements != w.elements else real_values(before)
    limit = max(float(np.abs(x).max(initial=0.0)) for x in (values, values if floats is None else floats))
    return WeightHistogram(
        step=step,
        name=name,
        op=op,
        bits=w.bits if w.palette is None else w.palette.bits,
        elements=w.elements,
        zeros=int((values == 0).sum()),
        distinct=len(np.unique(values if w.data is None else w.data)),
        limit=limit,
        stored=_counts(values, limit),
        source=None if floats is None else _counts(floats, limit),
    )


def real_values(t: Tensor) -> Array:
    """A constant's real values, flat, float64."""
    assert t.data is not None
    if t.q is None:
        return t.data.astype(np.float64).reshape(-1)
    scales = np.asarray(t.q.scale, np.float64)
    if t.q.axis is not None and len(scales) > 1:
        scales = scales.reshape([-1 if i == t.q.axis else 1 for i in range(len(t.shape))])
    real: Array = t.integer_values * scales
    return real.reshape(-1)


def _counts(values: Array, limit: float) -> tuple[int, ...]:
    finite = values[np.isfinite(values)]
    counts, _ = np.histogram(finite, BINS, (-limit, limit) if 0 < limit < math.inf else (-1.0, 1.0))
    return tuple(int(n) for n in counts)


def _sensitivity(graph: Graph, plan: Plan, snr: Sequence[LayerSnr]) -> Iterator[Sensitivity]:
    """SNR of inputs and steps. An operation that is no step (a Reshape) loses nothing; for joined operations the last
    counts.
    """
    step_of = {plan.graph.ops[step.op_index].output: i for i, step in enumerate(plan.steps)}
    steps = {-1: -1, **{index: step_of[op.output] for index, op in enumerate(graph.ops) if op.output in step_of}}
    for row in snr:
        if row.index in steps:
            decibels = (_db(row.own_db), _db(row.cumulative_db), _db(row.effect_db))
            kinds = {str(kind): round(max(db, LEAST_DB), 2) for kind, db in row.kinds_db.items()}
            yield Sensitivity(steps[row.index], row.name, row.op, *decibels, kinds)


def _db(value: float) -> float | None:
    return None if value == math.inf else round(max(value, LEAST_DB), 2)
