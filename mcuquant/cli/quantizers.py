"""`mcuquant quantizers`: a comparison of weight quantizers."""

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
@click.option("--data", type=FILE, metavar="T.npz", help="Labeled test samples: arrays x and y.")
@click.option("--board", default=DEFAULT_BOARD, show_default=True, help="Board whose kernels are counted.")
@click.option(
    "--bits",
    type=click.Choice(("8", "4", "2")),
    multiple=True,
    help="Bits of the weights; may be repeated.  [8, 4 and 2]",
)
def quantizers_(model: Path, calibration: Path, data: Path | None, board: str, bits: tuple[str, ...]) -> None:
    """Compare formulas for the weights of MODEL, a float network.

    The first line of each number of bits is the default: below 8 bits the formula with the least error of the outputs
    on held-out samples, with adaptive rounding and bias correction. The other lines are the formulas alone.

    Each line has the accuracy on --data (at most 200 samples), the signal-to-noise ratio of the outputs relative to the
    float network's, the bytes of constants in flash, and estimated cycles.

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
    widths = tuple(map(int, bits)) or BITS
    first = model.suffix.lower() == ".pt2"
    rows = []
    with progress("quantizing", len(widths) * (1 + len(QUANTIZERS))) as done:
        for row in weigh(graph, x, target, test, classes, bits=widths, channels_first=first):
            rows.append(row)
            done(len(rows))
    show(tables.quantizers_table(map(asdict, rows)))
    say("Constants: as the kernels read them, without code. Cycles: estimated by the cost model, not measured.")
    best = max(rows, key=lambda row: (row.right or 0.0, row.output_db))
    next_step(
        f"mcuquant compile {model} --calibration {calibration} --weights {best.quantizer} --weight-bits {best.bits}"
    )
