"""Documents that list what the code has."""

from __future__ import annotations

from pathlib import Path

from mcuquant.ir import ops
from mcuquant.ir.ops import Op

DOCS = Path(__file__).resolve().parent.parent / "docs"


def test_every_operation_is_in_the_table() -> None:
    text = (DOCS / "ops.md").read_text()
    kinds = [getattr(ops, name) for name in ops.__all__]
    operations = [k for k in kinds if isinstance(k, type) and issubclass(k, Op)]
    bases = {base for k in operations for base in k.__mro__[1:]}
    rows = {
        name for line in text.splitlines() if line.startswith("|") for name in line.split("|")[1].strip().split(", ")
    }
    assert {k.__name__ for k in operations if k not in bases} - rows == set()
