"""The application of the firmware: its model id, and the format of its inputs on the wire."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import prod

from ..boards.board import Board
from ..errors import ModelError
from .program import CTensor, Program
from .sensor_node import Node

DUT = "dut"
MLPERF = "mlperf"
NODE = "node"
LIBRARY = "library"
APPLICATIONS = (DUT, MLPERF, NODE, LIBRARY)
"""Applications. All except the last produce firmware."""
_ID = re.compile(r"[A-Za-z0-9_.-]{1,40}")


class Wire(enum.StrEnum):
    """The format of an input for the command `db`; each has a file in firmware/wire."""

    STORED = "stored"
    """Values as the network stores them."""
    IMAGES = "images"
    """Unsigned bytes, from which the device subtracts 128."""
    SIGNALS = "signals"
    """Little-endian float32, quantized by the device. The result is the mean squared error of the reconstruction."""


@dataclass(frozen=True, slots=True)
class Application:
    """`wire_bytes` is the size of one input on the wire; `baud` None is the default rate of the board.

    `sensor` contains the files of a node's driver by path. None is the driver that replays samples from the serial
    port.
    """

    name: str
    model_id: str
    wire: Wire
    wire_bytes: int
    baud: int | None = None
    node: Node | None = None
    sensor: Mapping[str, str] | None = None

    def board(self, board: Board) -> Board:
        """The board with the baud rate of this application."""
        return board if self.baud is None else replace(board, uart=replace(board.uart, baud=self.baud))


@dataclass(frozen=True, slots=True)
class Task:
    """The rules of MLPerf Tiny for one of its models. `fits` checks its input; any output is accepted."""

    wire: Wire
    fits: Callable[[CTensor, CTensor], bool]
    baud: int | None = None


TASKS = {
    "ad01": Task(Wire.SIGNALS, lambda x, y: prod(x.shape) == prod(y.shape) == 640, baud=921_600),
    "ic01": Task(Wire.IMAGES, lambda x, _: x.shape == (1, 32, 32, 3)),
    "kws01": Task(Wire.STORED, lambda x, _: prod(x.shape) == 49 * 10),
    "vww01": Task(Wire.IMAGES, lambda x, _: x.shape == (1, 96, 96, 3)),
}
"""The models of MLPerf Tiny v1.x whose runner sends whole inputs, by id."""


def application(program: Program, name: str = DUT, model_id: str | None = None) -> Application:
    """The application `name` around a program.

    For MLPerf Tiny, the shape of the single input selects the model unless `model_id` names it (ic02 is of the kind of
    ic01). An unknown model has its own name as id, and inputs on the wire are stored values. Raises ModelError for an
    id that the protocol cannot transmit or that does not fit the network.
    """
    if name not in APPLICATIONS:
        raise ModelError(f"application {name!r} is not known; there are {', '.join(APPLICATIONS)}")
    if program.feed and name in (MLPERF, NODE):
        raise ModelError(
            f"application {name!r} takes whole inputs: compile without --feed, or with --app dut or library"
        )
    if model_id is not None and not _ID.fullmatch(model_id):
        raise ModelError(f"model id {model_id!r} must be 1 to 40 letters, digits, '_', '.' and '-'")
    own = Application(name, model_id or program.prefix[3:], Wire.STORED, sum(x.nbytes for x in program.inputs))
    if name != MLPERF:
        return own
    identity = _recognised(program) if model_id is None else _named(program, model_id)
    return own if identity is None else _of_task(program, identity, model_id or identity)


def _of_task(program: Program, kind: str, model_id: str) -> Application:
    task, x = TASKS[kind], program.inputs[0]
    size = prod(x.shape) * 4 if task.wire is Wire.SIGNALS else x.nbytes
    return Application(MLPERF, model_id, task.wire, size, task.baud)


def _recognised(program: Program) -> str | None:
    return next((kind for kind in TASKS if _can_be(program, kind) and _fits(program, kind)), None)


def _fits(program: Program, kind: str) -> bool:
    return TASKS[kind].fits(program.inputs[0], program.outputs[0])


def _named(program: Program, model_id: str) -> str | None:
    """The task whose id begins with the same letters. Sizes may differ, but the format of the wire must fit."""
    kind = next((k for k in TASKS if k.rstrip("0123456789") == model_id.rstrip("0123456789")), None)
    if kind is not None and not _can_be(program, kind):
        raise ModelError(f"{program.title} cannot be {model_id}: that takes {_NEEDS[TASKS[kind].wire]}")
    return kind


_NEEDS = {
    Wire.STORED: "one input",
    Wire.IMAGES: "one int8 input",
    Wire.SIGNALS: "one input, int8, int16 or float32, and one output as large",
}


def _can_be(program: Program, kind: str) -> bool:
    if len(program.inputs) != 1:
        return False
    (x,), wire = program.inputs, TASKS[kind].wire
    if wire is Wire.SIGNALS:
        is_real = x.type in ("MQ_INT8", "MQ_INT16", "MQ_FLOAT32")
        return is_real and len(program.outputs) == 1 and prod(program.outputs[0].shape) == prod(x.shape)
    return wire is Wire.STORED or x.type == "MQ_INT8"
