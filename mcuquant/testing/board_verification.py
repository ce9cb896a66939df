"""Checks of a board that show whether its profile and port are right, and their record.

The firmware of a sensor node that traps shows that crashes are reported. Then the firmware of each sample network
shows that its bytes are right, and that of the last one that timer, clock, serial port and reset are. Firmware whose
flash differs from what was built answers no command, so that a check would end with an error.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import flow
from ..arithmetic import interpreter
from ..boards.board import Board
from ..codegen.node_settings import NodeSettings
from ..device.wire import FaultRecord
from ..errors import DeviceError
from ..ir import Array, Graph
from ..project.dut import Dut
from ..project.project import Project
from ..version import __version__
from .board_selection import Selected
from .hil import connected
from .sample_networks import NETWORKS, signal

SAMPLES = 5
CLOCK_S = 3.0
CLOCK_TOLERANCE = 0.02
"""Share by which the board's clock may differ from the host's. Crystals are far better, RC oscillators within 2 %."""
FAST_BAUD = 230_400
_TRAP_TRIES, _TRAP_S = 4, 0.8
"""Longer than the half second for which a node keeps still after a command."""

_TRAP = """/* A sensor that ends in an undefined instruction, once. */
#include "app/mq_port.h"
#include "node/node_sensor.h"

const uint32_t mq_sensor_poll_us = 1000;

void mq_sensor_start(void)
{
}

bool mq_sensor_read(int16_t sample[MQ_NODE_CHANNELS])
{
    (void)sample;
    if (!mq_port_crashed() && mq_port_fault() == 0) {
        __builtin_trap();
    }
    return false;
}
"""


@dataclass(frozen=True, slots=True)
class Check:
    """`passed` is None for a check that was not made; `detail` says why, or what was seen."""

    name: str
    passed: bool | None
    detail: str


@dataclass(frozen=True, slots=True)
class Verification:
    """The checks of one board. `profile_digest` is the SHA-256 of all values of its profile."""

    board: str
    profile_digest: str
    cpuid: int
    clock_hz: int
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether no check failed. Checks that were not made do not count."""
        return all(check.passed is not False for check in self.checks)

    def to_toml(self, by: str, day: datetime.date) -> str:
        """The record that the board's owner signs with a name and sends in."""
        lines = [
            f'board = "{self.board}"',
            f'profile_sha256 = "{self.profile_digest}"',
            f"by = {json.dumps(by)}",
            f"date = {day.isoformat()}",
            f'mcuquant = "{__version__}"',
            f"cpuid = {self.cpuid:#010x}",
            f"clock_hz = {self.clock_hz}",
            f"passed = {str(self.passed).lower()}",
        ]
        for check in self.checks:
            result = {True: "passed", False: "failed", None: "not made"}[check.passed]
            lines += [
                "",
                "[[check]]",
                f'name = "{check.name}"',
                f'result = "{result}"',
                f"detail = {json.dumps(check.detail)}",
            ]
        return "\n".join(lines) + "\n"


def verify(
    board: Board, selected: Selected, folder: Path, progress: Callable[[int], None] | None = None
) -> Verification:
    """Compile, flash and run the firmware of the checks in `folder`.

    `progress` is called with the number of completed checks, of `COUNT`. Raises DeviceError if the board does not
    answer at all, ToolError if no flash tool works.
    """
    checks: list[Check] = []
    for check in _checks(board, selected, folder):
        checks.append(check)
        if progress is not None:
            progress(len(checks))
    with connected(Project.open(folder / _LAST), selected) as test:
        info = test.dut.info
    return Verification(board.name, _digest(board), info.cpuid, info.clock_hz, tuple(checks))


def _checks(board: Board, selected: Selected, folder: Path) -> Iterator[Check]:
    yield _fault_report(board, selected, folder / "trap")
    for name, network in NETWORKS.items():
        graph = network()
        with connected(flow.compile(graph, board, folder / name, name), selected) as test:
            yield _same_bytes(name, graph, test.dut)
    with connected(Project.open(folder / _LAST), selected) as test:
        yield from (check(test.dut) for check in _OF_THE_BOARD)


def _digest(board: Board) -> str:
    return hashlib.sha256(repr(board).encode()).hexdigest()


def _fault_report(board: Board, selected: Selected, folder: Path) -> Check:
    settings = NodeSettings(mean=0.0, std=1.0, sensor=_TRAP)
    project = flow.compile(signal(), board, folder, "trap", app="node", node=settings)
    with connected(project, selected) as test:
        dut = test.dut
        dut.link.clear_fault()
        dut.link.reboot()
        record = _await_record(dut)
        if record is None and dut.is_emulated and not board.is_emulated:
            return Check("fault report", None, "this emulator raises no faults")
        if record is None:
            return Check("fault report", False, "the firmware trapped and the board has no record of a crash")
        dut.link.clear_fault()
        where = "an unknown place" if record.pc is None else f"{record.pc:#010x}"
        return Check("fault report", True, f"an undefined instruction at {where} was recorded")


def _await_record(dut: Dut) -> FaultRecord | None:
    """The record of the trap. The node reads its sensor only after a silence of the serial port."""
    for _ in range(_TRAP_TRIES):
        time.sleep(_TRAP_S)
        record = dut.link.fault()
        if record is not None:
            return record
    return None


def _same_bytes(name: str, graph: Graph, dut: Dut) -> Check:
    shape = graph.tensors[graph.inputs[0]].shape
    x = np.random.default_rng(7).integers(-128, 128, (SAMPLES, *shape[1:]), np.int8)
    expected: Array = np.concatenate([interpreter.run(graph, [x[i : i + 1]])[0] for i in range(SAMPLES)])
    outputs = dut.run(x)
    assert isinstance(outputs, np.ndarray)
    different = int(np.count_nonzero(outputs != expected))
    detail = f"{expected.size} bytes of {SAMPLES} outputs, {different} differ from the interpreter's"
    return Check(f"bytes of {name}", different == 0, detail)


def _timer(dut: Dut) -> Check:
    dut.link.seed(1)
    first, second = (dut.link.run(read=False).ticks for _ in range(2))
    same = abs(first - second) <= max(2, max(first, second) // 100)
    return Check("timer", first > 0 and same, f"{first:,} and {second:,} ticks for the same inference")


def _clock(dut: Dut) -> Check:
    if dut.is_emulated:
        return Check("clock", None, "the time of an emulated board is not the host's")
    start_us, start_s = dut.link.now_us(), time.monotonic()
    time.sleep(CLOCK_S)
    passed_us, passed_s = dut.link.now_us() - start_us, time.monotonic() - start_s
    ratio = passed_us / 1e6 / passed_s
    detail = f"{passed_us / 1e6:.3f} s of the board in {passed_s:.3f} s of this computer, {100 * (ratio - 1):+.2f} %"
    return Check("clock", abs(ratio - 1) <= CLOCK_TOLERANCE, detail)


def _serial(dut: Dut) -> Check:
    """Inputs arrive whole, and at another rate too."""
    inputs = [bytes(range(256))[: p.nbytes] for p in dut.project.inputs]
    dut.link.load(inputs)
    before = dut.link.run(read=False).crc
    changed = dut.link.set_baud(FAST_BAUD)
    dut.link.load(inputs)
    after = dut.link.run(read=False).crc
    dut.link.set_baud(dut.project.board.uart.baud)
    rate = f"the same bytes at {FAST_BAUD:,} baud" if changed else f"{FAST_BAUD:,} baud is not received"
    return Check("serial port", before == after and changed, rate)


def _reset(dut: Dut) -> Check:
    try:
        info = dut.link.reboot()
    except DeviceError as error:
        return Check("reset", False, str(error))
    return Check("reset", not info.crashed, "the board booted again and answered")


_OF_THE_BOARD = (_timer, _clock, _serial, _reset)
_LAST = tuple(NETWORKS)[-1]
COUNT = 1 + len(NETWORKS) + len(_OF_THE_BOARD)
"""Number of checks."""
