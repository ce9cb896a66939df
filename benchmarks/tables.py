"""Cases → the text of results.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mcuquant.core import core_of

from .cases import Case
from .peers import SOURCE, TFLM

HEAD = """\
# Results

Written by `make bench`. The boards are emulated by QEMU: cycles are modelled from Arm's instruction timings at zero
wait states ([the model](../docs/cycle-model.md)), instructions are counted. Neither is a board's time.
"""
LEGEND = """\
MACs are those of the model's file, also where fewer are computed. Flash in bytes: weights with biases, requantization
and tables; code of the network alone; and the firmware with the application that speaks on the wire.
"""


def results(cases: Sequence[Case], tools: Iterable[str]) -> str:
    """The whole document; the same cases give the same text."""
    modelled = [case for case in cases if case.measurement.counter.unit == "cycles"]
    boards = dict.fromkeys(case.board for case in cases)
    parts = [HEAD, "".join(f"- {tool}\n" for tool in tools), _equality(cases)]
    parts += [_board(board, [case for case in cases if case.board == board]) for board in boards]
    parts += [LEGEND, _beside_tflm(modelled, [case for case in cases if case not in modelled])]
    parts += [_where_cycles_go(case) for case in modelled]
    return "\n".join(part for part in parts if part)


def table(head: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1) -> str:
    """Markdown; the first `texts` columns are text, the others numbers."""
    rule = [*["---"] * texts, *["--:"] * (len(head) - texts)]
    return "".join(f"| {' | '.join(row)} |\n" for row in [head, rule, *rows])


def _equality(cases: Sequence[Case]) -> str:
    total = sum(case.compared_bytes for case in cases)
    with_tflm = sum(case.is_equal_to_tflm for case in cases)
    tflm = f", in {with_tflm} of {len(cases)} runs also TensorFlow Lite Micro's" if with_tflm else ""
    return f"""\
In the same run, all {total:,} bytes of output for random inputs equalled the interpreter's{tflm}.
Every count was taken twice, on boards booted anew, and was the same.
"""


def _board(board: str, cases: Sequence[Case]) -> str:
    measurement = cases[0].measurement
    unit = measurement.counter.unit
    head = ["model", "MACs", "instructions", "read from flash", "arena", "flash: weights", "code", "whole firmware"]
    if unit == "cycles":
        head[2:2] = ["cycles", "per MAC"]
    title = f"## {core_name(measurement.core)} ({board})\n\n"
    return title + table(head, (_row(case, unit) for case in cases))


def _row(case: Case, unit: str) -> list[str]:
    m = case.measurement
    assert m.counts is not None
    cycles = [f"{m.count:,}", ratio(m.count, case.macs)] if unit == "cycles" else []
    sizes = (m.counts.flash_bytes_read, m.arena_bytes, case.weight_bytes, case.code_bytes, m.flash_bytes)
    return [case.model, f"{case.macs:,}", *cycles, f"{case.instructions:,}", *(f"{n:,}" for n in sizes)]


def _beside_tflm(m4: Sequence[Case], m55: Sequence[Case]) -> str:
    """What its figure is, ours, and how many times ours is less."""
    rows = []
    for name, peer in TFLM.items():
        for case in (c for c in m4 if c.model == name):
            rows += [
                _versus(name, "Cortex-M4 cycles", peer.cycles, case.measurement.count),
                _versus("", "Cortex-M4 instructions", peer.instructions, case.instructions),
                _versus("", "arena, bytes", peer.arena_bytes, case.measurement.arena_bytes),
                _versus("", "flash, network alone, KB", peer.flash_kb, (case.weight_bytes + case.code_bytes) / 1000),
            ]
        rows += [
            _versus("", "Cortex-M55 instructions", peer.m55_instructions, c.instructions)
            for c in m55
            if c.model == name
        ]
    head = ["model", "", "TFLM + CMSIS-NN", "mcuquant", "ratio"]
    return f"## Beside TensorFlow Lite Micro\n\n{table(head, rows, texts=2)}\n{SOURCE}\n" if rows else ""


def _versus(model: str, what: str, theirs: int, ours: float) -> list[str]:
    text = f"{ours:,}" if isinstance(ours, int) else f"{ours:.0f}"
    return [model, what, f"{theirs:,}", text, f"{ratio(theirs, ours)}x"]


def _where_cycles_go(case: Case) -> str:
    """By kind of operation, the dearest first."""
    m = case.measurement
    spent: dict[str, tuple[int, int]] = {}
    for row in m.layers:
        count, macs = spent.get(row.layer.op, (0, 0))
        spent[row.layer.op] = (count + row.count, macs + row.layer.macs)
    ordered = sorted(spent.items(), key=lambda item: (-item[1][0], item[0]))
    rows = (
        [op, f"{macs:,}", f"{count:,}", ratio(count, macs), f"{100 * count / m.count:.1f} %"]
        for op, (count, macs) in ordered
    )
    head = ["operation", "MACs", "cycles", "per MAC", "share"]
    return f"## Where {case.model}'s cycles go on the {core_name(m.core)}\n\n{table(head, rows)}"


def ratio(a: float, b: float) -> str:
    return f"{a / b:.2f}" if b else ""


def core_name(cpu: str) -> str:
    """cortex-m4 → Cortex-M4."""
    return core_of(cpu).cpu.replace("cortex-m", "Cortex-M").replace("plus", "+")
