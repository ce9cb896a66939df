"""The hand-written network of tests/data/tiny as firmware, as a host program, and as numpy."""

from __future__ import annotations

import subprocess
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from elftools.elf.elffile import ELFFile

from mcuquant._assets import folder
from mcuquant.boards.board import Board
from mcuquant.codegen.emit import port_files, render
from mcuquant.device.transport import Transport
from mcuquant.device.wire import TensorInfo
from mcuquant.ir import Array

DIGEST = "0123456789abcdef" * 4
INPUTS = (TensorInfo("int8", 700), TensorInfo("int16", 8))
OUTPUTS = (TensorInfo("int8", 700), TensorInfo("int32", 8))
STEPS = 3
ARENA_BYTES = 1424

BREACH, UNALIGNED, DIVIDE, JUMP, OVERFLOW, STORE, DEEP, SLOW, HANG = range(100, 109)
"""Values of the first input's first element that make the network misbehave."""

WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Werror")
_TINY = Path(__file__).resolve().parents[1] / "data" / "tiny"
_PROGRAM = SimpleNamespace(
    prefix="mq_tiny",
    arena_bytes=ARENA_BYTES,
    arena_alignment=16,
    state_bytes=0,
    feed=None,
    inputs=[SimpleNamespace(nbytes=t.nbytes) for t in INPUTS],
)
_APP = SimpleNamespace(model_id="tiny", wire_bytes=708)


def firmware(board: Board, directory: Path, machine_flags: Sequence[str] = ()) -> Path:
    """Build it for `board`; `machine_flags` take the place of the board's own. The path of the ELF."""
    _generate(board, directory)
    root, linked, elf = folder("firmware"), directory / "linked.elf", directory / "firmware.elf"
    port = [root / path for path in port_files(board) if path.endswith(".c")]
    app = [root / "wire" / "mq_wire_stored.c", root / "plain" / "mq_plain.c", *sorted((root / "app").glob("*.c"))]
    sources = [root / "mq.c", *app, *port, _TINY / "mq_tiny.c"]
    flags = [*(machine_flags or board.compiler_flags), "-Os", "-ffunction-sections", "-fdata-sections", "-fno-common"]
    link = ["--specs=nano.specs", "-nostartfiles", "-Wl,--gc-sections", "-Wl,--fatal-warnings"]
    _gcc("arm-none-eabi-gcc", directory, [*flags, *link, "-T", str(directory / "linker.ld")], sources, linked)
    _seal(linked, elf)
    return elf


def _seal(linked: Path, elf: Path) -> None:
    """Put the CRC-32 of its image into a linked firmware."""
    image, crc = linked.with_name("image.bin"), linked.with_name("image.crc")
    objcopy = "arm-none-eabi-objcopy"
    subprocess.run([objcopy, "-O", "binary", "--remove-section", ".image_crc", linked, image], check=True)
    crc.write_bytes(zlib.crc32(image.read_bytes()).to_bytes(4, "little"))
    subprocess.run([objcopy, "--update-section", f".image_crc={crc}", linked, elf], check=True)


def section(elf: Path, name: str) -> tuple[int, int, int]:
    """File offset, load address and size in bytes."""
    with elf.open("rb") as file:
        found = ELFFile(file).get_section_by_name(name)
        return found["sh_offset"], found["sh_addr"], found["sh_size"]


def damaged(elf: Path, name: str, byte: int, made: Path) -> Path:
    """A copy with one bit of one byte of a section flipped."""
    offset, _, size = section(elf, name)
    assert 0 <= byte < size
    data = bytearray(elf.read_bytes())
    data[offset + byte] ^= 0x10
    made.write_bytes(data)
    return made


def host_program(board: Board, directory: Path) -> Path:
    """Build the host runner around it, with sanitizers."""
    _generate(board, directory)
    root, made = folder("firmware"), directory / "mq_host"
    sources = [root / "host" / "main.c", root / "mq.c", _TINY / "mq_tiny.c"]
    _gcc("gcc", directory, ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"], sources, made)
    return made


def host_library(directory: Path) -> Path:
    """The parts of the firmware that need no chip, as a shared library."""
    root, made = folder("firmware"), directory / "libmq.so"
    sources = [root / "mq.c", root / "app" / "mq_format.c", root / "app" / "mq_crc.c", root / "app" / "mq_request.c"]
    _gcc("gcc", directory, ["-O1", "-shared", "-fPIC"], sources, made)
    return made


def _generate(board: Board, directory: Path) -> None:
    (directory / "board.h").write_text(render("board.h.j2", board=board, program=_PROGRAM, app=_APP))
    (directory / "linker.ld").write_text(render("linker.ld.j2", board=board))
    (directory / "digest.h").write_text(f'#define MQ_DIGEST "{DIGEST}"\n')


def _gcc(compiler: str, directory: Path, flags: Sequence[str], sources: Sequence[Path], made: Path) -> None:
    includes = [f"-I{path}" for path in (folder("firmware"), directory, _TINY)]
    command = [compiler, "-std=c11", *WARNINGS, *flags, *includes, *map(str, sources), "-o", str(made)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def samples(rng: np.random.Generator, first: int = 0) -> tuple[bytes, bytes]:
    """Random inputs, but for the first element."""
    a = rng.integers(-128, 128, 700, np.int8)
    a[0] = first
    return a.tobytes(), rng.integers(-32768, 32768, 4, np.int16).tobytes()


def network(inputs: tuple[bytes, ...]) -> list[tuple[bytes, ...]]:
    """The outputs of its three steps, and those of the network."""
    a, b = np.frombuffer(inputs[0], np.uint8), np.frombuffer(inputs[1], np.int16)
    t: Array = a ^ np.uint8(0x5A)
    x: Array = t + np.uint8(1)
    y: Array = np.array([b.sum(dtype=np.int32), x.view(np.int8).sum(dtype=np.int32)], np.int32)
    return [(t.tobytes(),), (x.tobytes(),), (y.tobytes(),), (x.tobytes(), y.tobytes())]


def ask(transport: Transport, command: str, replies: int = 1, timeout_s: float = 5.0) -> list[str]:
    """What a terminal shows for a command: the lines before m-ready, or before the last of several."""
    transport.write(command.encode("ascii"))
    heard = b""
    while heard.count(b"m-ready\r\n") < replies:
        data = transport.read(timeout_s)
        assert data, f"no m-ready after {command!r}, only {heard!r}"
        heard += data
    return heard.decode("ascii").split("\r\n")[:-2]
