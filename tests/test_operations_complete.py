"""Every operation is known wherever operations are told apart: a place that was forgotten is named in a sentence."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from functools import cache
from pathlib import Path

import graphs
import more_graphs
import numpy as np
import pytest

from mcuquant.arithmetic.interpreter import KERNELS
from mcuquant.arithmetic.parameters import DERIVATIONS
from mcuquant.ir import Op, ops
from mcuquant.ir.elementwise_table import ELEMENTWISE, Rule
from mcuquant.ir.verify.shapes import RULES
from mcuquant.kernels import VARIANTS
from mcuquant.tflite.reader.from_tflite import HANDLERS
from mcuquant.tflite.reader.unsupported import ELSE, INSTEAD
from mcuquant.tflite.reader.variables import CODES as VARIABLE_CODES
from mcuquant.tflite.writer.operators import export
from mcuquant.tflite.writer.to_tflite import choice_writer

ROOT = Path(__file__).parents[1]
RESOLVER_BUILTINS = 100
"""Of python/tflite_micro/python_ops_resolver.cc, without the custom ones."""
BASES = (ops.Op, ops.Unary, ops.Binary, ops.Pool, ops.Reduce, ops.SignalOp)
OPERATIONS = sorted(
    (kind for name in ops.__all__ if isinstance(kind := getattr(ops, name), type) and issubclass(kind, Op)),
    key=lambda kind: kind.__name__,
)
CONCRETE = [kind for kind in OPERATIONS if kind not in BASES]
FLOAT_ONLY = {ops.BatchNorm}
NO_ARITHMETIC = {
    *(ops.ArgMax, ops.BatchNorm, ops.Maximum, ops.Minimum, ops.Pad, ops.Reshape, ops.ResizeNearest, ops.Slice),
    *(ops.Transpose, ops.ResizeBilinear, ops.Cast, ops.Select, ops.Gather, ops.GatherNd, ops.UpdateSlice),
    *(ops.L2Normalization, ops.FloorDiv, ops.FloorMod),
    *(kind for kind in CONCRETE if issubclass(kind, ops.SignalOp) and kind is not ops.Rescale),
}
"""Operations that move or compare stored values, those of front ends, whose integers are their attributes, and the one
that is folded away before there are any."""


@cache
def generated() -> frozenset[type[Op]]:
    every = {**graphs.GENERATORS, **more_graphs.GENERATORS}
    return frozenset(type(op) for generate in every.values() for op in generate(np.random.default_rng(0)).ops)


@cache
def documented() -> frozenset[str]:
    cells = [line.split("|")[1] for line in (ROOT / "docs/ops.md").read_text().splitlines() if line.startswith("| ")]
    return frozenset(name.strip() for cell in cells for name in cell.split(","))


def compiled() -> set[type[Op]]:
    kinds = {kind for v in VARIANTS for kind in (v.op if isinstance(v.op, tuple) else (v.op,))}
    return {kind for kind in CONCRETE if any(issubclass(kind, known) for known in kinds)}


def exported() -> set[type[Op]]:
    assert choice_writer.export is export
    return {kind for kind in CONCRETE if kind in ELEMENTWISE or export.dispatch(kind) is not export.dispatch(Op)}


PLACES: dict[str, tuple[Callable[[], Collection[object]], Collection[type[Op]]]] = {
    "RULES of mcuquant/ir/verify/shapes.py": (lambda: RULES, ()),
    "KERNELS of mcuquant/arithmetic/interpreter": (lambda: KERNELS, ()),
    "DERIVATIONS of mcuquant/arithmetic/parameters": (lambda: DERIVATIONS, NO_ARITHMETIC),
    "mcuquant/tflite/writer": (exported, ()),
    "VARIANTS of mcuquant/kernels": (compiled, {*FLOAT_ONLY, ops.Reshape}),
    "GENERATORS of tests/support/graphs.py": (generated, FLOAT_ONLY),
}


@pytest.mark.parametrize("place", PLACES)
def test_no_place_forgets_an_operation(place: str) -> None:
    known, exempt = PLACES[place][0](), PLACES[place][1]
    missing = [kind.__name__ for kind in CONCRETE if kind not in known and kind not in exempt]
    assert not missing, f"{place} does not know {', '.join(missing)}: add an entry"


def test_the_document_lists_every_operation() -> None:
    missing = [kind.__name__ for kind in CONCRETE if kind.__name__ not in documented()]
    assert not missing, f"the table of docs/ops.md does not list {', '.join(missing)}: add a row"


def test_every_function_of_one_variable_has_a_row() -> None:
    missing = [k.__name__ for k in CONCRETE if issubclass(k, ops.Unary | ops.Binary) and k not in ELEMENTWISE]
    assert not missing, f"ELEMENTWISE of mcuquant/ir/elementwise_table.py does not know {', '.join(missing)}: add a row"


def test_every_row_is_of_an_operation_that_ops_lists() -> None:
    missing = [kind.__name__ for kind in ELEMENTWISE if kind not in CONCRETE]
    assert not missing, f"mcuquant/ir/ops.py does not know {', '.join(missing)}: import it and add it to __all__"


def test_every_operator_of_pytorch_has_a_module() -> None:
    text = (ROOT / "tests/support/torch_modules.py").read_text().replace("_", "").lower()
    names = [name for row in ELEMENTWISE.values() for name in row.torch]
    missing = [name for name in names if name.removeprefix("aten.").replace("_", "") not in text]
    assert not missing, f"no module of tests/support/torch_modules.py has {', '.join(missing)}: add one"


@pytest.mark.parametrize("op", ELEMENTWISE, ids=lambda op: op.__name__)
def test_a_row_with_a_real_function_needs_no_arithmetic_of_its_own(op: type[Op]) -> None:
    row = ELEMENTWISE[op]
    derived = Rule.CONVERTED in (row.int8, row.int16) or Rule.TABLE in (row.int8, row.int16)
    assert row.real is not None or not derived, f"{op.__name__} derives integers from a real function and has none"


def test_the_document_says_which_operators_are_read() -> None:
    table = (ROOT / "docs/ops.md").read_text().partition("## Operators of TensorFlow Lite Micro")[2]
    rows = dict(re.findall(r"^\| ([A-Z0-9_]+) \| (.+) \|$", table, re.M))
    expected = {code: "yes" if code in {*HANDLERS, *VARIABLE_CODES} else INSTEAD.get(code, ELSE) for code in rows}
    assert len(rows) == RESOLVER_BUILTINS
    assert rows == expected
