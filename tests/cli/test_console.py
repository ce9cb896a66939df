"""How commands print and write: widths, whole files or none, errors as one sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import click
import numpy as np
import pytest
from click.testing import CliRunner

from mcuquant.boards.board import board_names, load_board
from mcuquant.cli import console, main
from mcuquant.errors import BoardError, CalibrationError, OutputError
from mcuquant.quantization import array_files


def test_a_file_appears_whole(tmp_path: Path) -> None:
    console.write_json(tmp_path / "a.json", {"macs": 1})
    assert (tmp_path / "a.json").read_text() == '{\n  "macs": 1\n}\n'
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "y.npy"
    path.write_bytes(b"old")

    def write(file: BinaryIO) -> None:
        file.write(b"half")
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        console.write_whole(path, write)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["y.npy"]


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "absent" / "y.json"
    with pytest.raises(OutputError) as error:
        console.write_json(path, {})
    assert str(error.value) == f"cannot write {path}: No such file or directory"


def test_a_written_file_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    console.write_json(tmp_path / "a.json", {})
    (tmp_path / "b.json").touch()
    assert (tmp_path / "a.json").stat().st_mode == (tmp_path / "b.json").stat().st_mode


def test_progress_is_silent_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress("working", 2) as done:
        done(1)
    assert capsys.readouterr() == ("", "")


def test_working_is_silent_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with console.working("working"):
        pass
    assert capsys.readouterr() == ("", "")


def test_arrays_are_found_by_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=np.arange(3), y=np.zeros(3))
    x, y = array_files.named(tmp_path / "d.npz", "x", "y")
    assert x.tolist() == [0, 1, 2]
    assert y.tolist() == [0, 0, 0]


def test_an_array_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    np.savez(path, data=np.zeros(3), labels=np.zeros(3))
    with pytest.raises(CalibrationError) as error:
        array_files.named(path, "x", "y")
    assert str(error.value) == (
        f"{path} holds no array 'x', it holds 'data', 'labels'; write it with numpy.savez(file, x=x, y=y)"
    )


HEADER = b"\x93NUMPY\x01\x00\x10\x00{'descr': '<f8', "
"""An .npy file whose header is cut."""


def test_an_npy_file_is_told_from_an_npz_file(tmp_path: Path) -> None:
    path = tmp_path / "d.npy"
    np.save(path, np.zeros(3))
    with pytest.raises(CalibrationError) as error:
        array_files.named(path, "x")
    assert str(error.value) == (
        f"{path} holds no array 'x', it holds one array without a name; write it with numpy.savez(file, x=x)"
    )


@pytest.mark.parametrize("content", [b"", b"not an array", b"PK\x03\x04 broken", HEADER])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "d.npz"
    path.write_bytes(content)
    with pytest.raises(CalibrationError) as error:
        array_files.load_arrays(path)
    start = f"{path} is not a file of plain arrays as numpy.save or numpy.savez write them: "
    assert str(error.value).startswith(start)


def test_a_pickle_is_never_read(tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    np.savez(path, x=np.array([print], dtype=object))
    with pytest.raises(CalibrationError, match="is not a file of plain arrays"):
        array_files.load_arrays(path)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    @click.argument("how")
    def fail(how: str) -> None:
        raise {"ours": BoardError("no such board"), "ctrl-c": KeyboardInterrupt()}[how]

    monkeypatch.setitem(main.commands, "fail", fail)


@pytest.mark.usefixtures("failing")
def test_an_error_of_ours_is_one_sentence_and_exit_code_1() -> None:
    result = CliRunner().invoke(main, ["fail", "ours"])
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "Error: no such board\n")


@pytest.mark.usefixtures("failing")
def test_an_interrupt_is_exit_code_130() -> None:
    result = CliRunner().invoke(main, ["fail", "ctrl-c"])
    assert (result.exit_code, result.stderr) == (130, "Interrupted.\n")


def test_an_interrupt_while_python_imports_is_exit_code_130() -> None:
    """Ctrl-C in the first second, before the command runs."""
    code = """
import runpy, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "mcuquant.cli.app":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupting())
runpy.run_module("mcuquant", run_name="__main__")
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "Interrupted.\n")


def test_wrong_usage_is_exit_code_2() -> None:
    result = CliRunner().invoke(main, ["boards", "a", "b"])
    assert result.exit_code == 2
    assert result.stderr.endswith("Error: Got unexpected extra argument (b)\n")


def test_boards_lists_every_profile_within_100_columns() -> None:
    result = CliRunner().invoke(main, ["boards"])
    assert result.exit_code == 0
    assert all(name in result.stdout for name in board_names())
    assert max(map(len, result.stdout.splitlines())) <= 100
    assert result.stdout.endswith("\nNext: mcuquant boards NAME\n")


def test_boards_shows_one_profile() -> None:
    result = CliRunner().invoke(main, ["boards", "qemu-mps2-an386"])
    lines = [line.rstrip() for line in result.stdout.splitlines()]
    assert "core           Cortex-M4 with FPU" in lines
    assert "flash          4 MiB from 0x00000000" in lines
    assert "emulator       qemu-system-arm -machine mps2-an386" in lines
    assert lines[-1] == "Next: mcuquant compile MODEL --board qemu-mps2-an386 --calibration X.npz -o build/model"


def test_a_misspelt_board_is_exit_code_1_and_names_the_nearest() -> None:
    result = CliRunner().invoke(main, ["boards", "qemu-mps2-an368"])
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: board 'qemu-mps2-an368' is not known")
    assert "did you mean 'qemu-mps2-an386'?" in result.stderr


CHIP = ("--soc", "stm32f411ce", "--uart", "USART1", "--tx", "PA9", "--rx", "PA10")


def test_boards_new_writes_a_profile_that_boards_shows(tmp_path: Path) -> None:
    options = (*CHIP, "--chip", "hse_hz=25_000_000", "--chip", "hse_is_bypassed=0", "-o", str(tmp_path))
    result = CliRunner().invoke(main, ["boards", "new", "mine", *options])
    path = tmp_path / "mine.toml"
    assert result.stdout.splitlines()[-3:] == [
        f"{path} is written. Nobody has run this firmware on the board: check the pins with its schematic.",
        "",
        f"Next: mcuquant compile MODEL --board {path} --calibration X.npz -o build/model",
    ]
    shown = CliRunner().invoke(main, ["boards", str(path)])
    assert "tested         never run" in [line.rstrip() for line in shown.stdout.splitlines()]
    again = CliRunner().invoke(main, ["boards", "new", "mine", *options])
    assert again.stderr == f"Error: {path} exists; remove it first, or choose another name\n"


def test_boards_new_asks_for_the_rest(tmp_path: Path) -> None:
    answers = "USART2\nPA2\nPA3\n8000000\n1\n"
    result = CliRunner().invoke(
        main, ["boards", "new", "mine", "--soc", "stm32f446re", "-o", str(tmp_path)], input=answers
    )
    assert result.exit_code == 0
    board = load_board(tmp_path / "mine.toml")
    assert (board.uart.base, board.uart.tx, board.chip["hse_is_bypassed"]) == (0x4000_4400, "PA2", 1)


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("pico", CHIP, "Error: pico is a board that comes with mcuquant; choose another name\n"),
        (
            "mine",
            ("--soc", "rp2040", "--uart", "UART0", "--tx", "GP77", "--rx", "GP1"),
            "'uart.tx' is 'GP77'; chips of the family rp2040 have at most the pins GP0 to GP29\n",
        ),
        (
            "mine",
            ("--soc", "rp2040", "--uart", "UART0", "--tx", "GP0", "--rx", "GP0"),
            "'uart.tx' and 'uart.rx' are the same pin, 'GP0'\n",
        ),
        (
            "mine",
            (*CHIP, "--chip", "hse_hz=8M"),
            "Error: --chip hse_hz=8M: write KEY=VALUE with a whole number, such as pll_n=84\n",
        ),
    ],
)
def test_boards_new_refuses(name: str, options: tuple[str, ...], sentence: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["boards", "new", name, *options, "-o", str(tmp_path)])
    assert result.stderr.endswith(sentence)
    assert list(tmp_path.iterdir()) == []
