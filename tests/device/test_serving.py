"""An emulated board behind a TCP port measures what it measures here, and is counted the same way."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import graphs
import numpy as np
import pytest
import tinyfw
from click.testing import CliRunner

import mcuquant as mq
from mcuquant.cli import main
from mcuquant.device.fake import FakeBoard, FakeFirmware
from mcuquant.device.link import Link
from mcuquant.errors import DeviceError
from mcuquant.testing.board_selection import Selected
from mcuquant.testing.hil import connected


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> mq.Project:
    graph = graphs.GENERATORS["conv2d"](np.random.default_rng(3))
    return mq.compile(graph, output=tmp_path_factory.mktemp("served") / "net")


@contextmanager
def served(project: mq.Project) -> Iterator[str]:
    """The port of `mcuquant serve`, which Ctrl-C ends without an error."""
    command = [sys.executable, "-m", "mcuquant", "serve", str(project.directory), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    match = re.fullmatch(
        rf"Serving {project.board.name} with the firmware of {project.directory} on (tcp:127\.0\.0\.1:\d+)\. "
        r"Ctrl-C ends it\.\n",
        line,
    )
    assert match is not None, line
    try:
        yield match[1]
    finally:
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20) == ("", "")
    assert process.returncode == 0


@pytest.mark.emulator
def test_a_served_board_is_measured_as_one_started_here(project: mq.Project) -> None:
    x = np.concatenate(
        [
            graphs.random_inputs(np.random.default_rng(i), mq.load(project.directory / "model.tflite"))[0]
            for i in range(2)
        ]
    )
    with project.connect() as dut:
        here, expected = dut.bench(), dut.run(x)
    assert here.counter.unit == "cycles"
    with served(project) as port:
        for _ in range(2):  # one client after another
            with connected(project, Selected(port, None, None, "test")) as dut:
                assert dut.bench() == here
                dut.expect_equal(x, expected)
        result = CliRunner().invoke(main, ["bench", str(project.directory), "--port", port])
    assert (result.exit_code, str(here) in result.stdout) == (0, True)


def test_other_boards_have_no_counts() -> None:
    firmware = FakeFirmware(tinyfw.INPUTS, tinyfw.OUTPUTS, 4, tinyfw.network)
    link = Link(FakeBoard(firmware))
    assert link.served_counts() is None
    assert link.hello().steps == 4


def test_a_port_that_is_taken_and_a_board_that_is_not_emulated(project: mq.Project, tmp_path: Path) -> None:
    from mcuquant.device.serving import serve

    with pytest.raises(DeviceError, match=r"^nowhere\.invalid:0 cannot be opened for clients: "):
        serve(project.board, project.firmware.elf, "mq_model_run", "nowhere.invalid", 0, print)
    physical = mq.compile(
        graphs.GENERATORS["relu6"](np.random.default_rng(0)), board="pico", output=tmp_path / "p", build_firmware=False
    )
    result = CliRunner().invoke(main, ["serve", str(physical.directory)])
    assert result.stderr == (
        f"Error: {physical.directory} was compiled for pico, which is not emulated: there is nothing to serve\n"
    )
