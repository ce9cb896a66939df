"""Drivers for labgrid: the boards of a farm run the tests that a board on the desk runs. docs/farm.md shows how.

imports: [mcuquant.testing.labgrid]
targets:
  main:
    resources:
      RemotePlace: {name: desk-1}
    drivers:
      McuquantDriver: {project: build/net}
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

import attr
from labgrid.driver.common import Driver
from labgrid.factory import target_factory
from labgrid.protocol import BootstrapProtocol
from labgrid.pytestplugin.hooks import LABGRID_ENV_KEY
from labgrid.resource import SerialPort
from labgrid.step import step
from labgrid.util.proxy import proxymanager

from ..device.flash import flash
from ..errors import BoardError
from ..project.project import Project
from .board_selection import Selected
from .hil import TestDut, connected


@target_factory.reg_driver
@attr.s(eq=False)
class McuquantFlashDriver(Driver, BootstrapProtocol):
    """Flashes the project's firmware with a probe of this machine, as `mcuquant flash` does.

    `project` is the folder that mcuquant compile made, `probe` a part of the probe's serial number.
    """

    bindings: ClassVar[dict[str, Any]] = {}
    project = attr.ib(validator=attr.validators.instance_of(str))
    probe = attr.ib(default=None, validator=attr.validators.optional(attr.validators.instance_of(str)))

    @Driver.check_active
    @step(args=["filename"])
    def load(self, filename: str | None = None) -> str:
        """Writes `filename`, or the project's firmware, and verifies it; what was done."""
        project = _project(self)
        return str(flash(project.board, Path(filename) if filename else project.firmware.elf, self.probe))


@target_factory.reg_driver
@attr.s(eq=False)
class McuquantDriver(Driver):
    """A board that runs `project`: `connection` is what tests know as mq_dut.

    Where a driver that flashes is bound (McuquantFlashDriver, labgrid's OpenOCDDriver), it is used when the board runs
    other firmware. `counts_instructions`: the board is emulated and its QEMU runs with -icount shift=0.
    """

    bindings: ClassVar[dict[str, Any]] = {
        "port": {"SerialPort", "NetworkSerialPort"},
        "bootstrap": {BootstrapProtocol, None},
    }
    project = attr.ib(validator=attr.validators.instance_of(str))
    counts_instructions = attr.ib(default=False, validator=attr.validators.instance_of(bool))

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._stack = ExitStack()
        self._connection: TestDut | None = None

    def on_activate(self) -> None:
        project = _project(self)
        selected = Selected(_port(self.port), None, self.port.speed, f"labgrid target {self.target.name}")
        flasher = None if self.bootstrap is None else lambda: self._load(project)
        self._connection = self._stack.enter_context(connected(project, selected, self.counts_instructions, flasher))

    def on_deactivate(self) -> None:
        self._stack.close()
        self._connection = None

    @property
    def connection(self) -> TestDut:
        """Runs, expectations and measurements; labgrid activates the driver before."""
        assert self._connection is not None, "not active"
        return self._connection

    def _load(self, project: Project) -> str:
        self.target.activate(self.bootstrap)
        return str(self.bootstrap.load(str(project.firmware.elf)) or type(self.bootstrap).__name__)


def has_board(config: Any) -> bool:
    """Whether labgrid's pytest plugin was given an environment whose target "main" is a board of ours."""
    env = config.stash.get(LABGRID_ENV_KEY, None)
    target = env.get_target() if env else None
    return target is not None and any(isinstance(driver, McuquantDriver) for driver in target.drivers)


def target_directory(config: Any) -> Path:
    """The folder of the project that the driver of target "main" names."""
    return _project(_driver(config, activate=False)).directory


def target_board(config: Any, directory: Path) -> TestDut:
    """The board of target "main" in the environment that labgrid's pytest plugin was given.

    BoardError when the test is of another project than the one that the environment names.
    """
    named = target_directory(config)
    if directory.resolve() != named.resolve():
        raise BoardError(
            f"labgrid's target runs the project {named}, but the test is of {directory}; "
            f"name it in the environment: McuquantDriver: {{project: {directory}}}"
        )
    shared: TestDut = _driver(config).connection
    return TestDut(shared.dut, shared.selected, shared.flashed)


def _driver(config: Any, activate: bool = True) -> McuquantDriver:
    driver: McuquantDriver = config.stash[LABGRID_ENV_KEY].get_target().get_driver(McuquantDriver, activate=activate)
    return driver


def _project(driver: Any) -> Project:
    """Of a driver's attribute `project`; paths are relative to the environment's file."""
    env = driver.target.env
    return Project.open(env.config.resolve_path(driver.project) if env else driver.project)


def _port(resource: Any) -> str:
    """A serial port of labgrid's as mcuquant names it."""
    if isinstance(resource, SerialPort):
        return str(resource.port)
    host, port = proxymanager.get_host_and_port(resource)
    return f"tcp:{host}:{port}" if resource.protocol == "raw" else f"rfc2217://{host}:{port}"
