"""The audio front end equals pymicro-features and TensorFlow Lite Micro in every feature."""

from __future__ import annotations

import re
import subprocess
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from harness import (
    ARM,
    build_device,
    build_host,
    check_stream,
    compile_c,
    compile_host,
    lowered,
    model_sources,
)
from tflite_micro import runtime

from mcuquant.arithmetic.interpreter import reset_state, run
from mcuquant.boards.core import CORES
from mcuquant.errors import CalibrationError, ModelError
from mcuquant.features import MicroFrontend, front_end_graph
from mcuquant.planner import Goal
from mcuquant.planner.objective import Objective
from mcuquant.tflite.reader.from_tflite import load
from mcuquant.tflite.writer.to_tflite import to_tflite

Samples = npt.NDArray[np.int16]
DEFAULT = MicroFrontend()


def sounds(seconds: float = 1.0, seed: int = 0) -> dict[str, Samples]:
    """Noise, silence, tones and full scale."""
    rng, n = np.random.default_rng(seed), int(16000 * seconds)
    square = np.sin(np.arange(n) * 0.02) > 0
    bursts = np.repeat(rng.choice([1, 10, 1000, 20000], -(-n // 1600)), 1600)[:n]
    real = {
        "noise": rng.normal(0, 3000, n),
        "clipped": rng.normal(0, 40000, n),
        "quiet": rng.integers(-3, 4, n),
        "silence": np.zeros(n),
        "chirp": 20000 * np.sin(np.cumsum(np.linspace(0.01, 2.5, n))),
        "bursts": rng.normal(0, 1, n) * bursts,
        "full scale": np.where(square, 32767, -32768),
        "impulses": np.where(np.arange(n) % 1000 == 7, -32768, 0),
    }
    return {name: np.clip(np.rint(x), -32768, 32767).astype(np.int16) for name, x in real.items()}


def reference(samples: Samples) -> npt.NDArray[np.int64]:
    """Features by pymicro-features, in its integers."""
    micro = pytest.importorskip("pymicro_features").MicroFrontend()
    data, at, rows = samples.tobytes(), 0, []
    while at + 320 <= len(data):
        result = micro.process_samples(data[at : at + 320])
        at += result.samples_read * 2
        if result.features:
            rows.append(result.features)
    return np.rint(np.array(rows) / DEFAULT.unit).astype(int)


@pytest.mark.parametrize("name", sounds())
def test_features_equal_pymicro_features(name: str) -> None:
    samples = sounds(seed=1)[name]
    np.testing.assert_array_equal(DEFAULT.features(samples), reference(samples))


@pytest.mark.slow
def test_a_million_features_equal_pymicro_features() -> None:
    for seed in range(8):
        for samples in sounds(40, seed + 2).values():
            np.testing.assert_array_equal(DEFAULT.features(samples), reference(samples))


def test_constants_do_not_depend_on_the_machine() -> None:
    start, end, f = DEFAULT.filters
    crcs = [zlib.crc32(v.tobytes()) for v in (DEFAULT.window_weights, DEFAULT.gains, f.weights, f.unweights)]
    assert (start, end, f.widths.tolist()[-3:]) == (5, 241, [13, 13, 15])
    assert crcs == CRCS


CRCS = [1819639892, 1178936084, 3569288491, 1052345077]

FORMS = [
    MicroFrontend(library="signal"),
    MicroFrontend(library="signal", step=320),
    MicroFrontend(library="signal", window=512, step=512, channels=1),
    MicroFrontend(library="signal", window=400, channels=26, low_hz=20, high_hz=4000),
    MicroFrontend(library="signal", rate_hz=8000, window=200, step=80, channels=23, low_hz=60, high_hz=3800),
    MicroFrontend(library="signal", rate_hz=44100, window=1103, step=441, channels=64, high_hz=20000),
    MicroFrontend(library="signal", even_smoothing=0.2, odd_smoothing=0.01, min_signal_remaining=0.5),
    MicroFrontend(library="signal", gain_strength=0.5, gain_offset=10, log_scale=256),
]


def _frames(front: MicroFrontend, samples: Samples, frames: int) -> Iterator[Samples]:
    size, hop = front.window + (frames - 1) * front.step, frames * front.step
    for at in range(0, len(samples) - size + 1, hop):
        yield samples[None, at : at + size]


@pytest.mark.parametrize("front", FORMS, ids=range(len(FORMS)))
def test_every_form_equals_the_signal_library(front: MicroFrontend) -> None:
    """The graph as a .tflite in TensorFlow Lite Micro, the graph in the interpreter, and the function over arrays."""
    graph = front_end_graph(front)
    model = to_tflite(graph)
    assert [op.kind for op in load(model).ops] == [op.kind for op in graph.ops]
    for name, samples in sounds(0.3, seed=3).items():
        theirs = runtime.Interpreter.from_bytes(model, arena_size=1 << 20)
        expected, state = front.features(samples), reset_state(graph)
        for i, frame in enumerate(_frames(front, samples, 1)):
            theirs.set_input(frame, 0)
            theirs.invoke()
            np.testing.assert_array_equal(theirs.get_output(0).ravel(), expected[i], f"{name} {i}")
            np.testing.assert_array_equal(run(graph, [frame], state)[0].ravel(), expected[i], f"{name} {i}")


def test_frames_of_one_inference_follow_one_another() -> None:
    graph = front_end_graph(DEFAULT, frames=3)
    samples, state = sounds(0.5)["bursts"], reset_state(graph)
    rows = [run(graph, [frames], state)[0][0] for frames in _frames(DEFAULT, samples, 3)]
    found = np.concatenate(rows)
    np.testing.assert_array_equal(found, DEFAULT.features(samples)[: len(found)])


SMALL = MicroFrontend(window=120, step=40, channels=6)
GOAL = Goal(Objective.SIZE)


def test_the_chain_in_c_equals_the_interpreter(tmp_path: Path) -> None:
    forms = [(front, frames) for front in (DEFAULT, SMALL) for frames in (1, 2)]
    runner = build_host([front_end_graph(*form) for form in forms], tmp_path)
    for i, (front, frames) in enumerate(forms):
        for name, samples in sounds(0.1, seed=5).items():
            check_stream(name, runner, i, [[x] for x in _frames(front, samples, frames)])


def test_a_chain_made_small_equals_the_interpreter(tmp_path: Path) -> None:
    """Frames that share their kernels, those of cores with SMLAD too, under the sanitizers."""
    graph = front_end_graph(SMALL, frames=3)
    programs = tuple(lowered(graph, i, CORES[f"cortex-{core}"], goal=GOAL) for i, core in enumerate(("m0", "m4")))
    runner = compile_host([graph, graph], programs, tmp_path)
    for i, program in enumerate(programs):
        assert program.shared
        check_stream(f"program {i}", runner, i, [[x] for x in _frames(SMALL, sounds(0.05)["clipped"], 3)])


@pytest.mark.parametrize("cpu", ["cortex-m0plus", "cortex-m4", "cortex-m55"])
def test_the_chain_on_a_core_equals_the_interpreter(cpu: str, tmp_path: Path) -> None:
    graph = front_end_graph(DEFAULT, frames=1)
    runner = build_device([graph], tmp_path, cpu)
    check_stream(cpu, runner, 0, [[x] for x in _frames(DEFAULT, sounds(0.15)["bursts"], 1)])


def test_features_of_tensors_are_the_same_numbers() -> None:
    torch = pytest.importorskip("torch")
    rows = np.stack([sounds(0.2)[name] for name in ("bursts", "chirp")])
    found = DEFAULT.tensor(torch.from_numpy(rows))
    assert found.dtype is torch.float32
    for row, samples in zip(found.numpy(), rows, strict=True):
        np.testing.assert_array_equal(row, DEFAULT.features(samples) * np.float32(10 / 256))
    np.testing.assert_array_equal(DEFAULT.tensor(torch.from_numpy(rows[0])).numpy(), found[0].numpy())


def test_no_core_divides_64_bits(tmp_path: Path) -> None:
    """The generated code for a Cortex-M0+ calls no division of the compiler's library."""
    (source,) = model_sources([lowered(front_end_graph(DEFAULT), 0)], tmp_path)
    compiler = ["arm-none-eabi-gcc", "-O2", *ARM["cortex-m0plus"], "-c"]
    compile_c(compiler, [source], tmp_path, "-o", str(tmp_path / "model.o"))
    done = subprocess.run(["arm-none-eabi-nm", "-u", tmp_path / "model.o"], capture_output=True, text=True, check=True)
    called = set(re.findall(r"__aeabi_\w+", done.stdout))
    assert called
    assert not called & {"__aeabi_ldivmod", "__aeabi_uldivmod"}


def test_parameters_that_do_not_go_together() -> None:
    for changes, message in (
        (
            {"step": 500},
            "a window of 480 samples and a step of 500 are not valid: expected a window of at most 4096 "
            "samples, and a step from 1 to the window",
        ),
        ({"channels": 0}, "0 channels are not valid: expected 1 to 256"),
        ({"high_hz": 9000.0}, "a band from 125 to 9000 Hz is not valid: expected one in 0 to 8000 Hz"),
        ({"library": "other"}, "library 'other' is not known: expected 'microfrontend' or 'signal'"),
    ):
        with pytest.raises(ModelError) as error:
            replace(DEFAULT, **changes)
        assert str(error.value) == message


def test_samples_of_another_type() -> None:
    with pytest.raises(CalibrationError) as error:
        DEFAULT.features(np.zeros(800))  # type: ignore[arg-type]
    assert str(error.value) == "samples are float64 of shape (800,), expected int16 of one axis"
    assert DEFAULT.features(np.zeros(479, np.int16)).shape == (0, 40)
