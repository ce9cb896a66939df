"""Projects and test files for the pytest plugin, which runs inside pytest's own pytester."""

from __future__ import annotations

from pathlib import Path

import graphs
import numpy as np
import pytest

import mcuquant as mq
from mcuquant.project.project import Project

TEST = """
import numpy as np
import pytest

X, Y = np.load("x.npy"), np.load("y.npy")

def test_answers(mq_dut):
    mq_dut.expect_equal(X, Y)

def test_latency(mq_dut):
    mq_dut.expect_latency(max_us={max_us})

@pytest.mark.hardware
def test_on_the_desk(dut):
    dut.reset()
    assert not dut.is_emulated
"""


def compiled(board: str, folder: Path) -> Project:
    graph = graphs.GENERATORS["conv2d"](np.random.default_rng(3))
    x = np.concatenate([graphs.random_inputs(np.random.default_rng(i), graph)[0] for i in range(2)])
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", np.concatenate([mq.run(graph, [sample[None]])[0] for sample in x]))
    return mq.compile(graph, board=board, output=folder / "net")


def prepared(pytester: pytest.Pytester, project: Project, max_us: float = 1e6) -> None:
    for name in ("x.npy", "y.npy"):
        (pytester.path / name).write_bytes((project.directory.parent / name).read_bytes())
    pytester.makepyfile(TEST.format(max_us=max_us))
    pytester.makeini("[pytest]\naddopts = --strict-markers\nfilterwarnings = error\n")


def run(pytester: pytest.Pytester, *arguments: object) -> pytest.RunResult:
    return pytester.runpytest_subprocess("-rs", "-p", "no:cacheprovider", *map(str, arguments))
