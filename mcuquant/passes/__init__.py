"""Rewrites of a graph, each from Graph to Graph and verified. `PASSES` contains all of them in execution order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..ir import Graph, Level
from ..ir.verify import verify
from .copy_outputs import copy_outputs
from .drop_dead import drop_dead
from .drop_identities import drop_identities
from .expand_average_pool import expand_average_pool
from .expand_batch_norm import expand_batch_norm
from .fold_batch_norm import fold_batch_norm
from .fold_constants import fold_constants
from .fuse_activation import fuse_activation
from .fuse_pad import fuse_pad
from .rewrite import is_quantised

Pass = Callable[[Graph], Graph]

PASSES: tuple[Pass, ...] = (
    fold_constants,
    drop_identities,
    drop_dead,
    fuse_pad,
    drop_dead,
    fold_batch_norm,
    expand_batch_norm,
    expand_average_pool,
    fuse_activation,
    drop_identities,
    drop_dead,
    copy_outputs,
)


def run_passes(graph: Graph, passes: Sequence[Pass] = PASSES) -> Graph:
    """The graph after every pass, in order, at its level. Raises GraphError if a pass violates a rule of that level."""
    level = Level.QUANTISED if is_quantised(graph) else Level.FLOAT
    verified = None
    for run in passes:
        graph = run(graph)
        if graph is not verified:
            verified = verify(graph, level)
    return graph
