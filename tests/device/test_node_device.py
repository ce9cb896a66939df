"""Sensor nodes under emulation: their decisions are this machine's, sample for sample."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import layers
import numpy as np
import pytest
from click.testing import CliRunner, Result
from faulty import FaultyTransport
from nets import Net
from own_sensor import OWN_SENSOR, OWN_VALUES
from tinyfw import ask

from mcuquant import flow
from mcuquant.arithmetic import interpreter
from mcuquant.cli import main
from mcuquant.codegen.decision_rules import ClassRule
from mcuquant.codegen.decisions import decision_of
from mcuquant.codegen.node_settings import NodeSettings
from mcuquant.codegen.sensor_node import difference
from mcuquant.demo import data
from mcuquant.demo.recordings import read_recordings
from mcuquant.device.conversation import Timing
from mcuquant.device.emulator import Emulator
from mcuquant.device.link import Link
from mcuquant.device.transport import Transport
from mcuquant.device.wire import request
from mcuquant.errors import DeviceError
from mcuquant.firmware_build.manifest_file import manifest_text
from mcuquant.ir import Array, DType, Graph
from mcuquant.project.project import Project
from mcuquant.testing.board_selection import Selected
from mcuquant.testing.hil import TestDut

pytestmark = pytest.mark.emulator

MAIN = "qemu-mps2-an386"
OTHERS = ("qemu-microbit", "qemu-stm32vldiscovery", "qemu-netduinoplus2", "qemu-lm3s6965evb", "qemu-mps3-an547")
"""Of every port that has an emulated board: another UART each, and the micro:bit has no SysTick."""
SETTINGS = NodeSettings(mean=0.1, std=0.8, lsb=0.001, stride=5, threshold=0.0, debounce=2)


def network(window: int = 16, channels: int = 3, seed: int = 3) -> Graph:
    net = Net(np.random.default_rng(seed))
    x = layers.conv2d(net, net.input((1, 1, window, channels), scale=0.02), outputs=6)
    return net.graph(layers.fully_connected(net, x, outputs=4), name="classifier")


def movements(count: int, channels: int = 3) -> Array:
    """Raw counts that change their kind every few windows."""
    rng = np.random.default_rng(9)
    levels = np.repeat(rng.normal(0, 1200, (count // 40 + 1, channels)), 40, axis=0)[:count]
    return (levels + rng.normal(0, 500, (count, channels))).astype(np.int16)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Project]:
    """The node of a board, built once."""
    made: dict[str, Project] = {}

    def compiled(board: str) -> Project:
        if board not in made:
            output = tmp_path_factory.mktemp("node") / "net"
            made[board] = flow.compile(network(), board, output, app="node", node=SETTINGS)
        return made[board]

    return compiled


@pytest.fixture
def project(nodes: Callable[[str], Project]) -> Project:
    return nodes(MAIN)


def check_against_the_interpreter(project: Project, raw: Array) -> None:
    """The host's own run of the C is the interpreter's over windows cut by hand."""
    node, graph = project.node, network()
    stored = node.normalise(raw)
    starts = range(0, len(raw) - node.window + 1, node.stride)
    windows = [stored[i : i + node.window].reshape(1, 1, node.window, node.channels) for i in starts]
    scores = np.concatenate([interpreter.run(graph, [w])[0] for w in windows])
    assert project.run_node(raw) == node.run(raw, scores)


@pytest.mark.parametrize("board", [MAIN, *(pytest.param(b, marks=pytest.mark.slow) for b in OTHERS)])
def test_decisions_are_the_host_s(nodes: Callable[[str], Project], board: str) -> None:
    project, raw = nodes(board), movements(400)
    check_against_the_interpreter(project, raw)
    with project.connect() as dut:
        made = dut.run_node(raw)
        assert difference(made, project.run_node(raw)) == ""
        assert made == project.run_node(raw)
        assert len({d.label for d in made.decisions}) >= 3
        assert None in {d.label for d in made.decisions}
        again = dut.run_node(raw[7:150])
        assert again == project.run_node(raw[7:150])
        x = np.random.default_rng(1).integers(-128, 128, (2, 1, 16, 3), np.int8)
        assert np.array_equal(dut.run(x), project.run_host(x)[0])
        assert dut.run_node(raw[:16]).inferences == 1
        assert dut.bench(1).layers


def test_activations_of_16_bits(tmp_path: Path) -> None:
    net = Net(np.random.default_rng(4), DType.INT16)
    graph = net.graph(layers.fully_connected(net, net.input((1, 8, 2), scale=0.0005), outputs=3))
    settings = NodeSettings(mean=[0.1, -0.2], std=0.8, lsb=0.001, stride=3)
    project = flow.compile(graph, MAIN, tmp_path / "net", app="node", node=settings)
    raw, node = movements(120, 2), project.node
    windows = node.windows(raw)
    assert windows.dtype == np.int16
    assert len(np.unique(windows)) > 100
    scores = np.concatenate([interpreter.run(graph, [w[None]])[0] for w in windows])
    with project.connect() as dut:
        made = dut.run_node(raw)
    assert made == node.run(raw, scores) == project.run_node(raw)
    assert len(np.unique(scores)) > 20


def test_a_line_of_json_a_decision(project: Project) -> None:
    """As a terminal shows it, and the same when the request comes again."""
    raw, node = movements(80), project.node
    expected = project.run_node(raw).decisions
    assert expected
    with Emulator(project.board, project.firmware.elf) as emulator:
        link = Link(emulator.transport)
        link.hello(project.firmware.digest)
        told: list[str] = []
        for start in range(0, len(raw), node.samples_per_request):
            part = raw[start : start + node.samples_per_request]
            sent = request(start + 1, "samples", "0000abcd", start, len(part), payload=part.tobytes())
            lines = send(emulator.transport, sent)
            assert send(emulator.transport, sent) == lines
            told += lines[:-1]
            counts = f"ok samples={start + len(part)} inferences="
            assert lines[-1].startswith(f"mq #{start + 1:08x} {counts}")
        assert [decision_of(line) for line in told] == list(expected)
        assert list(json.loads(told[0])) == ["decision", "sample", "class", "score", "stored"]
        sent = request(99, "samples", "0000abcd", 3, 1, payload=bytes(6))
        assert send(emulator.transport, sent)[0].startswith("mq #00000063 error order *")
        sent = request(99, "samples", "0000abcd", len(raw), 200)
        assert send(emulator.transport, sent)[0].startswith("mq #00000063 error range *")
        assert ask(emulator.transport, "mq samples 1 0 1%")[0].startswith("mq #- error arguments *")
        assert ask(emulator.transport, "mq node%")[0].startswith("mq #- ok samples=80 inferences=13 decisions=")


def send(transport: Transport, sent: bytes) -> list[str]:
    transport.write(sent)
    return ask(transport, "")


def test_a_bad_line_changes_no_decision(project: Project) -> None:
    raw, expected = movements(200), project.run_node(movements(200))
    right = rounds = 0
    with Emulator(project.board, project.firmware.elf) as emulator:
        line = FaultyTransport(emulator.transport, 3, 0.004)
        link = Link(line, timing=Timing(reply_s=2.0, run_s=5.0, ping_s=0.3))
        while not (right and line.faults) and rounds < 20:  # how often a line is read depends on the machine's load
            rounds += 1
            try:
                made = link.stream([row.tobytes() for row in raw], 20)
            except DeviceError:
                continue
            assert tuple(map(decision_of, made.lines)) == expected.decisions
            assert (made.inferences, made.outputs_crc) == (expected.inferences, expected.outputs_crc)
            right += 1
    assert line.faults > 0
    assert right > 0


def test_a_reset_in_the_middle_begins_the_stream_again(project: Project) -> None:
    raw = movements(200)
    with Emulator(project.board, project.firmware.elf) as emulator:
        link = Link(Resetting(emulator.transport, after=6))
        link.hello(project.firmware.digest)
        made = link.stream([row.tobytes() for row in raw], 20)
    assert tuple(map(decision_of, made.lines)) == project.run_node(raw).decisions


class Resetting:
    """A line to a board that is reset before one of the requests."""

    def __init__(self, inner: Transport, after: int) -> None:
        self._inner, self._left = inner, after
        self.name, self.read, self.set_baud, self.close = inner.name, inner.read, inner.set_baud, inner.close

    def write(self, data: bytes) -> None:
        self._left -= 1
        if self._left == 0:
            self._inner.write(b"%mq reboot%")
            time.sleep(0.3)
        self._inner.write(data)


def cpu_seconds(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def own(output: Path, board: str = MAIN) -> Project:
    header = "#include <stdint.h>\nint value(uint32_t random);\n"
    files = {"imu.c": OWN_SENSOR, "values.c": OWN_VALUES, "hal/values.h": header}
    settings = replace(SETTINGS, sensor=files)
    return flow.compile(network(), board, output, app="node", node=settings)


@pytest.mark.parametrize("board", [MAIN, *(pytest.param(b, marks=pytest.mark.slow) for b in OTHERS)])
def test_a_sensor_of_one_s_own_is_asked_between_commands(tmp_path: Path, board: str) -> None:
    """And the core sleeps in between: an emulator that runs all the time takes as much processor time as passes."""
    project = own(tmp_path / "net", board)
    with Emulator(project.board, project.firmware.elf) as emulator:
        heard = b""
        while heard.count(b"}\r\n") < 3:
            read = emulator.transport.read(10)
            assert read, f"no decision, only {heard!r}"
            heard += read
        lines = [line for line in heard.decode("ascii").split("\r\n") if line.startswith("{") and line.endswith("}")]
        count = np.arange(1, 4000)
        raw = ((count[:, None] * 2654435761 % 2**32 >> np.arange(8, 11)) % 6000 - 3000).astype(np.int16)
        assert [decision_of(line) for line in lines] == list(project.run_node(raw).decisions[: len(lines)])
        assert "m-name-dut-[mcuquant]" in ask(emulator.transport, "name%")  # decisions may come around it
        link = Link(emulator.transport)
        link.hello(project.firmware.digest)
        with pytest.raises(DeviceError) as caught:
            link.stream([bytes(6)], 1)
        assert str(caught.value) == (
            f"{board} (QEMU): the board refuses 'samples': it reads a sensor of its own, and takes no samples over the "
            "serial port"
        )
    assert not (project.directory / "src" / "node" / "node_sensor.c").exists()
    result = CliRunner().invoke(main, ["node", str(project.directory), "--data", str(__file__)])
    assert result.stderr == (
        f"Error: {project.directory} reads a sensor of its own and replays no recording; compile the network without "
        "--sensor to test it with one\n"
    )


@pytest.mark.parametrize("board", [MAIN, *(pytest.param(b, marks=pytest.mark.slow) for b in OTHERS)])
def test_a_sensor_that_always_has_a_sample_keeps_no_command_waiting(tmp_path: Path, board: str) -> None:
    """Bench, inputs and outputs, and the refusal of samples, while decisions are told without end."""
    driver = OWN_SENSOR.replace("number % 2u == 0", "true")
    files = {"imu.c": driver, "hal/values.h": "#define value(x) (int)((x) % 6000u)\n"}
    settings = replace(SETTINGS, stride=1, debounce=1, sensor=files)
    project = flow.compile(network(), board, tmp_path / "net", app="node", node=settings)
    x = np.random.default_rng(1).integers(-128, 128, (2, 1, 16, 3), np.int8)
    with project.connect() as dut:
        assert np.array_equal(dut.run(x), project.run_host(x)[0])
        with pytest.raises(DeviceError, match="refuses 'samples': it reads a sensor of its own"):
            dut.run_node(movements(40))
        assert dut.bench().count > 0
        assert np.array_equal(dut.run(x), project.run_host(x)[0])


@pytest.mark.parametrize("board", [MAIN, *(pytest.param(b, marks=pytest.mark.slow) for b in OTHERS)])
def test_the_core_sleeps_between_samples(nodes: Callable[[str], Project], board: str) -> None:
    """An emulator whose core never sleeps uses as much of a processor as passes of time."""
    project = nodes(board)
    with project.connect() as dut, Emulator(project.board, project.firmware.elf) as idle:
        dut.run_node(movements(40))
        assert idle._process is not None
        time.sleep(0.5)
        before = cpu_seconds(idle._process.pid)
        time.sleep(1.0)
        assert cpu_seconds(idle._process.pid) - before < 0.3


# The command line.


def command(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def test_recorded_movements_in_the_loop(tmp_path: Path) -> None:
    """From files to decisions: the demo's recordings, as a user would."""
    recordings = read_recordings(data.find_file(), data.MEMBER)
    x = np.concatenate([recordings["X"][i][:200] for i in (0, 25, 60, 90)])
    (tmp_path / "net.tflite").write_bytes(flow.to_tflite(network(64, 6, seed=8)))
    constants = {"mean": 0, "std": [0.73] * 3 + [1.74] * 3, "lsb": [16 / 32768] * 3 + [35 / 32768] * 3}
    (tmp_path / "stats.json").write_text(json.dumps(constants))
    np.savez(tmp_path / "recording.npz", x=x)
    options = ("--app", "node", "--stride", 32, "--debounce", 2)
    made = command(
        "compile", tmp_path / "net.tflite", *options, "--normalise", tmp_path / "stats.json", "-o", tmp_path / "n"
    )
    assert made.exit_code == 0, made.output
    assert made.stdout.endswith(f"mcuquant node {tmp_path / 'n'} --data X.npz\n")
    result = command("node", tmp_path / "n", "--data", tmp_path / "recording.npz")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0].split() == ["#", "sample", "class", "score", "stored"]
    assert f"Samples: {len(x):,}; inferences: {(len(x) - 64) // 32 + 1}; decisions: " in result.stdout
    assert (
        "All decisions on qemu-mps2-an386, and the scores of all inferences, equal this machine's.\n" in result.stdout
    )
    np.savez(tmp_path / "raw.npz", raw=x)
    result = command("node", tmp_path / "n", "--data", tmp_path / "raw.npz")
    assert result.stderr == (
        f"Error: array 'raw' of {tmp_path / 'raw.npz'}: found float64 of shape {x.shape}; expected int16 of shape "
        "(samples, 6)\n"
    )
    np.savez(tmp_path / "raw.npz", z=x)
    result = command("node", tmp_path / "n", "--data", tmp_path / "raw.npz")
    assert result.stderr == (
        f"Error: {tmp_path / 'raw.npz'} holds neither an array 'raw' (int16 counts) nor 'x' (values), it holds 'z'\n"
    )


def test_a_board_that_decides_otherwise_is_an_error(tmp_path: Path) -> None:
    """A manifest of another threshold: this machine then decides by that, the firmware by its own."""
    project = flow.compile(network(), MAIN, tmp_path / "net", app="node", node=SETTINGS)
    np.savez(tmp_path / "recording.npz", raw=movements(200))
    rule = project.node.rule
    assert isinstance(rule, ClassRule)
    changed = replace(project.node, rule=replace(rule, threshold=-128))
    manifest = {**project.manifest, "node": changed.to_json()}
    (project.directory / "manifest.json").write_text(manifest_text(manifest))
    result = command("node", project.directory, "--data", tmp_path / "recording.npz")
    assert result.exit_code == 1
    board, host = project.run_node(movements(200)), Project.open(project.directory).run_node(movements(200))
    told = difference(board, host)
    assert told
    assert result.stderr == f"Error: {MAIN} makes other decisions than this machine: {told}\n"


def test_what_is_missing_is_said_before_anything_is_made(tmp_path: Path) -> None:
    (tmp_path / "net.tflite").write_bytes(flow.to_tflite(network()))
    result = command("compile", tmp_path / "net.tflite", "--app", "node", "-o", tmp_path / "n")
    assert result.exit_code == 2
    told = " ".join(result.stderr.split())
    assert (
        "--app node needs the scale of raw samples, and no file was given: add --normalise STATS.json "
        'with {"mean": [..], "std": [..], "lsb": [..]}, one number or one a channel, or arrays of these names to '
        "--calibration X.npz. The network was trained on (value - mean) / std; value = raw count * lsb"
    ) in told
    (tmp_path / "stats.json").write_text('{"mean": 0}')
    result = command(
        "compile",
        tmp_path / "net.tflite",
        "--app",
        "node",
        "--normalise",
        tmp_path / "stats.json",
        "-o",
        tmp_path / "n",
    )
    assert f"and {tmp_path / 'stats.json'} holds no std: add" in " ".join(result.stderr.split())
    (tmp_path / "stats.json").write_text('{"mean": 0, "std": 1}')
    np.savez(tmp_path / "normal.npz", x=np.zeros((200, 6)))
    arguments = ("--normalise", tmp_path / "stats.json", "--normal", tmp_path / "normal.npz")
    result = command("compile", tmp_path / "net.tflite", "--app", "node", *arguments)
    assert f"and {tmp_path / 'stats.json'} holds no lsb: add" in " ".join(result.stderr.split())
    for text, told in (
        ("[1]", 'holds no object; expected {"mean": [..], "std": [..], "lsb": [..]}'),
        ('{"mean": "a"}', "mean of {} is 'a': expected a number, or one a channel"),
        ('{"mean": "3"}', "mean of {} is '3': expected a number, or one a channel"),
        ('{"mean": 0, "std": ["1", "2"]}', "std of {} is ['1', '2']: expected a number, or one a channel"),
        ('{"mean": 0, "std": [[1], [1, 2]]}', "std of {} is [[1], [1, 2]]: expected a number, or one a channel"),
        ('{"mean": 0, "std": 1, "lsb": NaN}', "lsb of {} is nan: expected a number, or one a channel"),
        ('{"mean": 0, "std": 1, "lsb": []}', "lsb of {} is []: expected a number, or one a channel"),
        ('{"mean": true}', "mean of {} is True: expected a number, or one a channel"),
    ):
        (tmp_path / "stats.json").write_text(text)
        result = command("compile", tmp_path / "net.tflite", "--app", "node", "--normalise", tmp_path / "stats.json")
        where = str(tmp_path / "stats.json")
        expected = told.replace("{}", where) if "{}" in told else f"{where} {told}"
        assert result.stderr == f"Error: {expected}\n"
    result = command("compile", tmp_path / "net.tflite", "--stride", 4)
    assert "--stride belongs to --app node" in result.stderr
    assert not (tmp_path / "n").exists()


def test_a_test_of_one_s_own_expects_the_host_s_decisions(project: Project) -> None:
    raw = movements(120)
    with project.connect() as dut:
        mq_dut = TestDut(dut, Selected(None, None, None, "a test"))
        assert mq_dut.expect_node(raw) == project.run_node(raw)
