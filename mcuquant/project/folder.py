"""A compiled project on disk: the C files, the network, and the ways to run it here or on a board."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from ..boards.board import Board, board_of
from ..codegen.application import LIBRARY
from ..codegen.sensor_node import Node, NodeRun
from ..errors import CalibrationError, OutputError, ToolError
from ..firmware_build import build
from ..firmware_build.manifest_file import MANIFEST, no_project, read_manifest
from ..firmware_build.step_calls import Steps
from ..ir import Array, DType

HOST_TIMEOUT_S = 600
NETWORK_FILES = "network_files"


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of the network, as the firmware declares it. `shape` includes the batch."""

    name: str
    shape: tuple[int, ...]
    dtype: DType
    scale: float | None
    zero_point: int

    @property
    def sample(self) -> tuple[int, ...]:
        """Shape of one sample: without a batch dimension of 1, with any other first dimension."""
        return self.shape[1:] if self.shape[0] == 1 and len(self.shape) > 1 else self.shape

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.bits // 8

    def quantize(self, real: Array) -> Array:
        """Real values as stored values: rounded to nearest, halves away from zero, limited to the type.

        Raises CalibrationError for NaN.
        """
        if np.isnan(np.asarray(real, np.float64)).any():
            raise CalibrationError(f"values for {self.name!r} hold NaN, which no stored value represents")
        if self.scale is None:
            return np.asarray(real, self.dtype.numpy)
        scaled = np.asarray(real, np.float32) / np.float32(self.scale)
        whole = np.trunc(scaled)  # exact: adding a half would round 0.49999997 up
        rounded = whole + np.sign(scaled) * (np.abs(scaled - whole) >= np.float32(0.5))
        stored: Array = np.clip(rounded + self.zero_point, *self.dtype.range()).astype(self.dtype.numpy)
        return stored

    def dequantize(self, stored: Array) -> Array:
        if self.scale is None:
            return np.asarray(stored)
        return (np.float32(self.scale) * (np.asarray(stored, np.float32) - self.zero_point)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class ProjectFolder:
    """A folder that `compile` wrote. `manifest` is its manifest.json."""

    directory: Path
    manifest: Mapping[str, Any]
    board: Board

    @classmethod
    def open(cls, directory: Path | str) -> Self:
        """Raises OutputError if the folder is not a project of mcuquant, or if its manifest was changed."""
        path = Path(directory)
        manifest = read_manifest(path)
        try:
            board = board_of(manifest["board_profile"], path / f"{manifest['board']}.toml")
        except (KeyError, TypeError) as error:  # a digest by hand
            raise no_project(path) from error
        return cls(path, manifest, board)

    @property
    def prefix(self) -> str:
        """The prefix of the model's C names."""
        return f"mq_{self.manifest['name']}"

    @property
    def inputs(self) -> tuple[Port, ...]:
        return tuple(_port(p) for p in self.manifest["inputs"])

    @property
    def outputs(self) -> tuple[Port, ...]:
        return tuple(_port(p) for p in self.manifest["outputs"])

    @property
    def steps(self) -> Steps:
        """The calls that a build of the project must contain."""
        return Steps.of_manifest(self.manifest)

    @property
    def seeded_crc(self) -> int:
        """CRC-32 of the interpreter's outputs for the input that is timed."""
        if "answer" not in self.manifest:
            raise OutputError(f"{self.directory} has no answer to compare the board's with: compile it again")
        return int(self.manifest["answer"]["outputs_crc"], 16)

    @property
    def firmware(self) -> build.Firmware:
        """The built firmware. Raises OutputError if it was compiled with --no-build and `make` was not run since."""
        if self.manifest.get("app") == LIBRARY:
            raise OutputError(
                f"{self.directory} is a library, and no board runs it alone; compile it with --app dut too"
            )
        if not (self.directory / "firmware.elf").is_file():
            raise OutputError(f"{self.directory} is not built: run make -C {self.directory}")
        for name in self.manifest.get(NETWORK_FILES, {}):
            if (self.directory / name).is_file():
                check_network_file(self.directory, name)
        return build.firmware(self.directory, self.board, self.steps)

    @property
    def state_bytes(self) -> int:
        """The states of the network."""
        return int(self.manifest.get("state_bytes", 0))

    def run_host(self, *inputs: Array, sanitize: bool = False, reset_each: bool = False) -> tuple[Array, ...]:
        """Run the C of the project on this computer: stored values in, (N, ...) for each input; the outputs, (N, ...).

        States are initial at each call and, with `reset_each`, at each sample.
        """
        samples = check_inputs(self.inputs, inputs)
        data = b"".join(b"".join(x[i].tobytes() for x in samples) for i in range(len(samples[0])))
        raw = self._host(data, sanitize, ["--reset-each"] if reset_each else [])
        return split_outputs(raw, self.outputs, len(samples[0]))

    @property
    def feed(self) -> Mapping[str, Any] | None:
        """How the network is fed by rows: `rows` of an image and bytes of each; None if it takes whole inputs."""
        feed: Mapping[str, Any] | None = self.manifest.get("feed")
        return feed

    def rows(self, rows: Array) -> Array:
        """Rows (n, ...) of an image as contiguous stored values. Raises CalibrationError if they are no such rows."""
        (port,) = self.inputs
        if self.feed is None:
            raise CalibrationError(f"{self.directory} takes whole inputs; compile it with --feed rows")
        if rows.shape[1:] != port.sample[1:] or rows.dtype != port.dtype.numpy:
            raise CalibrationError(
                f"rows of input {port.name!r} are {port.dtype} of shape (n, {', '.join(map(str, port.sample[1:]))}), "
                f"found {rows.dtype} of shape {tuple(rows.shape)}"
            )
        return np.ascontiguousarray(rows)

    @property
    def node(self) -> Node:
        """The sensor node of the project. Raises OutputError if it was not compiled as a node."""
        if "node" not in self.manifest:
            raise OutputError(f"{self.directory} is not a sensor node; compile it with --app node")
        return Node.from_json(self.manifest["node"])

    def node_outputs(self, raw: Array) -> Array:
        """(N, ...) first outputs of a node's inferences over raw counts (T, channels), int16, on this computer."""
        windows, (port,) = self.node.windows(raw), self.inputs
        return self.run_host(windows.reshape(-1, *port.sample))[0]

    def run_node(self, raw: Array) -> NodeRun:
        """The decisions of the node for raw counts (T, channels), int16, on this computer."""
        return self.node.run(raw, self.node_outputs(raw))

    def _host(self, data: bytes, sanitize: bool, options: Sequence[str]) -> bytes:
        if self.manifest.get("app") == LIBRARY:
            raise OutputError(f"{self.directory} is a library, without a program to run; compile it with --app dut too")
        runner = build.build_host(self.directory, self.steps, sanitize)
        done = subprocess.run([runner, *options], input=data, capture_output=True, timeout=HOST_TIMEOUT_S, check=False)
        if done.returncode:
            raise ToolError(f"{runner} failed: {done.stderr.decode(errors='replace').strip() or done.returncode}")
        return done.stdout


def file_digests(files: Mapping[str, bytes]) -> dict[str, str]:
    """SHA-256 of each file of the network, by name: the entry `NETWORK_FILES` of a manifest."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def check_network_file(directory: Path, name: str) -> None:
    """Raises OutputError if a file of the network is not the one of the manifest: files of two builds are mixed."""
    if not (directory / MANIFEST).is_file():
        return
    expected = read_manifest(directory)[NETWORK_FILES]
    if file_digests({name: (directory / name).read_bytes()})[name] != expected.get(name):
        raise OutputError(
            f"{directory / name} is not the network of {directory / MANIFEST}: one of the two was changed or "
            "replaced; compile again"
        )


def _port(row: Mapping[str, Any]) -> Port:
    return Port(row["name"], tuple(row["shape"]), DType(row["dtype"]), row["scale"], row["zero_point"])


def check_inputs(ports: Sequence[Port], inputs: Sequence[Array]) -> tuple[Array, ...]:
    """Inputs as contiguous arrays of the declared types. Raises CalibrationError with the expected shape or type."""
    if len(inputs) != len(ports):
        raise CalibrationError(f"the network has {len(ports)} inputs, {len(inputs)} arrays were given")
    if not all(map(len, inputs)):
        raise CalibrationError("the inputs hold 0 samples: there is nothing to run")
    counts = {len(x) for x in inputs}
    if len(counts) != 1:
        raise CalibrationError(f"the inputs hold different numbers of samples: {sorted(counts)}")
    return tuple(_check_input(port, x) for port, x in zip(ports, inputs, strict=True))


def _check_input(port: Port, x: Array) -> Array:
    if x.shape[1:] != port.sample or x.dtype != port.dtype.numpy:
        raise CalibrationError(
            f"input {port.name!r} takes {port.dtype} of shape (N, {', '.join(map(str, port.sample))}), "
            f"found {x.dtype} of shape {tuple(x.shape)}"
        )
    return np.ascontiguousarray(x)


def split_outputs(raw: bytes, ports: Sequence[Port], count: int) -> tuple[Array, ...]:
    """Outputs of `count` samples, sample after sample as the runner wrote them, into one array per output."""
    per_sample = sum(p.nbytes for p in ports)
    if len(raw) != per_sample * count:
        raise ToolError(f"expected {per_sample * count} bytes of output for {count} samples, found {len(raw)}")
    rows = np.frombuffer(raw, np.uint8).reshape(count, per_sample)
    bounds = np.cumsum([0, *(p.nbytes for p in ports)])
    return tuple(
        np.ascontiguousarray(rows[:, a:b]).view(p.dtype.numpy).reshape(count, *p.sample)
        for p, a, b in zip(ports, bounds, bounds[1:], strict=False)
    )
