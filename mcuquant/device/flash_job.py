"""The parameters of every flash method, and the states in which it may leave a board."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path

from ..boards.board import Board, Flashing
from ..errors import DeviceError
from .flash_image import Segment, flat
from .plugged import Plugged


class State(enum.StrEnum):
    """States of a board after an incomplete flash."""

    UNTOUCHED = "nothing was written: the board has the firmware that it had"
    PARTIAL = "its flash is partly written: flash it again before using it"
    UNVERIFIED = "its flash is written but was not found to be right: flash it again before using it"


@dataclass(frozen=True, slots=True)
class Job:
    """`probe` as given by the user; `port` its serial port, if known; `folder` is for temporary files."""

    board: Board
    elf: Path
    parts: tuple[Segment, ...]
    probe: str | None
    port: Plugged | None
    folder: Path

    @property
    def names(self) -> Flashing:
        assert self.board.flashing is not None
        return self.board.flashing

    @property
    def serial(self) -> str | None:
        """The whole serial number, if known."""
        return self.port.serial if self.port and self.port.serial else self.probe

    def binary(self) -> tuple[Path, int]:
        """The image as a plain file, and its address."""
        whole = flat(self.parts)
        path = self.folder / "firmware.bin"
        path.write_bytes(whole.data)
        return path, whole.address

    def error(self, what: str, state: State) -> DeviceError:
        return DeviceError(f"{self.board.name}: {what}; {state}")
