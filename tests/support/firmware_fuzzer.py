"""The firmware of a compiled project on this computer, under a fuzzer of its serial port: see fuzz_port.c."""

from __future__ import annotations

import itertools
import struct
import subprocess
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from mcuquant.device.wire import CHUNK_BYTES, request

PORT = Path(__file__).with_name("fuzz_port.c")
WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Werror")
GCC = ("gcc", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-DMQ_FUZZ_FROM_STDIN")
CLANG = ("clang", "-O1", "-g", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all")

PAUSE = b"\xf5"
IMAGE_BYTES = 96
WORDS = [
    "name",
    "profile",
    "timestamp",
    "help",
    "results",
    "db load 8",
    "db load 99999",
    "db print",
    "db 00ff10",
    "db 0",
    "db xx",
    "infer",
    "infer 2 0",
    "infer 0",
    "infer 3 1",
    "mq info",
    "mq seed 7",
    "mq run",
    "mq step 0",
    "mq step 99",
    "mq memory",
    "mq fault",
    "mq fault clear",
    "mq baud 115200",
    "mq baud 1",
    "mq reset",
    "mq node",
    "mq reboot",
    "mq",
]
"""Commands as a person types them."""
VERBS = (
    "info",
    "seed",
    "run",
    "step",
    "reset",
    "out",
    "memory",
    "fault",
    "baud",
    "reboot",
    "in",
    "samples",
    "node",
    "feed",
    "?",
)


def build(project: Path, directory: Path, compiler: tuple[str, ...] = GCC, sample_bytes: int = 2) -> Path:
    """The path of the program. `sample_bytes` is the size of one sample of a sensor node."""
    (directory / "digest.h").write_text(f'#define MQ_DIGEST "{"0" * 64}"\n')
    root = project / "src"
    sources = [path for path in sorted(root.rglob("*.c")) if path.relative_to(root).parts[0] not in ("port", "host")]
    flags = [*compiler, "-std=c11", *WARNINGS, f"-I{root}", f"-I{directory}"]
    with ThreadPoolExecutor(2) as pool:
        objects = list(pool.map(partial(_firmware_object, directory, flags), sources))
    program = directory / "fuzz"
    _run([*flags, f"-DMQ_FUZZ_SAMPLE_BYTES={sample_bytes}u", str(PORT), *map(str, objects), "-o", str(program)])
    return program


def _firmware_object(directory: Path, flags: list[str], source: Path) -> Path:
    """Compile a file; its variables go to sections of their own, which each boot initializes."""
    made = directory / f"{source.parent.name}_{source.stem}.o"
    # libFuzzer provides main(). The C library's headers are those of this computer.
    _run([*flags, "-Dmain=mq_firmware_main", "-c", str(source), "-o", str(made)])
    loaded = "alloc,load,data,contents"
    _run(["objcopy", f"--rename-section=.bss=mq_bss,{loaded}", f"--rename-section=.data=mq_data,{loaded}", str(made)])
    return made


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command[0]}: {done.stderr[-4000:]}"


def packed(cases: Iterable[bytes]) -> bytes:
    """Standard input of the program that GCC makes."""
    return b"".join(struct.pack("<I", len(case)) + case for case in cases)


def conversations(rng: np.random.Generator, count: int) -> Iterator[bytes]:
    """Random conversations: correct requests and damaged ones, typed commands, raw bytes, and pauses."""
    for _ in range(count):
        case = b"".join(_turn(rng) for _ in range(rng.integers(1, 6)))
        yield _damaged(rng, case) if case and rng.integers(3) == 0 else case


def _turn(rng: np.random.Generator) -> bytes:
    kind = rng.integers(10)
    if kind == 0:
        return rng.bytes(rng.integers(1, 100))
    if kind == 1:
        return PAUSE * int(rng.integers(1, 3))
    if kind == 2:
        return b"%"
    if kind < 5:
        return str(rng.choice(WORDS)).encode() + b"%"
    if kind == 5:
        return _inference(rng)
    return _image(rng) if kind == 6 else _request(rng)


def _image(rng: np.random.Generator) -> bytes:
    """An image of IMAGE_BYTES for a network that is fed by rows, in portions of which some are repeated or left out."""
    ends = sorted({0, IMAGE_BYTES, *rng.integers(1, IMAGE_BYTES, rng.integers(4)).tolist()})
    portions = [(int(start), int(end) - int(start)) for start, end in itertools.pairwise(ends)]
    sent = [portion for portion in portions for _ in range(int(rng.choice([0, 1, 1, 1, 1, 2])))]
    return b"".join(request(at, "feed", at, count, payload=rng.bytes(count)) for at, count in sent)


def _inference(rng: np.random.Generator) -> bytes:
    """An inference or a step, and the bytes of its result."""
    number, words = int(rng.integers(4)), ("run",) if rng.integers(2) else ("step", int(rng.integers(2)))
    out = request(number + 1, "out", f"{number:08x}", int(rng.integers(3)), int(rng.integers(12)))
    return request(number, *words) + out


def _number(rng: np.random.Generator) -> int:
    """Small numbers, powers of two and their neighbors."""
    return int(rng.integers(10)) if rng.integers(3) else (1 << int(rng.integers(33))) + int(rng.integers(-1, 2))


def _request(rng: np.random.Generator) -> bytes:
    number, verb = int(rng.integers(4)), str(rng.choice(VERBS))
    words: list[object] = [_number(rng) for _ in range(rng.integers(4))]
    if verb == "in" and rng.integers(4):
        count = int(rng.integers(64 if rng.integers(2) else CHUNK_BYTES + 2))
        return request(number, verb, int(rng.integers(8)), count, payload=rng.bytes(count))
    if verb == "samples" and rng.integers(4):
        count, stream = int(rng.integers(90)), f"{rng.integers(2):08x}"
        return request(number, verb, stream, int(rng.integers(3)) * count, count, payload=rng.bytes(count * 6))
    return request(number, verb, *words)


def _damaged(rng: np.random.Generator, case: bytes) -> bytes:
    """One byte changed, removed or doubled, or the end missing."""
    at, kind = int(rng.integers(len(case))), rng.integers(4)
    if kind == 0:
        return case[:at] + bytes([rng.integers(256)]) + case[at + 1 :]
    if kind == 1:
        return case[:at] + case[at + 1 :]
    return case[:at] + case[at:][:1] + case[at:] if kind == 2 else case[:at]
