"""Networks whose steps only move elements: GCC 12 took some of them for functions without effect."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from nets import Net
from torch import Tensor, nn

import mcuquant as mq
from mcuquant.ir import DType, Graph, Shape, ops

MATRICES = [(16, 36), (64, 25), (3, 1024), (32, 32), (128, 16)]


class Call(nn.Module):
    """A convolution, whose output is then moved."""

    def __init__(self, conv: nn.Module, move: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.move = conv, move

    def forward(self, x: Tensor) -> Tensor:
        return self.move(torch.relu(self.conv(x)))


MOVES: dict[str, tuple[nn.Module, Callable[[Tensor], Tensor], Shape]] = {
    "flatten": (nn.Conv2d(3, 16, 4, stride=4), lambda x: torch.flatten(x, 1), (1, 3, 64, 64)),
    "shuffle": (nn.Conv2d(3, 16, 3, stride=2), lambda x: _shuffle(x, 4), (1, 3, 33, 33)),
    "every_other_channel": (nn.Conv2d(3, 16, 3), lambda x: x[:, ::2], (1, 3, 18, 18)),
    "odd_channels": (nn.Conv2d(3, 32, 1), lambda x: x[:, 1::2], (1, 3, 8, 8)),
    "pixel_shuffle": (nn.Conv2d(3, 16, 3, padding=1), nn.PixelShuffle(2), (1, 3, 12, 12)),
    "heads": (nn.Conv2d(3, 16, 1), lambda x: x.permute(0, 2, 3, 1).reshape(1, -1, 4), (1, 3, 8, 8)),
}


def _shuffle(x: Tensor, groups: int) -> Tensor:
    n, c, h, w = x.shape
    return x.view(n, groups, c // groups, h, w).transpose(1, 2).reshape(n, c, h, w)


def _network(name: str) -> Graph:
    torch.manual_seed(0)
    conv, move, shape = MOVES[name]
    data = np.random.default_rng(0).normal(0, 1, (16, *shape[1:])).astype(np.float32)
    graph = mq.from_torch(Call(conv, move), torch.from_numpy(data[:1]))
    return mq.quantize(graph, data, channels_first=True)


def _transposed(rows: int, columns: int) -> Graph:
    net = Net(np.random.default_rng(0))
    x = net.input((1, rows, columns), DType.INT8)
    return net.graph(net.apply(ops.Transpose, (x,), (1, columns, rows), net.tensors[x].q, perm=(0, 2, 1)))


def every_move() -> tuple[list[str], list[Graph]]:
    names = [f"{rows}x{columns}" for rows, columns in MATRICES]
    return [*names, *MOVES], [*(_transposed(*m) for m in MATRICES), *(_network(name) for name in MOVES)]
