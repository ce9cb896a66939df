"""A network with memory behind a line: no inference is counted twice, and a lost state is said, never guessed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tinyfw
from faulty import FaultyTransport
from test_link import FIRMWARE

from mcuquant.device.conversation import Timing
from mcuquant.device.fake import FakeBoard, Tensors
from mcuquant.device.link import Link
from mcuquant.errors import DeviceError


def network(inputs: Tensors) -> list[Tensors]:
    """The outputs of tinyfw's steps; the last also tells how many inferences there were before."""
    *outputs, last = tinyfw.network(inputs[:-1])
    return [*outputs, (last[0], inputs[-1])]


REMEMBERING = replace(FIRMWARE, network=network, state_bytes=4)


def turn(link: Link) -> int:
    return int.from_bytes(link.run().outputs[1], "little")


def test_inferences_go_on_until_the_state_is_reset() -> None:
    link = Link(FakeBoard(REMEMBERING))
    link.reset_state()
    link.load(tinyfw.samples(np.random.default_rng(0)))
    assert [turn(link) for _ in range(3)] == [0, 1, 2]
    link.step(1)
    link.step(3)
    assert turn(link) == 4
    link.reset_state()
    assert turn(link) == 0


def test_no_inference_counts_twice_on_a_bad_line() -> None:
    timing = Timing(reply_s=0.3, run_s=5.0, ping_s=0.1, silence_s=0.03, ready_s=0.02)
    faults = 0
    for seed in range(10):
        line = FaultyTransport(FakeBoard(REMEMBERING), seed, 0.05)
        link = Link(line, timing=timing)
        link.reset_state()
        link.load(tinyfw.samples(np.random.default_rng(seed)))
        assert [turn(link) for _ in range(10)] == list(range(10))
        faults += line.faults
    assert faults > 20


def test_a_board_that_loses_its_state_is_not_asked_to_go_on() -> None:
    board = FakeBoard(REMEMBERING)
    link = Link(board)
    link.reset_state()
    link.load(tinyfw.samples(np.random.default_rng(0)))
    assert [turn(link) for _ in range(2)] == [0, 1]
    board.reset()
    with pytest.raises(DeviceError) as caught:
        link.run()
    assert str(caught.value) == (
        "fake: the board has reset itself after 2 inferences, and the network has lost what it kept of them: reset the "
        "state and start the stream again"
    )
    link.reset_state()
    assert turn(link) == 0


def test_a_reset_before_the_first_inference_loses_nothing() -> None:
    board = FakeBoard(REMEMBERING)
    link = Link(board)
    link.reset_state()
    link.load(tinyfw.samples(np.random.default_rng(0)))
    board.reset()
    assert turn(link) == 0
