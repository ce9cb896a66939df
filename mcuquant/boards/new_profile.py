"""The text of a new board profile, for a chip whose facts come with mcuquant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class NewProfile:
    """The facts of a board beside those of its chip. `uart` is a UART of the chip, and `tx` and `rx` are its pins.

    `chip` has the values of `[chip]` that depend on the board.
    """

    title: str
    soc: str
    uart: str
    tx: str
    rx: str
    chip: Mapping[str, int] = field(default_factory=dict)
    flash_methods: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The profile in TOML. It claims nothing: `verified` is "untested"."""
        lines = [f"title = {_quoted(self.title)}", f"soc = {_quoted(self.soc)}", 'verified = "untested"']
        uart = {"name": self.uart, "tx": self.tx, "rx": self.rx}
        lines += ["", "[uart]", *(f"{key} = {_quoted(value)}" for key, value in uart.items())]
        if self.chip:
            lines += ["", "[chip]", *(f"{key} = {value:_}" for key, value in self.chip.items())]
        if self.flash_methods:
            methods = ", ".join(_quoted(method) for method in self.flash_methods)
            lines += ["", "[flashing]", f"methods = [{methods}]"]
        return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
