"""What the tests of passes share: comparing two forms of a graph, and small pieces to build graphs of."""

from __future__ import annotations

from typing import Any

import graphs
import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from nets import Net

from mcuquant.arithmetic import interpreter
from mcuquant.ir import DType, Graph, ops

FLOAT32, INT8, INT16 = DType.FLOAT32, DType.INT8, DType.INT16
SEEDS = st.integers(0, 2**32 - 1)
TYPES = st.sampled_from([FLOAT32, INT8, INT16])
modest = settings(deadline=None, max_examples=30)


def kinds(graph: Graph) -> list[str]:
    return [op.kind for op in graph.ops]


def assert_same_results(before: Graph, after: Graph, rng: np.random.Generator) -> None:
    """Bit-equal for integers; for floats within what another order of summation may change."""
    assert after.inputs == before.inputs
    assert len(after.outputs) == len(before.outputs)
    for _ in range(3):
        inputs = graphs.random_inputs(rng, before)
        for old, new in zip(interpreter.run(before, inputs), interpreter.run(after, inputs), strict=True):
            if old.dtype.kind == "f":
                np.testing.assert_allclose(new, old, rtol=1e-4, atol=1e-4 * max(1.0, float(np.abs(old).max())))
            else:
                assert np.array_equal(new, old)


def same(net: Net, x: int, kind: type[ops.Op], shape: tuple[int, ...] | None = None, **attributes: Any) -> int:
    """An operation that keeps type and quantisation."""
    t = net.tensors[x]
    return net.apply(kind, (x,), t.shape if shape is None else shape, t.q, dtype=t.dtype, **attributes)


def image(net: Net) -> int:
    return net.input((1, net.size(3, 6), net.size(3, 6), net.pick(2, 4, 6)))
