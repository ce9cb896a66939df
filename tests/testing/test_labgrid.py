"""A farm on this machine: labgrid's coordinator and exporter, an emulated board behind them, and a user's test.

labgrid brings a serial library of its own: it is installed into an environment apart, which sees this one's packages.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import graphs
import numpy as np
import pytest

import mcuquant as mq

pytestmark = [pytest.mark.slow, pytest.mark.emulator]
ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = ROOT / "docs" / "farm.yaml"
TEST = """
import numpy as np
import pytest

X, Y = np.load("x.npy"), np.load("y.npy")

def test_answers(mq_dut):
    mq_dut.expect_equal(X, Y)

def test_latency(mq_dut):
    assert mq_dut.expect_latency(max_us=1e6).to_json()["cycles"] == CYCLES

def test_it_came_through_the_farm(mq_dut):
    mq_dut.reset()
    assert mq_dut.facts()["selected_by"] == "labgrid target main"
    assert mq_dut.facts()["port"] == "tcp:127.0.0.1:{port}"
"""


def serving(project: Path, port: int) -> tuple[object, ...]:
    return (sys.executable, "-m", "mcuquant", "serve", project, "--port", port)


@pytest.fixture(scope="module")
def bin_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Programs of an environment with labgrid and pytest-embedded."""
    folder = tmp_path_factory.mktemp("labgrid") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*pip, "labgrid>=24", "pytest-embedded"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "zz_outer.pth").write_text(f"{sysconfig.get_path('purelib')}\n{ROOT}\n")
    return folder / "bin"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A compiled network beside inputs, expected outputs and the test."""
    graph = graphs.GENERATORS["conv2d"](np.random.default_rng(3))
    x = np.concatenate([graphs.random_inputs(np.random.default_rng(i), graph)[0] for i in range(2)])
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", np.concatenate([mq.run(graph, [sample[None]])[0] for sample in x]))
    return mq.compile(graph, output=tmp_path / "build" / "net").directory


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def running(*command: object, log: Path, until: str) -> Iterator[None]:
    """A program in the background, once it has printed `until`."""
    with log.open("w") as out:
        # labgrid's coordinator keeps its places where it is started.
        words = [str(word) for word in command]
        process = subprocess.Popen(words, stdout=out, stderr=out, env=environment(), cwd=log.parent)
    try:
        end = time.monotonic() + 30
        while until not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(10)


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONUNBUFFERED": "1", **more}


def call(*command: object, cwd: Path, env: dict[str, str]) -> str:
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_same_test_runs_through_a_farm(bin_folder: Path, project: Path, tmp_path: Path) -> None:
    coordinator, port = f"127.0.0.1:{free_port()}", free_port()
    with mq.Project.open(project).connect() as dut:
        cycles = dut.bench().to_json()["cycles"]
    (tmp_path / "test_net.py").write_text(TEST.replace("{port}", str(port)).replace("CYCLES", str(cycles)))
    (tmp_path / "farm.yaml").write_text(ENVIRONMENT.read_text())
    (tmp_path / "exporter.yaml").write_text(
        f"bench:\n  NetworkSerialPort: {{host: 127.0.0.1, port: {port}, speed: 115200, protocol: raw}}\n"
    )
    env = environment(LG_COORDINATOR=coordinator, LG_USERNAME="tester", LG_HOSTNAME="localhost")
    exporter = (bin_folder / "labgrid-exporter", "-c", coordinator, "-n", "desk", tmp_path / "exporter.yaml")
    client = (bin_folder / "labgrid-client", "-p", "desk-1")
    with (
        running(*serving(project, port), log=tmp_path / "board", until="Serving"),
        running(bin_folder / "labgrid-coordinator", "-l", coordinator, log=tmp_path / "coordinator", until="ready"),
        running(*exporter, log=tmp_path / "exporter", until="connected"),
    ):
        call(*client, "create", cwd=tmp_path, env=env)
        call(*client, "add-match", "desk/bench/*", cwd=tmp_path, env=env)
        call(*client, "acquire", cwd=tmp_path, env=env)
        pytest_ = (bin_folder / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--lg-env", "farm.yaml")
        said = call(*pytest_, "--mq-record", "record.json", "test_net.py", cwd=tmp_path, env=env)
        call(*client, "release", cwd=tmp_path, env=env)
    assert "3 passed" in said
    assert '"selected_by": "labgrid target main"' in (tmp_path / "record.json").read_text()


def test_labgrid_and_pytest_embedded_stand_beside_it(bin_folder: Path, project: Path, tmp_path: Path) -> None:
    """In one run: options of all three, pytest-embedded's own `dut`, our mq_dut.

    Both others name a fixture `target`: without an environment labgrid's makes pytest-embedded skip every test.
    """
    (tmp_path / "env.yaml").write_text("targets: {main: {resources: {}, drivers: {}}}\n")
    (tmp_path / "test_all.py").write_text(
        "def test_ours(mq_dut):\n    mq_dut.reset()\n"
        "def test_names(request):\n    manager = request.session._fixturemanager\n"
        "    (dut,) = manager.getfixturedefs('dut', request.node)\n"
        "    assert dut.func.__module__.startswith('pytest_embedded')\n"
    )
    pytest_ = (bin_folder / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider")
    options = ("--mq-firmware", project, "--port", "/dev/ttyNONE", "--target", "esp32", "--lg-env", "env.yaml")
    said = call(*pytest_, *options, "test_all.py", cwd=tmp_path, env=environment())
    assert "2 passed" in said


BOUND = """
import attr
from labgrid import Environment
from labgrid.driver.common import Driver
from labgrid.factory import target_factory
from labgrid.protocol import BootstrapProtocol
from mcuquant.errors import McuquantError

@target_factory.reg_driver
@attr.s(eq=False)
class Noting(Driver, BootstrapProtocol):
    bindings = {}
    def load(self, filename):
        print("load", filename)

target = Environment("env.yaml").get_target()
try:
    target.get_driver("McuquantDriver")
except McuquantError as error:
    print(error)
"""
OTHER_BUILD = """
imports: [mcuquant.testing.labgrid]
targets:
  main:
    resources:
      NetworkSerialPort: {host: 127.0.0.1, port: PORT, protocol: raw}
    drivers:
      Noting: {}
      McuquantDriver: {project: build/other}
"""


def test_a_bound_driver_flashes_what_runs_another_build(bin_folder: Path, project: Path, tmp_path: Path) -> None:
    """Here it only notes that it was asked: the board still runs the other build, and that is said."""
    other = mq.compile(graphs.GENERATORS["relu6"](np.random.default_rng(1)), output=tmp_path / "build" / "other")
    port = free_port()
    (tmp_path / "env.yaml").write_text(OTHER_BUILD.replace("PORT", str(port)))
    with running(*serving(project, port), log=tmp_path / "board", until="Serving"):
        said = call(bin_folder / "python", "-c", BOUND, cwd=tmp_path, env=environment()).splitlines()
    assert said[0] == f"load {other.directory / 'firmware.elf'}"
    assert said[1].startswith(f"tcp:127.0.0.1:{port}: the board runs another build: ")


FLASHING = """
from labgrid import Environment
from mcuquant.errors import McuquantError

target = Environment("env.yaml").get_target()
try:
    target.get_driver("McuquantFlashDriver").load()
except McuquantError as error:
    print(error)
"""


def test_the_flash_driver_is_mcuquant_flash(bin_folder: Path, project: Path, tmp_path: Path) -> None:
    (tmp_path / "env.yaml").write_text(
        "imports: [mcuquant.testing.labgrid]\ntargets: {main: {drivers: {McuquantFlashDriver: {project: build/net}}}}\n"
    )
    said = call(bin_folder / "python", "-c", FLASHING, cwd=tmp_path, env=environment())
    assert said == "board qemu-mps2-an386 does not say how it is flashed; add [flashing] to its profile\n"
