"""Many networks compiled into one program and run, to compare the C with the interpreter byte for byte.

program = build_host(graphs, tmp_path)                # one gcc run; address and undefined-behaviour sanitizers
outcome = program.run(0, random_inputs(rng, graphs[0]))
assert_equal(graphs[0], outcome, trace(graphs[0], inputs))
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mcuquant import interp
from mcuquant._assets import folder
from mcuquant.core import CORES, Core
from mcuquant.emit import render
from mcuquant.ir import Array, Graph
from mcuquant.lower import lower
from mcuquant.plan import plan
from mcuquant.program import Program

WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Werror")
SANITIZE = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
ARM = {
    "cortex-m0plus": ("-mthumb", "-mcpu=cortex-m0plus"),
    "cortex-m4": ("-mthumb", "-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"),
    "cortex-m55": ("-mthumb", "-mcpu=cortex-m55", "-mfloat-abi=hard"),
}
PLAIN = CORES["cortex-m0plus"]
Inputs = Sequence[Array]


@dataclass(frozen=True, slots=True)
class Outcome:
    """`steps`: (tensor id, value) right after the step that made it; `outputs`: the network's, of a whole run."""

    steps: tuple[tuple[int, Array], ...]
    outputs: tuple[Array, ...]


@dataclass(frozen=True, slots=True)
class HostProgram:
    """An executable that holds `graphs`, compiled as `programs`."""

    executable: Path
    graphs: tuple[Graph, ...]
    programs: tuple[Program, ...]

    def run(self, index: int, *samples: Inputs) -> list[Outcome]:
        """One inference of graph `index` for each sample. AssertionError with what a sanitizer said."""
        head = np.uint32(index).tobytes()
        sent = b"".join(head + b"".join(x.tobytes() for x in sample) for sample in samples)
        done = subprocess.run([self.executable], input=sent, capture_output=True, check=False)
        assert done.returncode == 0, f"{self.graphs[index]}\n{done.stderr.decode(errors='replace')[:4000]}"
        values = iter(_Reader(done.stdout, self.graphs[index], self.programs[index]))
        outcomes = [next(values) for _ in samples]
        assert next(values, None) is None, "more output than samples"
        return outcomes


@dataclass(slots=True)
class _Reader:
    data: bytes
    graph: Graph
    program: Program
    at: int = 0

    def __iter__(self) -> Iterator[Outcome]:
        while self.at < len(self.data):
            steps = [(i, self.take(i)) for call in self.program.calls for i in call.tensor_ids]
            yield Outcome(tuple(steps), tuple(self.take(i) for i in self.graph.outputs))

    def take(self, tensor: int) -> Array:
        t = self.graph[tensor]
        part = self.data[self.at : self.at + t.nbytes]
        assert len(part) == t.nbytes, f"output ends inside tensor {tensor}"
        self.at += t.nbytes
        return np.frombuffer(part, t.dtype.numpy).reshape(t.shape)


def lowered(graph: Graph, index: int, core: Core = PLAIN) -> Program:
    return lower(graph, plan(graph, core), name=f"m{index}")


def model_sources(programs: Sequence[Program], directory: Path) -> list[Path]:
    """The models' .c and .h, and a table of all; paths of the .c files."""
    for program in programs:
        for kind in ("h", "c"):
            (directory / f"{program.prefix}.{kind}").write_text(render(f"model.{kind}.j2", program=program))
    includes = "\n".join(f'#include "{p.prefix}.h"' for p in programs)
    table = ", ".join(f"&{p.prefix}" for p in programs)
    (directory / "models.h").write_text(f"{includes}\nstatic const mq_model_t *const models[] = {{{table}}};\n")
    return [directory / f"{p.prefix}.c" for p in programs]


def build_host(graphs: Sequence[Graph], directory: Path, core: Core = PLAIN) -> HostProgram:
    """All of `graphs` in one executable for this machine."""
    programs = tuple(lowered(graph, i, core) for i, graph in enumerate(graphs))
    sources = model_sources(programs, directory)
    executable = directory / "host"
    main = Path(__file__).with_name("host_main.c")
    compile_c(["gcc", *SANITIZE], [*sources, main], directory, "-o", str(executable))
    return HostProgram(executable, tuple(graphs), programs)


def compile_c(compiler: Sequence[str], sources: Sequence[Path], directory: Path, *flags: str) -> None:
    """AssertionError with the first messages when the compiler has any."""
    includes = ("-I", str(directory), "-I", str(folder("firmware")))
    command = [*compiler, "-std=c11", *WARNINGS, *includes, *map(str, sources), *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:4000]


def assert_equal(name: str, graph: Graph, outcome: Outcome, inputs: Inputs) -> None:
    """Every step's outputs and the network's are those of the interpreter, to the byte."""
    expected = interp.trace(graph, inputs)
    for tensor, value in outcome.steps:
        _assert_same(f"{name}: tensor {tensor}", graph, value, expected[tensor])
    for tensor, value in zip(graph.outputs, outcome.outputs, strict=True):
        _assert_same(f"{name}: output {tensor}", graph, value, expected[tensor])


def _assert_same(what: str, graph: Graph, found: Array, expected: Array) -> None:
    if found.tobytes() != expected.tobytes():
        where = np.flatnonzero(found.reshape(-1) != expected.reshape(-1))[:5]
        pairs = [(int(i), found.reshape(-1)[i], expected.reshape(-1)[i]) for i in where]
        raise AssertionError(f"{what} differs (index, C, interpreter): {pairs}\n{graph}")
