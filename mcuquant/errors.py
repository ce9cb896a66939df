"""Every error a user can meet.

A message names the object, what was found and what was expected, and says what to do next where that is known.
The command line prints the message alone and exits with `exit_code`.
"""

from __future__ import annotations


class McuquantError(Exception):
    """Base of all errors that are the input's or the machine's fault, not a defect of mcuquant."""

    exit_code = 1


class ModelError(McuquantError):
    """The model file or module cannot be read, or is not a valid network."""


class UnsupportedOpError(ModelError):
    """The model is valid but holds an operation, or a form of one, that mcuquant cannot translate."""


class GraphError(McuquantError):
    """A graph breaks a rule of its level (see `verify`): a pass or a front end produced it wrongly."""


class CalibrationError(McuquantError):
    """Calibration or test data has the wrong shape or type, is empty, or holds NaN or infinity."""


class CalibrationWarning(UserWarning):
    """Calibration data look wrong: too few, constant, with a corrupt sample, or at another scale than in training."""


class BoardError(McuquantError):
    """A board profile is missing, misspelt or not valid."""


class BudgetError(McuquantError):
    """The model does not fit the memory it was given."""


class ToolError(McuquantError):
    """A program mcuquant calls (compiler, emulator, flash tool) is missing or failed."""


class BuildError(McuquantError):
    """A compiler made another program of the C than what it says."""


class OutputError(McuquantError):
    """The output folder cannot be written, or holds something that is not ours."""


class DeviceError(McuquantError):
    """The board does not answer, answers wrongly, or runs other firmware than expected."""


class AbsentPortError(DeviceError):
    """The port does not exist, or nothing listens there: the board is not connected."""


class ConfigError(McuquantError):
    """A file of settings is misspelt, or says what cannot be."""
