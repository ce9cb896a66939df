"""The demo's training: reproducible, and its choices made without the test subjects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from demo_recordings import recordings

from mcuquant.demo import data, integers, train
from mcuquant.ir import DType, Level
from mcuquant.ir.verify import verify


@pytest.fixture(scope="module")
def small() -> data.DemoData:
    return data.load(recordings((400,) * 10))


def weights(net: torch.nn.Module) -> list[np.ndarray]:  # type: ignore[type-arg]
    return [t.numpy() for t in net.state_dict().values()]


def test_the_same_seed_gives_the_same_network(small: data.DemoData) -> None:
    first, again, other = (train.train(small, seed, epochs=2).net for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(weights(first), weights(again), strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(weights(first), weights(other), strict=True))


def test_test_subjects_change_nothing(small: data.DemoData) -> None:
    blind = replace(small, test=small.test.of([]))
    seen, unseen = (train.train(part, epochs=1).net for part in (small, blind))
    assert all(np.array_equal(a, b) for a, b in zip(weights(seen), weights(unseen), strict=True))


def test_the_validation_subject_chooses_the_epoch(small: data.DemoData) -> None:
    told: list[train.Epoch] = []
    trained = train.train(small, epochs=3, progress=told.append)
    assert tuple(told) == trained.history
    choosing = [epoch for epoch in told if epoch.choosing]
    assert [epoch.number for epoch in choosing] == [1, 2, 3]
    best = max(epoch.validation for epoch in choosing)
    assert trained.epochs == max(epoch.number for epoch in choosing if epoch.validation == best)
    assert [epoch.number for epoch in told[3:]] == list(range(1, trained.epochs + 1))
    assert not any(epoch.choosing for epoch in told[3:])


def test_the_callers_state_is_left_alone(small: data.DemoData) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    threads = torch.get_num_threads()
    trained = train.train(small, epochs=1)
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads
    assert not trained.net.training


def test_the_network_is_small() -> None:
    assert train.count(train.build()) == 15047


def test_rotations_turn_without_stretching() -> None:
    turn = train.rotations(200, torch.Generator().manual_seed(0)).double()
    assert torch.allclose(turn @ turn.transpose(1, 2), torch.eye(3).double(), atol=1e-5)
    assert torch.allclose(torch.linalg.det(turn), torch.ones(200).double(), atol=1e-5)
    angle = torch.acos(((turn.diagonal(dim1=1, dim2=2).sum(dim=1) - 1) / 2).clamp(-1, 1))
    assert 25 < torch.rad2deg(angle.max()) <= 30.1


def test_augmentation_turns_both_sensors_alike() -> None:
    x = torch.randn(4, 3, 50)
    both = train.augmented(torch.cat([x, x], dim=1), torch.Generator().manual_seed(1))
    assert torch.equal(both[:, :3], both[:, 3:])
    gain = both[:, :3].norm(dim=(1, 2)) / x.norm(dim=(1, 2))
    assert ((gain >= 0.8) & (gain <= 1.2)).all()


def test_the_network_becomes_integers(small: data.DemoData) -> None:
    net = train.train(small, epochs=1).net
    graph = integers.to_graph(net)
    result = integers.to_integers(graph, small)
    verify(result, Level.LOWERABLE)
    assert [op.kind for op in result.ops] == [*["Conv2D"] * 4, "Mean", "Reshape", "FullyConnected"]
    stored = integers.stored_windows(result, small.test)
    assert stored.dtype == DType.INT8.numpy
    assert stored.shape == (len(small.test), 1, 128, 6)
    outputs = integers.host_outputs(result, stored)
    with torch.no_grad():
        logits = net(torch.from_numpy(small.test.x)).numpy()
    out = result[result.outputs[0]]
    error = (outputs.astype(float) - out.zero_point) * out.scale - logits
    assert np.square(error).sum() < np.square(logits).sum() / 1000
    right = float((outputs.argmax(axis=1) == small.test.y).mean())
    assert integers.accuracy(outputs, small.test) == right


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_accuracy_on_people_never_seen() -> None:
    """The median of three seeds; int8 within a point of float."""
    real = data.load()
    floats, ints = [], []
    for seed in range(3):
        net = train.train(real, seed).net
        result = integers.to_integers(integers.to_graph(net), real)
        outputs = integers.host_outputs(result, integers.stored_windows(result, real.test))
        floats.append(train.accuracy(net, real.test))
        ints.append(integers.accuracy(outputs, real.test))
    assert np.median(floats) >= 0.88
    assert np.abs(np.array(floats) - ints).max() <= 0.01
