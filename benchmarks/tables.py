"""Cases → the text of results.md."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from mcuquant.boards.core import core_of
from mcuquant.planner.objective import Objective

from .cases import Case
from .peers import SOURCE, TFLM

HEAD = """\
# Results

`make bench` writes this file. The boards are emulated by QEMU: cycles are modelled from Arm's instruction timings at
zero wait states ([cycle model](../docs/cycle-model.md)), instructions are counted. Neither is a board's time.
"""
LEGEND = """\
MACs are those of the model's file, even where fewer are executed. Flash in bytes: weights including biases,
requantization parameters and tables; code of the network alone; and the firmware including the serial application.
"""


def results(cases: Sequence[Case], tools: Iterable[str]) -> str:
    """The whole document; the same cases give the same text."""
    boards = dict.fromkeys(case.board for case in cases)
    parts = [HEAD, "".join(f"- {tool}\n" for tool in tools), _equality(cases)]
    parts += [_board(board, [case for case in cases if case.board == board]) for board in boards]
    parts += [LEGEND, _beside_tflm(cases)]
    parts += [_where_cycles_go(case) for case in cases if case.has_cycles and case.objective is Objective.SPEED]
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
Every count was taken twice, on freshly booted boards, and was the same.
"""


def _board(board: str, cases: Sequence[Case]) -> str:
    has_cycles = cases[0].has_cycles
    head = ["model", "--optimize", "MACs", *(["cycles", "per MAC"] if has_cycles else []), "instructions"]
    head += ["read from flash", "arena", "flash: weights", "code", "whole firmware"]
    title = f"## {core_name(cases[0].measurement.core)} ({board})\n\n"
    return title + table(head, map(_row, cases), texts=2)


def _row(case: Case) -> list[str]:
    m = case.measurement
    assert m.counts is not None
    cycles = [f"{m.count:,}", ratio(m.count, case.macs)] if case.has_cycles else []
    sizes = (m.counts.flash_bytes_read, m.arena_bytes, case.weight_bytes, case.code_bytes, m.flash_bytes)
    numbers = [f"{case.macs:,}", *cycles, f"{case.instructions:,}", *(f"{n:,}" for n in sizes)]
    return [case.model, case.objective.value, *numbers]


def _beside_tflm(cases: Sequence[Case]) -> str:
    """Its figures, ours for each objective, and how many times ours are less."""
    by_key = {(case.model, case.has_cycles, case.objective): case for case in cases}
    rows: list[list[str]] = []
    for name in TFLM:
        ours = [by_key.get((name, True, objective)) for objective in Objective]
        rows += _m4_rows(name, ours) if any(ours) else []
        if case := by_key.get((name, False, Objective.SPEED)):
            rows.append([name, "Cortex-M55: instructions", *_versus(TFLM[name].m55_instructions, [case.instructions])])
    head = ["model", "", "TFLM + CMSIS-NN", *(text for objective in Objective for text in (objective.value, "ratio"))]
    return f"## Comparison with TensorFlow Lite Micro\n\n{table(head, rows, texts=2)}\n{SOURCE}\n" if rows else ""


def _m4_rows(name: str, ours: Sequence[Case | None]) -> Iterable[list[str]]:
    peer = TFLM[name]
    compared: tuple[tuple[str, int, Callable[[Case], float]], ...] = (
        ("cycles", peer.cycles, lambda case: case.measurement.count),
        ("instructions", peer.instructions, lambda case: case.instructions),
        ("arena, B", peer.arena_bytes, lambda case: case.measurement.arena_bytes),
        ("flash of the network, KB", peer.flash_kb, lambda case: (case.weight_bytes + case.code_bytes) / 1000),
    )
    for what, theirs, number in compared:
        yield [name, what, *_versus(theirs, [None if case is None else number(case) for case in ours])]


def _versus(theirs: int, ours: Sequence[float | None]) -> list[str]:
    cells = [f"{theirs:,}"]
    for number in ours:
        cells += ["", ""] if number is None else [f"{number:,.0f}", f"{ratio(theirs, number)}x"]
    return cells + [""] * (1 + 2 * len(Objective) - len(cells))


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
    title = f"Where {case.model}'s cycles go on the {core_name(m.core)}, for {case.objective}"
    return f"## {title}\n\n{table(head, rows)}"


def ratio(a: float, b: float) -> str:
    return f"{a / b:.2f}" if b else ""


def core_name(cpu: str) -> str:
    """cortex-m4 → Cortex-M4."""
    return core_of(cpu).cpu.replace("cortex-m", "Cortex-M").replace("plus", "+")
