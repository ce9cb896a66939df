"""The group of commands. An error is one sentence on stderr and an exit code."""

from __future__ import annotations

import sys
import warnings
from typing import Any, TextIO

import click

from ..errors import CalibrationWarning, McuquantError
from .bench import bench, run
from .boards import boards
from .compare import compare_
from .compile import compile_
from .compress import compress
from .console import INTERRUPTED, say
from .demo import demo
from .doctor import doctor
from .flash import flash_
from .inspect import inspect
from .node import node_
from .quantizers import quantizers_
from .report import report_
from .search import search
from .serve import serve_
from .validate import validate


class Commands(click.Group):
    """Commands in the order of use. A McuquantError is printed as one sentence."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("default", CalibrationWarning)
                warnings.showwarning = _show_warning
                return super().invoke(ctx)
        except McuquantError as error:
            click.echo(f"Error: {error}", err=True)
            raise click.exceptions.Exit(error.exit_code) from error
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            raise click.exceptions.Exit(INTERRUPTED) from None


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A line like all others for what concerns the user's data, without a place in the code."""
    if issubclass(category, CalibrationWarning):
        say(f"warning: {message}")
    else:
        click.echo(warnings.formatwarning(message, category, filename, lineno, line), file=file or sys.stderr, nl=False)


HELP = """Compile a small neural network to bit-exact int8 firmware for a Cortex-M core, and measure it there.

\b
A first run, on an emulated board:
  mcuquant doctor                                   list what is missing on this machine
  mcuquant demo                                     run all steps on real sensor data
\b
Your own network, saved with torch.export.save(torch.export.export(net.eval(), (x,)), "net.pt2"):
  mcuquant compile net.pt2 --calibration x.npz --board qemu-mps2-an386 -o build/net
  mcuquant bench build/net                          measure each layer on that core
  mcuquant validate build/net --data test.npz       measure accuracy on the board
\b
Exit codes: 0 success, 1 an error (one sentence on stderr), 2 wrong usage.
"""


@click.group(
    cls=Commands, help=HELP, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="mcuquant")
def main() -> None:
    """Entry point; commands are added below."""


_WORK = (compile_, compress, search, flash_, serve_, bench, compare_, run, validate, node_)
_LOOK = (inspect, quantizers_, report_, boards, doctor, demo)
for _command in (*_WORK, *_LOOK):
    main.add_command(_command)
