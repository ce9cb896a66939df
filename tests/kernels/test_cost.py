"""What variants say they cost."""

from __future__ import annotations

import fast_graphs
import graphs
import numpy as np
import pytest

from mcuquant.boards.core import CORES
from mcuquant.codegen.lower import lower
from mcuquant.kernels import Site
from mcuquant.kernels.variant import cost
from mcuquant.planner import plan

M4 = CORES["cortex-m4"]
MADE = {**graphs.GENERATORS, **fast_graphs.GENERATORS}


@pytest.mark.parametrize("name", sorted(MADE))
def test_constants_are_those_that_are_lowered(name: str) -> None:
    """All but constant operands, and what equal arrays share."""
    planned = plan(MADE[name](np.random.default_rng(3)), M4)
    graph = planned.graph  # convolutions with one position are fully connected layers there
    costs = [cost(s.variant, Site(graph, graph.ops[s.op_index], M4)) for s in planned.steps]
    arrays = [a for a in lower(planned).arrays if not a.name.startswith("operand_")]
    assert sum(c.constant_bytes for c in costs) >= sum(a.nbytes for a in arrays)
    if len(costs) == 1:
        assert len({a.name for a in arrays}) == len(arrays)
    assert [c.scratch_bytes for c in costs] == [s.scratch_bytes for s in planned.steps]


@pytest.mark.parametrize("name", sorted(MADE))
def test_every_step_takes_cycles_and_code(name: str) -> None:
    planned = plan(MADE[name](np.random.default_rng(4)), M4)
    for step in planned.steps:
        found = cost(step.variant, Site(planned.graph, planned.graph.ops[step.op_index], M4))
        assert found.cycles > 0
        assert found.code_bytes > 0
