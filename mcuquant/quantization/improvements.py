"""Improvements that `auto` tries while the output SNR is below `ENOUGH_DB`.

They are equalization, bias correction and adaptive rounding. Each is evaluated on held-out samples and kept if it
improves the SNR.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ..ir import Array, DType, Graph
from .equalize import equalize
from .integer_graph import rewritten
from .methods import METHODS
from .observed import Observed
from .precision import layer_bits
from .quantizers import BITS, DEFAULT, quantizer
from .reconstruct import reconstructed
from .samples import spread_evenly
from .scale_groups import share
from .scales import choose
from .snr import EQUALIZED, output_snr
from .value_histogram import Histogram
from .weight_scales import FittedLayers, fit_weights

ENOUGH_DB = 20.0
"""Sufficient output SNR in dB: noise of a tenth of the amplitude."""
_WORTH_DB = 0.5
_TRIAL_SAMPLES = 64
"""Number of samples in a trial of adaptive rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Conversion:
    """A float graph, its observations on the samples, and its settings of quantization."""

    graph: Graph
    observed: Observed
    fitted: FittedLayers
    dtype: DType
    method: str
    correct_bias: bool = False
    adaptive: bool = False

    def trial(self) -> Graph:
        """The integer graph calibrated without the held-out samples."""
        few = spread_evenly(self.observed.rest_samples, _TRIAL_SAMPLES)
        return self._integers(self.observed.rest, few)

    def trial_db(self) -> float:
        """Output SNR in dB on held-out samples, calibrated with the other samples."""
        return output_snr(self.trial(), self.observed.inputs, self.observed.outputs)

    def whole(self, samples: tuple[Array, ...]) -> Graph:
        """The integer graph calibrated with all samples."""
        return self._integers(self.observed.everywhere, samples)

    def _integers(self, histograms: Mapping[int, Histogram], samples: tuple[Array, ...]) -> Graph:
        graph = by_method(self.graph, histograms, self.method, self.dtype, self.fitted)
        if not (self.correct_bias or self.adaptive):
            return graph
        return reconstructed(self.graph, graph, samples, self.adaptive, self.correct_bias, self.fitted)


def by_method(
    graph: Graph, histograms: Mapping[int, Histogram], method: str, dtype: DType, fitted: FittedLayers
) -> Graph:
    sharing = share(graph, {i: (h.low, h.high) for i, h in histograms.items()}, dtype)
    return rewritten(graph, sharing, choose(graph, sharing, histograms, method, dtype, fitted), dtype, fitted)


def method_figures(conversion: Conversion) -> dict[str, float]:
    """Output SNR in dB of every method on held-out samples."""
    return {method: replace(conversion, method=method).trial_db() for method in METHODS}


def improved(conversion: Conversion, samples: tuple[Array, ...], db: float) -> tuple[Conversion, list[str]]:
    """The conversion with its successful improvements, and notes about them; unchanged if `db`, its output SNR, is
    sufficient.
    """
    if db >= ENOUGH_DB:
        return conversion, []
    gains, start, notes = list[str](), db, list[str]()
    for name, change in _CHANGES.items():
        candidate = change(conversion, samples)
        trial_db = candidate.trial_db() if candidate is not conversion else db
        if trial_db > db + _WORTH_DB:
            gains.append(f"{name} (+{trial_db - db:.1f} dB)")
            notes += [EQUALIZED] if candidate.graph is not conversion.graph else []
            conversion, db = candidate, trial_db
    what = f"{', '.join(gains)}, now {db:.1f} dB" if gains else f"{', '.join(_CHANGES)}: no gain"
    return conversion, [*notes, f"outputs at {start:.1f} dB, under {ENOUGH_DB:.0f} dB: {what}"]


def _equalized(conversion: Conversion, samples: tuple[Array, ...]) -> Conversion:
    graph = equalize(conversion.graph)
    if graph is conversion.graph:
        return conversion
    fitted = fit_weights(graph, quantizer(DEFAULT), layer_bits(graph, BITS[0]))
    candidate = replace(conversion, graph=graph, observed=Observed.of(graph, samples), fitted=fitted)
    figures = method_figures(candidate)
    return replace(candidate, method=max(figures, key=lambda method: figures[method]))


_CHANGES: Mapping[str, Callable[[Conversion, tuple[Array, ...]], Conversion]] = {
    "equalization": _equalized,
    "bias correction": lambda conversion, _: replace(conversion, correct_bias=True),
    "adaptive rounding": lambda conversion, _: replace(conversion, adaptive=True),
}
