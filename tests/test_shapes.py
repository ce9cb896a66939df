"""The sweep over drawn layers: the same for a seed, exact on the emulated core, and its summary."""

from __future__ import annotations

import pytest

from benchmarks import shapes
from benchmarks.drawn_layers import draw, joined
from mcuquant.ir import Level
from mcuquant.ir.verify import verify


def test_layers_are_those_of_their_seed() -> None:
    first, second = draw(3, 30), draw(3, 30)
    assert [layer.text for layer in first] == [layer.text for layer in second]
    assert [layer.text for layer in first] != [layer.text for layer in draw(4, 30)]
    assert len({layer.op.kind for layer in first}) >= 5
    verify(joined(first), Level.LOWERABLE)


@pytest.mark.emulator
def test_a_few_layers_as_measured() -> None:
    layers = draw(3, 4)
    rows = list(shapes.chosen(layers, shapes.BOARD))
    assert [row.layer for row in rows] == layers
    assert all(row.cycles > 0 for row in rows)
    worst = max(rows, key=lambda row: row.ratio)
    assert shapes.table(rows).splitlines()[2].startswith(f"| {worst.layer.text} | {worst.kernel} | ")
    assert shapes.summary(rows).startswith("4 layers: geometric mean ")


def test_a_wrong_choice_is_named() -> None:
    (layer,) = draw(3, 1)
    rows = [shapes.Row(layer, "estimated", 2000, 900), shapes.Row(layer, "fast", 1000, 1000)]
    assert shapes.wrong_choices(rows) == f"{layer.text}: estimated 2,000, fast 1,000"
    assert shapes.wrong_choices(rows[1:]) == ""
