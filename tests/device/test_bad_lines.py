"""Nothing hangs, nothing lies: many exchanges over lines that lose, change, double and delay bytes, with resets.

Each ends in the right answer or in an error, and within its time; a wrong answer fails the test at once.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import tinyfw
from faulty import FaultyTransport

from mcuquant.boards.board import load_board
from mcuquant.device.conversation import Timing
from mcuquant.device.emulator import Emulator
from mcuquant.device.fake import FakeBoard, FakeFirmware
from mcuquant.device.link import Link
from mcuquant.device.transport import SerialTransport, Transport
from mcuquant.device.wire import request
from mcuquant.errors import DeviceError

FIRMWARE = FakeFirmware(tinyfw.INPUTS, tinyfw.OUTPUTS, 4, tinyfw.network, digest=tinyfw.DIGEST)
TIMING = Timing(reply_s=0.3, run_s=5.0, ping_s=0.1, silence_s=0.03, ready_s=0.02)
EXCHANGES = int(os.environ.get("MCUQUANT_EXCHANGES", "2000"))
"""Of each wide test with a fake board, inferences by seven requests or more; 10,000 and more are run by hand."""
EMULATED_REQUESTS = int(os.environ.get("MCUQUANT_EXCHANGES", "800"))
"""Requests, each an exchange of its own, of the wide test with an emulated board."""
LIMIT_S = 60.0
"""No exchange may take longer, however bad the line: some requests of a few tries of a few tenths of a second."""


@dataclass(slots=True)
class Unruly:
    """Resets the board between two writes, now and then, by a request that it cannot tell from the host's own."""

    inner: Transport
    seed: int
    rate: float
    resets: int = 0
    requests: int = 0
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    @property
    def name(self) -> str:
        return self.inner.name

    def write(self, data: bytes) -> None:
        if self._random.random() < self.rate:
            self.inner.write(request(self._random.getrandbits(32), "reboot"))
            self.resets += 1
        self.requests += data.startswith(b"mq #")
        self.inner.write(data)

    def read(self, timeout_s: float) -> bytes:
        return self.inner.read(timeout_s)

    def set_baud(self, baud: int) -> None:
        self.inner.set_baud(baud)

    def close(self) -> None:
        self.inner.close()


def exchange(link: Link, rng: np.random.Generator) -> str:
    """One inference whole and by steps, every byte of it compared: "right", or the class of its error."""
    x = tinyfw.samples(rng)
    started = time.monotonic()
    try:
        link.load(x)
        assert link.run().outputs == tinyfw.network(x)[3]
        i = int(rng.integers(3))
        assert link.step(i).outputs == tinyfw.network(x)[i]
        return "right"
    except DeviceError:
        return "error"
    finally:
        assert time.monotonic() - started < LIMIT_S


def exchanges(
    board: Transport, seed: int, rate: float, number: int, timing: Timing = TIMING, resets: float | None = None
) -> Counter[str]:
    """Outcomes of so many exchanges, with how many requests, faults and resets there were."""
    unruly = Unruly(board, seed, rate / 20 if resets is None else resets)
    line = FaultyTransport(unruly, seed, rate)
    rng, link = np.random.default_rng(seed), Link(line, timing=timing)
    outcomes = Counter(exchange(link, rng) for _ in range(number))
    return outcomes + Counter(faults=line.faults, resets=unruly.resets, requests=unruly.requests)


def test_a_good_line_is_always_right() -> None:
    found = exchanges(FakeBoard(FIRMWARE), 1, 0.0, 50)
    assert found.pop("requests") >= 50 * 6
    assert found == Counter(right=50)


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "at_least"), [(0.01, 0.95), (0.05, 0.8), (0.2, 0.2)])
def test_many_exchanges_with_a_fake_board(rate: float, at_least: float) -> None:
    found = Counter[str]()
    for seed in range(0, EXCHANGES, 100):
        found += exchanges(FakeBoard(FIRMWARE), seed, rate, 100)
    print(rate, dict(found))
    assert found["right"] + found["error"] == EXCHANGES
    assert found["right"] >= at_least * EXCHANGES
    assert found["faults"] > EXCHANGES * rate
    assert found["resets"] > 0


@pytest.mark.slow
@pytest.mark.emulator
def test_many_exchanges_with_an_emulated_board(tmp_path: Path) -> None:
    board, found = load_board("qemu-mps2-an386"), Counter[str]()
    timing = Timing(reply_s=0.5, run_s=5.0, ping_s=0.1, silence_s=0.05, ready_s=0.05)
    with Emulator(board, tinyfw.firmware(board, tmp_path), is_counting=False) as emulator:
        # QEMU hands a reply over in many pieces, each of which may be hit.
        for seed in count():
            found += exchanges(emulator.transport, seed, 0.002, 10, timing, resets=0.004)
            if found["requests"] >= EMULATED_REQUESTS:
                break
    print(dict(found))
    assert found["right"] >= 0.5 * (found["right"] + found["error"])
    assert found["faults"] > 0
    assert found["resets"] > 0


# Ports that vanish, and ports that are taken.


def _until_it_fails(link: Link, rng: np.random.Generator) -> None:
    for _ in range(10):
        link.load(tinyfw.samples(rng))
        link.run()


@contextmanager
def pseudo_terminal(writes: int) -> Iterator[str]:
    """A port with a fake board behind it that is pulled out after so many pieces from the host."""
    master, slave = os.openpty()
    path = os.ttyname(slave)

    def serve() -> None:
        board = FakeBoard(FIRMWARE)
        try:
            for _ in range(writes):
                board.write(os.read(master, 4096))
                os.write(master, board.read(0))
        except OSError:
            return
        finally:
            os.close(slave)
            os.close(master)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield path


@pytest.mark.parametrize("writes", range(1, 6))
def test_a_port_that_vanishes_in_the_middle(writes: int) -> None:
    rng = np.random.default_rng(writes)
    with pseudo_terminal(writes) as path:
        link = Link(SerialTransport(path, 115_200), timing=TIMING)
        started = time.monotonic()
        with pytest.raises(DeviceError) as caught:
            _until_it_fails(link, rng)
        link.close()
    assert str(caught.value).startswith(f"{path}: the port is gone (unplugged, or taken by another program): ")
    assert time.monotonic() - started < 5


HOLDING = (
    "import serial, sys; s = serial.Serial(sys.argv[1], exclusive=True); print('held', flush=True); sys.stdin.read()"
)


def test_a_port_that_another_process_holds() -> None:
    """And that it lets go of: nobody else may have it in between, us neither."""
    master, slave = os.openpty()
    path = os.ttyname(slave)
    command = [sys.executable, "-c", HOLDING, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(DeviceError) as caught:
            SerialTransport(path, 115_200)
        holder.stdin.close()
        holder.wait(10)
    assert str(caught.value) == (
        f"{path}: cannot be opened: Resource temporarily unavailable (another program holds the port; close it)"
    )
    SerialTransport(path, 115_200).close()
    os.close(slave)
    os.close(master)
