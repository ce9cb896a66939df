"""Selects the quantizer of weights of fewer than 8 bits by the error of the outputs on held-out samples.

Below 8 bits no formula is the best for all networks: zero points help where the weights of a channel lie to one side
of zero, and take a byte per channel; two levels share one rescale factor.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..arithmetic.interpreter import trace
from ..ir import Array, Graph, ops
from .improvements import Conversion
from .snr import output_snr

CANDIDATES = ("nearest", "nearest-asymmetric", "double-linear")
"""Quantizers that `auto` measures. The others are special cases of these with larger errors."""


def best_quantizer(candidates: Mapping[str, Conversion]) -> tuple[str, str]:
    """The name of the conversion with the least error of the outputs on held-out samples, and a note with all errors.

    Scores before a softmax are compared, because a softmax hides differences of all scores but the largest.
    """
    judge = _Judge(next(iter(candidates.values())))
    db = {name: judge.db(candidate) for name, candidate in candidates.items()}
    best = max(db, key=lambda name: db[name])
    figures = ", ".join(f"{name} {value:.1f} dB" for name, value in db.items())
    count = len(judge.conversion.observed.inputs)
    return best, f"weights by {best}: the best output SNR on {count} held-out samples ({figures})"


class _Judge:
    """Float values of the judged tensors for the held-out samples of a conversion."""

    def __init__(self, conversion: Conversion) -> None:
        self.conversion = conversion
        self.tensors = judged_tensors(conversion.graph)
        values = (trace(conversion.graph, x) for x in conversion.observed.inputs)
        self.exact: list[list[Array]] = [[one[i] for i in self.tensors] for one in values]

    def db(self, candidate: Conversion) -> float:
        graph = candidate.trial().with_(outputs=self.tensors)
        return output_snr(graph, candidate.observed.inputs, self.exact)


def judged_tensors(graph: Graph) -> tuple[int, ...]:
    """The outputs, or the inputs of their softmax."""
    makers = [graph.producer(i) for i in graph.outputs]
    return tuple(
        op.inputs[0] if isinstance(op, ops.Softmax | ops.LogSoftmax) else i
        for i, op in zip(graph.outputs, makers, strict=True)
    )
