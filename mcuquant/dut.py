"""A device under test: the board of a project, emulated or on the desk, running the project's firmware."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType

import numpy as np

from .device.emulator import Emulator
from .device.link import Link
from .device.measure import Layer, Measurement, measure
from .device.transport import Transport, open_port
from .device.wire import DeviceInfo
from .errors import DeviceError
from .ir import Array, DType
from .project import Project, check_inputs, split_outputs

BENCH_SEED = 1
"""The input that is timed: made on the board. Kernels take the same time for every input, to within a few cycles."""


class Dut:
    """Context manager: `with project.connect() as dut: y = dut.run(x); print(dut.bench())`.

    Without a port the board is booted under emulation. DeviceError when the board does not answer, or runs other
    firmware than the project's.
    """

    def __init__(self, project: Project, port: str | None = None) -> None:
        self.project = project
        self._port = port
        self._stack = ExitStack()
        self._link: Link | None = None

    def __enter__(self) -> Dut:
        firmware = self.project.firmware
        with ExitStack() as stack:
            transport = self._transport(stack)
            link = stack.enter_context(Link(transport, default_baud=self.project.board.uart.baud))
            link.hello(firmware.digest)
            self._check_interface(link.info)
            self._stack, self._link = stack.pop_all(), link
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        self._link = None

    @property
    def link(self) -> Link:
        """The dialogue with the board."""
        assert self._link is not None, "not connected: use `with`"
        return self._link

    @property
    def info(self) -> DeviceInfo:
        return self.link.info

    @property
    def is_emulated(self) -> bool:
        return self._port is None

    def run(self, *inputs: Array, progress: Callable[[int], None] | None = None) -> Array | tuple[Array, ...]:
        """Stored values in, (N, ...) for each input; stored values out, one array where there is one output.

        `progress` is told how many samples are done. CalibrationError for inputs of another shape or type.
        """
        samples = check_inputs(self.project.inputs, inputs)
        raw: list[bytes] = []
        for i in range(len(samples[0])):
            self.link.load([x[i].tobytes() for x in samples])
            raw.append(b"".join(self.link.run().outputs))
            if progress:
                progress(i + 1)
        outputs = split_outputs(b"".join(raw), self.project.outputs, len(raw))
        return outputs[0] if len(outputs) == 1 else outputs

    def steps(self, *inputs: Array) -> tuple[Array, ...]:
        """Every step's outputs for one sample (1, ...), flat and in order, as the board made them one by one."""
        samples = check_inputs(self.project.inputs, inputs)
        self.link.load([x[0].tobytes() for x in samples])
        layers = self.project.manifest["layers"]
        found = [self.link.step(i).outputs for i in range(len(layers))]
        return tuple(
            np.frombuffer(b"".join(outputs), DType(layer["dtype"]).numpy)
            for layer, outputs in zip(layers, found, strict=True)
        )

    def bench(self, runs: int = 3) -> Measurement:
        """Time the whole inference and each layer; the counter says what kind of number it is."""
        firmware = self.project.firmware
        self.link.seed(BENCH_SEED)
        return measure(
            self.link,
            self.project.board,
            [_layer(row) for row in self.project.manifest["layers"]],
            is_counting=self.is_emulated,
            flash_bytes=firmware.flash_bytes,
            ram_bytes=firmware.ram_bytes,
            runs=runs,
        )

    def _transport(self, stack: ExitStack) -> Transport:
        project = self.project
        if self._port is not None:
            return open_port(self._port, project.board.uart.baud)
        return stack.enter_context(Emulator(project.board, project.firmware.elf)).transport

    def _check_interface(self, info: DeviceInfo) -> None:
        expected = [p.nbytes for p in self.project.inputs], [p.nbytes for p in self.project.outputs]
        found = [t.nbytes for t in info.inputs], [t.nbytes for t in info.outputs]
        if found != expected:
            raise DeviceError(f"the board's network has inputs and outputs of {found} bytes, the project's {expected}")


def _layer(row: dict[str, object]) -> Layer:
    shape = row["shape"]
    assert isinstance(shape, list)
    return Layer(str(row["name"]), str(row["op"]), tuple(shape), int(str(row["macs"])))
