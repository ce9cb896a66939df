"""Custom operators of the signal library that become several operations, and files that are refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from tflite_micro import runtime

from mcuquant.arithmetic.interpreter import reset_state, run
from mcuquant.errors import McuquantError
from mcuquant.ir import Array
from mcuquant.tflite.reader.from_tflite import load
from mcuquant.tflite.schema import ModelFile, OperatorRow, TensorRow, write
from mcuquant.tflite.schema.rows import Option, custom

Shape = tuple[int, ...]


def model(name: str, x: Shape, outputs: list[tuple[Shape, str]], **options: Option) -> ModelFile:
    """One operator over an int16 input; the first output is the file's."""
    tensors = [TensorRow("x", x, "INT16"), *(TensorRow(f"y{i}", *y) for i, y in enumerate(outputs))]
    row = OperatorRow(custom(f"Signal{name}"), (0,), tuple(range(1, len(tensors))), options)
    return ModelFile("net", tuple(tensors), (row,), (0,), (1,))


def framer(samples: int, size: int, step: int, prefill: bool) -> ModelFile:
    outputs = [((samples // step, size), "INT16"), ((), "BOOL")]
    return model("Framer", (samples,), outputs, frame_size=size, frame_step=step, prefill=prefill)


def both(file: ModelFile, count: int) -> list[tuple[Array, Array]]:
    """Outputs of each of `count` inferences: ours and TensorFlow Lite Micro's."""
    data = write(file)
    graph, theirs = load(data), runtime.Interpreter.from_bytes(data, arena_size=1 << 16)
    rng, state, results = np.random.default_rng(0), reset_state(graph), []
    for _ in range(count):
        x: npt.NDArray[np.int16] = rng.integers(-32768, 32768, file.tensors[0].shape).astype(np.int16)
        theirs.set_input(x, 0)
        theirs.invoke()
        results.append((run(graph, [x], state)[0], theirs.get_output(0).copy()))
    return results


@pytest.mark.parametrize(("size", "step"), [(12, 4), (12, 5), (7, 7), (9, 2), (5, 4)])
@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("prefill", [True, False])
def test_frames_overlap(size: int, step: int, frames: int, prefill: bool) -> None:
    """Without prefill, frames count once there are samples enough; the library writes nothing before."""
    results = both(framer(frames * step, size, step, prefill), 8)
    first = 0 if prefill else -(-size // step) - 1
    ours, theirs = (np.concatenate(parts)[first:] for parts in zip(*results, strict=True))
    np.testing.assert_array_equal(ours, theirs)
    assert len(ours) == 8 * frames - first


@pytest.mark.parametrize(("shape", "delay"), [((6,), 1), ((6,), 6), ((4,), 10), ((2, 5), 3)])
def test_samples_are_delayed(shape: Shape, delay: int) -> None:
    for ours, theirs in both(model("Delay", shape, [(shape, "INT16")], delay_length=delay), 6):
        np.testing.assert_array_equal(ours, theirs)


def stacker(channels: int, left: int, right: int, step: int = 1) -> ModelFile:
    options = {"stacker_left_context": left, "stacker_right_context": right, "stacker_step": step}
    outputs = [((channels * (left + right + 1),), "INT16"), ((), "BOOL")]
    return model("Stacker", (channels,), outputs, num_channels=channels, **options)


@pytest.mark.parametrize(("left", "right"), [(0, 0), (2, 0), (0, 3), (2, 1)])
def test_rows_are_stacked(left: int, right: int) -> None:
    """The library gives nothing before the row in the middle has `right` rows behind it."""
    for ours, theirs in both(stacker(3, left, right), 8)[right:]:
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("frames", "size", "step"), [(1, 8, 3), (3, 8, 3), (2, 5, 4)])
def test_frames_are_added_where_they_overlap(frames: int, size: int, step: int) -> None:
    file = model("OverlapAdd", (frames, size), [((frames * step,), "INT16")], T=7, frame_step=step)
    for ours, theirs in both(file, 5):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (
            model("Rfft", (16,), [((18,), "INT16")], T=0, fft_length=16),
            "the .tflite: operator 0 (CUSTOM 'SignalRfft') has the element type 0, expected INT16 (7)",
        ),
        (
            model("Rfft", (16,), [((18,), "INT16")], T=7),
            "the .tflite: operator 0 (CUSTOM 'SignalRfft') has no options",
        ),
        (
            model("Rfft", (24,), [((26,), "INT16")], T=7, fft_length=24),
            "the .tflite is not a valid network: graph 'net': operation 0 (Rfft): its length is 24, expected a power "
            "of two from 16 to 4096",
        ),
        (
            framer(10, 12, 4, prefill=True),
            "the .tflite: operator 0 (CUSTOM 'SignalFramer') has 10 samples in steps of 4, expected a multiple",
        ),
        (
            stacker(3, 1, 1, 2),
            "the .tflite: operator 0 (CUSTOM 'SignalStacker') has a step of 2 rows, expected 1: other steps give no "
            "output of each inference",
        ),
        (
            replace(framer(4, 12, 4, prefill=True), outputs=(2,)),
            "the .tflite: output 0 is tensor 2 ('y1'), which no operator computes",
        ),
    ],
)
def test_what_is_refused(file: ModelFile, message: str) -> None:
    with pytest.raises(McuquantError) as error:
        load(write(file))
    assert str(error.value) == message
