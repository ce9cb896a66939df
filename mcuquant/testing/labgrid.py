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
    """Flashes the firmware of the project with a probe of this machine, as `mcuquant flash` does.

    `project` is a folder of `mcuquant compile`, `probe` a part of the probe's serial number.
    """

    bindings: ClassVar[dict[str, Any]] = {}
    project = attr.ib(validator=attr.validators.instance_of(str))
    probe = attr.ib(default=None, validator=attr.validators.optional(attr.validators.instance_of(str)))

    @Driver.check_active
    @step(args=["filename"])
    def load(self, filename: str | None = None) -> str:
        """Writes and verifies `filename`, or the firmware of the project; returns a report."""
        project = _project(self)
        return str(flash(project.board, Path(filename) if filename else project.firmware.elf, self.probe))


@target_factory.reg_driver
@attr.s(eq=False)
class McuquantDriver(Driver):
    """A board that runs `project`; `connection` is the device that tests get as mq_dut.

    If a flash driver is bound (McuquantFlashDriver, labgrid's OpenOCDDriver), it is used when the board runs other
    firmware. `counts_instructions`: the board is emulated and its QEMU runs with -icount shift=0.
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
        """The device for runs, expectations and measurements. labgrid activates the driver first."""
        assert self._connection is not None, "not active"
        return self._connection

    def _load(self, project: Project) -> str:
        self.target.activate(self.bootstrap)
        return str(self.bootstrap.load(str(project.firmware.elf)) or type(self.bootstrap).__name__)


def has_board(config: Any) -> bool:
    """Whether labgrid's pytest plugin has an environment whose target "main" has this driver."""
    env = config.stash.get(LABGRID_ENV_KEY, None)
    target = env.get_target() if env else None
    return target is not None and any(isinstance(driver, McuquantDriver) for driver in target.drivers)


def target_directory(config: Any) -> Path:
    """The folder of the project in the driver of target "main"."""
    return _project(_driver(config, activate=False)).directory


def target_board(config: Any, directory: Path) -> TestDut:
    """The board of target "main" in the environment of labgrid's pytest plugin.

    Raises BoardError if the test belongs to another project than the one that the environment names.
    """
    named = target_directory(config)
    if directory.resolve() != named.resolve():
        raise BoardError(
            f"labgrid's target runs the project {named}, but the test is of {directory}; "
            f"name it in the environment: McuquantDriver: {{project: {directory}}}"
        )
    shared: TestDut = _driver(config).connection
    return shared.fresh()


def _driver(config: Any, activate: bool = True) -> McuquantDriver:
    driver: McuquantDriver = config.stash[LABGRID_ENV_KEY].get_target().get_driver(McuquantDriver, activate=activate)
    return driver


def _project(driver: Any) -> Project:
    """The project folder of a driver's attribute `project`; relative paths start at the environment's file."""
    env = driver.target.env
    return Project.open(env.config.resolve_path(driver.project) if env else driver.project)


def _port(resource: Any) -> str:
    """The name of a labgrid serial port as mcuquant writes it."""
    if isinstance(resource, SerialPort):
        return str(resource.port)
    host, port = proxymanager.get_host_and_port(resource)
    return f"tcp:{host}:{port}" if resource.protocol == "raw" else f"rfc2217://{host}:{port}"
