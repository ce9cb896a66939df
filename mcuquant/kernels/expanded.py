"""Kernels for 8-bit weights, for layers with so few packed weights that flash does not matter: depthwise layers.

Packed weights are then stored as their integer values, one per byte, if these fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from ..ir import QParams, Tensor
from .shared.packing import is_packed
from .variant import Site, Variant, has_integer_values, no_overlap


def expanded(variants: Sequence[Variant]) -> tuple[Variant, ...]:
    """The same kernels for expanded weights."""
    return tuple(map(_expanded, variants))


def _expanded(variant: Variant) -> Variant:
    def takes(site: Site) -> bool:
        plain = plain_site(site) if is_packed(site) or has_integer_values(site) else None
        return plain is not None and variant.applies(plain)

    def plain(site: Site) -> Site:
        plain = plain_site(site)
        assert plain is not None
        return plain

    return replace(
        variant,
        takes=takes,
        args=lambda site: variant.args(plain(site)),
        scratch_bytes=lambda site: variant.scratch_bytes(plain(site)),
        overlap_offsets=no_overlap
        if variant.overlap_offsets is no_overlap
        else lambda site: variant.overlap_offsets(plain(site)),
        cycles=lambda site: variant.cycles(plain(site)),
        note=f"{variant.note}, expanded".removeprefix(", "),
        unpacks=True,
    )


@lru_cache(maxsize=16)
def plain_site(site: Site) -> Site | None:
    """The operation with the integer values of its weights as weights; None if they do not fit 8 bits."""
    w = _plain_weights(site.ins[1])
    if w is None:
        return None
    graph = replace(site.graph, tensors={**site.graph.tensors, w.id: w})
    return Site(graph, site.op, site.core)


def _plain_weights(w: Tensor) -> Tensor | None:
    q, values, (low, high) = w.q, w.integer_values, w.dtype.range()
    assert q is not None
    if int(values.min()) < low or int(values.max()) > high:
        return None
    plain = QParams(q.scale, 0, q.axis if len(q.scale) > 1 else None)
    return replace(w, bits=w.dtype.bits, q=plain, palette=None, data=values.astype(np.int8))
