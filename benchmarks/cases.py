"""Compile, run and count one network on one emulated board."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import mcuquant as mq
from mcuquant.demo import reference
from mcuquant.device.measurement import Counter, Measurement
from mcuquant.errors import DeviceError
from mcuquant.firmware_build import linkmap
from mcuquant.ir.metrics import total_macs
from mcuquant.planner.objective import Objective
from mcuquant.testing.differ import seeded_samples

SAMPLES = 4
"""Random inputs whose outputs are compared."""


@dataclass(frozen=True, slots=True)
class Case:
    """One network on one board, compiled in one way."""

    model: str
    board: str
    objective: Objective
    """What the kernels were chosen for: --optimize."""
    macs: int
    """Of the network as its file has it, before channels that no input can change are left out."""
    measurement: Measurement
    weight_bytes: int
    """Constants in flash: weights, biases, requantization, tables."""
    code_bytes: int
    """The rest of the network's flash: its code and descriptors, without the application that speaks on the wire."""
    compared_bytes: int
    """Of output, equal to the interpreter's."""
    is_equal_to_tflm: bool
    """False where TensorFlow Lite Micro's interpreter is not installed."""

    @property
    def has_cycles(self) -> bool:
        """Whether its count is of modelled cycles; else it is of instructions."""
        return self.measurement.counter is Counter.MODELLED_CYCLES

    @property
    def instructions(self) -> int:
        assert self.measurement.counts is not None
        return self.measurement.counts.instructions


def run_case(path: Path, board: str, objective: Objective, folder: Path) -> Case:
    """DeviceError when a byte of output is wrong, or when two runs do not count the same."""
    graph = mq.from_tflite(path)
    output = folder / f"{path.stem}-{board}-{objective}"
    project = mq.compile(graph, board=board, output=output, optimize=objective)
    measurement, again = _measured(project), _measured(project)
    if measurement != again:
        raise DeviceError(f"{path.name} on {board}: two runs count {measurement.count:,} and {again.count:,}")
    compared, is_equal_to_tflm = _compare(project, graph, path)
    flash, constants = project.board.flash, int(project.manifest["constant_bytes"])
    network = linkmap.network_bytes(project.directory / "build" / "firmware.map", flash.origin, flash.end)
    return Case(
        model=path.stem,
        board=board,
        objective=objective,
        macs=total_macs(graph),
        measurement=measurement,
        weight_bytes=constants,
        code_bytes=network - constants,
        compared_bytes=compared,
        is_equal_to_tflm=is_equal_to_tflm,
    )


def _measured(project: mq.Project) -> Measurement:
    """Of a board booted for it. DeviceError where QEMU's plugin cannot count: estimates have no place in the table."""
    with project.connect() as dut:
        measurement = dut.bench()
    if measurement.counts is None:
        raise DeviceError(f"{project.board.name} cannot be counted on: {' '.join(measurement.notes)}")
    return measurement


def _compare(project: mq.Project, graph: mq.Graph, path: Path) -> tuple[int, bool]:
    """(bytes of output that equal the interpreter's, whether TensorFlow Lite Micro's were there to equal too)."""
    samples = list(seeded_samples(project, SAMPLES))
    with project.connect() as dut:
        answers = dut.run(*(np.concatenate(column) for column in zip(*samples, strict=True)))
    actual = answers if isinstance(answers, tuple) else (answers,)
    expected = [np.concatenate(column) for column in zip(*(mq.run(graph, x) for x in samples), strict=True)]
    _check(path, project, "the interpreter", actual, expected)
    if len(project.inputs) != 1 or len(project.outputs) != 1:
        return sum(y.nbytes for y in actual), False
    theirs = reference.outputs(path.read_bytes(), np.concatenate([x for (x,) in samples]))
    if theirs is not None:
        _check(path, project, "TensorFlow Lite Micro", actual, [theirs])
    return sum(y.nbytes for y in actual), theirs is not None


def _check(
    path: Path, project: mq.Project, who: str, actual: Sequence[np.ndarray], expected: Sequence[np.ndarray]
) -> None:
    for ours, theirs in zip(actual, expected, strict=True):
        if ours.tobytes() != theirs.tobytes():
            raise DeviceError(f"{path.name} on {project.board.name}: the outputs are not those of {who}")
