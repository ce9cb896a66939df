"""The kinds of error of one layer: its weights, the rounding of its output, and values beyond the output's range."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Protocol

import numpy as np

from ..arithmetic.interpreter import evaluate
from ..ir import Array, Graph, Op, Tensor
from .layer_rounding import Rows
from .weight_scales import WEIGHTED, channel_axis, from_rows


class Kind(StrEnum):
    """A kind of error of a layer."""

    WEIGHTS = "weights"
    ROUNDING = "rounding"
    CLIPPING = "clipping"


class Errors(Protocol):
    """The attributes of a layer that `advice` uses."""

    @property
    def name(self) -> str: ...

    @property
    def kinds_db(self) -> Mapping[Any, float]: ...


def parts(
    float_graph: Graph, int_graph: Graph, pair: tuple[Op, Op] | None, t: Tensor, exact: Mapping[int, Array]
) -> dict[Kind, Array]:
    """Real values of tensor `t` of the integer graph with one kind of error each. Kinds without an error are left out.

    `pair` is the integer operation that computes it and the float one, None for an input of the network. `exact` has
    the float values.
    """
    y = exact[t.id]
    found = {}
    if pair is not None and isinstance(pair[0], WEIGHTED):
        found[Kind.WEIGHTS] = _with_stored_weights(float_graph, int_graph, *pair, exact)
    if t.q is not None and len(t.qparams.scale) == 1:
        low, high = ((np.float64(end) - t.zero_point) * t.scale for end in t.dtype.range())
        clipped = np.clip(y, low, high)
        steps = clipped.astype(np.float64) / t.scale
        found[Kind.ROUNDING] = y + ((np.rint(steps) - steps) * t.scale).astype(np.float32)
        found[Kind.CLIPPING] = clipped.astype(np.float32)
    return {kind: np.asarray(value) for kind, value in found.items() if not np.array_equal(value, y)}


def _with_stored_weights(float_graph: Graph, int_graph: Graph, op: Op, twin: Op, exact: Mapping[int, Array]) -> Array:
    w = int_graph[op.inputs[1]]
    real = from_rows(Rows.of(w, channel_axis(op)).real, w, channel_axis(op)).astype(np.float32)
    constants = [real]
    for i in op.inputs[2:]:
        bias = int_graph[i]
        constants.append((bias.value * np.asarray(bias.qparams.scale)).astype(np.float32))
    return evaluate(float_graph, twin, [exact[twin.inputs[0]], *constants])


def advice(rows: Sequence[Errors]) -> str:
    """A sentence about the largest error; "" if there is none."""
    worst = min(_all_kinds(rows), default=None)
    if worst is None:
        return ""
    db, kind, name = worst
    return f"Largest error: {kind} of {name}, {db:.1f} dB on the outputs. {_REMEDIES[Kind(kind)].format(name=name)}"


def _all_kinds(rows: Iterable[Errors]) -> Iterable[tuple[float, str, str]]:
    return ((db, kind, row.name) for row in rows for kind, db in row.kinds_db.items())


_REMEDIES = {
    Kind.WEIGHTS: "Give its weights more bits: mq.Weights(bits={{{name!r}: 8, ...}}), or a larger --weight-bytes; at "
    "8 bits --adaptive-rounding lowers it.",
    Kind.ROUNDING: "Give its output more bits: --activations mixed.",
    Kind.CLIPPING: "Widen its range: --method minmax, or calibration data with the largest values.",
}
