"""A network behind the front end decides as it does on features computed elsewhere."""

from __future__ import annotations

from pathlib import Path

import layers
import numpy as np
import pytest
import tflm
from click.testing import CliRunner
from nets import Net
from test_micro_frontend import DEFAULT, reference, sounds
from tflite_micro import runtime

import mcuquant as mq
from mcuquant.arithmetic.interpreter import reset_state, run
from mcuquant.cli.app import main
from mcuquant.errors import ModelError
from mcuquant.features import MicroFrontend, with_front_end
from mcuquant.ir import Array, DType, Graph, QParams, Role, ops
from mcuquant.tflite.writer.to_tflite import to_tflite

SMALL = MicroFrontend(window=120, step=40, channels=6, library="signal")


def network(rows: int, channels: int = 6) -> Graph:
    """Any, over rows of features."""
    net = Net(np.random.default_rng(3))
    x = net.input((1, rows, channels), scale=0.1)
    return net.graph(layers.fully_connected(net, x, 2), name="network")


def stream(graph: Graph, front: MicroFrontend, samples: Array, frames: int) -> list[Array]:
    size, hop, state = graph[graph.inputs[0]].shape[1], frames * front.step, reset_state(graph)
    starts = range(0, len(samples) - size + 1, hop)
    return [run(graph, [samples[None, at : at + size]], state)[0] for at in starts]


def stored(features: Array, graph: Graph, unit: float) -> Array:
    x = graph[graph.inputs[0]]
    return np.clip(np.round(features * unit / x.scale + x.zero_point), -128, 127).astype(np.int8)


@pytest.mark.parametrize(("rows", "frames"), [(1, None), (3, None), (8, None), (8, 2), (8, 8)])
def test_rows_are_kept_that_an_inference_does_not_compute(rows: int, frames: int | None) -> None:
    net, samples = network(rows), sounds(0.2)["bursts"]
    new = frames or (rows if rows <= 4 else 1)
    found = stream(with_front_end(net, SMALL, frames), SMALL, samples, new)
    features = stored(SMALL.features(samples), net, SMALL.unit)
    silence = np.full((rows, SMALL.channels), net[net.inputs[0]].zero_point, np.int8)
    line = np.concatenate([silence, features])
    for i, y in enumerate(found):
        end = rows + (i + 1) * new
        np.testing.assert_array_equal(y, run(net, [line[None, end - rows : end]])[0], str(i))


def test_a_wake_word_equals_features_and_network_on_the_host() -> None:
    folder = Path(pytest.importorskip("pymicro_wakeword").__file__).parent / "models"
    model = (folder / "okay_nabu.tflite").read_bytes()
    net, samples = mq.from_tflite(model), sounds(2.0)["bursts"]
    found = stream(with_front_end(net, DEFAULT), DEFAULT, samples, 3)
    features = stored(reference(samples), net, DEFAULT.unit)
    theirs = runtime.Interpreter.from_bytes(model, arena_size=1 << 18)
    for i, y in enumerate(found):
        theirs.set_input(features[None, 3 * i : 3 * i + 3], 0)
        theirs.invoke()
        assert int(theirs.get_output(0).ravel()[0]) - 128 == int(y.ravel()[0])


TIED = {0.1: 10, 0.3: 5}
"""Scales by which a result is so near to a tie that float32 rounds it away from zero, and how many."""


@pytest.mark.parametrize("scale", [0.10196078568696976, 0.1, 0.0390625, 0.3])
def test_features_in_units_of_the_network_are_the_nearest(scale: float) -> None:
    net = Net(np.random.default_rng(0))
    x = net.input((1, 1500), DType.INT16, DEFAULT.unit)
    y = net.tensor((1, 1500), DType.INT8, Role.ACTIVATION, q=QParams.of(scale, -128))
    net.ops.append(ops.Rescale(inputs=(x,), outputs=(y,)))
    graph, values = net.graph(y), np.arange(1500, dtype=np.int16)[None]
    (found,) = run(graph, [values])
    real = values * DEFAULT.unit / graph[y].scale
    np.testing.assert_array_equal(found, np.clip(np.floor(real + 0.5) - 128, -128, 127))
    if scale not in TIED:
        np.testing.assert_array_equal(found, tflm.run(to_tflite(graph), [values])[0])
        return
    with pytest.raises(ModelError) as error:
        to_tflite(graph)
    assert str(error.value) == (
        f"operation 0 (Rescale) has {TIED[scale]} results that float32 rounds otherwise, which .tflite cannot express: "
        "give its input or output another scale"
    )


def test_networks_that_do_not_fit() -> None:
    front = MicroFrontend(channels=5)
    for net, frames, message in (
        (network(3), None, "the network's input has shape 1x3x6, expected rows of 5 features (1x5, 1x3x5 and so on)"),
        (network(3, 5), 4, "4 new rows of features for an inference are not valid: the network's input has 3, "
         "expected 1 to 3"),
    ):  # fmt: skip
        with pytest.raises(ModelError) as error:
            with_front_end(net, front, frames)
        assert str(error.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mfcc", "--frontend mfcc: 'mfcc' is no front end, expected micro, micro,step=320 and so on"),
        ("micro,step=x", "--frontend micro,step=x: step is 'x', expected a number (int)"),
        ("micro,steps=3", "--frontend micro,steps=3: found 'steps=3', expected KEY=VALUE with one of rate_hz, window, "
         "step, channels, low_hz, high_hz, even_smoothing, odd_smoothing, min_signal_remaining, gain_strength, "
         "gain_offset, smoothing_bits, log_scale, unit, library, frames"),
    ],
)  # fmt: skip
def test_texts_that_describe_no_front_end(text: str, message: str, tmp_path: Path) -> None:
    mq.save(network(3), tmp_path / "net.mq")
    result = CliRunner().invoke(main, ["compile", str(tmp_path / "net.mq"), "--frontend", text, "--no-build"])
    assert result.exit_code == 2
    assert message in result.output


def test_the_command_puts_the_front_end_in_front(tmp_path: Path) -> None:
    mq.save(network(8), tmp_path / "net.mq")
    arguments = ["compile", str(tmp_path / "net.mq"), "--no-build", "-o", str(tmp_path / "out"), "--frontend"]
    result = CliRunner().invoke(main, [*arguments, "micro,window=120,step=40,channels=6,library=signal,frames=2"])
    assert result.exit_code == 0, result.output
    (port,) = mq.Project.open(tmp_path / "out").inputs
    assert (port.dtype, port.shape) == (mq.ir.DType.INT16, (1, 160))
