"""Checks of calibration data: excludes corrupt samples, and warns of other suspicious properties.

A corrupt sample is far beyond all others, without values in between. Rare loud events are different: there are several
of them, or values in between.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..arithmetic.interpreter import evaluate, trace
from ..ir import Activation, Array, DType, Graph, Op, Tensor
from .samples import single, spread_evenly

FEW = 8
"""Fewer samples than this cause a warning."""
FAR = 16.0
"""From this multiple of the largest value of all other samples, bits are lost and the sample is named."""
CORRUPT = 64.0
"""From this multiple, few of 8 bits remain for the others, and the sample is excluded."""
_LEAST_SAMPLES = 4
_ONE_IN = 200
"""At most one sample in this number is treated as corrupt, but always one is permitted."""
_SPREAD_LIMITS = (1 / 20, 50.0)
"""Ratio of the standard deviation of the data to that in training."""
_MOST_SAMPLES = 16
"""Maximum number of samples for the spread, including a corrupt one."""


@dataclass(frozen=True, slots=True)
class _Outlier:
    sample: int
    channel: int | None
    value: float
    ratio: float
    """Ratio to the largest value of all other samples."""
    is_far: bool
    """Whether it exceeds all channels of the other samples."""


def checked(graph: Graph, samples: tuple[Array, ...]) -> tuple[tuple[Array, ...], list[str]]:
    """(samples without the corrupt ones, warnings). `samples` is an array (N, ...) for each input."""
    outliers = [(graph[i], outlier) for i, x in _real(graph, samples) for outlier in _outliers(x)]
    corrupt = {o.sample for t, o in outliers if _is_corrupt(graph, samples, o)}
    kept = np.setdiff1d(np.arange(len(samples[0])), sorted(corrupt))
    cleaned = tuple(x[kept] for x in samples)
    warnings = [_outlier_text(t, o, o.sample in corrupt) for t, o in outliers if o.sample in corrupt or o.is_far]
    warnings += [text for i, x in zip(graph.inputs, cleaned, strict=True) for text in _constancy(graph[i], x)]
    if len(kept) < FEW:
        plural = "s" if len(kept) > 1 else ""
        warnings.append(f"{len(kept)} calibration sample{plural}; a hundred typical ones are better, {FEW} the least")
    return cleaned, [*warnings, *_spread_warnings(graph, cleaned)]


def _real(graph: Graph, samples: tuple[Array, ...]) -> Iterator[tuple[int, Array]]:
    """Samples of inputs that are real numbers, with the inputs' tensors."""
    return ((i, x) for i, x in zip(graph.inputs, samples, strict=True) if not graph[i].is_plain)


# --- corrupt samples -------------------------------------------------------------------------------------------------


def _outliers(x: Array) -> Iterator[_Outlier]:
    """Samples of one input beyond the others in any channel, with the worst channel of each."""
    count = len(x)
    if count < _LEAST_SAMPLES:
        return
    flat = np.abs(x.reshape(count, -1, x.shape[-1] if x.ndim > 2 else 1).astype(np.float64))
    by_channel = flat.max(axis=1)
    whole = by_channel.max(axis=1)
    outliers: dict[int, _Outlier] = {}
    for channel, extremes in enumerate(by_channel.T):
        for sample, ratio in _beyond(extremes):
            if sample not in outliers or ratio > outliers[sample].ratio:
                where, value = channel if by_channel.shape[1] > 1 else None, float(extremes[sample])
                far = value >= FAR * np.delete(whole, sample).max()
                outliers[sample] = _Outlier(sample, where, value, ratio, bool(far))
    yield from (outliers[sample] for sample in sorted(outliers))


def _beyond(extremes: Array) -> Iterator[tuple[int, float]]:
    """(sample, ratio to the next) of the few samples above a gap in the sorted magnitudes."""
    order = np.argsort(-extremes, kind="stable")
    for count in range(max(1, len(extremes) // _ONE_IN), 0, -1):
        following = extremes[order[count]]
        if following > 0 and extremes[order[count - 1]] >= FAR * following:
            yield from ((int(i), float(extremes[i] / following)) for i in order[:count])
            return


def _is_corrupt(graph: Graph, samples: tuple[Array, ...], outlier: _Outlier) -> bool:
    """Whether the sample would reduce the resolution of the others in some tensor, not only in a quiet channel.

    Samples of a stream are consecutive and are never excluded.
    """
    if outlier.ratio < CORRUPT or graph.updates:
        return False
    others = tuple(np.delete(x, outlier.sample, axis=0) for x in samples)
    typical = [_extremes(graph, sample) for sample in single(spread_evenly(others, _MOST_SAMPLES))]
    own = _extremes(graph, [x[outlier.sample : outlier.sample + 1] for x in samples])
    return any(value > FAR * max(sample[i] for sample in typical) > 0 for i, value in own.items())


def _extremes(graph: Graph, sample: Sequence[Array]) -> dict[int, float]:
    with np.errstate(all="ignore"):
        values = trace(graph, sample)
    floats = (t for t in graph.tensors.values() if not t.is_constant and t.dtype is DType.FLOAT32)
    return {t.id: float(np.abs(np.nan_to_num(values[t.id])).max(initial=0.0)) for t in floats}


def _outlier_text(t: Tensor, outlier: _Outlier, left_out: bool) -> str:
    channel = "" if outlier.channel is None else f", channel {outlier.channel}"
    advice = "left out; if it is right, add more samples like it" if left_out else "check it"
    return (
        f"sample {outlier.sample} of {t.name!r}{channel} reaches {outlier.value:.4g}, {outlier.ratio:,.0f} times as "
        f"far as the others: {advice}"
    )


# --- the data as a whole ---------------------------------------------------------------------------------------------


def _constancy(t: Tensor, x: Array) -> Iterator[str]:
    if x.max() == x.min():
        yield f"{t.name!r} is constant: all values of all samples are {x.max():.4g}"
    elif len(x) > 1 and (x == x[:1]).all():
        yield f"all {len(x)} samples of {t.name!r} are the same"


def _spread_warnings(graph: Graph, samples: tuple[Array, ...]) -> Iterator[str]:
    """Compares the spread with that in training, which the first batch normalization has recorded."""
    few = spread_evenly(samples, _MOST_SAMPLES)
    for i, x in zip(graph.inputs, few, strict=True):
        if i in graph.spreads:
            yield from _spread_text(f"the data of {graph[i].name!r}", x, graph.spreads[i])
            return
    op = next((op for op in graph.ops if op.output in graph.spreads), None)
    if op is not None:
        values = np.concatenate([_unclamped(graph, op, sample) for sample in single(few)])
        name = graph[graph.inputs[0]].name if len(graph.inputs) == 1 else graph.out(op).name
        yield from _spread_text(f"the data of {name!r}", values, graph.spreads[op.output])


def _unclamped(graph: Graph, op: Op, sample: Sequence[Array]) -> Array:
    values = trace(graph, sample)
    plain = replace(op, activation=Activation.NONE) if hasattr(op, "activation") else op  # type: ignore[call-arg]
    return evaluate(graph, plain, [values[t.id] if t.data is None else t.data for t in graph.ins(op)])


def _spread_text(what: str, x: Array, trained: Array) -> Iterator[str]:
    alive = trained > 1e-6
    if not alive.any() or x.shape[-1] != trained.size:
        return
    own = x.reshape(-1, trained.size).astype(np.float64).std(axis=0)
    ratio = float(np.median(own[alive] / trained[alive]))
    low, high = _SPREAD_LIMITS
    if ratio > high:
        yield (
            f"{what} vary {ratio:,.0f} times as much as in training, by its batch normalization: check the "
            "preprocessing"
        )
    elif ratio < low:
        yield (
            f"{what} cover {100 * ratio:.2g} % of the range in training, by its batch normalization: check the "
            "preprocessing"
        )
