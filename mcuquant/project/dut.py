"""A device under test: an emulated or connected board that runs the firmware of a project."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType

import numpy as np

from ..boards.board import Board
from ..codegen.decisions import decision_of
from ..codegen.sensor_node import NodeRun
from ..device import cycle_model
from ..device.counting import Counting
from ..device.cycle_model import CycleCounts
from ..device.emulator import Emulator
from ..device.gdb_remote import GdbRemote
from ..device.gdb_transport import GdbTransport, ProbeImage
from ..device.link import Link
from ..device.measure import measure, modelled
from ..device.measurement import Counter, Layer, Measurement
from ..device.pico_emulator import PORT as PICO
from ..device.pico_emulator import PicoEmulator
from ..device.probe_server import ProbeServer
from ..device.transport import Transport, open_port
from ..device.wire import DeviceInfo, Run
from ..errors import DeviceError
from ..ir import Array, DType
from .folder import ProjectFolder, check_inputs, split_outputs
from .seeded import BENCH_SEED


class Dut:
    """Context manager: `with project.connect() as dut: y = dut.run(x); print(dut.bench())`.

    Without a port the board is emulated. Raises DeviceError if the board does not answer or runs other firmware than
    the project's.
    """

    def __init__(
        self, project: ProjectFolder, port: str | None = None, baud: int | None = None, is_counting: bool = False
    ) -> None:
        """`is_counting`: the emulated board at `port` runs with -icount shift=0, as the ones started here do."""
        self.project = project
        self._is_counting = port is None or is_counting
        self._baud = baud or project.board.uart.baud
        self._port = port
        self._stack = ExitStack()
        self._link: Link | None = None
        self._counting = Counting()
        self._notes: tuple[str, ...] = ()

    def __enter__(self) -> Dut:
        firmware = self.project.firmware
        with ExitStack() as stack:
            transport = self._transport(stack)
            link = stack.enter_context(Link(transport, default_baud=self._baud))
            link.hello(firmware.digest)
            self._check_interface(link.info)
            link.reset_state()
            self._stack, self._link = stack.pop_all(), link
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        self._link = None

    @property
    def link(self) -> Link:
        """The protocol link to the board."""
        assert self._link is not None, "not connected: use `with`"
        return self._link

    @property
    def info(self) -> DeviceInfo:
        return self.link.info

    @property
    def is_emulated(self) -> bool:
        return self._port in (None, PICO)

    def reset_state(self) -> None:
        """Set the states to their initial values. Without effect for a network without states."""
        self.link.reset_state()

    def run(
        self, *inputs: Array, progress: Callable[[int], None] | None = None, reset_each: bool = False
    ) -> Array | tuple[Array, ...]:
        """Stored values in, (N, ...) for each input; stored values out, one array if there is one output.

        States continue from sample to sample, and from call to call until `reset_state`; they are initial after the
        connection. With `reset_each`, every sample starts from initial states.

        `progress` is called with the number of completed samples. Raises CalibrationError for inputs of another shape
        or type.
        """
        samples = check_inputs(self.project.inputs, inputs)
        raw: list[bytes] = []
        for i in range(len(samples[0])):
            if reset_each:
                self.reset_state()
            self.link.load([x[i].tobytes() for x in samples])
            raw.append(b"".join(self.link.run().outputs))
            if progress:
                progress(i + 1)
        outputs = split_outputs(b"".join(raw), self.project.outputs, len(raw))
        return outputs[0] if len(outputs) == 1 else outputs

    def feed(self, rows: Array) -> Array | tuple[Array, ...] | None:
        """Feed the next rows (n, ...) of an image to a network compiled with `feed="rows"`.

        Returns the outputs (1, ...) after the last row of an image, as `run` does; None before. The row after that, or
        after `begin_image`, is the first of the next image. Raises CalibrationError for rows of another shape or type,
        DeviceError for more rows than the image lacks.
        """
        result = self.link.feed(self.project.rows(rows).tobytes()) if len(rows) else None
        if result is None:
            return None
        outputs = split_outputs(b"".join(result.outputs), self.project.outputs, 1)
        return outputs[0] if len(outputs) == 1 else outputs

    def begin_image(self) -> None:
        """Make the next row of `feed` the first of an image."""
        self.link.begin_image()

    def run_node(self, raw: Array) -> NodeRun:
        """The decisions of a node for raw counts (T, channels), int16, as a new stream."""
        node = self.project.node
        rows = [row.tobytes() for row in node.check(raw)]
        streamed = self.link.stream(rows, node.samples_per_request)
        decisions = tuple(decision_of(line) for line in streamed.lines)
        return NodeRun(streamed.samples, streamed.inferences, streamed.outputs_crc, decisions)

    def steps(self, *inputs: Array) -> tuple[Array, ...]:
        """Every step's first output for one sample (1, ...), flat and in order, as the board computes them step by
        step.
        """
        samples = check_inputs(self.project.inputs, inputs)
        self.link.load([x[0].tobytes() for x in samples])
        layers = self.project.manifest["layers"]
        results = [self.link.step(i).outputs[0] for i in range(len(layers))]
        return tuple(
            np.frombuffer(output, DType(layer["dtype"]).numpy) for layer, output in zip(layers, results, strict=True)
        )

    def bench(self, runs: int = 3) -> Measurement:
        """Time the whole inference and each layer. The counter of the result names the unit.

        Raises DeviceError if the outputs of the timed inference differ from the interpreter's.
        """
        self.link.seed(BENCH_SEED)
        manifest = self.project.manifest
        network = {"network": manifest["title"], "structure_digest": manifest.get("structure_digest", "")}
        window = self._counts()
        if window is not None:
            return replace(self._modelled(window), **network)
        notes = (*self._notes, *((self._counting.reason,) if self._counting.reason else ()))
        return replace(self._measured(runs), notes=notes, **network)

    def _counts(self) -> CycleCounts | None:
        """Counts of one inference, from the emulator here or the one behind the port; None if there are no counts."""
        self.link.reset_state()
        if self._counting.file is not None:
            self._check_answer(self.link.run(read=False))
            return cycle_model.read(self._counting.file)[-1]
        if self._port is None or not self.project.board.is_emulated:
            return None
        self._check_answer(self.link.run(read=False))
        return self.link.served_counts()

    def _modelled(self, window: CycleCounts) -> Measurement:
        project, firmware = self.project, self.project.firmware
        layers = [_layer(row) for row in project.manifest["layers"]]
        return modelled(
            window,
            self.link,
            project.board,
            layers,
            [f"{project.prefix}_step_{i}" for i in range(len(layers))],
            flash_bytes=firmware.flash_bytes,
            ram_bytes=firmware.ram_bytes,
        )

    def _measured(self, runs: int) -> Measurement:
        firmware = self.project.firmware
        return measure(
            self.link,
            self.project.board,
            [] if self.project.feed else [_layer(row) for row in self.project.manifest["layers"]],
            check=self._check_answer,
            is_counting=self._is_counting,
            counter=Counter.RP2040PY_CYCLES if self._port == PICO else None,
            flash_bytes=firmware.flash_bytes,
            ram_bytes=firmware.ram_bytes,
            runs=runs,
        )

    def _check_answer(self, run: Run) -> None:
        expected = self.project.seeded_crc
        if run.crc != expected:
            project, port = self.project, "" if self._port is None else f" --port {self._port}"
            raise DeviceError(
                f"{project.board.name}: the outputs of the timed inference have CRC-32 {run.crc:08x}, the "
                f"interpreter's {expected:08x}; a wrong answer has no time. The first layer that differs: "
                f"mcuquant validate {project.directory} --layers{port}"
            )

    def _transport(self, stack: ExitStack) -> Transport:
        project = self.project
        if self._port is not None and self._port.startswith("probe:"):
            server = ProbeServer(self._port.removeprefix("probe:"))
            return self._by_probe(f"gdb:{stack.enter_context(server)}")
        if self._port is not None and self._port.startswith("gdb:"):
            return self._by_probe(self._port)
        if self._port == PICO:
            return stack.enter_context(PicoEmulator(project.board, project.firmware.elf)).transport
        if self._port is not None:
            return open_port(self._port, self._baud)
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="mq-")))
        self._counting = Counting.of(project.board, project.firmware.elf, project.steps.callers[0], folder)
        emulator = Emulator(project.board, project.firmware.elf, arguments=self._counting.arguments)
        return stack.enter_context(emulator).transport

    def _by_probe(self, port: str) -> Transport:
        """The firmware of the project, loaded and started through a GDB server."""
        board, image = self.project.board, ProbeImage.of(self.project.firmware.elf)
        server = open_port(port, self._baud)
        try:
            remote = GdbRemote(server)
            self._notes = _probe_notes(board, remote.is_qemu)
            return GdbTransport(remote, image, None if board.flash.end == board.ram.origin else board.flash)
        except BaseException:
            server.close()
            raise

    def _check_interface(self, info: DeviceInfo) -> None:
        expected = [p.nbytes for p in self.project.inputs], [p.nbytes for p in self.project.outputs]
        sizes = [t.nbytes for t in info.inputs], [t.nbytes for t in info.outputs]
        if info.state_bytes != self.project.state_bytes:
            raise DeviceError(
                f"the board's network keeps {info.state_bytes} bytes between inferences, the project's "
                f"{self.project.state_bytes}"
            )
        if sizes != expected:
            raise DeviceError(f"the board's network has inputs and outputs of {sizes} bytes, the project's {expected}")


def _probe_notes(board: Board, is_qemu: bool) -> tuple[str, ...]:
    """A note about figures that a board behind a GDB server does not give."""
    clock = ("The clock of the board is not known: the times assume 1 MHz.",) if board.has_assumed_clock else ()
    return (*clock, "QEMU is behind the GDB server: its timer counts no cycles.") if is_qemu else clock


def _layer(row: dict[str, object]) -> Layer:
    shape = row["shape"]
    assert isinstance(shape, list)
    return Layer(str(row["name"]), str(row["op"]), tuple(shape), int(str(row["macs"])))
