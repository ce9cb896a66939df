"""Compression of networks with shuffled, split, joined and gated channels, and with a layer that is called twice."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from structures import Gated, Shared, Shuffle, SplitConcat, SplitShuffle
from torch import Tensor, nn

import mcuquant as mq
from mcuquant.boards.board import load_board
from mcuquant.compression.channel_groups import coupled, cut
from mcuquant.compression.pipeline import integer_answers
from mcuquant.compression.prune import Pruning, prune

BOARD = load_board("qemu-mps2-an386")
IMAGE = torch.zeros(1, 3, 8, 8)
Sets = list[tuple[tuple[str, ...], int, int]]
NETS: dict[str, tuple[Callable[[], nn.Module], Sets]] = {
    "shuffle": (Shuffle, [(("stem", "second"), 16, 2)]),
    "split and shuffle": (SplitShuffle, [(("enter", "depth"), 8, 1)]),
    "split and concat": (SplitConcat, [(("left",), 12, 1), (("right",), 8, 1), (("mix",), 8, 1)]),
    "gate": (lambda: Gated(linear=False), [(("stem", "excite"), 16, 1), (("point",), 12, 1), (("squeeze",), 8, 1)]),
    "linear gate": (
        lambda: Gated(linear=True),
        [(("stem", "excite"), 16, 1), (("point",), 12, 1), (("squeeze",), 8, 1)],
    ),
    "shared": (Shared, [(("stem", "body"), 8, 1)]),
}
"""With the sets of channels that can be cut: (layers, channels, blocks)."""


def network(name: str) -> nn.Module:
    torch.manual_seed(0)
    return NETS[name][0]().eval()


@pytest.mark.parametrize("name", NETS)
def test_channels_that_can_be_cut(name: str) -> None:
    """Those before a shuffle or a split stay, whose places the dependency graph does not follow."""
    assert [(one.layers, one.channels, one.blocks) for one in coupled(network(name), IMAGE)] == NETS[name][1]


@pytest.mark.parametrize(
    "name",
    [
        *("shuffle", "gate"),
        *(pytest.param(name, marks=pytest.mark.slow) for name in NETS if name not in ("shuffle", "gate")),
    ],
)
def test_the_pruned_network_becomes_integers(name: str) -> None:
    pruned = prune(network(name), IMAGE, BOARD, Pruning(ratio=0.5))
    assert pruned.after.macs < 0.9 * pruned.before.macs
    x = torch.randn(16, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    graph = mq.from_torch(pruned.net, IMAGE)
    with torch.no_grad():
        expected = pruned.net(x).numpy()
    found = np.concatenate([mq.run(graph, [sample[None]])[0] for sample in x.permute(0, 2, 3, 1).numpy()])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert not mq.quantize(graph, x).is_float


def test_channels_that_nothing_reads_leave_a_residual_sum_as_it_is() -> None:
    """The grouped convolutions of a shuffle unit lose the same channels of each group."""
    net = network("shuffle")
    dead = [1, 3, 9, 11]
    with torch.no_grad():
        net.head.weight[:, dead] = 0  # type: ignore[union-attr, index, operator]
        net.first.weight[:, [1, 3]] = 0  # type: ignore[union-attr, index, operator]
    thinner = cut(net, IMAGE, {"stem": [i for i in range(16) if i not in dead]})
    x = torch.randn(4, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(thinner(x), net(x), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETS)
def test_training_for_integers(name: str) -> None:
    """The integers are within one step of the trained module's."""
    net, x, y = network(name), torch.randn(32, 3, 8, 8), torch.randint(0, 4, (32,))

    def train(module: Callable[[Tensor], Tensor]) -> None:
        assert isinstance(module, nn.Module)
        optimizer = torch.optim.SGD(module.parameters(), 1e-2)
        for _ in range(3):
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(x), y).backward()
            optimizer.step()

    trained = mq.qat(net, x[:1], train)
    output = trained.graph[trained.graph.outputs[0]]
    with torch.no_grad():
        expected = np.rint(trained.module(x).numpy() / output.scale + output.zero_point)
    assert np.abs(integer_answers(trained.graph, x.numpy()) - expected).max() <= 1
