"""Small PyTorch networks that compression is tested with, and data that they can learn in a moment."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mcuquant.compression.training import Samples


class Residual(nn.Module):
    """Two convolutions whose outputs are added: their channels are one set."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.body = nn.Conv2d(16, 16, 3, padding=1)
        self.head = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        x = torch.relu(x + self.body(x))
        return self.head(x.mean(dim=(2, 3)))  # type: ignore[no-any-return]


def separable() -> nn.Sequential:
    """Convolution, depthwise, pointwise, mean, linear: the making of keyword spotters."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 24, 1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(24, 5),
    )


def perceptron(inputs: int = 12, hidden: int = 32, classes: int = 4) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, classes)
    )


def clusters(n: int = 400, inputs: int = 12, classes: int = 4, seed: int = 0) -> Samples:
    """Points around a centre for each class: learnt in a few epochs, but not at once."""
    random = torch.Generator().manual_seed(seed)
    centres = torch.randn(classes, inputs, generator=torch.Generator().manual_seed(99))
    y = torch.randint(0, classes, (n,), generator=random)
    return Samples(centres[y] + 0.7 * torch.randn(n, inputs, generator=random), y)
