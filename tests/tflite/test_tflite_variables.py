"""Variables of a .tflite as states, and states as variables: what TensorFlow Lite Micro computes over a stream."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import state_graphs
from tflite_micro import runtime

from mcuquant.arithmetic import interpreter
from mcuquant.demo import speech, wakeword
from mcuquant.errors import ModelError, ToolError, UnsupportedOpError
from mcuquant.ir import Array, Graph, Role
from mcuquant.tflite.reader.from_tflite import load
from mcuquant.tflite.schema import ModelFile, OperatorRow, write
from mcuquant.tflite.schema.rows import Subgraph
from mcuquant.tflite.writer.to_tflite import to_rows, to_tflite

WAKE_WORDS = [("okay_nabu", 300), ("alexa", 60), ("hey_jarvis", 60), ("hey_mycroft", 60)]


def wake_word(name: str) -> bytes:
    """A model of the wheel pymicro-wakeword; its output is uint8."""
    spec = importlib.util.find_spec("pymicro_wakeword")
    assert spec is not None
    assert spec.origin is not None
    return (Path(spec.origin).parent / "models" / f"{name}.tflite").read_bytes()


def audio(rng: np.random.Generator, shape: tuple[int, ...], steps: int) -> list[Array]:
    """Spectra that move like speech between stretches of noise and of silence."""
    loud, place, frames = 0.0, 0.0, []
    channels = np.arange(shape[-1])
    for t in range(steps * shape[1]):
        loud += rng.normal(0, 30) - 0.1 * loud
        place += rng.normal(0, 3) - 0.05 * place
        peaks = sum(np.exp(-(((channels - c - place) / 3) ** 2)) for c in (6, 14, 25))
        frame = -128 + max(0.0, 60 + loud) * peaks + rng.uniform(0, (5, 120, 0)[t // 90 % 3], shape[-1])
        frames.append(np.clip(np.rint(frame), -128, 127))
    return list(np.array(frames, np.int8).reshape(steps, *shape))


def tflm(data: bytes) -> runtime.Interpreter:
    return runtime.Interpreter.from_bytes(data, arena_size=1 << 20)


def step(model: runtime.Interpreter, inputs: list[Array], outputs: int) -> list[Array]:
    for i, x in enumerate(inputs):
        model.set_input(x, i)
    model.invoke()
    return [model.get_output(i) for i in range(outputs)]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, _ in WAKE_WORDS])
def test_wake_words_give_what_tflm_gives_for_long(name: str) -> None:
    test_wake_words_give_what_tflm_gives(name, 1000)


@pytest.mark.parametrize(("name", "steps"), WAKE_WORDS)
def test_wake_words_give_what_tflm_gives(name: str, steps: int) -> None:
    """All states too: a graph whose outputs they are shows them, in TFLM by the file that we write."""
    data = wake_word(name)
    graph = load(data)
    compare(data, graph, audio(np.random.default_rng(0), graph[graph.inputs[0]].shape, steps))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, _ in WAKE_WORDS])
def test_speech_gives_what_tflm_gives(name: str) -> None:
    """The word by synthesizers and sentences by people, with noise below, where Debian's packages are installed."""
    pytest.importorskip("pymicro_features")
    try:
        speech.need_speech()
    except ToolError as missing:
        pytest.skip(str(missing))
    word = wakeword.load(name)
    data = word.model.read_bytes()
    graph = load(data)
    x = graph[graph.inputs[0]]
    spoken = speech.recording(wakeword.PHRASES[name], wakeword.OTHERS, 12, 0)
    frames = wakeword.features(spoken.samples, x.qparams)
    steps = list(frames[: len(frames) // x.shape[1] * x.shape[1]].reshape(-1, *x.shape))
    assert len(steps) >= 500
    scores = compare(data, graph, steps)
    assert max(scores) >= word.cutoff * 255, "no voice says the word clearly"
    assert np.median(scores) < 128


def compare(data: bytes, graph: Graph, inputs: list[Array]) -> list[int]:
    """The first output of every step, as TFLM computes it too."""
    shown = replace(graph, outputs=(*graph.outputs, *(u.value for u in graph.updates)))
    theirs, ours = tflm(data), tflm(to_tflite(shown))
    state, seen, scores = interpreter.reset_state(graph), set[bytes](), list[int]()
    for x in inputs:
        expected = step(theirs, [x], 1)
        (y,) = interpreter.run(graph, [x], state)
        assert expected[0].dtype == np.uint8
        assert np.array_equal(y.astype(int) + 128, expected[0])
        kept = [s.tobytes() for s in state.values()]
        exported = step(ours, [x], len(shown.outputs))
        assert b"".join(e.tobytes() for e in exported) == y.tobytes() + b"".join(kept)
        seen.add(kept[0])
        scores.append(int(expected[0].max()))
    assert len(seen) > len(inputs) // 2, "the input does not excite the network"
    return scores


def test_states_survive_the_format() -> None:
    for name, graph in state_graphs.every().items():
        data = to_tflite(graph)
        back, theirs = load(data), tflm(data)
        states = [interpreter.reset_state(g) for g in (graph, back)]
        rng = np.random.default_rng(2)
        for _ in range(4):
            t = graph[graph.inputs[0]]
            x = rng.integers(*t.dtype.range(), t.shape).astype(t.dtype.numpy)
            expected = step(theirs, [x], len(graph.outputs))
            for made, state in zip((graph, back), states, strict=True):
                outputs = interpreter.run(made, [x], state)
                assert all(np.array_equal(a, b) for a, b in zip(outputs, expected, strict=True)), name


def accumulator_file() -> ModelFile:
    return to_rows(state_graphs.accumulator(np.random.default_rng(0)))


def edited(file: ModelFile, change: dict[str, OperatorRow | None]) -> bytes:
    """The file with operators replaced, or left out, by the code of the first of them."""
    rows, left = [], dict(change)
    for row in file.operators:
        new = left.pop(row.code, row)
        rows += [new] if new is not None else []
    return write(replace(file, operators=tuple(rows)))


def test_a_variable_without_a_first_value_starts_as_real_zero() -> None:
    graph = load(edited(accumulator_file(), {"CALL_ONCE": None}))
    assert all((t.value == t.zero_point).all() for t in graph.states)
    assert len(graph.states) == 2


def test_a_variable_that_nothing_assigns_is_a_constant() -> None:
    graph = load(edited(accumulator_file(), {"ASSIGN_VARIABLE": None}))
    assert len(graph.states) == 1
    assert sum(t.role is Role.CONSTANT and t.shape == (1, 5, 1, 3) for t in graph.tensors.values()) == 1


def test_a_value_read_after_its_assignment_is_the_new_one() -> None:
    file = accumulator_file()
    rows = [row for row in file.operators if row.code != "ASSIGN_VARIABLE"]
    assigns = [row for row in file.operators if row.code == "ASSIGN_VARIABLE"]
    reads = [row for row in rows if row.code == "READ_VARIABLE"]
    delay = next(row for row in assigns if row.inputs[1] in file.inputs)
    at = rows.index(next(row for row in reads if row.inputs[0] == delay.inputs[0]))
    rows.insert(at, delay)
    graph = load(write(replace(file, operators=(*rows, *(row for row in assigns if row is not delay)))))
    assert len(graph.states) == 1
    assert graph.inputs[0] in graph.ops[0].inputs


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"READ_VARIABLE": OperatorRow("READ_VARIABLE", (0,), (1,))},
            "the .tflite: operator 3 (READ_VARIABLE) names tensor 0, which is no variable",
        ),
        (
            {"CALL_ONCE": OperatorRow("CALL_ONCE", (), (), {"init_subgraph_index": 3})},
            "the .tflite: operator 0 (CALL_ONCE) calls subgraph 3, the file has 2",
        ),
        (
            {"ASSIGN_VARIABLE": OperatorRow("ASSIGN_VARIABLE", (99, 0), ())},
            "the .tflite: operator 7 (ASSIGN_VARIABLE) names tensor 99, which is no variable",
        ),
    ],
)
def test_wrong_variables_are_refused(change: dict[str, OperatorRow | None], message: str) -> None:
    with pytest.raises(ModelError) as caught:
        load(edited(accumulator_file(), change))
    assert str(caught.value) == message


def test_a_subgraph_that_computes_is_refused() -> None:
    file = accumulator_file()
    (once,) = file.others
    computing = Subgraph(once.tensors, (*once.operators, OperatorRow("ADD", (1, 1), (3,))))
    with pytest.raises(UnsupportedOpError) as caught:
        load(write(replace(file, others=(computing,))))
    assert str(caught.value) == (
        "the .tflite: subgraph 1, which runs once: operator 4 (ADD) is no assignment of a constant to a variable"
    )


def test_loops_are_refused_by_their_name() -> None:
    file = accumulator_file()
    loop = OperatorRow("WHILE", (0,), (1,))
    with pytest.raises(UnsupportedOpError) as caught:
        load(write(replace(file, operators=(loop, *file.operators))))
    assert "WHILE that writes" in str(caught.value)
    assert "loops are not translated; unroll it (in Keras: unroll=True)" in str(caught.value)
