"""pytest plugin: the fixture `mq_dut`, a board that runs the project under test. docs/hil.md shows a test.

It is loaded in every run of pytest where mcuquant is installed: nothing heavy is imported before a test asks for it.
"""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .board_selection import Wish
    from .hil import TestDut

_OPTIONS = (
    ("--mq-board", "NAME", "board that is meant; overrides MCUQUANT_BOARD and the hardware map"),
    ("--mq-port", "P", "serial port of the board"),
    ("--mq-probe", "UID", "serial number of the board's debug probe, or a part of it"),
    ("--mq-firmware", "DIR", "project made by mcuquant compile, that the board is to run"),
    ("--mq-hardware-map", "FILE", "boards of this desk, in the format of Zephyr's Twister"),
    ("--mq-record", "FILE", "write what ran where, and what was measured, as JSON"),
)
_FACTS = ("board", "core", "digest", "firmware", "port", "probe", "selected_by", "flashed")
_RAN = pytest.StashKey[dict[str, Any]]()
_OUTCOME = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("mcuquant", "boards that run networks (mcuquant)")
    for name, metavar, text in _OPTIONS:
        group.addoption(name, metavar=metavar, help=text)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "hardware: needs a board on the desk; skipped on an emulated one")
    config.pluginmanager.register(_Recorder(config.getoption("--mq-record")), "mcuquant-record")
    if not _has_fixture(config, "dut"):
        config.pluginmanager.register(_Alias(), "mcuquant-dut")


def _has_fixture(config: pytest.Config, name: str) -> bool:
    """Whether another plugin (pytest-embedded, Twister's) brings a fixture of that name."""
    return any(inspect.getattr_static(plugin, name, None) is not None for plugin in config.pluginmanager.get_plugins())


class _Alias:
    @pytest.fixture
    def dut(self, mq_dut: TestDut) -> TestDut:
        """The same as mq_dut, under the name that users of other tools know."""
        return mq_dut


@pytest.fixture(scope="session")
def mq_board_name(pytestconfig: pytest.Config) -> str:
    """The board to compile for: --mq-board, MCUQUANT_BOARD, the map, the one plugged in, or an emulated one."""
    from ..device.plugged import plugged
    from .board_selection import board_name

    with _told():
        return board_name(_wish(pytestconfig), plugged())


@pytest.fixture(scope="session")
def mq_firmware(pytestconfig: pytest.Config) -> Path:
    """The folder of the project; a conftest.py may override it with one that compiles."""
    directory = pytestconfig.getoption("--mq-firmware")
    if directory is None:
        pytest.skip("no firmware to test: --mq-firmware DIR names a project made by mcuquant compile")
    return Path(directory)


@pytest.fixture(scope="session")
def mq_device(request: pytest.FixtureRequest) -> Iterator[TestDut]:
    """The connected board, for the whole session: labgrid's target where there is one, else as the options say."""
    with ExitStack() as stack:
        with _told():
            device = stack.enter_context(_connection(request))
        yield device


def _connection(request: pytest.FixtureRequest) -> AbstractContextManager[TestDut]:
    if request.config.pluginmanager.hasplugin("labgrid"):
        from .labgrid import has_board, target_board

        if has_board(request.config):
            return target_board(request.config)
    from ..device.plugged import plugged
    from ..project.project import Project
    from .board_selection import NoBoardError, select
    from .hil import connected

    project = Project.open(request.getfixturevalue("mq_firmware"))
    try:
        return connected(project, select(project.board, _wish(request.config), plugged()))
    except NoBoardError as error:
        pytest.skip(str(error))


@pytest.fixture
def mq_dut(request: pytest.FixtureRequest) -> Iterator[TestDut]:
    """A board that runs the project: run(x), bench(), expect_equal(x, y), expect_latency(max_us=...), reset()."""
    device: TestDut = request.getfixturevalue("mq_device")
    if device.is_emulated and request.node.get_closest_marker("hardware"):
        pytest.skip(f"needs a board on the desk, and {device.project.board.name} is emulated")
    device.measurements.clear()
    yield device
    request.node.stash[_RAN] = device.facts()


@contextmanager
def _told() -> Iterator[None]:
    """Errors of ours become failures of one sentence."""
    from ..errors import McuquantError

    try:
        yield
    except McuquantError as error:
        pytest.fail(str(error), pytrace=False)


def _wish(config: pytest.Config) -> Wish:
    from .board_selection import VARIABLE, Wish, load_map

    map_file = config.getoption("--mq-hardware-map")
    return Wish(
        board=config.getoption("--mq-board"),
        port=config.getoption("--mq-port"),
        probe=config.getoption("--mq-probe"),
        variable=os.environ.get(VARIABLE) or None,
        rows=load_map(Path(map_file)) if map_file else (),
        map_name=str(map_file or ""),
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With a test's last report goes what it ran on: to JUnit as properties, to the record as a whole."""
    report = yield
    facts = item.stash.get(_RAN, None)
    if report.when == "call":
        item.stash[_OUTCOME] = report.outcome
    if facts is not None and report.when == "teardown":
        report.user_properties += [(f"mcuquant.{name}", facts[name]) for name in _FACTS if facts[name] is not None]
        for made in facts["measurements"]:
            names = ("counter", "cycles", "instructions", "latency_us", "flash_bytes", "ram_bytes")
            report.user_properties += [(f"mcuquant.{name}", made[name]) for name in names if name in made]
        report.__dict__["mcuquant"] = {"test": item.nodeid, "outcome": item.stash.get(_OUTCOME, "error"), **facts}
    return report


class _Recorder:
    """Hears of every test, those of xdist's workers too, and writes the record at the end."""

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._runs: list[dict[str, Any]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        run = getattr(report, "mcuquant", None)
        if run is not None:
            self._runs.append(run)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._path is not None and not hasattr(session.config, "workerinput"):
            Path(self._path).write_text(json.dumps({"runs": self._runs}, indent=2) + "\n", encoding="utf-8")
