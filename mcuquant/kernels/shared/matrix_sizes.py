"""Sizes and steps of the matrices of a product over the last axes of two tensors."""

from __future__ import annotations

from ...arithmetic.parameters import MatMulParams, params
from ...ir.ops import BatchMatMul
from ..variant import Site, Value
from .axes import broadcast_axes, broadcast_fields


def matmul_params(site: Site) -> MatMulParams:
    p = params(site.graph, site.op)
    assert isinstance(p, MatMulParams)
    return p


def sizes(site: Site) -> dict[str, int]:
    """Sizes of the matrices and steps inside them; a transposed matrix has its two steps swapped."""
    op, a = site.op, site.ins[0]
    assert isinstance(op, BatchMatMul)
    rows, depth = (a.shape[-1], a.shape[-2]) if op.adj_a else a.shape[-2:]
    a_steps = (1, rows) if op.adj_a else (depth, 1)
    width = site.out.shape[-1]
    b_steps = (1, depth) if op.adj_b else (width, 1)
    return {
        "rows": rows,
        "depth": depth,
        "columns": width,
        "a_row": a_steps[0],
        "a_column": a_steps[1],
        "b_row": b_steps[0],
        "b_column": b_steps[1],
    }


def matrices(site: Site) -> dict[str, Value]:
    """The loop over leading axes, in elements: one step is a whole matrix."""
    a, b = site.ins
    axes = broadcast_axes(a.shape[:-2], b.shape[:-2], site.out.shape[:-2])
    a_size, b_size = (t.shape[-1] * t.shape[-2] for t in (a, b))
    return broadcast_fields([(size, step_a * a_size, step_b * b_size) for size, step_a, step_b in axes])
