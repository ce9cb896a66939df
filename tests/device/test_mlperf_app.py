"""Firmware of `--app mlperf`, spoken to as MLPerf Tiny's runner speaks: one command, then lines up to m-ready."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import layers
import mlperf
import numpy as np
import pytest
from nets import Net
from tinyfw import ask

from mcuquant import flow
from mcuquant.arithmetic import interpreter
from mcuquant.boards.board import load_board
from mcuquant.codegen.application import Application, Wire, application
from mcuquant.device.emulator import Emulator
from mcuquant.device.link import Link
from mcuquant.device.transport import Transport
from mcuquant.errors import ModelError
from mcuquant.ir import Array, DType, Graph
from mcuquant.project.project import Project

LINE_BYTES = 31
"""Of data in one `db` command of the runner's."""
BOOT = re.compile(r"m-timestamp-mode-performance\r\nm-lap-us-\d+\r\nm-init-done\r\nm-ready\r\n")


@dataclass(frozen=True)
class Runner:
    """The runner's side of the dialogue; every reply is checked to be what the rules say, line by line."""

    port: Transport

    def name(self) -> str:
        (line,) = ask(self.port, "name%")
        return found(r"m-name-dut-\[([^]]+)]", line)

    def profile(self) -> tuple[str, str]:
        profile, model = ask(self.port, "profile%")
        return found(r"m-profile-\[([^]]+)]", profile), found(r"m-model-\[([^]]+)]", model)

    def load(self, data: bytes) -> None:
        assert ask(self.port, f"db load {len(data)}%") == [f"m-[Expecting {len(data)} bytes]"]
        lines = [data[i : i + LINE_BYTES].hex() for i in range(0, len(data), LINE_BYTES)]
        for line in lines[:-1]:
            assert ask(self.port, f"db {line}%") == []
        assert ask(self.port, f"db {lines[-1]}%") == ["m-load-done"]

    def infer(self, count: int = 1, warmups: int = 0) -> str:
        """The results as printed."""
        lines = ask(self.port, f"infer {count} {warmups}%", timeout_s=30)
        assert lines[:3] == [f"m-warmup-start-{warmups}", "m-warmup-done", f"m-infer-start-{count}"]
        start_us, end_us = (int(found(r"m-lap-us-([0-9]+)", line)) for line in lines[3:5])
        assert 0 < start_us <= end_us
        assert lines[5] == "m-infer-done"
        assert len(lines) == 7
        return found(r"m-results-\[([^]]+)]", lines[6])


def found(pattern: str, line: str) -> str:
    match = re.fullmatch(pattern, line)
    assert match, line
    return match[1]


def classifier(shape: tuple[int, ...], classes: int, seed: int) -> Graph:
    net = Net(np.random.default_rng(seed))
    x = layers.conv2d(net, net.input((1, *shape)), outputs=3)
    x = layers.fully_connected(net, x, outputs=classes)
    return net.graph(layers.softmax(net, x), name="classifier")


def autoencoder(seed: int, dtype: DType = DType.INT8) -> Graph:
    net = Net(np.random.default_rng(seed), dtype)
    x = layers.fully_connected(net, net.input((1, 640)), outputs=8)
    return net.graph(layers.fully_connected(net, x, outputs=640), name="autoencoder")


@dataclass(frozen=True)
class Case:
    """A network that the runner knows, and how bytes on the wire become its input."""

    make: Callable[[], Graph]
    real: str
    model_id: str
    baud: int
    sample: Callable[[np.random.Generator], bytes]
    stored: Callable[[Graph, bytes], Array]
    results: Callable[[Graph, bytes, Array], list[np.float32]]


def random_bytes(count: int) -> Callable[[np.random.Generator], bytes]:
    return lambda rng: rng.integers(0, 256, count, np.uint8).tobytes()


def signal(rng: np.random.Generator) -> bytes:
    """As the spectra of the data set: from -60 to 20 or so."""
    return rng.normal(-20, 15, 640).astype("<f4").tobytes()


def of_image(graph: Graph, data: bytes) -> Array:
    return (np.frombuffer(data, np.uint8).astype(int) - 128).astype(np.int8)


def of_integers(graph: Graph, data: bytes) -> Array:
    return np.frombuffer(data, np.int8)


def of_signal(graph: Graph, data: bytes) -> Array:
    """Nearest, halves away from zero, in single precision."""
    x = graph[graph.inputs[0]]
    scaled = np.frombuffer(data, "<f4") / np.float32(x.scale)
    rounded = np.trunc(scaled + np.copysign(np.float64(0.5), scaled))
    return np.clip(rounded + x.zero_point, *x.dtype.range()).astype(x.dtype.numpy)


def probabilities(graph: Graph, _: bytes, stored: Array) -> list[np.float32]:
    return list(dequantized(graph, stored))


def squared_error(graph: Graph, data: bytes, stored: Array) -> list[np.float32]:
    return [mean_of_squares(dequantized(graph, stored) - np.frombuffer(data, "<f4"))]


def mean_of_squares(errors: Array) -> np.float32:
    total = np.float32(0)
    for error in errors:
        total = np.float32(total + np.float32(error * error))
    return np.float32(total / np.float32(len(errors)))


def dequantized(graph: Graph, stored: Array) -> Array:
    y = graph[graph.outputs[0]]
    real: Array = np.float32(y.scale) * (stored.reshape(-1).astype(np.float32) - np.float32(y.zero_point))
    return real


CASES = {
    "image": Case(
        lambda: classifier((32, 32, 3), 10, 1), "ic_int8", "ic01", 115_200, random_bytes(3072), of_image, probabilities
    ),
    "large_image": Case(
        lambda: classifier((96, 96, 3), 2, 2),
        "vww_int8",
        "vww01",
        115_200,
        random_bytes(27648),
        of_image,
        probabilities,
    ),
    "spectrum": Case(
        lambda: classifier((49, 10, 1), 12, 3),
        "kws_int8",
        "kws01",
        115_200,
        random_bytes(490),
        of_integers,
        probabilities,
    ),
    "machine": Case(lambda: autoencoder(4), "ad_int8", "ad01", 921_600, signal, of_signal, squared_error),
}


@dataclass(frozen=True)
class Desk:
    case: Case
    graph: Graph
    project: Project
    port: Transport
    boot: str
    is_real: bool

    @property
    def runner(self) -> Runner:
        return Runner(self.port)

    def expected(self, data: bytes) -> str:
        """The line of results, from the interpreter."""
        x = self.graph[self.graph.inputs[0]]
        (y,) = interpreter.run(self.graph, [self.case.stored(self.graph, data).reshape(x.shape)])
        return ",".join(f"{real:.3f}" for real in self.case.results(self.graph, data, y))


@pytest.fixture(scope="module", params=[*CASES, *(f"{name}_real" for name in CASES)])
def desk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A running board for each kind of model: a small one, and MLPerf Tiny's own where it is there."""
    case = CASES[request.param.removesuffix("_real")]
    is_real = request.param.endswith("_real")
    graph = flow.from_tflite(mlperf.path(f"{case.real}.tflite")) if is_real else case.make()
    project = flow.compile(graph, output=tmp_path_factory.mktemp("mlperf") / "net", app="mlperf")
    with Emulator(project.board, project.firmware.elf) as emulator:
        yield Desk(case, graph, project, emulator.transport, heard_at_boot(emulator.transport), is_real)


def heard_at_boot(port: Transport) -> str:
    heard = b""
    while not heard.endswith(b"m-ready\r\n"):
        data = port.read(5)
        assert data, f"no m-ready after a reset, only {heard!r}"
        heard += data
    return heard.decode("ascii")


@pytest.mark.emulator
def test_the_runner_is_answered(desk: Desk) -> None:
    assert BOOT.fullmatch(desk.boot)
    assert desk.runner.name() == "mcuquant"
    assert desk.runner.profile() == ("ULPMark for tinyML Firmware V0.0.1", desk.case.model_id)
    assert desk.project.board.uart.baud == desk.case.baud
    assert desk.project.manifest["model_id"] == desk.case.model_id


@pytest.mark.emulator
def test_results_are_those_of_the_input_on_the_wire(desk: Desk) -> None:
    rng, printed = np.random.default_rng(5), set()
    for count, warmups in ((2, 1), (1, 0)):
        data = desk.case.sample(rng)
        desk.runner.load(data)
        results = desk.runner.infer(count, warmups)
        assert results == desk.expected(data)
        assert ask(desk.port, "results%") == [f"m-results-[{results}]"]
        printed.add(results)
    assert len(printed) > 1 or desk.is_real, "noise is one thing to the real ones"


@pytest.mark.emulator
def test_the_buffer_is_what_was_loaded_and_no_larger(desk: Desk) -> None:
    data = desk.case.sample(np.random.default_rng(6))
    maximum = len(data)
    assert ask(desk.port, f"db load {maximum + 1}%") == [
        f"e-[Supplied buffer size {maximum + 1} exceeds maximum of {maximum}]"
    ]
    desk.runner.load(data)
    lines = ask(desk.port, "db print%")
    assert bytes.fromhex("".join(line.removeprefix("m-buffer-").replace("-", "") for line in lines)) == data
    assert {line.count("-") for line in lines[:-1]} == {9}


@pytest.mark.emulator
def test_our_own_commands_take_stored_integers(desk: Desk) -> None:
    """And the runner's after them, and they after the runner's."""
    rng, link = np.random.default_rng(7), Link(desk.port)
    link.hello(desk.project.firmware.digest)
    x, data = desk.graph[desk.graph.inputs[0]], desk.case.sample(rng)
    stored = rng.integers(-128, 128, x.shape, np.int8)
    link.load([stored.tobytes()])
    assert link.run().outputs == tuple(y.tobytes() for y in interpreter.run(desk.graph, [stored]))
    desk.runner.load(data)
    assert desk.runner.infer() == desk.expected(data)
    assert link.run().outputs == tuple(y.tobytes() for y in interpreter.run(desk.graph, [stored]))
    seeded = np.frombuffer(link.seed(8), np.int8).reshape(x.shape)
    assert link.run().outputs == tuple(y.tobytes() for y in interpreter.run(desk.graph, [seeded]))


MISTAKES = {
    "start": "e-[Unknown command: start]",
    "db": "e-[Command 'db' requires a subcommand]",
    "db load": "e-[Command 'db load' requires the # of bytes]",
    "db load 0": "e-[Command 'db load' must be >0 bytes]",
    "db 001": "e-[Insufficent number of hex digits]",
    "db 00g1": "e-[Invalid hex digit 'g1']",
    "infer 0 0": "e-[Inference iterations must be >0]",
    "infer 1 -1": "e-[Inference warmup must be >=0]",
}


@pytest.mark.emulator
def test_mistakes_are_told_in_the_runner_s_words(desk: Desk) -> None:
    ask(desk.port, "db load 4%")
    assert {command: ask(desk.port, f"{command}%") for command in MISTAKES} == {c: [e] for c, e in MISTAKES.items()}
    assert desk.runner.name() == "mcuquant"


@pytest.mark.emulator
def test_a_score_of_stored_inputs_is_against_their_real_values(tmp_path: Path) -> None:
    """int16 activations: inputs are exact reals, so the error of the output is that of the interpreter."""
    graph = autoencoder(9, DType.INT16)
    project = flow.compile(graph, output=tmp_path / "net", app="mlperf")
    x = graph[graph.inputs[0]]
    stored = np.random.default_rng(9).integers(-3000, 3000, x.shape, np.int16)
    reals = np.float32(x.scale) * stored.reshape(-1).astype(np.float32)
    (y,) = interpreter.run(graph, [stored])
    score = mean_of_squares(dequantized(graph, y) - reals)
    with Emulator(project.board, project.firmware.elf) as emulator, Link(emulator.transport) as link:
        link.load([stored.tobytes()])
        assert link.run().outputs == (y.tobytes(),)
        assert ask(emulator.transport, "results%") == [f"m-results-[{score:.3f}]"]
        Runner(emulator.transport).load(reals.astype("<f4").tobytes())
        assert Runner(emulator.transport).infer() == f"{score:.3f}"


def of(graph: Graph, name: str = "mlperf", model_id: str | None = None, net: str = "model") -> Application:
    board = load_board("qemu-mps2-an386")
    return application(flow.to_program(graph, board, net)[1], name, model_id)


def test_a_model_is_known_by_its_input() -> None:
    assert of(CASES["image"].make()) == Application("mlperf", "ic01", Wire.IMAGES, 3072)
    assert of(CASES["large_image"].make()) == Application("mlperf", "vww01", Wire.IMAGES, 27648)
    assert of(CASES["spectrum"].make()) == Application("mlperf", "kws01", Wire.STORED, 490)
    assert of(CASES["machine"].make()) == Application("mlperf", "ad01", Wire.SIGNALS, 2560, 921_600)


def test_a_model_that_is_not_known_has_its_name_and_takes_stored_values() -> None:
    assert of(classifier((8, 8, 3), 3, 1), net="birds") == Application("mlperf", "birds", Wire.STORED, 192)
    assert of(CASES["image"].make(), "dut") == Application("dut", "model", Wire.STORED, 3072)


def test_an_id_says_what_a_model_is() -> None:
    image = classifier((8, 8, 3), 3, 1)
    assert of(image, model_id="ic02") == Application("mlperf", "ic02", Wire.IMAGES, 192)
    assert of(image, model_id="birds-2") == Application("mlperf", "birds-2", Wire.STORED, 192)
    assert of(CASES["machine"].make(), model_id="kws01") == Application("mlperf", "kws01", Wire.STORED, 640)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mlperf", "a]b"), "model id 'a]b' must be 1 to 40 letters, digits, '_', '.' and '-'"),
        (("mlprf", None), "application 'mlprf' is not known; there are dut, mlperf, node, library"),
        (
            ("mlperf", "ad01"),
            "classifier cannot be ad01: that takes one input, int8, int16 or float32, and one output as large",
        ),
    ],
)
def test_what_an_application_cannot_be_is_said(arguments: tuple[str, str | None], message: str) -> None:
    with pytest.raises(ModelError) as caught:
        of(classifier((8, 8, 3), 3, 1), *arguments)
    assert str(caught.value) == message


def test_images_are_of_int8_networks() -> None:
    net = Net(np.random.default_rng(1), DType.INT16)
    graph = net.graph(layers.conv2d(net, net.input((1, 32, 32, 3))), name="wide")
    assert of(graph).wire is Wire.STORED
    with pytest.raises(ModelError) as caught:
        of(graph, model_id="ic01")
    assert str(caught.value) == "wide cannot be ic01: that takes one int8 input"


def test_a_project_opens_at_its_own_rate(tmp_path: Path) -> None:
    project = flow.compile(CASES["machine"].make(), output=tmp_path / "net", build_firmware=False, app="mlperf")
    assert Project.open(tmp_path / "net").board == project.board
    default = load_board("qemu-mps2-an386")
    assert project.board == replace(default, uart=replace(default.uart, baud=921_600))
