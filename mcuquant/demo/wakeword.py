"""The wake words of the package pymicro-wakeword, and what pymicro-features and TensorFlow Lite Micro make of them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..codegen.sensor_node import Node, NodeRun
from ..errors import ToolError
from ..features.wake_word import WakeWord
from ..ir import Array, QParams
from .speech import Samples

PHRASES = {"alexa": "Alexa", "okay_nabu": "okay nabu", "hey_jarvis": "hey Jarvis", "hey_mycroft": "hey Mycroft"}
"""The words of the package, as a synthesizer speaks them."""
OTHERS = ("what time is it", "turn on the lights", "play some music")
PEOPLE = 3
_PACKAGE = "pymicro-wakeword==2.5.0"
_ARENA_BYTES = 1 << 18
_CHUNK_BYTES = 320
"""Size of the parts that pymicro-features takes."""


def load(name: str) -> WakeWord:
    """ToolError without the package."""
    found = find_spec("pymicro_wakeword")
    if found is None or found.origin is None:
        raise ToolError(f"the demo's wake words are in a package that is not installed: pip install {_PACKAGE}")
    return WakeWord.load(Path(found.origin).parent / "models" / f"{name}.json")


def reference(word: WakeWord, samples: Samples, node: Node, x: QParams, shape: tuple[int, ...]) -> NodeRun | None:
    """The decisions with the features of pymicro-features and the scores of TensorFlow Lite Micro.

    `x` and `shape` are the scale and shape of the network's input. None without both packages.
    """
    if find_spec("tflite_micro") is None or find_spec("pymicro_features") is None:
        return None
    stored = features(samples, x)
    rows = shape[-2]
    count = (len(samples) - node.window) // node.stride + 1
    inputs = stored[: count * rows].reshape(count, *shape)
    return node.run(samples[:, None], _scores(word.model.read_bytes(), inputs))


def features(samples: Samples, x: QParams) -> npt.NDArray[np.int8]:
    """(frames, channels) of pymicro-features, which it needs, with the scale `x`."""
    return np.clip(np.round(_features(samples) / x.scale[0] + x.zero_point), -128, 127).astype(np.int8)


def _features(samples: Samples) -> npt.NDArray[np.float64]:
    from pymicro_features import MicroFrontend  # type: ignore[import-untyped, unused-ignore]

    front, data, at, rows = MicroFrontend(), samples.tobytes(), 0, []
    while at + _CHUNK_BYTES <= len(data):
        result = front.process_samples(data[at : at + _CHUNK_BYTES])
        at += 2 * result.samples_read
        if result.features:
            rows.append(result.features)
    return np.array(rows)


def _scores(model: bytes, inputs: Array) -> Array:
    """(N, 1) int8: the model's are uint8."""
    from tflite_micro import runtime

    interpreter = runtime.Interpreter.from_bytes(model, arena_size=_ARENA_BYTES)
    scores = []
    for x in inputs:
        interpreter.set_input(x, 0)
        interpreter.invoke()
        scores.append(int(interpreter.get_output(0).ravel()[0]) - 128)
    return np.array(scores, np.int8)[:, None]
