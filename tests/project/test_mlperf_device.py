"""MLPerf Tiny's int8 models answer as TensorFlow Lite Micro does, to the byte: on this computer, on emulated cores."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import mlperf
import numpy as np
import pytest
from tflite_micro import runtime
from tflm import ARENA_BYTES

from mcuquant import flow
from mcuquant._assets import folder
from mcuquant.boards.board import load_board
from mcuquant.device.wire import TensorInfo, seeded_input
from mcuquant.ir import Array
from mcuquant.project.project import Project

SHAPES = {"ad_int8": (1, 640), "ic_int8": (1, 32, 32, 3), "kws_int8": (1, 49, 10, 1), "vww_int8": (1, 96, 96, 3)}
ARENAS_BYTES = {"ad_int8": 2_580, "ic_int8": 54_996, "kws_int8": 22_820, "vww_int8": 100_708}
"""What TensorFlow Lite Micro takes."""
M4 = "qemu-mps2-an386"
OTHERS = {
    "m0plus": "m0plus",
    "m3": "qemu-mps2-an385",
    "m7": "qemu-mps2-an500",
    "m33": "qemu-mps2-an505",
    "m55": "qemu-mps3-an547",
}
FEW, MANY, SAMPLE = 4, 100, 20
each_model = pytest.mark.parametrize("name", mlperf.INT8)
each_core = pytest.mark.parametrize("core", OTHERS)

Projects = Callable[[str, str], Project]


@cache
def reference(name: str) -> Callable[[Array], Array]:
    """The model in TensorFlow Lite Micro."""
    interpreter = runtime.Interpreter.from_bytes(mlperf.path(f"{name}.tflite").read_bytes(), arena_size=ARENA_BYTES)

    def run(x: Array) -> Array:
        interpreter.set_input(x.reshape(SHAPES[name]), 0)
        interpreter.invoke()
        return interpreter.get_output(0)

    return run


def expected(name: str, x: Array) -> Array:
    return np.concatenate([reference(name)(row) for row in x])


def noise(name: str, seed: int) -> Array:
    """What the board makes of a seed."""
    shape = SHAPES[name]
    return np.frombuffer(seeded_input(seed, [TensorInfo("int8", int(np.prod(shape)))]), np.int8).reshape(shape)


def patches(name: str, seed: int) -> Array:
    """Patches of one level under a little noise: the networks answer more to them than to noise."""
    shape, rng = SHAPES[name], np.random.default_rng(seed)
    coarse = rng.normal(0, rng.uniform(5, 90), [-(-n // 16) for n in shape[:-1]] + [shape[-1]])
    for axis, n in enumerate(shape[:-1]):
        coarse = np.repeat(coarse, 16, axis).take(range(n), axis)
    levels = coarse + rng.normal(0, rng.uniform(0, 30), shape) + rng.uniform(-60, 60)
    return np.clip(np.round(levels), -128, 127).astype(np.int8)


def samples(name: str, count: int) -> Array:
    """`count` of noise and as many of patches, by turns."""
    return np.concatenate([make(name, i) for i in range(count) for make in (noise, patches)])


def m0plus_board(directory: Path) -> Path:
    """Armv6-M code on the board of a Cortex-M3, whose unaligned accesses fault under our firmware as an M0+'s do."""
    text = (folder("boards") / "qemu-mps2-an385.toml").read_text()
    assert 'cpu = "cortex-m3"' in text
    path = directory / "m0plus.toml"
    path.write_text(text.replace('cpu = "cortex-m3"', 'cpu = "cortex-m0plus"'))
    return path


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Projects:
    """The firmware of a model on a board, built once."""
    made: dict[tuple[str, str], Project] = {}

    def project(name: str, board: str) -> Project:
        if (name, board) not in made:
            directory = tmp_path_factory.mktemp(name)
            profile = m0plus_board(directory) if board == "m0plus" else board
            graph = flow.from_tflite(mlperf.path(f"{name}.tflite"))
            made[name, board] = flow.compile(graph, profile, directory / "net")
        return made[name, board]

    return project


def check_host(name: str, directory: Path, count: int) -> None:
    graph = flow.from_tflite(mlperf.path(f"{name}.tflite"))
    project = flow.compile(graph, output=directory / "net", build_firmware=False)
    x = samples(name, count)
    y = expected(name, x)
    assert len(np.unique(y, axis=0)) > count // 4
    assert project.run_host(x, sanitize=True)[0].tobytes() == y.tobytes()


def check_board(project: Project, name: str, seeds: int, sent: int) -> None:
    """`seeds` inputs made on the board, compared by the CRC of their outputs; `sent` that go there and back."""
    with project.connect() as dut:
        for seed in range(seeds):
            dut.link.seed(seed)
            found = dut.link.run(read=False).crc
            assert found == zlib.crc32(reference(name)(noise(name, seed)).tobytes()), f"of seed {seed}"
        x = np.concatenate([patches(name, i) for i in range(sent)])
        y = dut.run(x)
    assert isinstance(y, np.ndarray)
    assert y.tobytes() == expected(name, x).tobytes()


def check_kws(project: Project, count: int) -> int:
    """How many of the first `count` recordings are told right; every byte of output is TensorFlow Lite Micro's."""
    with np.load(mlperf.path("kws01.npz")) as held:
        x, classes = held["x"][:count].reshape(-1, *SHAPES["kws_int8"][1:]), held["y"][:count]
    with project.connect() as dut:
        y = dut.run(x)
    assert isinstance(y, np.ndarray)
    assert y.tobytes() == expected("kws_int8", x).tobytes()
    return int((y.argmax(axis=1) == classes).sum())


@each_model
def test_on_this_computer(name: str, tmp_path: Path) -> None:
    check_host(name, tmp_path, FEW)


@pytest.mark.slow
@each_model
def test_on_this_computer_many_times(name: str, tmp_path: Path) -> None:
    check_host(name, tmp_path, MANY)


@pytest.mark.emulator
@each_model
def test_on_a_cortex_m4(projects: Projects, name: str) -> None:
    check_board(projects(name, M4), name, FEW, 1)


@pytest.mark.slow
@pytest.mark.emulator
@each_model
def test_on_a_cortex_m4_many_times(projects: Projects, name: str) -> None:
    check_board(projects(name, M4), name, MANY, SAMPLE)


@pytest.mark.emulator
@each_core
def test_a_model_on_other_cores(projects: Projects, core: str) -> None:
    check_board(projects("kws_int8", OTHERS[core]), "kws_int8", FEW, 1)


@pytest.mark.slow
@pytest.mark.emulator
@each_core
@each_model
def test_every_model_on_other_cores(projects: Projects, core: str, name: str) -> None:
    project = projects(name, OTHERS[core])
    assert project.manifest["core"] == f"cortex-{core}"
    check_board(project, name, SAMPLE, FEW)


@pytest.mark.emulator
def test_words_over_serial(projects: Projects) -> None:
    assert check_kws(projects("kws_int8", M4), 50) == 47


@pytest.mark.slow
@pytest.mark.emulator
def test_all_words_over_serial(projects: Projects) -> None:
    """TensorFlow Lite Micro's own score."""
    assert check_kws(projects("kws_int8", M4), 1000) == 901


@each_model
def test_arenas_are_not_above_those_of_tensorflow_lite_micro(name: str) -> None:
    graph = flow.from_tflite(mlperf.path(f"{name}.tflite"))
    for board in (M4, OTHERS["m3"], OTHERS["m55"]):
        steps, _ = flow.to_program(graph, load_board(board))
        assert steps.arena_bytes <= ARENAS_BYTES[name]
