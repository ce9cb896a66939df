"""`mcuquant boards verify`: what it checks, what it finds, and its record."""

from __future__ import annotations

import datetime
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import mcuquant as mq
from mcuquant.boards.board import load_board
from mcuquant.cli import main
from mcuquant.device.link import Link
from mcuquant.testing.board_selection import Selected
from mcuquant.testing.board_verification import COUNT, Check, Verification, verify
from mcuquant.testing.sample_networks import NETWORKS

HERE = Selected(None, None, None, "emulated")
NAMES = [
    *("fault report", "bytes of image", "bytes of signal", "bytes of dense", "timer"),
    *("clock", "serial port", "reset"),
]


def mcuquant(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def results(verification: Verification) -> dict[str, bool | None]:
    return {check.name: check.passed for check in verification.checks}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_networks_have_a_spread_of_outputs(name: str) -> None:
    graph = NETWORKS[name]()
    x = np.random.default_rng(7).integers(-128, 128, (1, *graph.tensors[graph.inputs[0]].shape[1:]), np.int8)
    assert len(np.unique(mq.run(graph, [x])[0])) >= 4


@pytest.mark.emulator
@pytest.mark.parametrize("name", ["qemu-microbit", "qemu-mps3-an547"])
def test_emulated_boards_pass(name: str, tmp_path: Path) -> None:
    told: list[int] = []
    verification = verify(load_board(name), HERE, tmp_path, progress=told.append)
    assert [check for check in verification.checks if check.passed is False] == []
    assert verification.passed
    assert results(verification) == {each: None if each == "clock" else True for each in NAMES}
    assert told == list(range(1, COUNT + 1))


@pytest.mark.emulator
def test_a_port_without_fault_reports_and_with_wrong_bytes_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Link.run

    def wrong(self: Link, read: bool = True) -> object:
        done = run(self, read)
        return replace(done, outputs=tuple(bytes(b ^ 1 for b in each) for each in done.outputs))

    monkeypatch.setattr(Link, "fault", lambda self: None)
    monkeypatch.setattr(Link, "run", wrong)
    verification = verify(load_board("qemu-mps2-an386"), HERE, tmp_path)
    assert not verification.passed
    assert [check for check in verification.checks if check.passed is False] == [
        Check("fault report", False, "the firmware trapped and the board has no record of a crash"),
        Check("bytes of image", False, "50 bytes of 5 outputs, 50 differ from the interpreter's"),
        Check("bytes of signal", False, "20 bytes of 5 outputs, 20 differ from the interpreter's"),
        Check("bytes of dense", False, "480 bytes of 5 outputs, 480 differ from the interpreter's"),
    ]


def test_the_record_is_toml_with_all_checks() -> None:
    checks = (Check("timer", True, 'said "7"'), Check("clock", None, "emulated"), Check("reset", False, "a\nb"))
    record = Verification("pico", "ab" * 32, 0x410CC601, 125_000_000, checks).to_toml(
        'Jo "J"', datetime.date(2026, 1, 2)
    )
    assert tomllib.loads(record) == {
        "board": "pico",
        "profile_sha256": "ab" * 32,
        "by": 'Jo "J"',
        "date": datetime.date(2026, 1, 2),
        "mcuquant": mq.__version__,
        "cpuid": 0x410CC601,
        "clock_hz": 125_000_000,
        "passed": False,
        "check": [
            {"name": "timer", "result": "passed", "detail": 'said "7"'},
            {"name": "clock", "result": "not made", "detail": "emulated"},
            {"name": "reset", "result": "failed", "detail": "a\nb"},
        ],
    }


@pytest.mark.emulator
def test_the_command_writes_the_record(tmp_path: Path) -> None:
    path = tmp_path / "record.toml"
    result = mcuquant("boards", "verify", "qemu-mps2-an386", "--by", "Jo", "-o", path)
    assert result.exit_code == 0, result.output
    assert [line.split("  ")[0] for line in result.stdout.splitlines()[2:10]] == NAMES
    assert f"Record: {path}" in result.stdout.splitlines()
    record = tomllib.loads(path.read_text())
    assert (record["by"], record["passed"], len(record["check"])) == ("Jo", True, len(NAMES))


def test_a_board_on_the_desk_needs_a_port() -> None:
    result = mcuquant("boards", "verify", "nucleo-f411re")
    assert (result.exit_code, result.stderr) == (
        1,
        "Error: board nucleo-f411re is not emulated; connect one and name its port (--port)\n",
    )
    assert mcuquant("boards", "verify", "pico").stderr == (
        "Error: board pico is not emulated; connect one and name its port (--port), or emulate it (--port rp2040py)\n"
    )
