"""Any Cortex-M with a debug probe: a profile from one line, `generic:cortex-m4,ram=0x20000000:64K,clock=80M`."""

from __future__ import annotations

import re
from typing import Any

from ..errors import BoardError
from .core import core_of

PREFIX = "generic:"
_KEYS = ("ram", "flash", "code", "clock")
_ALIGNMENT = 128
PROBE_PORT = "probe"
"""The port family whose console is a mailbox that a debug probe reads."""
ASSUMED_HZ = 1_000_000
_FOR_EVER_MS = 86_400_000
"""A long watchdog limit: with an unknown clock it must not end a long inference."""


def generic_table(text: str) -> tuple[str, dict[str, Any]]:
    """(name, values of the profile) of a generic board. Raises BoardError for an invalid line.

    RAM is `ram=ORIGIN:BYTES`. Without `flash=ORIGIN:BYTES` the firmware runs from RAM, and `code=BYTES` of it, by
    default two thirds, hold code and constants. Without `clock=HZ`, one cycle counts as one microsecond.
    """
    core, *pairs = text.removeprefix(PREFIX).split(",")
    core_of(core)
    values = dict(_pair(text, pair) for pair in pairs)
    if "ram" not in values:
        raise BoardError(f"board {text!r} names no RAM: add ram=ORIGIN:BYTES, such as ram=0x20000000:64K")
    if "flash" in values and "code" in values:
        raise BoardError(f"board {text!r}: 'code' divides RAM where there is no flash; leave one out")
    origin, size = _region(text, "ram", values["ram"])
    code = _size(text, "code", values["code"]) if "code" in values else size * 2 // 3
    code = code // _ALIGNMENT * _ALIGNMENT
    flash = _region(text, "flash", values["flash"]) if "flash" in values else (origin, code)
    ram = (origin, size) if "flash" in values else (origin + code, size - code)
    clock_hz = _size(text, "clock", values["clock"], 1000) if "clock" in values else ASSUMED_HZ
    known = "" if "clock" in values else ", clock unknown: 1 MHz assumed"
    return f"generic-{core}", {
        "title": f"Any {core.replace('cortex-', 'Cortex-').replace('-m', '-M')} with a debug probe{known}",
        "cpu": core,
        "float_abi": "soft",
        "clock_hz": clock_hz,
        "port": PROBE_PORT,
        "verified": "untested",
        "watchdog_ms": 60_000 if "clock" in values else _FOR_EVER_MS,
        "flash": {"origin": flash[0], "bytes": flash[1]},
        "ram": {"origin": ram[0], "bytes": ram[1]},
        "uart": {"base": 0, "irq": 0},
    }


def _pair(text: str, pair: str) -> tuple[str, str]:
    key, equals, value = pair.partition("=")
    if key not in _KEYS or not equals:
        raise BoardError(
            f"board {text!r}: {pair!r} is not one of ram=ORIGIN:BYTES, flash=ORIGIN:BYTES, code=BYTES, clock=HZ"
        )
    return key, value


def _region(text: str, key: str, value: str) -> tuple[int, int]:
    origin, _, size = value.partition(":")
    if not re.fullmatch(r"0[xX][0-9a-fA-F]{1,8}", origin):
        raise BoardError(f"board {text!r}: {key}={value!r} is not a region; write ORIGIN:BYTES, such as 0x20000000:64K")
    return int(origin, 16), _size(text, key, size)


def _size(text: str, key: str, value: str, kilo: int = 1024) -> int:
    match = re.fullmatch(r"([1-9][0-9]*)([KM]?)", value.upper())
    if match is None:
        raise BoardError(f"board {text!r}: {value!r} of {key!r} is not a number, such as 65536, 64K or 2M")
    return int(match[1]) * {"": 1, "K": kilo, "M": kilo * kilo}[match[2]]
