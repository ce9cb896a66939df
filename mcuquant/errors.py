"""All errors of the package.

A message names the object, what was found and what was expected, and the next step if it is known. The command line
prints the message alone and exits with `exit_code`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class McuquantError(Exception):
    """Base of all errors that the input or the machine causes. Other exceptions are defects of mcuquant."""

    exit_code = 1


class ModelError(McuquantError):
    """The model file or module cannot be read, or is not a valid network."""


class UnsupportedOpError(ModelError):
    """The model is valid but contains an operation, or a form of one, that mcuquant does not support."""


class GraphError(McuquantError):
    """A graph violates a rule of its level (see `verify`): a pass or an importer has a defect."""


class CalibrationError(McuquantError):
    """Calibration or test data has the wrong shape or type, is empty, or holds NaN or infinity."""


class CalibrationWarning(UserWarning):
    """Suspicious calibration data: few or constant samples, a corrupt sample, or another scale than in training."""


class BoardError(McuquantError):
    """A board profile is missing, misspelled or invalid."""


class BudgetError(McuquantError):
    """The model does not fit its memory limits."""


class ToolError(McuquantError):
    """A program that mcuquant calls (compiler, emulator, flash tool) is missing or failed."""


class BuildError(McuquantError):
    """A compiler translated the C incorrectly."""


class OutputError(McuquantError):
    """The output folder cannot be written, or contains foreign files."""


class DeviceError(McuquantError):
    """The board does not answer, answers incorrectly, or runs other firmware than expected."""


class AbsentPortError(DeviceError):
    """The port does not exist or nothing listens there: the board is not connected."""


class ConfigError(McuquantError):
    """A settings file has misspelled or invalid entries."""


def suggestion(text: str, choices: Iterable[str], prefix: str = "") -> str:
    """ " (did you mean '...'?)" with the choice nearest to a misspelled text, and "" where none is near."""
    close = difflib.get_close_matches(text, list(choices), n=1, cutoff=0.6)
    return f" (did you mean '{prefix}{close[0]}'?)" if close else ""
