"""One command from a small neural network to its number on a Cortex-M: bit-exact int8 firmware.

import mcuquant as mq

graph = mq.from_torch(net, example)
int8 = mq.quantize(graph, calibration=x)
project = mq.compile(int8, board="qemu-mps2-an386")
with project.connect() as dut:
    y = dut.run(x_int8)
    print(dut.bench())
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from . import features
    from .arithmetic.interpreter import run, trace
    from .boards.board import Board, board_names, load_board
    from .codegen.node_settings import NodeSettings
    from .compression.pipeline import compress, compress_file
    from .compression.qat import qat
    from .errors import McuquantError
    from .flow import compile, equalize, from_tflite, from_torch, load, quantize, save, stream
    from .ir import Graph
    from .project.dut import Dut
    from .project.project import Project
    from .project.row_stream import Stream
    from .quantization import Weights, snr_report

_HOMES = {
    "compression.pipeline": ("compress", "compress_file"),
    "compression.qat": ("qat",),
    "boards.board": ("Board", "board_names", "load_board"),
    "project.dut": ("Dut",),
    "errors": ("McuquantError",),
    "flow": ("compile", "equalize", "from_tflite", "from_torch", "load", "quantize", "save", "stream"),
    "arithmetic.interpreter": ("run", "trace"),
    "ir": ("Graph",),
    "codegen.node_settings": ("NodeSettings",),
    "project.project": ("Project",),
    "project.row_stream": ("Stream",),
    "quantization": ("Weights", "snr_report"),
}
_MODULES = ("features",)
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Board",
    "Dut",
    "Graph",
    "McuquantError",
    "NodeSettings",
    "Project",
    "Stream",
    "Weights",
    "__version__",
    "board_names",
    "compile",
    "compress",
    "compress_file",
    "equalize",
    "features",
    "from_tflite",
    "from_torch",
    "load",
    "load_board",
    "qat",
    "quantize",
    "run",
    "save",
    "snr_report",
    "stream",
    "trace",
]


def __getattr__(name: str) -> Any:
    """Names of the public interface are imported on first use, so that the command line starts quickly."""
    from importlib import import_module

    if name in _MODULES:
        return import_module(f".{name}", __name__)
    if name not in _HOME:
        raise AttributeError(f"module 'mcuquant' has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
