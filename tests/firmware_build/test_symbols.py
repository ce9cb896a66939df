"""Functions and handlers read from an ELF."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mcuquant.errors import ToolError
from mcuquant.firmware_build.symbols import Function, Vectors, functions, vectors

SOURCE = """
    .syntax unified
    .thumb
    .section .vectors, "a"
    .word 0x20010000, reset, fault, 0, 0, tick, 0x1234, other
    .text
    .macro function name, binding=global
    .\\binding \\name
    .type \\name, %function
    \\name:
    .endm

    function reset
    nop
    function sized
    nop
    nop
    .size sized, 4
    .space 4
    function zulu
    function alpha local
    function wanted local
    nop
    function fault
    function tick
    bx lr
    function other
    bx lr
    .data
    .word 1
"""


@pytest.fixture(scope="module")
def elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("symbols")
    (folder / "program.S").write_text(SOURCE)
    places = ["-Wl,--section-start=.vectors=0", "-Wl,-Ttext=0x1000", "-Wl,-Tdata=0x20000000", "-Wl,-e,reset"]
    command = [
        "arm-none-eabi-gcc",
        "-mcpu=cortex-m4",
        "-mthumb",
        "-nostdlib",
        *places,
        "program.S",
        "-o",
        "program.elf",
    ]
    subprocess.run([*command, "-o", "program.elf"], cwd=folder, check=True)
    return folder / "program.elf"


@pytest.mark.emulator
def test_functions_have_an_address_a_size_and_one_name(elf: Path) -> None:
    assert functions(elf) == [
        Function("reset", 0x1000, 2),
        Function("sized", 0x1002, 4),
        Function("zulu", 0x100A, 2),
        Function("fault", 0x100C, 2),
        Function("other", 0x100E, (1 << 32) - 0x100E),
    ]


@pytest.mark.emulator
def test_the_name_that_is_asked_for_is_taken(elf: Path) -> None:
    names = {f.address: f.name for f in functions(elf, preferred=["wanted", "tick"])}
    assert names[0x100A] == "wanted"
    assert names[0x100C] == "tick"


@pytest.mark.emulator
def test_the_vectors_go_up_to_what_is_no_function(elf: Path) -> None:
    assert vectors(elf, functions(elf)) == Vectors(0x1000, (0x100C,))


@pytest.mark.emulator
def test_what_does_not_begin_with_a_reset_handler_has_no_vectors(elf: Path) -> None:
    without_reset = [f for f in functions(elf) if f.name != "reset"]
    assert vectors(elf, without_reset) is None


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not an executable")
    with pytest.raises(ToolError) as caught:
        functions(path)
    assert str(caught.value) == f"{path} is not an ELF file: Magic number does not match"
