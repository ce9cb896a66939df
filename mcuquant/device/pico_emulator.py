"""A Raspberry Pi Pico under rp2040py, an independent emulator of the RP2040, with the firmware of the real board."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from ..boards.board import RP2040PY, Board
from ..errors import BoardError, ToolError
from .board_process import BoardProcess
from .flash_image import flat, segments

PORT = RP2040PY
"""The name of this emulator where a serial port is asked for."""


class PicoEmulator(BoardProcess):
    """Context manager: `with PicoEmulator(board, elf) as emulator: Link(emulator.transport)`.

    The chip boots from its flash as the real one does: second-stage boot loader, crystal, PLL, UART0. Its SysTick
    counts cycles of the Cortex-M0+ core by rp2040py's timings, for flash without wait states.

    Raises ToolError if rp2040py or the firmware is missing, BoardError for a board without an RP2040.
    """

    def __init__(self, board: Board, elf: Path) -> None:
        if board.emulator_port != PORT:
            raise BoardError(f"{PORT} emulates boards with an RP2040, such as pico; {board.name} has another chip")
        super().__init__(f"{board.name} ({PORT})", PORT, PORT, elf)
        self._flash_origin = board.flash.origin

    def check(self) -> None:
        if importlib.util.find_spec(PORT) is None:
            raise ToolError(f"{PORT} is not installed; pip install 'mcuquant[pico]'")

    def command(self, port: Path) -> list[str]:
        image = flat(segments(self._elf))
        assert image.address == self._flash_origin
        path = port.with_name("flash.bin")
        path.write_bytes(image.data)
        return [sys.executable, "-m", "mcuquant.device.pico_process", str(path), str(port)]
