"""`mcuquant quantizers`: the ways to turn a network's weights into integers, side by side."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from ..boards.board import DEFAULT_BOARD, load_board
from ..quantization.array_files import named
from ..reporting import tables
from .console import next_step, progress, say, show, working
from .quantization_options import read_calibration

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("quantizers")
@click.argument("model", type=FILE)
@click.option("--calibration", type=FILE, required=True, metavar="X.npz", help="Sample inputs: array x, (N, ...).")
@click.option("--data", type=FILE, metavar="T.npz", help="Array x, inputs to judge by; array y, the right classes.")
@click.option("--board", default=DEFAULT_BOARD, show_default=True, help="Whose kernels are counted.")
@click.option("--bits", type=click.Choice(("8", "4", "2")), multiple=True, help="Of the weights.  [8, 4 and 2]")
def quantizers_(model: Path, calibration: Path, data: Path | None, board: str, bits: tuple[str, ...]) -> None:
    """Compare formulas for the weights of MODEL, a float network.

    One line a quantizer and number of bits: the part of right answers over --data (at most 200 samples), how far the
    outputs are from the float network's, the constants in flash, and the cycles that the cost model estimates.

    \b
    Examples:
      mcuquant quantizers net.pt2 --calibration x.npz --data test.npz
      mcuquant quantizers net.pt2 --calibration x.npz --bits 4 --board qemu-mps3-an547
    """
    from .. import flow
    from ..compression.quantizer_table import weigh
    from ..quantization.quantizers import BITS, QUANTIZERS

    target = load_board(board)
    with working(f"reading {model.name}"):
        graph = flow.load(model)
    if not graph.is_float:
        raise click.UsageError(f"{model} is quantized already: its weights are integers")
    x = read_calibration(calibration, graph)
    test, classes = named(data, "x", "y") if data is not None else (None, None)
    tried = tuple(map(int, bits)) or BITS
    first = model.suffix.lower() == ".pt2"
    rows = []
    with progress("quantizing", len(tried) * len(QUANTIZERS)) as done:
        for row in weigh(graph, x, target, test, classes, bits=tried, channels_first=first):
            rows.append(row)
            done(len(rows))
    show(tables.quantizers_table(map(asdict, rows)))
    say("Constants as the kernels read them, no code; cycles estimated by the cost model, not measured.")
    best = max(rows, key=lambda row: (row.right or 0.0, row.output_db))
    next_step(
        f"mcuquant compile {model} --calibration {calibration} --weights {best.quantizer} --weight-bits {best.bits}"
    )
