"""A line between host and board on which bytes are lost, changed, doubled and late, as a seed says."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from mcuquant.device.transport import Transport


@dataclass(slots=True)
class FaultyTransport:
    """`rate` is the chance of a fault in any one piece that is written or read."""

    inner: Transport
    seed: int
    rate: float
    faults: int = 0
    _late: list[bytes] = field(default_factory=list)
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    @property
    def name(self) -> str:
        return self.inner.name

    def write(self, data: bytes) -> None:
        self.inner.write(self._damaged(data))

    def read(self, timeout_s: float) -> bytes:
        if self._late and self._random.random() < 0.5:
            return self._late.pop(0)
        data = self._damaged(self.inner.read(timeout_s))
        if data and self._strikes():
            self._late.append(data)
            return self.inner.read(timeout_s)
        return data

    def set_baud(self, baud: int) -> None:
        self.inner.set_baud(baud)

    def close(self) -> None:
        self.inner.close()

    def _strikes(self) -> bool:
        struck = self._random.random() < self.rate
        self.faults += struck
        return struck

    def _damaged(self, data: bytes) -> bytes:
        if not data or not self._strikes():
            return data
        at = self._random.randrange(len(data))
        length = self._random.choice((1, 1, 3, 20))
        match self._random.randrange(5):
            case 0:
                return data[:at] + data[at + length :]
            case 1:
                return data[:at] + bytes([data[at] ^ 1 << self._random.randrange(8)]) + data[at + 1 :]
            case 2:
                return data[: at + length] + data[at:]
            case 3:
                return data + data
            case _:
                return b""
