"""TensorFlow Lite Micro with CMSIS-NN on MLPerf Tiny's models: measured figures, and how they were measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SOURCE = """\
TensorFlow Lite Micro (commit 90b983c2) with CMSIS-NN (commit 99f736a6), GCC 12.2 at -O2, one inference without the
initialization at boot. Cycles, on the emulated Cortex-M4, use the same instruction timings: Arm's manual, zero
wait states, 2 more for a taken branch. Instructions are counted in QEMU. The arena is the size that its interpreter
reports. Flash is model, code and tables, with int8 kernels only. The figures were recorded to the digits shown;
`make bench` does not measure them again."""


@dataclass(frozen=True, slots=True)
class Peer:
    """One model in TensorFlow Lite Micro. Counts are rounded as they were recorded."""

    cycles: int
    instructions: int
    m55_instructions: int
    arena_bytes: int
    flash_kb: int
    """In units of 1000 bytes."""


TFLM: Mapping[str, Peer] = {
    "ad_int8": Peer(726_000, 583_000, 150_000, 2_580, 305),
    "ic_int8": Peer(36_800_000, 29_860_000, 4_910_000, 54_996, 149),
    "kws_int8": Peer(9_270_000, 7_700_000, 1_810_000, 22_820, 107),
    "vww_int8": Peer(29_400_000, 24_100_000, 6_560_000, 100_708, 386),
}
