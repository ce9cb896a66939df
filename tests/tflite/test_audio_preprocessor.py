"""TensorFlow Lite Micro's audio front end as a file: micro_speech's preprocessor, in every byte."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from tflite_micro import runtime

import mcuquant as mq
from mcuquant.arithmetic.interpreter import reset_state, run
from mcuquant.tflite.writer.to_tflite import to_tflite

_BESIDE = Path(__file__).resolve().parents[3] / "shared" / "mlperf-tiny"
MODEL = Path(os.environ.get("MCUQUANT_MLPERF_TINY", _BESIDE)).parent / "models" / "audio_preprocessor_int8.tflite"
FRAMES = 60


@pytest.mark.skipif(not MODEL.is_file(), reason=f"{MODEL} is not there")
def test_the_preprocessor_of_micro_speech_equals_tensorflow_lite_micro() -> None:
    graph = mq.from_tflite(MODEL)
    files = [MODEL.read_bytes(), to_tflite(graph)]
    theirs = [runtime.Interpreter.from_bytes(data, arena_size=1 << 20) for data in files]
    rng, state = np.random.default_rng(0), reset_state(graph)
    for i in range(FRAMES):
        level = (3, 300, 3000, 30000)[i % 4]
        frame = np.clip(rng.normal(0, level, (1, 480)), -32768, 32767).astype(np.int16)
        found = run(graph, [frame], state)[0]
        for interpreter in theirs:
            interpreter.set_input(frame, 0)
            interpreter.invoke()
            np.testing.assert_array_equal(found, interpreter.get_output(0), str(i))
