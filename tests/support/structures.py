"""Small networks of images whose channels are shuffled, split, joined, gated, or meet the same layer twice."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor, nn


def shuffled(x: Tensor, groups: int) -> Tensor:
    n, c, h, w = x.shape
    return x.view(n, groups, c // groups, h, w).transpose(1, 2).reshape(n, c, h, w)


class Shuffle(nn.Module):
    """ShuffleNet's unit: grouped convolutions, a shuffle between them, a sum."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.first = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 16, 1, groups=2)
        self.depth, self.second = nn.Conv2d(16, 16, 3, padding=1, groups=16), nn.Conv2d(16, 16, 1, groups=2)
        self.head = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        y = shuffled(torch.relu(self.first(x)), 2)
        return self.head((x + self.second(self.depth(y))).mean((2, 3)))  # type: ignore[no-any-return]


class SplitShuffle(nn.Module):
    """ShuffleNetV2's unit: half of the channels pass, both halves are shuffled."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.enter = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(8, 8, 1)
        self.depth, self.leave = nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Conv2d(8, 8, 1)
        self.head = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        passed, taken = torch.relu(self.stem(x)).chunk(2, 1)
        taken = torch.relu(self.leave(self.depth(torch.relu(self.enter(taken)))))
        return self.head(shuffled(torch.cat([passed, taken], 1), 2).mean((2, 3)))  # type: ignore[no-any-return]


class SplitConcat(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.left = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(8, 12, 1)
        self.right, self.mix = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(20, 8, 1)
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        left, right = torch.split(torch.relu(self.stem(x)), 8, dim=1)
        x = torch.relu(self.mix(torch.cat([self.left(left), self.right(right)], 1)))
        return self.head(x.mean((2, 3)))  # type: ignore[no-any-return]


class Gated(nn.Module):
    """Squeeze and excitation, by convolutions or by linear layers."""

    def __init__(self, linear: bool) -> None:
        super().__init__()
        self.linear = linear
        self.stem, self.point = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 12, 1)
        self.squeeze = nn.Linear(16, 8) if linear else nn.Conv2d(16, 8, 1)
        self.excite = nn.Linear(8, 16) if linear else nn.Conv2d(8, 16, 1)
        self.head = nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        gate = x.mean((2, 3)) if self.linear else F.adaptive_avg_pool2d(x, 1)
        gate = torch.sigmoid(self.excite(torch.relu(self.squeeze(gate))))
        x = torch.relu(self.point(x * (gate[:, :, None, None] if self.linear else gate)))
        return self.head(x.mean((2, 3)))  # type: ignore[no-any-return]


class Shared(nn.Module):
    """One convolution called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.body = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.body(torch.relu(self.body(torch.relu(self.stem(x))))))
        return self.head(x.mean((2, 3)))  # type: ignore[no-any-return]
