"""The Cortex-M cores: their instructions, and gcc's names for them."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import BoardError


@dataclass(frozen=True, slots=True)
class Core:
    """`cpu` is gcc's `-mcpu` name. `dsp`: has SMLAD (Armv7E-M). `mve`: has the M-profile vector extension."""

    cpu: str
    dsp: bool = False
    mve: bool = False
    unaligned: bool = True
    """Whether words and halfwords can be loaded from any address (Armv6-M faults)."""


CORES = {
    core.cpu: core
    for core in (
        Core("cortex-m0", unaligned=False),
        Core("cortex-m0plus", unaligned=False),
        Core("cortex-m3"),
        Core("cortex-m4", dsp=True),
        Core("cortex-m7", dsp=True),
        Core("cortex-m33", dsp=True),
        Core("cortex-m55", dsp=True, mve=True),
    )
}


def core_of(cpu: str) -> Core:
    """The core with this gcc name. Raises BoardError for an unknown name."""
    if cpu not in CORES:
        raise BoardError(f"core {cpu!r} is not known; known cores: {', '.join(CORES)}")
    return CORES[cpu]
