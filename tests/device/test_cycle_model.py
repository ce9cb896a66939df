"""The cycle model against sequences counted by hand: tests/cycles/*.S, whose comments are the expectation."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from pathlib import Path

import pytest

from mcuquant.device import cycle_model
from mcuquant.device.cycle_model import Counts, CycleCounts, FunctionCounts
from mcuquant.errors import ToolError

SOURCES = Path(__file__).parents[1] / "cycles"
FLASH = (0, 4 << 20)
ICOUNT = ("-icount", "shift=0")
MACHINES = {"cortex-m3": "mps2-an385", "cortex-m4": "mps2-an386"}
TERM = re.compile(r"(?:(m3:)?(\d+)|([rw])|f(\d+))(?:x(\d+))?$")


def annotations(source: str) -> Iterator[tuple[str, list[re.Match[str]]]]:
    """(case, terms behind an instruction) of every line that has some."""
    case = ""
    for line in source.splitlines():
        if line.startswith("case "):
            case = line.removeprefix("case ").strip()
        instruction, _, comment = line.partition("@")
        if instruction.strip() and comment.strip():
            matches = [TERM.match(term) for term in comment.split()]
            assert all(matches), line
            yield case, [m for m in matches if m]


def add(total: list[int], terms: Sequence[re.Match[str]], m3: bool) -> None:
    """Adds what one line costs to cycles, instructions, loads, stores, bytes from flash."""
    differs = m3 and any(t[1] for t in terms)
    for t in terms:
        times = int(t[5] or 1)
        if t[2]:
            total[0] += int(t[2]) * times if bool(t[1]) == differs else 0
            total[1] += 0 if t[1] else times
        else:
            total[3 if t[3] == "w" else 2] += times
            total[4] += int(t[4] or 0) * times


def expected(names: Sequence[str], cpu: str) -> dict[str, Counts]:
    totals: dict[str, list[int]] = {}
    for name in names:
        for case, terms in annotations((SOURCES / name).read_text()):
            add(totals.setdefault(case, [0] * 5), terms, cpu == "cortex-m3")
    return {case: Counts(*total) for case, total in totals.items()}


def build(folder: Path, names: Sequence[str], run: Sequence[str], cpu: str) -> Path:
    """An ELF of tests/cycles/NAMES that calls the functions `run` in order and ends the emulation."""
    enable_fpu = "    set r0 0xe000ed88\n    mov r1, #0xf00000\n    str r1, [r0]\n    dsb\n    isb\n"
    body = (SOURCES / "begin.S").read_text() + "".join((SOURCES / name).read_text() for name in names)
    tick = "" if "function tick" in body else "function tick\n    bx lr\n"
    calls = "".join(f"    run {name}\n" for name in run)
    reset = "function reset\n" + (enable_fpu if cpu == "cortex-m4" else "") + calls + "    b finish\n"
    source, elf = folder / "cases.S", folder / "cases.elf"
    source.write_text(body + tick + reset + (SOURCES / "end.S").read_text())
    fpu = ["-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"] if cpu == "cortex-m4" else []
    places = ["-Wl,--section-start=.vectors=0", "-Wl,-Ttext=0x1000", "-Wl,-e,reset"]
    command = ["arm-none-eabi-gcc", f"-mcpu={cpu}", "-mthumb", *fpu, "-nostdlib", *places, str(source), "-o", str(elf)]
    subprocess.run(command, check=True)
    return elf


def emulate(
    elf: Path, windows: Sequence[str], cpu: str, more: Sequence[str] = (), counted_as: str | None = None
) -> tuple[CycleCounts, ...]:
    counts = elf.with_suffix(".counts")
    asked = cycle_model.qemu_args(
        cycle_model.plugin(), elf, counts, cpu=counted_as or cpu, flash=[FLASH], windows=windows
    )
    machine = ["-M", MACHINES[cpu], "-display", "none", "-monitor", "none", "-serial", "null", "-semihosting"]
    command = ["qemu-system-arm", *machine, *more, *asked, "-kernel", str(elf)]
    subprocess.run(command, check=True, timeout=60, stdin=subprocess.DEVNULL)
    return cycle_model.read(counts)


def count(
    folder: Path, names: Sequence[str], run: Sequence[str], cpu: str = "cortex-m4", more: Sequence[str] = ()
) -> list[CycleCounts]:
    """Counts of the functions `run` of tests/cycles/NAMES, in the order of their calls."""
    folder.mkdir(exist_ok=True)
    return list(emulate(build(folder, names, run, cpu), sorted(set(run)), cpu, more))


CASES = {"cortex-m3": ["common.S"], "cortex-m4": ["common.S", "cortex_m4.S"]}
EXPECTED = {cpu: expected(names, cpu) for cpu, names in CASES.items()}


@pytest.fixture(scope="module", params=list(CASES))
def counted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[CycleCounts]]:
    """(core, counts of every case)"""
    cpu = request.param
    return cpu, count(tmp_path_factory.mktemp(cpu), CASES[cpu], list(EXPECTED[cpu]), cpu)


@pytest.mark.emulator
def test_every_sequence_costs_what_the_manual_says(counted: tuple[str, list[CycleCounts]]) -> None:
    cpu, found = counted
    assert len(found) > 50
    assert {window.function: window.total for window in found} == EXPECTED[cpu]


@pytest.mark.emulator
def test_twice_the_weights_are_twice_the_bytes_from_flash(counted: tuple[str, list[CycleCounts]]) -> None:
    flash = {window.function: window.total.flash_bytes_read for window in counted[1]}
    assert flash["weights"] == 64 * 4
    assert flash["weights_twice"] == 2 * flash["weights"]


@pytest.mark.emulator
def test_own_counts_add_up(counted: tuple[str, list[CycleCounts]]) -> None:
    for window in counted[1]:
        own = [astuple(function.own) for function in window.functions]
        assert tuple(map(sum, zip(*own, strict=True))) == astuple(window.total), window.function


@pytest.mark.emulator
@pytest.mark.parametrize("more", [(), ICOUNT])
def test_the_same_twice(counted: tuple[str, list[CycleCounts]], tmp_path: Path, more: Sequence[str]) -> None:
    """Also when QEMU cuts its blocks elsewhere, as it does where it counts instructions."""
    cpu, before = counted
    assert count(tmp_path, CASES[cpu], list(EXPECTED[cpu]), cpu, more) == before


@pytest.mark.emulator
def test_functions_are_counted_with_and_without_those_they_call(tmp_path: Path) -> None:
    (tree,) = count(tmp_path, ["calls.S"], ["tree"])
    twig = Counts(3 * (1 + 3), 3 * 2, 0, 0, 0)
    branch_off = Counts(2 * (2 + 3), 2 * 2, 2, 0, 8)
    own = Counts((1 + 2) + 3 * 3 + 1 + (1 + 2 + 2), 6, 2, 2, 0)
    assert tree.functions == (
        FunctionCounts("twig", 3, twig, twig),
        FunctionCounts("branch_off", 2, branch_off, Counts(10 + 8, 4 + 4, 2, 0, 8)),
        FunctionCounts("tree", 1, own, tree.total),
    )
    assert tree.total == Counts(18 + 10 + 12, 6 + 4 + 6, 4, 2, 8)
    assert tree.of("twig") == tree.functions[0]
    assert tree.of("leaf") is None


@pytest.mark.emulator
def test_branches_between_functions_and_recursion_are_followed_back(tmp_path: Path) -> None:
    tennis, dive = count(tmp_path, ["calls.S"], ["table_tennis", "dive"])
    assert tennis.total == Counts((3 + 1 + 3 + 5) + 4999 * (1 + 3) + (1 + 1 + 3), 4 + 5000 * 2 + 1, 2, 2, 0)
    assert dive.total == Counts((3 + 1 + 3 + 5) + 2 * (3 + 1 + 1 + 3 + 5) + (3 + 1 + 3 + 5), 4 + 2 * 5 + 4, 8, 8, 0)
    deep = dive.of("deep")
    assert deep is not None
    assert (deep.calls, deep.total) == (3, deep.own)


@pytest.mark.emulator
def test_interrupts_do_not_count(tmp_path: Path) -> None:
    run = ["work", "timer_on", "work", "timer_off", "interrupts_seen"]
    quiet, _, busy, _, seen = count(tmp_path, ["interrupt.S"], run, more=ICOUNT)
    assert seen.total.loads > 100
    even, odd = 2 + 1 + 6 + 1 + 1 + 3 + 3 + 1 + 3, 2 + 1 + 6 + 1 + 1 + 2 + 1 + 2 + 6 + 1 + 3
    assert quiet.total.cycles == 500 * (even + odd) - 2 + (1 + 4) + 1 + (1 + 4 + 2)
    assert busy == quiet


@pytest.mark.emulator
def test_a_reset_ends_a_window_without_counts(tmp_path: Path) -> None:
    counted = count(tmp_path, ["calls.S", "reset.S"], ["restart", "tree"])
    assert [window.function for window in counted] == ["restart", "tree"]
    assert [window.total.cycles for window in counted] == [2 + 2 + 1 + 1 + 3 + 3, 40]


@pytest.mark.emulator
def test_a_core_without_a_model_has_no_cycles(tmp_path: Path) -> None:
    elf = build(tmp_path, ["calls.S"], ["tree"], "cortex-m4")
    (tree,) = emulate(elf, ["tree"], "cortex-m4", counted_as="cortex-m33")
    assert tree.total == Counts(None, 16, 4, 2, 8)
    assert [function.own.cycles for function in tree.functions] == [None] * 3
    assert not cycle_model.is_modelled("cortex-m33")
    assert cycle_model.is_modelled("cortex-m3")


@pytest.mark.emulator
def test_a_path_may_hold_what_the_command_line_splits_at(tmp_path: Path) -> None:
    (tree,) = count(tmp_path / "a, b=c", ["calls.S"], ["tree"])
    assert tree.total.cycles == 40


@pytest.mark.emulator
def test_a_window_the_firmware_lacks_is_named(tmp_path: Path) -> None:
    elf = build(tmp_path, ["calls.S"], [], "cortex-m4")
    with pytest.raises(ToolError) as caught:
        cycle_model.qemu_args(
            elf, elf, tmp_path / "counts", cpu="cortex-m4", flash=[FLASH], windows=["tree", "bush", "moss"]
        )
    assert str(caught.value) == f"{elf} has no function bush, moss, whose cycles were to be counted"


def test_a_line_that_is_being_written_is_left_for_later(tmp_path: Path) -> None:
    counts = tmp_path / "counts"
    line = '{"function": "f", "total": [7, 6, 5, 4, 3], "functions": []}'
    counts.write_text(f"{line}\n{line[:20]}")
    assert cycle_model.read(counts) == (CycleCounts("f", Counts(7, 6, 5, 4, 3), ()),)


def test_counts_that_were_never_begun_are_missed(tmp_path: Path) -> None:
    with pytest.raises(ToolError) as caught:
        cycle_model.read(tmp_path / "counts")
    assert str(caught.value) == f"QEMU wrote no cycle counts: {tmp_path / 'counts'} is missing"
