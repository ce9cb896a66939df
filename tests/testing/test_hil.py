"""A user's test in the loop: what docs/hil.md shows, over the board that the command line chooses."""

from __future__ import annotations

from pathlib import Path

import graphs
import numpy as np
import pytest

import mcuquant as mq
from mcuquant.testing.hil import TestDut

pytestmark = pytest.mark.emulator
GRAPH = graphs.random_network(np.random.default_rng(2))
X = np.concatenate([graphs.random_inputs(np.random.default_rng(i), GRAPH)[0] for i in range(4)])


@pytest.fixture(scope="session")
def mq_firmware(mq_board_name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mq.compile(GRAPH, board=mq_board_name, output=tmp_path_factory.mktemp("hil") / "net").directory


def test_the_board_answers_as_the_host(mq_dut: TestDut) -> None:
    mq_dut.expect_equal(X, np.concatenate([mq.run(GRAPH, [x[None]])[0] for x in X]))


def test_one_inference_is_fast_enough(mq_dut: TestDut) -> None:
    mq_dut.expect_latency(max_us=500_000)


def test_a_reset_changes_no_answer(mq_dut: TestDut) -> None:
    before = mq_dut.run(X)
    mq_dut.reset()
    mq_dut.expect_equal(X, before)


def test_the_numbers_of_another_run_are_the_same(mq_dut: TestDut) -> None:
    """Under emulation counts are exact; a board's own may differ by the state of its caches."""
    first, second = mq_dut.bench(), mq_dut.bench()
    assert first.counter is second.counter
    assert not mq_dut.is_emulated or first.count == second.count


@pytest.mark.hardware
def test_a_board_on_the_desk_runs_at_the_clock_of_its_profile(mq_dut: TestDut) -> None:
    assert mq_dut.dut.info.clock_hz == mq_dut.project.board.clock_hz
