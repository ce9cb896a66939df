"""Hardware-in-the-loop tests: a board with expectations that show both sides, and a record of each run."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..codegen.sensor_node import NodeRun
from ..codegen.sensor_node import difference as node_difference
from ..device.flash import flash
from ..device.measurement import Measurement
from ..device.transport import open_port
from ..errors import DeviceError
from ..ir import Array
from ..project.dut import Dut
from ..project.folder import ProjectFolder
from ..project.project import Project
from ..quantization.labels import check_labels, class_count
from ..version import __version__
from .board_selection import Selected

Flasher = Callable[[], str]
"""Flashes the board and returns a report."""
SHOWN = 5
"""Number of differing elements that a message lists."""


def _check_limit(name: str, limit: float) -> None:
    """A comparison with NaN or infinity is never true, so a test with such a limit could not fail."""
    if isinstance(limit, bool) or not isinstance(limit, numbers.Real) or not 0 < limit < math.inf:
        raise AssertionError(f"{name} is {limit!r}, expected a finite number above 0")


@dataclass(slots=True)
class TestDut:
    """A connected board for the duration of a test; `measurements` are those of the test."""

    dut: Dut
    selected: Selected
    flashed: str | None = None
    measurements: list[Measurement] = field(default_factory=list)
    __test__ = False

    def fresh(self) -> TestDut:
        """The same board for another test: no measurements, and initial states of the network.

        Raises DeviceError if the board does not answer any more, or runs other firmware.
        """
        self.dut.link.hello(self.dut.info.digest)
        self.dut.reset_state()
        return TestDut(self.dut, self.selected, self.flashed)

    @property
    def project(self) -> ProjectFolder:
        return self.dut.project

    @property
    def is_emulated(self) -> bool:
        return self.project.board.is_emulated or self.dut.is_emulated

    def run(self, *inputs: Array) -> Array | tuple[Array, ...]:
        """Stored values in, (N, ...) for each input; stored values out, one array where there is one output."""
        return self.dut.run(*inputs)

    def bench(self) -> Measurement:
        """Time the network. The result is part of the record of the test."""
        measurement = self.dut.bench()
        self.measurements.append(measurement)
        return measurement

    def reset(self) -> None:
        """Reset the board by software and connect again."""
        self.dut.link.reboot()

    def expect_equal(self, inputs: Array | tuple[Array, ...], expected: Array | tuple[Array, ...]) -> None:
        """Raises AssertionError with the first differing elements of both sides unless all outputs are as expected.

        A network with memory begins with its initial states, as in `mcuquant run`.
        """
        __tracebackhide__ = True  # pytest shows the line of the test
        samples = inputs if isinstance(inputs, tuple) else (inputs,)
        if not all(map(len, samples)):
            raise AssertionError("expect_equal was given 0 samples: nothing was compared")
        self.dut.reset_state()
        outputs = self.run(*samples)
        ours = outputs if isinstance(outputs, tuple) else (outputs,)
        theirs = expected if isinstance(expected, tuple) else (expected,)
        if len(ours) != len(theirs):
            raise AssertionError(f"the network has {len(ours)} outputs, {len(theirs)} were expected")
        for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            text = difference(a, np.asarray(b))
            if text:
                raise AssertionError(f"{self.project.board.name}, output {i}: {text}")

    def expect_accuracy(self, inputs: Array, classes: Array, min_accuracy: float) -> float:
        """Raises AssertionError if a smaller share of samples than `min_accuracy` is correct; else returns the share.

        `inputs` are stored values (N, ...), `classes` N class numbers, compared with the largest score of the first
        output. Raises CalibrationError for labels that are no classes of the network.
        """
        __tracebackhide__ = True
        _check_limit("min_accuracy", min_accuracy)
        y, board = np.asarray(classes), self.project.board.name
        count = class_count(self.project.outputs[0].sample)
        if y.shape != (len(inputs),) or y.dtype.kind not in "iu" or not len(y):
            raise AssertionError(
                f"expect_accuracy was given {_kind(y)} for {len(inputs)} samples: expected class numbers"
            )
        check_labels("expect_accuracy", int(y.min()), int(y.max()), count)
        self.dut.reset_state()
        outputs = self.run(inputs)
        scores = outputs[0] if isinstance(outputs, tuple) else outputs
        right = int((scores.reshape(len(y), -1).argmax(axis=1) == y).sum())
        if right < min_accuracy * len(y):
            raise AssertionError(
                f"{right:,} of {len(y):,} samples ({100 * right / len(y):.2f} %) are classified correctly on {board}, "
                f"at least {100 * min_accuracy:.2f} % were expected"
            )
        return right / len(y)

    def expect_node(self, raw: Array) -> NodeRun:
        """Raises AssertionError with the first difference unless the node's decisions equal those of this computer;
        else returns them.
        """
        __tracebackhide__ = True
        node_run = self.dut.run_node(raw)
        text = node_difference(node_run, self.project.run_node(raw))
        if text:
            raise AssertionError(f"{self.project.board.name}: {text}")
        return node_run

    def expect_latency(self, max_us: float) -> Measurement:
        """Raises AssertionError with both sides if one inference takes longer; else returns the measurement."""
        __tracebackhide__ = True
        _check_limit("max_us", max_us)
        measurement = self.bench()
        if measurement.latency_us > max_us:
            raise AssertionError(
                f"one inference takes {measurement.latency_us:,.1f} µs on {measurement.board} "
                f"({measurement.latency_source}), at most {max_us:,.1f} µs were expected"
            )
        return measurement

    def expect_cycles(self, max_cycles: int) -> Measurement:
        """Raises AssertionError with both sides if one inference takes more; else returns the measurement.

        The unit of the count is that of the board's counter, which the message names: cycles of a board, modelled
        cycles or instructions of an emulated one.
        """
        __tracebackhide__ = True
        _check_limit("max_cycles", max_cycles)
        measurement = self.bench()
        if measurement.count > max_cycles:
            raise AssertionError(
                f"one inference takes {measurement.count:,} {measurement.counter.value} on {measurement.board}, "
                f"at most {max_cycles:,} were expected"
            )
        return measurement

    def expect_flash(self, max_bytes: int) -> int:
        """Raises AssertionError with both sides if the firmware is larger; else returns its size in bytes."""
        __tracebackhide__ = True
        return self._expect_size("flash", self.project.firmware.flash_bytes, max_bytes)

    def expect_ram(self, max_bytes: int) -> int:
        """Raises AssertionError with both sides if the firmware's static RAM (arena, stack, application) is larger.

        Returns its size in bytes.
        """
        __tracebackhide__ = True
        return self._expect_size("RAM", self.project.firmware.ram_bytes, max_bytes)

    def _expect_size(self, memory: str, size_bytes: int, max_bytes: int) -> int:
        __tracebackhide__ = True
        _check_limit("max_bytes", max_bytes)
        if size_bytes > max_bytes:
            raise AssertionError(
                f"the firmware takes {size_bytes:,} bytes of {memory} on {self.project.board.name}, "
                f"at most {max_bytes:,} were expected"
            )
        return size_bytes

    def facts(self) -> dict[str, Any]:
        """The firmware and board of a test, as plain values."""
        info = self.dut.info
        return {
            "mcuquant": __version__,
            "board": self.project.board.name,
            "core": info.core,
            "clock_hz": info.clock_hz,
            "digest": info.digest,
            "firmware": str(self.project.directory),
            "port": self.selected.port or "emulated",
            "probe": self.selected.probe,
            "selected_by": self.selected.source,
            "flashed": self.flashed,
            "measurements": [measurement.to_json() for measurement in self.measurements],
        }


def difference(actual: Array, expected: Array) -> str:
    """ "" if both are equal to the byte, else a sentence with the first differing elements of both."""
    if actual.shape != expected.shape or actual.dtype != expected.dtype:
        return f"the board gave {_kind(actual)}, expected {_kind(expected)}"
    where = np.argwhere(actual != expected)
    if not len(where):
        return ""
    indices = [tuple(int(i) for i in index) for index in where[:SHOWN]]
    pairs = "; ".join(f"{list(i)}: {actual[i]} on the board, {expected[i]} expected" for i in indices)
    more = "; ..." if len(where) > SHOWN else ""
    return f"{len(where):,} of {actual.size:,} elements differ: {pairs}{more}"


def _kind(x: Array) -> str:
    return f"{x.dtype} of shape {tuple(x.shape)}"


@contextmanager
def connected(
    project: Project, selected: Selected, is_counting: bool = False, flasher: Flasher | None = None
) -> Iterator[TestDut]:
    """The board with the firmware of the project. It is flashed first if it runs another one or does not answer.

    `is_counting`: the port is that of an emulated board whose QEMU counts instructions (-icount shift=0). `flasher`
    replaces the flash method of the board's profile.
    """
    dut = Dut(project, selected.port, selected.baud, is_counting=is_counting)
    with ExitStack() as stack:
        flashed = _entered(dut, selected, stack, flasher or _flasher(project, selected))
        yield TestDut(dut, selected, flashed)


def _flasher(project: Project, selected: Selected) -> Flasher | None:
    if selected.is_emulated or project.board.flashing is None:
        return None
    return lambda: str(flash(project.board, project.firmware.elf, selected.probe))


def _entered(dut: Dut, selected: Selected, stack: ExitStack, flasher: Flasher | None) -> str | None:
    """The report of flashing, or None if nothing was flashed. A port that cannot be opened is an error, no reason to
    flash.
    """
    port = None if selected.is_emulated else selected.port
    if port is not None and not port.startswith("probe:"):
        open_port(port, dut.project.board.uart.baud).close()
    try:
        stack.enter_context(dut)
    except DeviceError:
        if flasher is None:
            raise
        done = flasher()
        stack.enter_context(dut)
        return done
    return None
