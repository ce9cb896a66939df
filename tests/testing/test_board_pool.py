"""Every test in the loop runs the firmware that it names, in whatever order and process tests run."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

import layers
import numpy as np
import pytest
import state_graphs
from nets import Net

import mcuquant as mq
from mcuquant.project.project import Project

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.emulator

BOARDS = ("qemu-mps2-an386", "qemu-mps2-an385", "qemu-mps2-an386")
OVERRIDE = """
@pytest.fixture(scope="{scope}")
def mq_firmware({request}):
    return Path({value})
"""
PARAMETRIZED = """
@pytest.fixture(scope="{scope}", params={params!r})
def mq_firmware(request):
    return Path(request.param)
"""
BEGIN = "from pathlib import Path\nimport pytest\n"
TEST = """
def test_{name}(mq_dut, mq_firmware):
    directory, digest, board = Path(mq_firmware), mq_dut.project.firmware.digest, mq_dut.project.board.name
    assert mq_dut.project.directory == directory
    assert mq_dut.dut.info.digest == digest == (directory / "build" / "digest.txt").read_text().strip()
    assert {expected!r} in (None, str(directory))
    mq_dut.bench()
"""


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> list[Project]:
    root = tmp_path_factory.mktemp("projects")
    return [mq.compile(_dense(4 + i), board=board, output=root / f"net{i}") for i, board in enumerate(BOARDS)]


def _dense(outputs: int) -> mq.Graph:
    net = Net(np.random.default_rng(outputs))
    return net.graph(layers.fully_connected(net, net.input((1, 8)), outputs))


def options_of(seed: int) -> tuple[str, ...]:
    return ("-n", str(seed % 5), "--dist", ("load", "loadscope", "loadfile")[seed % 3])


def module(chance: random.Random, folders: Sequence[str], name: str) -> str:
    """A test module that overrides mq_firmware in one of the ways that users have."""
    scope = chance.choice(["function", "class", "module", "session"])
    if chance.random() < 0.4:
        params = chance.sample(folders, 2)
        head, expected = PARAMETRIZED.format(scope=scope, params=params), None
    else:
        expected = chance.choice(folders)
        head = OVERRIDE.format(scope=scope, request="", value=repr(expected))
    tests = [TEST.format(name=f"{name}_{i}", expected=expected) for i in range(chance.randint(1, 3))]
    return BEGIN + head + "".join(tests)


@pytest.mark.parametrize(
    ("seed", "options"),
    [
        (0, ()),
        (1, ("-n", "2")),
        (2, ("-n", "2", "--dist", "loadscope")),
        *(pytest.param(seed, options_of(seed), marks=pytest.mark.slow) for seed in range(3, 33)),
    ],
)
def test_each_test_runs_its_own_firmware(
    seed: int, options: tuple[str, ...], pytester: pytest.Pytester, projects: list[Project]
) -> None:
    chance = random.Random(seed)
    folders = [str(project.directory) for project in projects]
    for i in range(3):
        pytester.makepyfile(**{f"test_m{i}": module(chance, folders, f"m{i}")})
    for folder, value in zip(("a", "b"), chance.sample(folders, 2), strict=True):
        inner = pytester.mkdir(folder)
        (inner / "conftest.py").write_text(BEGIN + OVERRIDE.format(scope="session", request="", value=repr(value)))
        (inner / f"test_{folder}.py").write_text(BEGIN + TEST.format(name=folder, expected=value))
    files = [f"test_m{i}.py" for i in range(3)] + ["a", "b"]
    chance.shuffle(files)
    record = pytester.path / "r.json"
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--mq-record", str(record), *options, *files)
    outcomes = result.parseoutcomes()
    assert set(outcomes) == {"passed"}, result.stdout.str()
    runs = json.loads(record.read_text())["runs"]
    assert len(runs) == outcomes["passed"]
    digests = {str(project.directory): project.firmware.digest for project in projects}
    assert {(run["firmware"], run["digest"]) for run in runs} <= set(digests.items())
    assert all(measured["digest"] == run["digest"] for run in runs for measured in run["measurements"])


def test_a_folder_that_is_built_again_is_connected_again(
    pytester: pytest.Pytester, projects: list[Project], tmp_path: Path
) -> None:
    folder = tmp_path / "net"
    pytester.makepyfile(
        f"""
        from pathlib import Path
        import pytest, shutil

        @pytest.fixture(params={[str(p.directory) for p in projects[::2]]!r})
        def mq_firmware(request):
            folder = Path({str(folder)!r})
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(request.param, folder)
            return folder

        def test_output_size(mq_dut, request):
            (port,) = mq_dut.project.outputs
            assert mq_dut.dut.info.outputs[0].nbytes == port.nbytes
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=2)


@pytest.mark.parametrize("order", ["", "reversed"])
def test_no_test_sees_the_states_that_another_one_left(order: str, pytester: pytest.Pytester, tmp_path: Path) -> None:
    project = mq.compile(state_graphs.stream(np.random.default_rng(0)), output=tmp_path / "net")
    (port,) = project.inputs
    x = np.random.default_rng(1).integers(-128, 128, (6, *port.sample), np.int8)
    (y,) = project.run_host(x)
    assert not np.array_equal(y[3:], project.run_host(x[3:])[0])
    np.save(pytester.path / "x.npy", x)
    np.save(pytester.path / "y.npy", y)
    pytester.makepyfile(
        """
        import numpy as np
        X, Y = np.load("x.npy"), np.load("y.npy")

        def test_a_stream(mq_dut):
            assert np.array_equal(np.concatenate([mq_dut.run(X[:3]), mq_dut.run(X[3:])]), Y)

        def test_expected(mq_dut):
            mq_dut.expect_equal(X, Y)
            mq_dut.expect_equal(X, Y)

        def test_measured(mq_dut):
            mq_dut.bench()
        """
    )
    names = ["test_a_stream", "test_expected", "test_measured"]
    (module,) = pytester.path.glob("test_*.py")
    tests = [f"{module.name}::{name}" for name in (reversed(names) if order else names)]
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--mq-firmware", str(project.directory), *tests)
    result.assert_outcomes(passed=3)


def test_a_board_that_no_longer_answers_is_connected_again(pytester: pytest.Pytester, projects: list[Project]) -> None:
    pytester.makepyfile(
        """
        import os, signal
        from pathlib import Path
        import pytest

        @pytest.mark.parametrize("i", range(2))
        def test_alive(mq_dut, i):
            mq_dut.bench()
            (emulator,) = Path("/proc/thread-self/children").read_text().split()
            os.kill(int(emulator), signal.SIGKILL)
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--mq-firmware", str(projects[0].directory))
    result.assert_outcomes(passed=2)
