"""Every compiler and optimization level that a program may be built with gives the interpreter's bytes."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import fast_graphs
import graphs
import more_graphs
import numpy as np
import pytest
from harness import ARM, Command, build_device, check_random, compile_c, compile_host, lowered, model_sources
from moves import every_move

from mcuquant._assets import folder
from mcuquant.boards.core import CORES
from mcuquant.ir import Graph

FLAGS = ("-O0", "-O1", "-O2", "-O3", "-Os", "-O2 -flto")
CLANG = pytest.mark.skipif(shutil.which("clang") is None, reason="clang is not installed: apt-get install clang lld")
COMPILERS = (pytest.param("gcc"), pytest.param("clang", marks=CLANG))
MADE = graphs.GENERATORS | more_graphs.GENERATORS | fast_graphs.GENERATORS
PARTS = 32
NORMAL = ((0, "gcc", "-O3"), (1, "gcc", "-O2 -flto"), (2, "clang", "-O2"), (3, "clang", "-Os"))
"""Part of the forms, compiler and flags of the tests that always run."""
ON_CORES = ((4, "cortex-m4", "-O3"), (5, "cortex-m0plus", "-O1"), (6, "cortex-m55", "-O2 -flto"))


def part(index: int, parts: int = PARTS, seed: int = 31) -> tuple[list[str], list[Graph]]:
    """Every operation has forms in every part, the moves that compilers once removed are in all of them."""
    names = list(MADE)[index::parts]
    moves, moved = every_move()
    return [*names, *moves], [*(MADE[name](np.random.default_rng(seed)) for name in names), *moved]


def device_parts(cpu: str) -> int:
    """Programs that all forms are split into: the emulated Cortex-M55 has 512 KiB for code."""
    return 3 if cpu == "cortex-m55" else 2


def check_host(names: Sequence[str], made: Sequence[Graph], core: str, compiler: Command, directory: Path) -> None:
    programs = tuple(
        lowered(graph, i, CORES[core], name) for i, (name, graph) in enumerate(zip(names, made, strict=True))
    )
    check_random(names, compile_host(made, programs, directory, compiler), 1)


def check_device(names: Sequence[str], made: Sequence[Graph], cpu: str, flags: str, directory: Path) -> None:
    check_random(names, build_device(made, directory, cpu, names, tuple(flags.split())), 1)


@pytest.mark.parametrize(
    ("index", "compiler", "flags"), [pytest.param(*case, marks=CLANG if case[1] == "clang" else ()) for case in NORMAL]
)
def test_some_of_the_forms_on_the_host(index: int, compiler: str, flags: str, tmp_path: Path) -> None:
    check_host(*part(5 * index), "cortex-m4", (compiler, *flags.split()), tmp_path)


@pytest.mark.emulator
@pytest.mark.parametrize(("index", "cpu", "flags"), ON_CORES)
def test_some_of_the_forms_on_a_core(index: int, cpu: str, flags: str, tmp_path: Path) -> None:
    check_device(*part(5 * index), cpu, flags, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("core", ["cortex-m3", "cortex-m4", "cortex-m55"])
@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("compiler", COMPILERS)
def test_every_form_on_the_host(compiler: str, flags: str, core: str, tmp_path: Path) -> None:
    check_host(*part(FLAGS.index(flags) % 2, 2), core, (compiler, *flags.split()), tmp_path)


@pytest.mark.slow
@pytest.mark.emulator
@pytest.mark.parametrize(("cpu", "index"), [(cpu, index) for cpu in ARM for index in range(device_parts(cpu))])
@pytest.mark.parametrize("flags", FLAGS[1:])
def test_every_form_on_each_core(flags: str, cpu: str, index: int, tmp_path: Path) -> None:
    check_device(*part(index, device_parts(cpu), seed=37), cpu, flags, tmp_path)


def newlib_headers() -> list[str]:
    """Where the cross compiler finds the C library's headers, as options of Clang."""
    command = ["arm-none-eabi-gcc", "-xc", "-E", "-v", "/dev/null"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    found = told.partition("search starts here:\n#include <...> search starts here:\n")[2].partition("End of")[0]
    return [
        word
        for line in found.splitlines()
        if "lib/gcc" not in line or "/../" in line
        for word in ("-isystem", line.strip())
    ]


@CLANG
@pytest.mark.emulator
@pytest.mark.parametrize(
    ("cpu", "flags", "index", "parts"),
    [("cortex-m4", "-O2", 7, PARTS)]
    + [
        pytest.param(cpu, flags, index, 2, marks=pytest.mark.slow)
        for cpu in ARM
        if cpu != "cortex-m55"
        for flags in FLAGS[1:5]
        for index in range(2)
    ],
)
def test_networks_that_clang_compiled_for_a_core(cpu: str, flags: str, index: int, parts: int, tmp_path: Path) -> None:
    """The network by Clang, the program around it and the linking by GCC: what a user of Clang for Arm would link."""
    names, made = part(index, parts)

    def compile_network(sources: Sequence[Path]) -> list[Path]:
        target = ("clang", "--target=arm-none-eabi", "-fshort-enums", *ARM[cpu], *flags.split(), *newlib_headers())
        for source in sources:
            compile_c([*target, "-c"], [source], tmp_path, "-o", str(source.with_suffix(".o")))
        return [source.with_suffix(".o") for source in sources]

    check_random(names, build_device(made, tmp_path, cpu, names, network=compile_network), 1)


@pytest.mark.parametrize("standard", ["c++11", "c++20"])
@pytest.mark.parametrize("compiler", [pytest.param("g++"), pytest.param("clang++", marks=CLANG)])
def test_headers_in_a_cpp_program(compiler: str, standard: str, tmp_path: Path) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    program = lowered(MADE["conv2d"](np.random.default_rng(0)), 0)
    model_sources([program], tmp_path)
    (tmp_path / "main.cpp").write_text(
        f'#include "{program.prefix}.h"\n'
        f"int main() {{ static unsigned char arena[{program.prefix.upper()}_ARENA_BYTES + 16];\n"
        f"return {program.prefix}_run(arena) + {program.prefix}.step_count; }}\n"
    )
    flags = [f"-std={standard}", "-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Werror", "-fsyntax-only"]
    command = [compiler, *flags, "-I", str(tmp_path), "-I", str(folder("firmware")), str(tmp_path / "main.cpp")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
