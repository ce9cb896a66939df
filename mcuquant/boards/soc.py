"""Chips apart from boards: a profile names its chip (`soc = "stm32f446re"`), whose facts are in boards/chips.

The file of a chip has the keys of a profile that do not depend on the board, and a table `uarts` with the UARTs that
the port of its family drives.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .. import _assets
from ..errors import BoardError, suggestion

Table = Mapping[str, Any]


def soc_names() -> tuple[str, ...]:
    """Names of the chips that come with mcuquant, in alphabetical order."""
    return tuple(sorted(path.stem for path in _folder().glob("*.toml")))


def soc_table(name: str) -> dict[str, Any]:
    """The values of a chip's file. Raises BoardError for an unknown name."""
    if name not in soc_names():
        close = suggestion(name, soc_names())
        raise BoardError(f"chip {name!r} is not known{close}; known chips: {', '.join(soc_names())}")
    return tomllib.loads((_folder() / f"{name}.toml").read_text(encoding="utf-8"))


def uart_names(name: str) -> tuple[str, ...]:
    """Names of the UARTs of a chip that its port drives. Raises BoardError for an unknown chip."""
    return tuple(soc_table(name)["uarts"])


def open_chip_keys(name: str, needed: Iterable[str]) -> tuple[str, ...]:
    """The needed keys of `[chip]` that the file of the chip does not state, such as the frequency of a crystal.

    Raises BoardError for an unknown chip.
    """
    table = soc_table(name)
    stated = {*table.get("chip", {}), *(key for uart in table["uarts"].values() for key in uart)}
    return tuple(key for key in needed if key not in stated)


def with_soc(table: Table, path: Path) -> Table:
    """The profile completed by the facts of the chip that its key `soc` names; without that key, the profile as it is.

    The profile's own values take precedence. The chip's names for flash tools are left out without a table `flashing`.
    Raises BoardError, which names `path`, for an unknown chip and for a UART that the chip's port does not drive.
    """
    if "soc" not in table:
        return table
    name = table["soc"]
    if not isinstance(name, str) or name not in soc_names():
        close, chips = suggestion(str(name), soc_names()), ", ".join(soc_names())
        raise BoardError(f"{path}: chip {name!r} of key 'soc' is not known{close}; known chips: {chips}")
    chip = soc_table(name)
    uarts = chip.pop("uarts")
    own = {key: value for key, value in table.items() if key != "soc"}
    if "flashing" not in own:
        chip.pop("flashing", None)
    return _with_uart(_merged(chip, own), uarts, name, path)


def _folder() -> Path:
    return _assets.folder("boards") / "chips"


def _merged(base: Table, own: Table) -> dict[str, Any]:
    return {**base, **{key: _merged_value(base.get(key), value) for key, value in own.items()}}


def _merged_value(base: Any, own: Any) -> Any:
    return _merged(base, own) if isinstance(base, dict) and isinstance(own, dict) else own


def _with_uart(table: dict[str, Any], uarts: Table, name: str, path: Path) -> Table:
    """Replaces `uart.name` by the UART's base, interrupt and settings in `[chip]`."""
    uart = table.get("uart")
    if not isinstance(uart, dict) or "name" not in uart:
        return table
    port = uart["name"]
    if port not in uarts:
        raise BoardError(f"{path}: 'uart.name' must be one of {', '.join(uarts)} (chip {name}), found {port!r}")
    facts = uarts[port]
    rest = {key: value for key, value in uart.items() if key != "name"}
    merged = {**table, "uart": {"base": facts["base"], "irq": facts["irq"], **rest}}
    settings = {key: value for key, value in facts.items() if key.startswith("uart_")}
    return {**merged, "chip": {**settings, **table.get("chip", {})}} if settings else merged
