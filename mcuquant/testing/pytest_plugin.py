"""pytest plugin: the fixture `mq_dut`, a board that runs the project under test. docs/hil.md shows a test.

Every run of pytest loads it if mcuquant is installed, so nothing heavy is imported before a test needs it.
"""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from .board_pool import BoardPool
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
_MEASURED = ("counter", "cycles", "instructions", "latency_us", "flash_bytes", "ram_bytes")
_FACTS = ("board", "core", "digest", "firmware", "port", "probe", "selected_by", "flashed")
_RAN = pytest.StashKey[Callable[[], dict[str, Any]]]()
_ASKED = pytest.StashKey[bool]()
"""Whether a test asked for the board, also by `request.getfixturevalue`."""
_OUTCOME = pytest.StashKey[str]()
_REASON = pytest.StashKey[str]()
_POOL: pytest.StashKey[BoardPool] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("mcuquant", "boards that run networks (mcuquant)")
    for name, metavar, text in _OPTIONS:
        group.addoption(name, metavar=metavar, help=text)
    group.addoption("--mq-require", action="store_true", help="fail tests whose board or firmware is absent")


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    _check_values_are_given(config)
    config.addinivalue_line("markers", "hardware: needs a board on the desk; skipped on an emulated one")
    config.pluginmanager.register(_Recorder(_path(config, "--mq-record")), "mcuquant-record")
    if not _has_fixture(config, "dut"):
        config.pluginmanager.register(_Alias(), "mcuquant-dut")


def _check_values_are_given(config: pytest.Config) -> None:
    """An option without a value is a variable of a script that is not set; the tests would run somewhere else."""
    for name, metavar, _ in _OPTIONS:
        if config.getoption(name) == "":
            raise pytest.UsageError(f"{name} is empty, expected {metavar}; leave the option out or give its value")


def _path(config: pytest.Config, option: str) -> Path | None:
    """The path of an option, from the folder in which pytest began: a test may change to another one."""
    value = config.getoption(option)
    return None if value is None else config.invocation_params.dir / value


def _has_fixture(config: pytest.Config, name: str) -> bool:
    """Whether another plugin (pytest-embedded, Twister's) provides a fixture of that name."""
    return any(inspect.getattr_static(plugin, name, None) is not None for plugin in config.pluginmanager.get_plugins())


class _Alias:
    @pytest.fixture
    def dut(self, mq_dut: TestDut) -> TestDut:
        """The same as mq_dut, under the name in other tools."""
        return mq_dut


@pytest.fixture(scope="session")
def mq_board_name(pytestconfig: pytest.Config) -> str:
    """The board to compile for: --mq-board, MCUQUANT_BOARD, the hardware map, the connected board, or the emulated
    default.
    """
    from ..device.plugged import plugged
    from .board_selection import board_name

    with _errors_as_failures():
        return board_name(_wish(pytestconfig), plugged())


@pytest.fixture(scope="session")
def mq_firmware(pytestconfig: pytest.Config) -> Path:
    """The folder of the project under test: --mq-firmware, or that of labgrid's target.

    A conftest.py, a test module or a class may override it with a fixture that compiles, of any scope, also
    parametrized.
    """
    directory = _path(pytestconfig, "--mq-firmware")
    if directory is not None:
        return directory
    if _has_labgrid(pytestconfig):
        from .labgrid import target_directory

        with _errors_as_failures():
            return target_directory(pytestconfig)
    return _absent(pytestconfig, "no firmware to test: --mq-firmware DIR names a project made by mcuquant compile")


@pytest.fixture
def mq_dut(request: pytest.FixtureRequest, mq_firmware: Path) -> Iterator[TestDut]:
    """A board that runs the project in `mq_firmware`, for one test.

    run(x), bench(), expect_equal(x, y), expect_latency(max_us=...), expect_cycles(max_cycles=...),
    expect_ram(max_bytes=...), expect_flash(max_bytes=...), expect_accuracy(x, classes, min_accuracy=...),
    expect_node(raw), reset().
    """
    request.node.stash[_ASKED] = True
    if not isinstance(mq_firmware, str | os.PathLike):
        pytest.fail(f"the fixture mq_firmware gave {mq_firmware!r}, expected the folder of a project", pytrace=False)
    with _errors_as_failures():
        device = _device(request.config, Path(mq_firmware))
    if device.is_emulated and request.node.get_closest_marker("hardware"):
        pytest.skip(f"needs a board on the desk, and {device.project.board.name} is emulated")
    facts = device.facts()
    request.node.stash[_RAN] = lambda: {**facts, "measurements": [m.to_json() for m in device.measurements]}
    yield device
    if request.node.stash.get(_OUTCOME, "failed") == "failed":
        _pool(request.config).drop(device)


def _device(config: pytest.Config, directory: Path) -> TestDut:
    """The connected board that runs the firmware in `directory`."""
    if _has_labgrid(config):
        from .labgrid import target_board

        return target_board(config, directory)
    from ..device.plugged import plugged
    from ..errors import AbsentPortError
    from ..project.project import Project
    from .board_selection import NoBoardError, select

    project = Project.open(directory)
    try:
        return _pool(config).device(project, select(project.board, _wish(config), plugged()))
    except (NoBoardError, AbsentPortError) as error:
        return _absent(config, str(error))


def _pool(config: pytest.Config) -> BoardPool:
    if _POOL not in config.stash:
        from .board_pool import BoardPool

        config.stash[_POOL] = BoardPool()
        config.add_cleanup(config.stash[_POOL].close)
    return config.stash[_POOL]


def _absent(config: pytest.Config, reason: str) -> NoReturn:
    """Skips a test without its board or firmware; with --mq-require the test fails."""
    if config.getoption("--mq-require"):
        raise pytest.fail.Exception(f"{reason} (--mq-require)", pytrace=False) from None
    pytest.skip(reason)


def _has_labgrid(config: pytest.Config) -> bool:
    """Whether labgrid's plugin has an environment whose main target is an mcuquant board."""
    if not config.pluginmanager.hasplugin("labgrid"):
        return False
    from .labgrid import has_board

    return has_board(config)


@contextmanager
def _errors_as_failures() -> Iterator[None]:
    """Converts errors of mcuquant to failures of one sentence."""
    from ..errors import McuquantError

    try:
        yield
    except McuquantError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


def _wish(config: pytest.Config) -> Wish:
    from .board_selection import VARIABLE, Wish, load_map

    map_file = _path(config, "--mq-hardware-map")
    return Wish(
        board=config.getoption("--mq-board"),
        port=config.getoption("--mq-port"),
        probe=config.getoption("--mq-probe"),
        variable=os.environ.get(VARIABLE) or None,
        rows=load_map(map_file) if map_file else (),
        map_name=str(config.getoption("--mq-hardware-map") or ""),
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Adds the board and firmware of a test to its last report: as JUnit properties, and as an entry of the record.

    The report of a failure names the board and the firmware.
    """
    report = yield
    if "mq_dut" not in getattr(item, "fixturenames", ()) and _ASKED not in item.stash:
        return report
    facts_of = item.stash.get(_RAN, None)
    if report.when == "call" or not report.passed:
        item.stash[_OUTCOME] = _outcome(report)
    if report.failed and facts_of is not None:
        report.sections.append(("mcuquant", _ran_on(facts_of())))
    if report.when == "teardown":
        _add_record(item, report, {} if facts_of is None else facts_of())
    elif isinstance(report.longrepr, tuple) or (report.when == "setup" and not report.passed):
        item.stash[_REASON] = _reason(report)
    return report


def _outcome(report: pytest.TestReport) -> str:
    return "error" if report.failed and report.when != "call" else report.outcome


def _reason(report: pytest.TestReport) -> str:
    """The reason why a test did not run."""
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
    return text.removeprefix("Skipped: ").strip()


def _ran_on(facts: Mapping[str, Any]) -> str:
    return (
        f"ran on {facts['board']} ({facts['port']}, selected by {facts['selected_by']}), firmware {facts['firmware']}, "
        f"digest {facts['digest'][:12]}"
    )


def _add_record(item: pytest.Item, report: pytest.TestReport, facts: Mapping[str, Any]) -> None:
    report.user_properties += [(f"mcuquant.{name}", facts[name]) for name in _FACTS if facts.get(name) is not None]
    for measurement in facts.get("measurements", ()):
        report.user_properties += [(f"mcuquant.{name}", measurement[name]) for name in _MEASURED if name in measurement]
    reason = {"reason": item.stash[_REASON]} if _REASON in item.stash else {}
    report.__dict__["mcuquant"] = {
        "test": item.nodeid,
        "outcome": item.stash.get(_OUTCOME, "error"),
        **reason,
        **facts,
    }


class _Recorder:
    """Collects the report of every test, including those of xdist's workers, and writes the record at the end."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._runs: list[dict[str, Any]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        run = getattr(report, "mcuquant", None)
        if run is not None:
            self._runs.append(run)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._path is not None and not hasattr(session.config, "workerinput"):
            self._path.write_text(json.dumps({"runs": self._runs}, indent=2) + "\n", encoding="utf-8")
