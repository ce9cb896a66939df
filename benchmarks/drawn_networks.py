"""Whole networks from a seed: small classifiers of signals and images with random layers, sizes and weights."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

import mcuquant as mq

_SAMPLES = 8
Rng = np.random.Generator


class Residual(nn.Module):
    """Adds its input to the results of layers that keep the shape."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, x + self.inner(x))


def drawn_network(seed: int) -> mq.Graph:
    """An int8 network: blocks of convolutions, a global average or dense layers, 2 to 12 classes."""
    rng = np.random.default_rng((seed, 71))
    torch.manual_seed(seed)
    net, shape = _image_net(rng) if rng.random() < 0.6 else _signal_net(rng)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    x = torch.randn(_SAMPLES, *shape)
    return mq.quantize(mq.from_torch(net.eval(), x[:1]), x.numpy(), channels_first=True, improve=False)


def _image_net(rng: Rng) -> tuple[nn.Module, tuple[int, ...]]:
    channels, size = int(rng.choice([1, 3, 4])), int(rng.choice([16, 24, 32, 48, 64]))
    shape = (channels, size, size)
    width = int(rng.choice([4, 6, 8, 12, 16]))
    layers = [*_conv2d(rng, channels, width, int(rng.choice([3, 5, 7])), 2)]
    for _ in range(int(rng.integers(1, 5))):
        layers, width = [*layers, *_block(rng, width, wider := int(rng.choice([width, width + 4, 2 * width])))], wider
    if rng.random() < 0.3:
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, *_answer(rng, width, 2, shape, layers)), shape


def _signal_net(rng: Rng) -> tuple[nn.Module, tuple[int, ...]]:
    channels, length = int(rng.choice([1, 2, 3, 6, 9])), int(rng.choice([64, 100, 128, 256]))
    width, layers = channels, list[nn.Module]()
    for _ in range(int(rng.integers(2, 5))):
        wider, taps = int(rng.choice([8, 12, 16, 24, 32])), int(rng.choice([3, 5, 7, 9]))
        conv = nn.Conv1d(width, wider, taps, int(rng.choice([1, 1, 2])), taps // 2)
        layers, width = [*layers, conv, nn.BatchNorm1d(wider), _activation(rng)], wider
        if rng.random() < 0.4:
            layers.append(nn.MaxPool1d(2) if rng.random() < 0.7 else nn.AvgPool1d(2))
    shape = (channels, length)
    return nn.Sequential(*layers, *_answer(rng, width, 1, shape, layers)), shape


def _conv2d(rng: Rng, channels: int, outputs: int, taps: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(channels, outputs, taps, stride, taps // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(outputs), _activation(rng)]


def _block(rng: Rng, width: int, wider: int) -> list[nn.Module]:
    kind = int(rng.integers(4))
    if kind == 0:
        return _conv2d(rng, width, wider, 3, int(rng.choice([1, 2])))
    if kind == 1:
        taps, stride = int(rng.choice([3, 3, 5])), int(rng.choice([1, 2]))
        return [*_conv2d(rng, width, width, taps, stride, width), *_conv2d(rng, width, wider, 1)]
    if kind == 2:
        return [Residual(nn.Sequential(*_conv2d(rng, width, width, 3)[:-1])), *_conv2d(rng, width, wider, 1)]
    return [*_conv2d(rng, width, wider, 3), nn.MaxPool2d(2) if rng.random() < 0.6 else nn.AvgPool2d(2)]


def _activation(rng: Rng) -> nn.Module:
    kinds = (nn.ReLU, nn.ReLU, nn.ReLU6, nn.Hardswish, nn.SiLU)
    return kinds[int(rng.integers(len(kinds)))]()


def _answer(rng: Rng, width: int, axes: int, shape: tuple[int, ...], layers: list[nn.Module]) -> list[nn.Module]:
    classes = int(rng.choice([2, 4, 6, 10, 12]))
    if rng.random() < 0.6:
        pool = nn.AdaptiveAvgPool2d(1) if axes == 2 else nn.AdaptiveAvgPool1d(1)
        return [pool, nn.Flatten(), nn.Linear(width, classes)]
    features = nn.Sequential(*layers, nn.Flatten()).eval()(torch.zeros(1, *shape)).shape[1]
    return [nn.Flatten(), nn.Linear(features, 16), nn.ReLU(), nn.Linear(16, classes), nn.Softmax(1)]
