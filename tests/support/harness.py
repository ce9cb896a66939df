"""Many networks compiled into one program and run, to compare the C with the interpreter byte for byte.

runner = build_host(graphs, tmp_path)                    # this machine, address and undefined-behaviour sanitizers
runner = build_device(graphs, tmp_path, "cortex-m4")     # or an emulated core that traps unaligned accesses
for sample, outcome in zip(samples, runner.run(0, *samples)):
    assert_equal("the first", graphs[0], outcome, sample)
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from nets import random_inputs

from mcuquant._assets import folder
from mcuquant.arithmetic import interpreter
from mcuquant.boards.core import CORES, Core
from mcuquant.codegen.emit import kernel_headers, model_files
from mcuquant.codegen.lower import lower
from mcuquant.codegen.program import Program
from mcuquant.ir import Array, Graph, Tensor
from mcuquant.kernels import Site, Variant, variants_of
from mcuquant.planner import Filter, Goal, plan

WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Werror")
Command = tuple[str, ...]
SANITIZE = ("gcc", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
ARM = {
    "cortex-m0plus": ("-mthumb", "-mcpu=cortex-m0plus"),
    "cortex-m3": ("-mthumb", "-mcpu=cortex-m3", "-mno-unaligned-access"),
    "cortex-m4": ("-mthumb", "-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "-mno-unaligned-access"),
    "cortex-m55": ("-mthumb", "-mcpu=cortex-m55", "-mfloat-abi=hard", "-mno-unaligned-access"),
}
MACHINES = {
    "cortex-m0plus": ("mps2-an385", 0x0000_0000, 0x2000_0000),
    "cortex-m3": ("mps2-an385", 0x0000_0000, 0x2000_0000),
    "cortex-m4": ("mps2-an386", 0x0000_0000, 0x2000_0000),
    "cortex-m55": ("mps3-an547", 0x1000_0000, 0x3000_0000),
}
"""QEMU's machine for the code of each core, and where its flash and RAM begin. Armv6-M code runs on a Cortex-M3."""
_LINKER_SCRIPT = """
MEMORY {{ flash (rx) : ORIGIN = {flash}, LENGTH = {flash_length}
          ram (rw) : ORIGIN = {ram}, LENGTH = 512K }}
SECTIONS {{
    .text : {{ KEEP(*(.vectors)) *(.text* .rodata*) }} > flash
    .ARM.exidx : {{ *(.ARM.exidx*) }} > flash
    .data : {{ *(.data*) }} > ram
    .bss : {{ . = ALIGN(8); bss_start = .; *(.bss* COMMON) . = ALIGN(8); bss_end = .; }} > ram
    heap_start = .; end = .;
    heap_end = ORIGIN(ram) + LENGTH(ram) - 16K;
    stack_top = ORIGIN(ram) + LENGTH(ram);
}}
"""
PLAIN = CORES["cortex-m0plus"]
Inputs = Sequence[Array]


@dataclass(frozen=True, slots=True)
class Outcome:
    """`steps`: (tensor id, value) right after the step that made it; `outputs`: the network's, of a whole run."""

    steps: tuple[tuple[int, Array], ...]
    outputs: tuple[Array, ...]


@dataclass(frozen=True, slots=True)
class Runner:
    """A command that runs `graphs`, compiled as `programs`."""

    command: tuple[str, ...]
    graphs: tuple[Graph, ...]
    programs: tuple[Program, ...]

    def run(self, index: int, *samples: Inputs) -> list[Outcome]:
        """One inference of graph `index` for each sample. AssertionError with what a sanitizer or a fault said."""
        return self.run_all([(index, sample) for sample in samples])

    def run_all(self, jobs: Sequence[tuple[int, Inputs]]) -> list[Outcome]:
        """One inference for each (index, sample), all in one process."""
        sent = b"".join(np.uint32(i).tobytes() + b"".join(x.tobytes() for x in sample) for i, sample in jobs)
        done = subprocess.run(self.command, input=sent, capture_output=True, check=False, timeout=240)
        reader = _Reader(done.stdout)
        told = done.stderr.decode(errors="replace")[:4000]
        assert done.returncode == 0, f"{told}\nlast of: {self.graphs[jobs[-1][0]]}"
        outcomes = [reader.outcome(self.graphs[i], self.programs[i]) for i, _ in jobs]
        assert reader.at == len(reader.data), "more output than samples"
        return outcomes


@dataclass(slots=True)
class _Reader:
    data: bytes
    at: int = 0

    def outcome(self, graph: Graph, program: Program) -> Outcome:
        calls = () if program.feed else program.calls
        steps = [(i, self.take(graph[i])) for call in calls for i in call.tensor_ids]
        return Outcome(tuple(steps), tuple(self.take(graph[i]) for i in graph.outputs))

    def take(self, t: Tensor) -> Array:
        part = self.data[self.at : self.at + t.nbytes]
        assert len(part) == t.nbytes, f"output ends inside tensor {t.id}"
        self.at += t.nbytes
        return np.frombuffer(part, t.dtype.numpy).reshape(t.shape)


def choose(site: Site, name: str = "") -> Variant:
    """The variant that takes the operation and that `name` begins with, its note in it; else the first in the table."""
    taking = [variant for variant in variants_of(site.op) if variant.applies(site)]
    named = [v for v in variants_of(site.op) if name.startswith(v.name.removesuffix("_s8"))]
    longest = max((v.name for v in named), key=len, default="")
    noted = [v for v in taking if v.name == longest and v.note in name]
    return max(noted, key=lambda v: len(v.note), default=taking[0])


def preferred(name: str = "") -> Filter:
    """A plan's choice that is no choice: tests compare every variant, also where another one is faster."""
    return lambda site, variant: variant is choose(site, name)


def lowered(graph: Graph, index: int, core: Core = PLAIN, name: str = "", goal: Goal | None = None) -> Program:
    """By the variant that `name` begins with, or by those that reach a goal."""
    planned = plan(graph, core, goal) if goal else plan(graph, core, only=preferred(name))
    return lower(planned, name=f"m{index}")


def model_sources(programs: Sequence[Program], directory: Path) -> list[Path]:
    """The models' own files, and a table of all; paths of the .c files."""
    for program in programs:
        for path, text in model_files(program).items():
            (directory / Path(path).name).write_text(text)
    includes = "\n".join(f'#include "{p.prefix}.h"' for p in programs)
    table = ", ".join(f"&{p.prefix}" for p in programs)
    models = f"static const mq_model_t *const models[] = {{{table}}};"
    feeds = "\n".join(_feed_wrapper(p) for p in programs if p.feed)
    entries = ", ".join(f"{{{p.prefix}_by_rows, {p.prefix}_restart}}" if p.feed else "{0, 0}" for p in programs)
    (directory / "models.h").write_text(
        f"{includes}\n{models}\n{_FEED}{feeds}\nstatic const feed_t feeds[] = {{{entries}}};\n"
    )
    return [directory / f"{p.prefix}.c" for p in programs]


_FEED = """typedef struct {
    int (*feed)(void *arena, const void *rows, int n);
    void (*restart)(void);
} feed_t;
"""


def _feed_wrapper(program: Program) -> str:
    """The function that takes rows, with rows of any type."""
    arguments = "void *arena, const void *rows, int n"
    return f"static int {program.prefix}_by_rows({arguments}) {{ return {program.prefix}_feed(arena, rows, n); }}"


def build_host(graphs: Sequence[Graph], directory: Path, core: Core = PLAIN, names: Sequence[str] = ()) -> Runner:
    """All of `graphs` in one executable for this machine, by the variants that `names` begin with."""
    return compile_host(graphs, _programs(graphs, core, names), directory)


def compile_host(
    graphs: Sequence[Graph], programs: tuple[Program, ...], directory: Path, compiler: Command = SANITIZE
) -> Runner:
    sources = model_sources(programs, directory)
    executable = directory / "host"
    compile_c(compiler, [*sources, _beside("host_main.c")], directory, "-o", str(executable))
    return Runner((str(executable),), tuple(graphs), programs)


def _programs(graphs: Sequence[Graph], core: Core, names: Sequence[str]) -> tuple[Program, ...]:
    wanted = names or [""] * len(graphs)
    return tuple(lowered(graph, i, core, name) for i, (graph, name) in enumerate(zip(graphs, wanted, strict=True)))


def build_device(
    graphs: Sequence[Graph],
    directory: Path,
    cpu: str,
    names: Sequence[str] = (),
    optimize: Command = ("-O2",),
    network: Callable[[Sequence[Path]], Sequence[Path]] | None = None,
) -> Runner:
    """All of `graphs` as code for `cpu`, run by QEMU; unaligned accesses fault on every core."""
    return compile_device(graphs, _programs(graphs, CORES[cpu], names), directory, cpu, optimize, network)


def compile_device(
    graphs: Sequence[Graph],
    programs: tuple[Program, ...],
    directory: Path,
    cpu: str,
    optimize: Command = ("-O2",),
    network: Callable[[Sequence[Path]], Sequence[Path]] | None = None,
) -> Runner:
    """`network` makes objects of the networks' sources; without it they are compiled as everything else is."""
    sources: Sequence[Path] = model_sources(programs, directory)
    made = network(sources) if network else sources
    command = link_device([*made, _beside("host_main.c")], directory, cpu, optimize)
    return Runner(command, tuple(graphs), programs)


def link_device(sources: Sequence[Path], directory: Path, cpu: str, optimize: Command = ("-O2",)) -> Command:
    """The command that runs a C program with stdin and stdout on an emulated core."""
    memory = folder("firmware") / "port" / "cortexm" / "mq_memory.c"
    machine, flash, ram = MACHINES[cpu]
    script, elf = directory / "device.ld", directory / "device.elf"
    script.write_text(_LINKER_SCRIPT.format(flash=flash, ram=ram, flash_length="4M" if flash == 0 else "512K"))
    specs = ("--specs=nano.specs", "--specs=rdimon.specs", "-nostartfiles")
    compiler = ["arm-none-eabi-gcc", *optimize, *ARM[cpu], *specs]
    flags = ("-T", str(script), "-Wl,--no-warn-rwx-segments", "-o", str(elf))
    compile_c(compiler, [*sources, _beside("device_start.c"), memory], directory, *flags)
    quiet = ("-display", "none", "-monitor", "none", "-serial", "none")
    semihosting = ("-semihosting-config", "enable=on,target=native")
    return ("qemu-system-arm", "-machine", machine, *quiet, *semihosting, "-kernel", str(elf))


def _beside(name: str) -> Path:
    return Path(__file__).with_name(name)


def _link_kernels(directory: Path) -> None:
    """The kernel headers in one folder, as a generated project has them."""
    kernels = directory / "kernels"
    if not kernels.is_dir():
        kernels.mkdir(parents=True)
        for name, path in kernel_headers().items():
            (kernels / name).symlink_to(path)


def compile_c(compiler: Sequence[str], sources: Sequence[Path], directory: Path, *flags: str) -> None:
    """AssertionError with the first messages when the compiler has any."""
    _link_kernels(directory)
    includes = ("-I", str(directory), "-I", str(folder("firmware")))
    command = [*compiler, "-std=c11", *WARNINGS, *includes, *map(str, sources), *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:4000]


def assert_equal(
    name: str, graph: Graph, outcome: Outcome, inputs: Inputs, state: interpreter.State | None = None
) -> None:
    """Every step's outputs and the network's are those of the interpreter, to the byte."""
    expected = interpreter.trace(graph, inputs, state)
    for tensor, value in outcome.steps:
        _assert_same(f"{name}: tensor {tensor}", graph, value, expected[tensor])
    for tensor, value in zip(graph.outputs, outcome.outputs, strict=True):
        _assert_same(f"{name}: output {tensor}", graph, value, expected[tensor])


def check_stream(name: str, runner: Runner, index: int, samples: Sequence[Inputs]) -> None:
    """One of the runner's networks over a stream of samples, from its beginning."""
    graph = runner.graphs[index]
    state = interpreter.reset_state(graph)
    for sample, outcome in zip(samples, runner.run(index, *samples), strict=True):
        assert_equal(name, graph, outcome, sample, state)


def check_random(names: Sequence[str], runner: Runner, samples: int) -> None:
    """All of the runner's networks, by their names, on so many random inputs each."""
    jobs = [
        (i, random_inputs(np.random.default_rng((i, k)), graph))
        for i, graph in enumerate(runner.graphs)
        for k in range(samples)
    ]
    for (i, sample), outcome in zip(jobs, runner.run_all(jobs), strict=True):
        assert_equal(names[i], runner.graphs[i], outcome, sample)


def _assert_same(what: str, graph: Graph, found: Array, expected: Array) -> None:
    if found.tobytes() != expected.tobytes():
        where = np.flatnonzero(found.reshape(-1) != expected.reshape(-1))[:5]
        pairs = [(int(i), found.reshape(-1)[i], expected.reshape(-1)[i]) for i in where]
        raise AssertionError(f"{what} differs (index, C, interpreter): {pairs}\n{graph}")
