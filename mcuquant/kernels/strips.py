"""A convolution and the pooling of its output by strips: rows of the image between them, in scratch; mq_strips.h.

The convolution's own kernel computes a strip as an output that begins further down and has fewer rows, and the
pooling's own kernel pools it in the same way. Nothing is computed twice unless the pooling's windows overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial

import numpy as np

from ..ir.ops import ConvPool, Pool
from .shared.overlap import lead
from .variant import CALL, Arg, In, Out, Pooling, Scratch, Site, Variant

ROWS = (1, 2, 4)
"""Rows of the pooling's output per strip. More rows take more scratch, and less time if windows overlap or tiles are
high.
"""
_ALIGNMENT = 8
_CODE_BYTES = 340
"""Code bytes of a call of the pooling, and of the loop over strips."""


@dataclass(frozen=True, slots=True)
class Strip:
    """`rows` rows of the convolution's output from `first`, which give the rows of the pooling's
    output up to `pooled`.
    """

    first: int
    rows: int
    pooled: int


@lru_cache(maxsize=16)
def strips_of(pool: Pool, height: int, pooled: int, rows: int) -> tuple[Strip, ...]:
    """Strips for `pooled` rows of `height`, `rows` at a time."""

    def strip(begin: int) -> Strip:
        end = min(begin + rows, pooled)
        first = max(begin * pool.stride[0] - pool.padding.top, 0)
        behind = min((end - 1) * pool.stride[0] - pool.padding.top + pool.window[0], height)
        return Strip(first, behind - first, end)

    return tuple(strip(begin) for begin in range(0, pooled, rows))


def strips(convolutions: Sequence[Variant], poolings: Sequence[Variant]) -> tuple[Variant, ...]:
    """Convolutions that can compute a range of rows, each followed by the first pooling that applies."""
    return tuple(_variant(conv, poolings, rows) for conv in convolutions if conv.by_rows for rows in ROWS)


def _variant(conv: Variant, poolings: Sequence[Variant], rows: int) -> Variant:
    def takes(site: Site) -> bool:
        return conv.applies(_conv_site(site)) and _pooling(site, poolings) is not None and _is_worth_it(site, rows)

    def pooling(site: Site) -> Pooling:
        return _pooling_call(site, poolings, rows)

    return replace(
        conv,
        op=ConvPool,
        takes=takes,
        args=partial(_args, conv=conv, rows=rows),
        scratch_bytes=partial(_scratch_bytes, conv=conv, rows=rows),
        overlap_offsets=partial(_overlap_offsets, rows=rows),
        cycles=partial(_cycles, conv=conv, pooling=pooling, rows=rows),
        step_bytes=conv.step_bytes + _CODE_BYTES,
        note=f"{conv.note}, by strips of {rows}".removeprefix(", "),
        unpacks=True,
        by_rows=False,
        pooling=pooling,
    )


def _op(site: Site) -> ConvPool:
    assert isinstance(site.op, ConvPool)
    return site.op


def _conv_site(site: Site) -> Site:
    return Site(site.graph, _op(site).conv, site.core)


def _pool_site(site: Site) -> Site:
    return Site(site.graph, _op(site).pool, site.core)


def _strips(site: Site, rows: int) -> tuple[Strip, ...]:
    inner = _conv_site(site).out
    return strips_of(_op(site).pool, inner.shape[1], site.out.shape[1], rows)


def _is_worth_it(site: Site, rows: int) -> bool:
    """Whether there are several strips, and none of them is the whole image."""
    batch, height = _conv_site(site).out.shape[:2]
    strips = _strips(site, rows)
    return batch == 1 and len(strips) > 1 and max(strip.rows for strip in strips) < height


def _pooling(site: Site, poolings: Sequence[Variant]) -> Variant | None:
    pool = _pool_site(site)
    return next((variant for variant in poolings if variant.applies(pool)), None)


def _pooling_call(site: Site, poolings: Sequence[Variant], rows: int) -> Pooling:
    conv, pool, kernel = _op(site).conv, _pool_site(site), _pooling(site, poolings)
    assert kernel is not None
    from_scratch = Scratch(f"const {_ctype(site)}")
    args = tuple(from_scratch if isinstance(arg, In) else arg for arg in kernel.args(pool))
    return Pooling(kernel, args, rows, conv.stride[0])


def _ctype(site: Site) -> str:
    return f"{_conv_site(site).out.dtype}_t"


@lru_cache(maxsize=4)
def _conv_args(conv: Variant, site: Site) -> tuple[Arg, ...]:
    """Packs the weights, once for all numbers of rows."""
    return conv.args(site)


def _args(site: Site, conv: Variant, rows: int) -> tuple[Arg, ...]:
    """Scratch of the convolution. It writes to the beginning of scratch, and its own scratch follows."""

    def moved(arg: Arg) -> Arg:
        match arg:
            case Out():
                return Scratch(_ctype(site))
            case Scratch(ctype, offset):
                return Scratch(ctype, offset + _strip_bytes(site, rows))
            case _:
                return arg

    return tuple(map(moved, _conv_args(conv, _conv_site(site))))


def _strip_bytes(site: Site, rows: int) -> int:
    inner = _conv_site(site).out
    highest = max(strip.rows for strip in _strips(site, rows))
    return -(-highest * inner.nbytes // inner.shape[1] // _ALIGNMENT) * _ALIGNMENT


def _scratch_bytes(site: Site, conv: Variant, rows: int) -> int:
    own = (conv.scratch_bytes(_strip_site(site, strip)) for strip, _ in _kinds(site, rows))
    return _strip_bytes(site, rows) + max(own)


def _overlap_offsets(site: Site, rows: int) -> tuple[int]:
    """Outputs of a strip are written after all of its inputs are read."""
    conv, x, strips = _op(site).conv, site.ins[0], _strips(site, rows)
    after = [max(strip.first * conv.stride[0] - conv.padding.top, 0) for strip in strips[1:]]
    needed = np.append(np.minimum(after, x.shape[1]), x.shape[1]) * (x.nbytes // x.shape[1])
    written = np.array([strip.pooled for strip in strips]) * (site.out.nbytes // site.out.shape[1])
    return (lead(written, needed, x.nbytes),)


def _kinds(site: Site, rows: int) -> Iterator[tuple[Strip, int]]:
    """The first strip, those between, the last; one of each equal cost, with their number."""
    strips = _strips(site, rows)
    yield strips[0], 1
    yield strips[-1], 1
    for height in sorted({strip.rows for strip in strips[1:-1]}):
        alike = [strip for strip in strips[1:-1] if strip.rows == height]
        yield alike[len(alike) // 2], len(alike)


@lru_cache(maxsize=64)
def _strip_site(site: Site, strip: Strip) -> Site:
    """The convolution of a strip alone, for cost functions: an image that begins further down."""
    conv, graph = _op(site).conv, site.graph
    inner = graph[conv.output]
    rows = replace(inner, shape=(inner.shape[0], strip.rows, *inner.shape[2:]))
    top = conv.padding.top - strip.first * conv.stride[0]
    moved = replace(conv, padding=replace(conv.padding, top=top))
    return Site(replace(graph, tensors={**graph.tensors, inner.id: rows}), moved, site.core)


def _cycles(site: Site, conv: Variant, pooling: Callable[[Site], Pooling], rows: int) -> int:
    strips = _strips(site, rows)
    strip_cycles = sum(count * conv.cycles(_strip_site(site, strip)) for strip, count in _kinds(site, rows))
    return strip_cycles + pooling(site).kernel.cycles(_pool_site(site)) + CALL * len(strips)
