"""Limits of a kernel's scratch: it is free as far as other steps need more memory, or costs little."""

from __future__ import annotations

from functools import lru_cache

from ...ir import Graph, Op
from ..variant import Site

MOST_BYTES = 6144
"""Largest useful scratch in bytes."""


def scratch_budget(site: Site, share: float, least: int) -> int:
    """Bytes of scratch for a kernel that runs in place.

    Half of the memory that other steps need and this one does not or, at the widest step of the network, a `share` of
    it up to `least`.
    """
    alive = _alive(site.graph)
    widest, here = max(alive.values(), default=0), alive[site.op]
    return max(min((widest - here) // 2, MOST_BYTES), min(int(widest * share), least))


@lru_cache(maxsize=2)
def _alive(graph: Graph) -> dict[Op, int]:
    """Bytes of activations before or after each operation, whichever are more: a lower limit for all placements."""
    last = {i: n for n, op in enumerate(graph.ops) for i in op.inputs} | dict.fromkeys(graph.ends, len(graph.ops))
    dying: dict[int, int] = {}
    for i, n in last.items():
        if not graph[i].is_constant:
            dying[n] = dying.get(n, 0) + graph[i].nbytes
    before = sum(graph[i].nbytes for i in graph.inputs)
    needed: dict[Op, int] = {}
    for n, op in enumerate(graph.ops):
        output_bytes = sum(graph[i].nbytes for i in op.outputs if i in last)
        after = before + output_bytes - dying.get(n, 0)
        needed[op], before = max(before, after), after
    return needed
