"""Random chains of layout changes and layers: the tracked layout always leads to torch's numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch_outputs import assert_same_as_torch

from mcuquant.arithmetic.interpreter import run
from mcuquant.errors import UnsupportedOpError
from mcuquant.ir import Graph
from mcuquant.passes import run_passes
from mcuquant.torch_import.axis_order import Value, natural_order, pieces, spread, transposition
from mcuquant.torch_import.from_torch import from_torch
from mcuquant.torch_import.net_builder import Net

Step = Callable[[Tensor], Tensor]
INTRICATE = "the order of its elements is too intricate; reshape or permute less, or earlier"
SEEDS = st.integers(0, 2**32 - 1)


def permuted(rng: np.random.Generator, x: Tensor) -> Step:
    dims = (0, *(1 + rng.permutation(x.ndim - 1)).tolist())
    return lambda x: x.permute(dims)


def viewed(rng: np.random.Generator, x: Tensor) -> Step:
    """Two neighbouring axes merged, or one split."""
    shape = list(x.shape)
    axis = int(rng.integers(1, x.ndim))
    if x.ndim == 6 or (x.ndim > 2 and rng.random() < 0.5):
        axis = min(axis, x.ndim - 2)
        shape[axis : axis + 2] = [shape[axis] * shape[axis + 1]]
    else:
        factor = rng.choice([d for d in range(1, shape[axis] + 1) if shape[axis] % d == 0])
        shape[axis : axis + 1] = [int(factor), shape[axis] // int(factor)]
    return lambda x: x.reshape(shape)


def flattened(rng: np.random.Generator, x: Tensor) -> Step:
    return lambda x: x.flatten(1)


def sliced(rng: np.random.Generator, x: Tensor) -> Step:
    axis = int(rng.integers(1, x.ndim))
    start, step = int(rng.integers(0, max(1, x.shape[axis] - 1))), int(rng.integers(1, 3))
    return lambda x: x[(slice(None),) * axis + (slice(start, None, step),)]


def scaled(rng: np.random.Generator, x: Tensor) -> Step:
    shape = [1 if rng.random() < 0.5 else n for n in x.shape]
    factor = torch.tensor(rng.uniform(0.5, 1.5, shape), dtype=torch.float32)
    return lambda x: x * factor + 0.1


def added_mean(rng: np.random.Generator, x: Tensor) -> Step:
    axis = int(rng.integers(1, x.ndim))
    return lambda x: x + x.mean(axis, keepdim=True)


def averaged(rng: np.random.Generator, x: Tensor) -> Step:
    axis = int(rng.integers(1, x.ndim))
    return (lambda x: x.mean(axis)) if x.ndim > 2 else (lambda x: x)


def joined(rng: np.random.Generator, x: Tensor) -> Step:
    axis = int(rng.integers(1, x.ndim))
    return lambda x: torch.cat([x, x.relu(), -x], axis)


def joined_across(rng: np.random.Generator, x: Tensor) -> Step:
    """Parts that lie in different orders."""
    last = x.ndim - 1
    return lambda x: torch.cat([x.flatten(1), x.transpose(1, last).flatten(1) * 2], 1)


def softened(rng: np.random.Generator, x: Tensor) -> Step:
    axis = int(rng.integers(1, x.ndim))
    return lambda x: x.softmax(axis) + x


def weighted(rng: np.random.Generator, x: Tensor) -> Step:
    """The layer that this rank has: linear over the last axis, or a convolution."""
    generator = torch.Generator().manual_seed(int(rng.integers(1 << 31)))
    if x.ndim in (3, 4) and rng.random() < 0.7:
        kernel = torch.randn((3, x.shape[1], *(min(2, n) for n in x.shape[2:])), generator=generator)
        return (lambda x: F.conv1d(x, kernel)) if x.ndim == 3 else (lambda x: F.conv2d(x, kernel))
    weight = torch.randn((4, x.shape[-1]), generator=generator)
    return lambda x: F.linear(x, weight)


Maker = Callable[[np.random.Generator, Tensor], Step]
STEPS: list[Maker] = [
    *(permuted, viewed, flattened, sliced, scaled, added_mean, averaged, joined, joined_across, softened, weighted),
]


class Chain(nn.Module):
    def __init__(self, rng: np.random.Generator, x: Tensor) -> None:
        super().__init__()
        self.steps: list[Step] = []
        self.made: list[Maker] = []
        for _ in range(int(rng.integers(2, 7))):
            if x.numel() > 2000:
                break
            self.made.append(STEPS[int(rng.integers(len(STEPS)))])
            self.steps.append(self.made[-1](rng, x))
            x = self.steps[-1](x)

    def forward(self, x: Tensor) -> Any:
        for step in self.steps:
            x = step(x)
        return x * 1.5


def graph_of(chain: Chain, x: Tensor) -> Graph | None:
    """None for parts in different orders that were cut or interleaved again, the one refusal there may be."""
    try:
        return from_torch(chain, x)
    except UnsupportedOpError as error:
        if INTRICATE in str(error):
            return None
        raise


@settings(deadline=None, max_examples=40)
@given(SEEDS)
def test_any_chain_equals_torch(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = (1, *(int(rng.integers(1, 6)) for _ in range(int(rng.integers(1, 4)))))
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed % 2**31))
    chain = Chain(rng, x)
    graph = graph_of(chain, x)
    if graph is None:
        assert joined_across in chain.made
        return
    assert_same_as_torch(chain, graph, (x,))
    assert_same_as_torch(chain, run_passes(graph), (x,))


@settings(deadline=None, max_examples=100)
@given(SEEDS)
def test_a_transposition_is_found_for_every_permutation_of_axes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = rng.integers(1, 5, int(rng.integers(1, 5)))
    perm = rng.permutation(len(shape))
    positions = np.arange(np.prod(shape)).reshape(shape).transpose(perm).ravel()
    found = transposition(positions)
    assert found is not None
    sizes, order = found
    assert np.array_equal(np.arange(positions.size).reshape(sizes).transpose(order).ravel(), positions)


def test_no_transposition_is_found_for_a_rotation() -> None:
    assert transposition(np.roll(np.arange(12), 1)) is None
    assert pieces(np.roll(np.arange(12), 1)) is None


@settings(deadline=None, max_examples=50)
@given(SEEDS)
def test_reordering_gives_the_elements_asked_for(seed: int) -> None:
    """Several permuted parts in a row, as a concatenation of flattened images leaves them."""
    rng = np.random.default_rng(seed)
    parts, start = [], 0
    for _ in range(int(rng.integers(1, 4))):
        shape = rng.integers(1, 5, 3)
        parts.append(start + np.arange(np.prod(shape)).reshape(shape).transpose(rng.permutation(3)).ravel())
        start += int(np.prod(shape))
    positions = np.concatenate(parts)
    net = Net()
    x = net.input((1, positions.size), "x")
    y = net.reorder(x.tensor, positions)
    assert y is not None
    if net.ops:
        values = rng.normal(size=(1, positions.size)).astype(np.float32)
        graph = Graph("reordered", net.tensors, tuple(net.ops), (x.tensor,), (y,))
        assert np.array_equal(run(graph, [values])[0][0], values[0, positions])
    else:
        assert np.array_equal(positions, np.arange(positions.size))


def test_orders_that_are_known() -> None:
    image = Value(0, spread((1, 3, 4, 5)))
    assert natural_order(image.where) == (0, 2, 3, 1)
    assert natural_order(image.where.transpose(0, 2, 3, 1)) == (0, 1, 2, 3)
    assert natural_order(image.where.reshape(1, -1)) is None
