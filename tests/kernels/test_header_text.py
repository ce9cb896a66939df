"""What the headers of kernels tell their reader: ranges of parameters, and operands of assembly by name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

FIRMWARE = Path(__file__).parents[2] / "firmware"
HEADERS = sorted((FIRMWARE / "kernels").rglob("*.h"))
OF_KERNELS = re.compile(r"MQ_KERNEL void mq_\w+\(const (mq_\w+_t) \*p\b")
"""Parameters of a kernel that generated code calls."""


def test_operands_of_assembly_have_names() -> None:
    """%[name], not %0: an operand added in front renumbers those behind it."""
    numbered = [
        f"{path.relative_to(FIRMWARE)}: {line.strip()}"
        for path in sorted(FIRMWARE.rglob("*.[ch]"))
        for statement in re.findall(r"__asm.*?;", path.read_text(), re.DOTALL)
        for line in statement.splitlines()
        if re.search(r'"[^"]*%[0-9]', line)
    ]
    assert numbered == []


@pytest.mark.parametrize("path", HEADERS, ids=lambda path: path.stem)
def test_parameters_of_kernels_have_ranges(path: Path) -> None:
    """In the comment above the struct, or beside its fields."""
    text = path.read_text()
    for name in set(OF_KERNELS.findall(text)):
        struct = re.search(
            rf"((?:/\*(?:(?!\*/).)*\*/\n)?)typedef struct {{((?:(?!^typedef).)*)}} {name};", text, re.S | re.M
        )
        if struct is None:  # of another header
            continue
        assert re.search(r"\d", struct[1] + " ".join(re.findall(r"/\*.*?\*/", struct[2], re.DOTALL))), (
            f"{path.name}: {name}"
        )
