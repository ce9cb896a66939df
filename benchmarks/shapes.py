"""Cycles over a bound, for layers as people have them: `python -m benchmarks.shapes [SEED [COUNT [BOARD]]]`.

Layers are drawn from a seed, computed on an emulated core and compared with the interpreter, every byte. The bound is

    cycles = a * MACs + b * outputs + 300

with the figures of `BOUNDS`, which the best kernels reach at their best shapes on Cortex-M4. The table names the layers
that are furthest above it first, with their kernels. `--all` measures every kernel that takes a layer, and says where
one is faster than the one chosen.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np

import mcuquant as mq
from benchmarks.drawn_layers import TENSORS, Layer, draw, joined
from mcuquant import flow
from mcuquant.boards.board import load_board
from mcuquant.boards.core import Core
from mcuquant.ir import Graph
from mcuquant.kernels import Site, Variant
from mcuquant.planner import Goal, Plan, options, plan

BOARD = "qemu-mps2-an386"
BATCH = 30
"""Layers of one firmware."""
MOST_ESTIMATE_ERROR = 0.2
MOST_WRONG_CHOICE = 1.03
"""Times the cycles of the fastest kernel that the chosen one may take."""


@dataclass(frozen=True, slots=True)
class Row:
    """One layer as measured with one kernel."""

    layer: Layer
    kernel: str
    cycles: int
    estimate: int

    @property
    def ratio(self) -> float:
        """Cycles over the bound."""
        return self.cycles / self.layer.bound


def measure(layers: Sequence[Layer], kernels: Sequence[str], board: str, folder: Path) -> list[Row]:
    """Each layer with the kernel named ("" is the planner's choice). DeviceError where an output is not exact."""
    graph = joined(layers)

    def only(site: Site, variant: Variant) -> bool:
        return kernels[site.out.id // TENSORS] in ("", _name(variant))

    def planned(network: Graph, core: Core, goal: Goal | None = None) -> Plan:
        return plan(network, core, goal, only)

    with patch.object(flow, "plan", planned):
        project = mq.compile(graph, board=board, output=folder / "net", shrink=False, optimize="speed")
    with project.connect() as device:
        measured = device.bench()
    return [
        Row(layer, _title(row), found.count, row["estimated_cycles"])
        for layer, row, found in zip(layers, project.manifest["layers"], measured.layers, strict=True)
    ]


def _name(variant: Variant) -> str:
    return f"{variant.name} {variant.note}".strip()


def _title(row: dict[str, str]) -> str:
    return f"{row['kernel'].removeprefix('mq_')} {row['kernel_note']}".strip()


def chosen(layers: Sequence[Layer], board: str) -> Iterator[Row]:
    """Every layer with the planner's choice."""
    with tempfile.TemporaryDirectory(prefix="mq-shapes-") as folder:
        for i in range(0, len(layers), BATCH):
            some = layers[i : i + BATCH]
            yield from measure(some, [""] * len(some), board, Path(folder))


def candidates(layers: Sequence[Layer], board: str) -> list[tuple[Layer, str]]:
    """Every layer with each kernel that takes it."""
    core = load_board(board).core

    def names(layer: Layer) -> list[str]:
        graph = joined([layer])
        return [_name(option.variant) for option in options(Site(graph, graph.ops[0], core))]

    return [(layer, name) for layer in layers for name in names(layer)]


def every(layers: Sequence[Layer], board: str) -> Iterator[Row]:
    """Every layer with each kernel."""
    pairs = candidates(layers, board)
    with tempfile.TemporaryDirectory(prefix="mq-shapes-") as folder:
        for i in range(0, len(pairs), BATCH):
            some = pairs[i : i + BATCH]
            yield from measure([layer for layer, _ in some], [kernel for _, kernel in some], board, Path(folder))


def summary(rows: Sequence[Row]) -> str:
    """Geometric mean, 95th percentile and worst of cycles over the bound, and the share of close estimates."""
    ratios = np.array([row.ratio for row in rows])
    large = [row.ratio for row in rows if row.cycles > 1000]
    close = [abs(row.estimate - row.cycles) <= MOST_ESTIMATE_ERROR * row.cycles for row in rows]
    return (
        f"{len(rows)} layers: geometric mean {np.exp(np.log(ratios).mean()):.2f}, "
        f"95th percentile {np.percentile(ratios, 95):.2f}, worst above 1,000 cycles {max(large, default=0):.2f}; "
        f"estimates within {MOST_ESTIMATE_ERROR:.0%}: {np.mean(close):.0%}"
    )


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown, furthest above the bound first."""
    lines = ["| layer | kernel | cycles | over the bound | estimate |", "|---|---|---|---|---|"]
    for row in sorted(rows, key=lambda row: -row.ratio):
        error = row.estimate / row.cycles - 1
        lines.append(f"| {row.layer.text} | {row.kernel} | {row.cycles:,} | {row.ratio:.2f} | {error:+.0%} |")
    return "\n".join(lines)


def wrong_choices(rows: Sequence[Row]) -> str:
    """Layers whose kernel of the smallest estimate is slower than another one, a line each."""
    lines = []
    for layer in dict.fromkeys(row.layer for row in rows):
        own = [row for row in rows if row.layer == layer]
        choice, best = min(own, key=lambda row: row.estimate), min(own, key=lambda row: row.cycles)
        if choice.cycles > MOST_WRONG_CHOICE * best.cycles:
            lines.append(f"{layer.text}: {choice.kernel} {choice.cycles:,}, {best.kernel} {best.cycles:,}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("seed", type=int, nargs="?", default=0)
    parser.add_argument("count", type=int, nargs="?", default=120)
    parser.add_argument("board", nargs="?", default=BOARD)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--kind", default="", help="layers whose text has this word")
    arguments = parser.parse_args()
    layers = [layer for layer in draw(arguments.seed, arguments.count) if arguments.kind in layer.text]
    rows = list((every if arguments.all else chosen)(layers, arguments.board))
    print(table(rows))
    print(summary(rows))
    if arguments.all:
        print(wrong_choices(rows))


if __name__ == "__main__":
    main()
