"""The decisions of a sensor node: ROC curve, distribution of errors, confusion matrix, with those
of the float network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..node_quality import confusion_rows, measures
from .marks import Picture, Rect, Text, polyline, short
from .sections import Section, Table

_SIZE, _LEFT, _TOP, _BOTTOM, _RIGHT = 300.0, 44.0, 10.0, 34.0, 10.0
_BINS = 41
_STYLES = ("weights-before", "front")
"""Colors of the curves: the float network's, the device's."""


def decisions(columns: Mapping[str, Mapping[str, Any]]) -> Section:
    """`columns` are the measures of each network, from `mcuquant node --json`; the device's are the last."""
    (device, last), names = list(columns.items())[-1], list(columns)
    styles = dict(zip(names, _STYLES[-len(names) :], strict=True))
    pictures: list[Picture] = []
    if "roc" in last:
        pictures.append(_roc(columns, styles))
    if "errors" in last:
        pictures.append(_errors(device, last["errors"]))
    rows = tuple((name, *cells) for name, cells in measures(columns))
    text = [f"Inferences of a labeled recording on {device}."]
    if "confusion" in last:
        text.append(
            "Confusion: " + "; ".join(f"{_row(last, name, counts)}" for name, counts in confusion_rows(last)) + "."
        )
    return Section(
        "decisions",
        "Decisions",
        text=tuple(text),
        pictures=tuple(pictures),
        is_grid=True,
        legend=tuple((style, name) for name, style in styles.items()) if "roc" in last else (),
        table=Table("Measures", ("measure", *(f">{name}" for name in names)), rows, is_open=True),
    )


def _row(column: Mapping[str, Any], name: str, counts: Sequence[str]) -> str:
    reported = [*map(str, column["classes"]), "none"]
    cells = ", ".join(f"{count} as {other}" for other, count in zip(reported, counts, strict=True) if count != "0")
    return f"class {name}: {cells or 'no inference'}"


def _roc(columns: Mapping[str, Mapping[str, Any]], styles: Mapping[str, str]) -> Picture:
    """True positive rate over false positive rate."""

    def at(x: float, y: float) -> tuple[float, float]:
        return _LEFT + x * (_SIZE - _LEFT - _RIGHT), _SIZE - _BOTTOM - y * (_SIZE - _TOP - _BOTTOM)

    curves = [
        polyline([at(x, y) for x, y in zip(*column["roc"], strict=True)], styles[name])
        for name, column in columns.items()
    ]
    frame = [polyline([at(0, 1), at(0, 0), at(1, 0)], "grid"), polyline([at(0, 0), at(1, 1)], "grid")]
    texts = [
        *(Text(at(v, 0)[0], _SIZE - _BOTTOM + 14, f"{v:g}", "middle", "axis") for v in (0, 0.5, 1)),
        *(Text(_LEFT - 5, at(0, v)[1] + 4, f"{v:g}", "end", "axis") for v in (0.5, 1)),
        Text(_SIZE / 2, _SIZE - 4, "false alarm rate", "middle", "axis"),
    ]
    areas = ", ".join(f"{name} {column['AUC']:.3f}" for name, column in columns.items())
    return Picture(
        title="ROC curve",
        summary=f"Detection rate over false alarm rate. AUC: {areas}.",
        width=_SIZE,
        height=_SIZE,
        lines=(*frame, *curves),
        texts=tuple(texts),
    )


def _errors(device: str, errors: Sequence[float]) -> Picture:
    counts, edges = np.histogram(errors, _BINS)
    step, plot = (_SIZE - 2 * _RIGHT) / _BINS, 110.0 - _TOP - 20.0
    highest = max(1, int(counts.max()))
    rects = tuple(
        Rect(
            _RIGHT + i * step,
            _TOP + plot * (1 - n / highest),
            step,
            plot * n / highest,
            "weights-after",
            f"{edges[i]:.3g} to {edges[i + 1]:.3g}: {n:,} inferences",
        )
        for i, n in enumerate(counts.tolist())
        if n
    )
    base = polyline([(_RIGHT, _TOP + plot), (_SIZE - _RIGHT, _TOP + plot)], "grid")
    texts = (
        Text(_RIGHT, 105, short(float(edges[0])), "start", "axis"),
        Text(_SIZE - _RIGHT, 105, short(float(edges[-1])), "end", "axis"),
    )
    summary = f"Errors of {len(errors):,} inferences on {device}, {edges[0]:.3g} to {edges[-1]:.3g}."
    return Picture(title="Errors", summary=summary, width=_SIZE, height=110.0, rects=rects, lines=(base,), texts=texts)
