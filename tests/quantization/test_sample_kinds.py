"""Calibration data in the forms that people have them in, and what is said of data that look wrong."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from floats import dense
from nets import Net
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import mcuquant as mq
from mcuquant.errors import CalibrationError, CalibrationWarning
from mcuquant.ir import Array, DType, Graph, ops
from mcuquant.quantization import as_quantized, quantize
from mcuquant.quantization.improvements import ENOUGH_DB
from mcuquant.quantization.methods import METHODS
from mcuquant.quantization.samples import read_samples
from mcuquant.quantization.snr import output_snr

X = np.random.default_rng(0).normal(0, 1, (12, 3, 5, 4)).astype(np.float32)
"""(N, C, H, W)."""
LABELS = torch.zeros(12)


def image_graph() -> Graph:
    net = Net(np.random.default_rng(0), DType.FLOAT32)
    x = net.input((1, 5, 4, 3))
    return net.graph(net.apply(ops.Tanh, (x,), (1, 5, 4, 3)))


def batches() -> Iterator[Array]:
    yield X[:5]
    yield X[5:]


T = torch.from_numpy(X)
FORMS: Mapping[str, Callable[[], Any]] = {
    "array": lambda: X,
    "tensor": lambda: T,
    "tensor with a gradient": lambda: T.clone().requires_grad_(),
    "list of samples": lambda: list(X),
    "list of tensors": lambda: list(T),
    "tuple of batches": lambda: (X[:3], X[3:]),
    "samples with labels": lambda: [(x, 0) for x in T],
    "generator": batches,
    "data set": lambda: TensorDataset(T, LABELS),
    "loader": lambda: DataLoader(TensorDataset(T, LABELS), batch_size=5),
    "loader of mappings": lambda: DataLoader([{"input_0": x} for x in T], batch_size=5),  # type: ignore[arg-type]
    "mapping": lambda: {"input_0": T},
    "channels last": lambda: X.transpose(0, 2, 3, 1),
    "list of samples, channels last": lambda: list(X.transpose(0, 2, 3, 1)),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_one_input(form: str) -> None:
    (found,) = read_samples(image_graph(), FORMS[form]())
    assert np.array_equal(found, X.transpose(0, 2, 3, 1))


@pytest.mark.parametrize("one", [X[0], T[0], X[:1]])
def test_one_sample(one: Any) -> None:
    (found,) = read_samples(image_graph(), one)
    assert np.array_equal(found, X[:1].transpose(0, 2, 3, 1))


A, B = X[:, 0, 0], X[:, 1, :2, :3].reshape(12, 6)
PAIRS: Mapping[str, Callable[[], Any]] = {
    "arrays": lambda: (A, B),
    "tensors": lambda: [torch.from_numpy(A), torch.from_numpy(B)],
    "mapping": lambda: {"input_1": B, "input_0": A},
    "samples": lambda: list(zip(A, B, strict=True)),
    "samples with labels": lambda: [((a, b), 1) for a, b in zip(A, B, strict=True)],
    "samples by name": lambda: [{"input_1": b, "input_0": a} for a, b in zip(A, B, strict=True)],
    "loader": lambda: DataLoader(TensorDataset(torch.from_numpy(A), torch.from_numpy(B), LABELS), batch_size=5),
}


def two_inputs() -> Graph:
    net = Net(np.random.default_rng(0), DType.FLOAT32)
    a, b = net.input((1, 4)), net.input((1, 6))
    return net.graph(net.apply(ops.Concat, (a, b), (1, 10), axis=1))


@pytest.mark.parametrize("form", PAIRS)
def test_forms_of_two_inputs(form: str) -> None:
    found = read_samples(two_inputs(), PAIRS[form]())
    assert all(np.array_equal(x, y) for x, y in zip(found, (A, B), strict=True))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"x": A}, "calibration data: no samples for input 'input_0', found 'x'"),
        ([(A[0],), (A[1],)], "calibration data: a sample or batch of 1 arrays, expected 2: input_0, input_1"),
        (
            7j.conjugate,
            "calibration data is a builtin_function_or_method; expected an array, a tensor, a list of samples or "
            "batches, a DataLoader, a generator, or a mapping of input names to these",
        ),
    ],
)
def test_forms_that_are_not_taken(data: Any, message: str) -> None:
    with pytest.raises(CalibrationError) as caught:
        read_samples(two_inputs(), data)
    assert str(caught.value) == message


def test_samples_of_different_shapes() -> None:
    with pytest.raises(CalibrationError, match=r"samples of different shapes, \(3, 5, 4\) and \(3, 5, 5\)$"):
        read_samples(image_graph(), [X, np.zeros((2, 3, 5, 5), np.float32)])


def test_bytes_of_images() -> None:
    raw = np.random.default_rng(1).integers(0, 256, (4, 3, 5, 4)).astype(np.uint8)
    last = raw.transpose(0, 2, 3, 1)
    (halved,) = read_samples(image_graph(), raw, scaling=(1 / 127.5, -1))
    assert np.allclose(halved, last / 127.5 - 1, atol=1e-6)
    (by_channel,) = read_samples(image_graph(), raw, scaling=([1.0, 2.0, 4.0], 0.5))
    assert np.array_equal(by_channel, last * np.array([1, 2, 4]) + 0.5)
    with pytest.raises(CalibrationError) as caught:
        read_samples(image_graph(), raw)
    assert str(caught.value) == (
        "calibration data 'input_0' is of type uint8; expected floating-point numbers, such as float32; for bytes of "
        "images say their scaling, such as 1/255"
    )
    with pytest.raises(CalibrationError, match=r"^scaling: 2 factors, expected 1 or one for each of 3 channels$"):
        read_samples(image_graph(), raw, scaling=[1.0, 2.0])


def test_a_cube_is_in_the_order_of_the_network() -> None:
    graph = mq.from_torch(nn.Conv2d(4, 2, 1), torch.zeros(1, 4, 4, 4))
    x = np.random.default_rng(0).normal(0, 1, (2, 4, 4, 4)).astype(np.float32)
    (found,) = read_samples(graph, x)
    assert np.array_equal(found, x.transpose(0, 2, 3, 1))


# --- warnings --------------------------------------------------------------------------------------------------------


def warned(graph: Graph, x: Any, method: str = "minmax") -> list[str]:
    """What `quantize` warns of, which its notes repeat."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        integers = quantize(graph, x, method=method, channels_first=False)
    found = [str(warning.message) for warning in caught]
    assert all(warning.category is CalibrationWarning for warning in caught)
    assert [note.split("warning: ")[1] for note in integers.notes if "warning" in note] == found
    return found


def layers() -> Graph:
    """Three layers over 16 values."""
    rng = np.random.default_rng(2)
    net = Net(rng, DType.FLOAT32)
    y = net.input((1, 4, 4))
    y = net.apply(ops.Reshape, (y,), (1, 16))
    for _ in range(3):
        w = net.constant(rng.normal(0, 0.3, (16, 16)), DType.FLOAT32)
        y = net.apply(ops.FullyConnected, (y, w), (1, 16), activation=ops.Activation.RELU)
    return net.graph(y)


GOOD = np.random.default_rng(3).normal(0, 1, (64, 4, 4)).astype(np.float32)


@pytest.mark.parametrize("method", ["auto", *METHODS])
@pytest.mark.parametrize("sample", [4, 17])
def test_one_corrupt_sample_does_not_ruin_the_network(method: str, sample: int) -> None:
    """The fourth is one of those that judge, the other is not."""
    graph, x = layers(), GOOD.copy()
    x[sample, 1, 2] = 3000
    found = warned(graph, x, method)
    ratio = 3000 / np.abs(np.delete(GOOD, sample, axis=0))[:, :, 2].max()
    assert found == [
        f"sample {sample} of 'input_0', channel 2 reaches 3000, {ratio:,.0f} times as far as the others: left out; if "
        "it is right, add more samples like it"
    ]
    exact = [mq.run(graph, [s]) for s in GOOD[:, None]]
    db = {
        kind: output_snr(quantize(graph, data, method=method), [[s] for s in GOOD[:, None]], exact)
        for kind, data in {"clean": GOOD, "corrupt": x}.items()
    }
    assert db["corrupt"] > db["clean"] - 3 > 25


def test_rare_events_are_no_corrupt_samples() -> None:
    """Four of 64 are loud."""
    x = 0.01 * GOOD
    x[::16] *= 100
    assert warned(layers(), x) == []


def test_a_far_sample_is_named_and_kept() -> None:
    x = GOOD.copy()
    x[9, 0, 0] = -100
    (found,) = warned(layers(), x)
    assert found.startswith("sample 9 of 'input_0', channel 0 reaches 100, ")
    assert found.endswith(" times as far as the others: check it")


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.full((20, 4, 4), 0.5, np.float32), "'input_0' is constant: all values of all samples are 0.5"),
        (np.repeat(GOOD[:1], 20, axis=0), "all 20 samples of 'input_0' are the same"),
        (GOOD[:3], "3 calibration samples; a hundred typical ones are better, 8 the least"),
        (GOOD[:8], None),
    ],
)
def test_data_that_say_little(x: Array, message: str | None) -> None:
    assert warned(layers(), x) == ([message] if message else [])


@pytest.fixture(scope="module")
def normalised() -> Graph:
    """A network with statistics of training on data of standard deviation 0.25."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(48, 4))
    for _ in range(100):
        net(0.25 * torch.randn(32, 3, 5, 4) + 0.5)
    return mq.from_torch(net, torch.zeros(1, 3, 5, 4))


@pytest.mark.parametrize(
    ("factor", "message"),
    [
        (255, r"^the data of 'input' vary 2\d\d times as much as in training, by its batch norm"),
        (1, None),
        (
            1 / 255,
            r"^the data of 'input' cover 0.38 % of the range in training, by its batch normalization: check the ",
        ),
    ],
)
def test_data_at_another_scale_than_in_training(normalised: Graph, factor: float, message: str | None) -> None:
    x = factor * (0.25 * X + 0.5).transpose(0, 2, 3, 1)
    found = warned(normalised, x.astype(np.float32))
    assert len(found) == (1 if message else 0)
    if message:
        with pytest.raises(CalibrationWarning, match=message):
            raise CalibrationWarning(found[0])


# --- what auto adds --------------------------------------------------------------------------------------------------


def uneven() -> tuple[Graph, Array]:
    """Depthwise channels of very different ranges that the next layer evens out, as in MobileNets."""
    rng = np.random.default_rng(0)
    net = Net(rng, DType.FLOAT32)
    x = net.input((1, 6, 6, 8))
    reach = np.exp(np.linspace(-4, 4, 8))
    w = net.constant(rng.normal(0, 1, (1, 3, 3, 8)) * reach, DType.FLOAT32)
    y = net.apply(ops.DepthwiseConv2D, (x, w), (1, 4, 4, 8), activation=ops.Activation.RELU)
    w = net.constant(rng.normal(0, 1, (8, 1, 1, 8)) / reach, DType.FLOAT32)
    y = net.apply(ops.Conv2D, (y, w), (1, 4, 4, 8))
    return net.graph(y), rng.normal(0, 1, (32, 6, 6, 8)).astype(np.float32)


def test_auto_improves_what_is_under_its_limit_and_says_so() -> None:
    graph, x = uneven()
    plain, better = quantize(graph, x, improve=False), quantize(graph, x)
    exact = [mq.run(graph, [s]) for s in x[:, None]]
    before, after = (output_snr(g, [[s] for s in x[:, None]], exact) for g in (plain, better))
    assert before < 5 < ENOUGH_DB < 30 < after
    note = better.notes[-1]
    assert note.startswith("quantization: outputs at ")
    assert ", under 20 dB: equalization (+" in note
    report = mq.snr_report(graph, better, x[:4])
    assert report[-1].cumulative_db == pytest.approx(after, abs=1.5)
    assert all(row.own_db > 20 for row in report)
    assert as_quantized(graph, plain) is graph


def test_auto_leaves_what_is_enough() -> None:
    rng = np.random.default_rng(0)
    graph = dense(rng.normal(0, 0.2, (6, 64)), rng.normal(0, 0.1, 6))
    x = rng.normal(0, 1, (40, 64)).astype(np.float32)
    (note,) = quantize(graph, x).notes
    assert note.startswith("quantization: calibrated by ")
