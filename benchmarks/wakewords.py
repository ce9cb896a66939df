"""Wake words of microWakeWord behind their audio front end: modelled cycles of a step, memory, duty cycle.

    python -m benchmarks.wakewords [--board qemu-mps2-an386]

The models are those of the package pymicro-wakeword. A step is three frames of the front end and one inference.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from mcuquant import features, flow
from mcuquant.boards.board import DEFAULT_BOARD, load_board
from mcuquant.demo import wakeword
from mcuquant.device.measurement import Measurement
from mcuquant.ir import ops
from mcuquant.ir.metrics import state_bytes

FRONT_END = {k.__name__ for k in vars(ops).values() if isinstance(k, type) and issubclass(k, ops.SignalOp)}
HEAD = ("model", "step", "a frame", "network", "arena", "state", "flash", "RAM", "duty cycle")


@click.command()
@click.option("--board", default=DEFAULT_BOARD, show_default=True, help="An emulated board with modelled cycles.")
def main(board: str) -> None:
    """One row of a Markdown table for each model."""
    click.echo("| " + " | ".join(HEAD) + " |\n|---|" + "---:|" * (len(HEAD) - 1))
    for name in wakeword.PHRASES:
        with tempfile.TemporaryDirectory() as root:
            click.echo(_row(name, board, Path(root) / name))


def _row(name: str, board: str, output: Path) -> str:
    word = wakeword.load(name)
    front = word.front_end
    graph = features.with_front_end(flow.from_tflite(word.model), front)
    project = flow.compile(graph, load_board(board), output, optimize="speed")
    with project.connect() as dut:
        measured = dut.bench()
    samples = graph[graph.inputs[0]].elements - front.window + front.step
    steps_per_s = front.rate_hz / samples
    frame = front_end_cycles(measured) // (samples // front.step)
    share = measured.latency_us * steps_per_s / 1e4
    network = measured.count - front_end_cycles(measured)
    sizes = (measured.arena_bytes, state_bytes(graph), measured.flash_bytes, measured.ram_bytes)
    cells = (f"{measured.count:,}", f"{frame:,}", f"{network:,}", *(f"{n:,}" for n in sizes))
    return f"| {name} | " + " | ".join(cells) + f" | {share:.1f} % |"


def front_end_cycles(measured: Measurement) -> int:
    """Of the steps of the front end, without copies of frames."""
    return sum(layer.count for layer in measured.layers if layer.layer.op in FRONT_END)


if __name__ == "__main__":
    main()
