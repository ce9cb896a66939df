"""Every step is called in what was compiled, and no time is shown of a wrong answer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from nets import Net

from mcuquant import flow
from mcuquant.boards.board import load_board
from mcuquant.codegen.application import application
from mcuquant.codegen.emit import emit, emit_library
from mcuquant.codegen.sources import Sources
from mcuquant.errors import BuildError, DeviceError
from mcuquant.firmware_build.build import OBJDUMP, build, build_host, make, try_library, write
from mcuquant.firmware_build.manifest_file import manifest_text
from mcuquant.firmware_build.step_calls import Steps, called_steps
from mcuquant.ir import DType, Graph, ops

BOARD = load_board("qemu-mps2-an386")
STEPS = Steps("mq_model", ("moved, Transpose:mq_transpose", "reversed, Slice:mq_copy"))


def moves() -> Graph:
    """A transpose that GCC 12 took for a function without effect, and a slice from the end."""
    net = Net(np.random.default_rng(0))
    x = net.input((1, 32, 32), DType.INT8)
    q = net.tensors[x].q
    x = net.apply(ops.Transpose, (x,), (1, 32, 32), q, perm=(0, 2, 1))
    return net.graph(net.apply(ops.Slice, (x,), (1, 32, 32), q, begin=(0, 31, 0), step=(1, -1, 1)))


def sources(library: bool = False, sabotage: bool = True) -> Sources:
    """The network as C; sabotaged, its first step is not called, as a compiler that takes it for const leaves it."""
    _, program = flow.to_program(moves(), BOARD)
    app = application(program, "dut", None)
    files = dict((emit_library(program, BOARD) if library else emit(program, app.board(BOARD), app)).files)
    call = "    mq_model_step_0(arena);\n"
    model = files["src/mq_model.c"]
    assert call in model
    return Sources({**files, "src/mq_model.c": model.replace(call, "    (void)0;\n", 1) if sabotage else model})


@pytest.mark.emulator
def test_firmware_without_a_step_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildError) as caught:
        build(sources(), BOARD, tmp_path, STEPS)
    version, flags = (tmp_path / "build" / "compiler.txt").read_text().splitlines()
    assert version.startswith("arm-none-eabi-gcc")
    assert "-mcpu=cortex-m4" in flags
    assert "-O2" in flags
    assert str(caught.value) == (
        f"{tmp_path}/firmware.elf: mq_model_run does not call step 0 (moved, Transpose:mq_transpose), and would answer "
        f"wrongly. The compiler left that out: {version} with {flags}. Use other flags (make OPTIMIZE=-Os) or another "
        "version of the compiler"
    )


@pytest.mark.emulator
def test_a_library_without_a_step_is_refused() -> None:
    with pytest.raises(BuildError, match=r"mq_model_run does not call step 0 \(moved, Transpose:mq_transpose\)"):
        try_library(sources(library=True), BOARD, STEPS)
    try_library(sources(library=True, sabotage=False), BOARD, STEPS)


def test_a_host_program_without_steps_is_refused(tmp_path: Path) -> None:
    """What is missed does not depend on how it was lost: here the calls are no longer in the source."""
    files = dict(sources(sabotage=False).files)
    model = files["src/mq_model.c"]
    both = "    mq_model_step_0(arena);\n    mq_model_step_1(arena);\n"
    assert both in model
    files["src/mq_model.c"] = model.replace(both, "    (void)arena;\n")
    write(files, tmp_path)
    with pytest.raises(BuildError) as caught:
        build_host(tmp_path, STEPS)
    said = str(caught.value)
    assert "mq_model_run does not call steps 0 (moved, Transpose:mq_transpose); 1 (reversed, Slice:mq_copy), " in said
    assert "with -std=c11 -O2 -g" in said


@pytest.mark.emulator
@pytest.mark.parametrize("flags", ["-O1", "-O3", "-Os", "-O2 -flto", "-O2 -fno-inline", "-O0"])
@pytest.mark.parametrize("optimize", ["balanced", "size"])
def test_calls_are_found_however_it_is_compiled(flags: str, optimize: str, tmp_path: Path) -> None:
    project = flow.compile(moves(), BOARD, tmp_path / "net", build_firmware=False, optimize=optimize)
    make(project.directory, OPTIMIZE=flags)
    assert called_steps(project.directory / "firmware.elf", STEPS, OBJDUMP) == {0, 1}
    make(project.directory, "host", HOST_CFLAGS=f"-std=c11 {flags}")
    if shutil.which("objdump"):
        assert called_steps(project.directory / "build" / "host" / "mq_host", STEPS, "objdump") == {0, 1}


@pytest.mark.emulator
def test_no_time_is_shown_of_a_wrong_answer(tmp_path: Path) -> None:
    project = flow.compile(moves(), BOARD, tmp_path / "net")
    with project.connect() as dut:
        assert dut.bench().count > 0
    manifest = json.loads((tmp_path / "net" / "manifest.json").read_text())
    right = manifest["answer"]["outputs_crc"]
    manifest["answer"]["outputs_crc"] = "0000beef"
    (tmp_path / "net" / "manifest.json").write_text(manifest_text(manifest))
    with type(project).open(tmp_path / "net").connect() as dut, pytest.raises(DeviceError) as caught:
        dut.bench()
    assert str(caught.value) == (
        f"qemu-mps2-an386: the outputs of the timed inference have CRC-32 {right}, the interpreter's 0000beef; a wrong "
        f"answer has no time. The first layer that differs: mcuquant validate {tmp_path}/net --layers"
    )
