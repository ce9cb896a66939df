"""Networks of kinds that MLPerf Tiny lacks, from seeds: their weights are random, their sizes those of the field."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

import mcuquant as mq
from mcuquant.tflite.writer.to_tflite import to_tflite

_SAMPLES = 16
"""Calibration samples of noise."""


class Attention(nn.Module):
    """Of a sequence to itself, by heads."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(width, 3 * width)
        self.join = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, length, width = x.shape
        parts = self.project(x).reshape(n, length, 3, self.heads, width // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4).unbind(0)
        y = functional.scaled_dot_product_attention(q, k, v)
        return self.join(y.transpose(1, 2).reshape(n, length, width))  # type: ignore[no-any-return]


class KeywordTransformer(nn.Module):
    """98 frames of 40 features as tokens; 4 layers of width 64 (A. Berg et al., "Keyword Transformer", 2021)."""

    def __init__(self, layers: int = 4, width: int = 64, frames: int = 98, features: int = 40) -> None:
        super().__init__()
        self.embed = nn.Linear(features, width)
        self.places = nn.Parameter(torch.randn(1, frames, width) * 0.2)
        self.before = nn.ModuleList(nn.LayerNorm(width) for _ in range(layers))
        self.attend = nn.ModuleList(Attention(width, 1) for _ in range(layers))
        self.between = nn.ModuleList(nn.LayerNorm(width) for _ in range(layers))
        self.mix = nn.ModuleList(
            nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)) for _ in range(layers)
        )
        self.answer = nn.Linear(width, 12)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x) + self.places
        for before, attend, between, mix in zip(self.before, self.attend, self.between, self.mix, strict=True):
            x = x + attend(before(x))
            x = x + mix(between(x))
        return self.answer(x.mean(1))  # type: ignore[no-any-return]


class Inverted(nn.Module):
    """Expanded, filtered, weighed by channel and reduced (A. Howard et al., "Searching for MobileNetV3", 2019)."""

    def __init__(self, channels: int, expanded: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.expand = _normalized(nn.Conv2d(channels, expanded, 1, bias=False), expanded)
        self.filter = _normalized(nn.Conv2d(expanded, expanded, 3, stride, 1, groups=expanded, bias=False), expanded)
        self.down, self.up = nn.Conv2d(expanded, expanded // 4, 1), nn.Conv2d(expanded // 4, expanded, 1)
        self.reduce = _normalized(nn.Conv2d(expanded, outputs, 1, bias=False), outputs)
        self.is_residual = stride == 1 and channels == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = functional.hardswish(self.filter(functional.hardswish(self.expand(x))))
        y = y * functional.hardsigmoid(self.up(functional.relu(self.down(y.mean((2, 3), keepdim=True)))))
        y = self.reduce(y)
        return x + y if self.is_residual else y  # type: ignore[no-any-return]


def _normalized(conv: nn.Conv2d, channels: int) -> nn.Module:
    return nn.Sequential(conv, nn.BatchNorm2d(channels))


class MobileNetV3(nn.Module):
    """96 x 96 x 3, a quarter of the width."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _normalized(nn.Conv2d(3, 8, 3, 2, 1, bias=False), 8)
        sizes = ((8, 16, 8, 2), (8, 24, 8, 2), (8, 32, 8, 1), (8, 32, 16, 2), (16, 64, 16, 1), (16, 96, 24, 2))
        self.blocks = nn.Sequential(*(Inverted(*size) for size in sizes))
        self.answer = nn.Linear(24, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.answer(self.blocks(functional.hardswish(self.stem(x))).mean((2, 3)))  # type: ignore[no-any-return]


class UNet(nn.Module):
    """64 x 64 x 1 to two classes a pixel; transposed convolutions on the way up."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList([_convolutions(1, 8), _convolutions(8, 16), _convolutions(16, 32)])
        self.up = nn.ModuleList([nn.ConvTranspose2d(32, 16, 2, 2), nn.ConvTranspose2d(16, 8, 2, 2)])
        self.join = nn.ModuleList([_convolutions(32, 16), _convolutions(16, 8)])
        self.answer = nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = self.down[0](x)
        b = self.down[1](functional.max_pool2d(a, 2))
        c = self.down[2](functional.max_pool2d(b, 2))
        b = self.join[0](torch.cat([self.up[0](c), b], 1))
        a = self.join[1](torch.cat([self.up[1](b), a], 1))
        return self.answer(a)  # type: ignore[no-any-return]


def _convolutions(channels: int, outputs: int) -> nn.Module:
    first = _normalized(nn.Conv2d(channels, outputs, 3, padding=1, bias=False), outputs)
    second = _normalized(nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), outputs)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU())


class TemporalConvolutions(nn.Module):
    """128 samples of 6 channels; causal, dilations 1 to 8 (S. Bai et al., 2018, arXiv:1803.01271)."""

    def __init__(self, channels: int = 6, width: int = 24) -> None:
        super().__init__()
        self.enter = nn.Conv1d(channels, width, 1)
        self.layers = nn.ModuleList(nn.Conv1d(width, width, 3, dilation=1 << i) for i in range(4))
        self.answer = nn.Linear(width, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        for i, layer in enumerate(self.layers):
            x = functional.relu(x + functional.relu(layer(functional.pad(x, (2 << i, 0)))))
        return self.answer(x[:, :, -1])  # type: ignore[no-any-return]


class ConvNeXtBlock(nn.Module):
    """Z. Liu et al., "A ConvNet for the 2020s" (2022): a wide filter, a norm over channels, two products."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.filter = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width)
        self.mix = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        y = self.mix(self.norm(self.filter(x).permute(0, 2, 3, 1)))
        return x + y.permute(0, 3, 1, 2)  # type: ignore[no-any-return]


class ConvNeXt(nn.Module):
    """32 x 32 x 3, two stages of 16 and 32 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.down = nn.Conv2d(3, 16, 4, 4), nn.Conv2d(16, 32, 2, 2)
        self.first, self.second = ConvNeXtBlock(16), nn.Sequential(ConvNeXtBlock(32), ConvNeXtBlock(32))
        self.norm, self.answer = nn.LayerNorm(32), nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.second(self.down(self.first(self.stem(x))))
        return self.answer(self.norm(x.mean((2, 3))))  # type: ignore[no-any-return]


NETWORKS: Mapping[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "keyword_transformer": (KeywordTransformer, (98, 40)),
    "mobilenet_v3": (MobileNetV3, (3, 96, 96)),
    "unet": (UNet, (1, 64, 64)),
    "tcn": (TemporalConvolutions, (6, 128)),
    "convnext": (ConvNeXt, (3, 32, 32)),
}
"""The network, and the shape of a sample."""


def quantized(name: str, activations: str = "int8") -> mq.Graph:
    """The network of seed 0, calibrated with noise."""
    build, shape = NETWORKS[name]
    torch.manual_seed(0)
    net = build().eval()
    x = torch.randn(_SAMPLES, *shape)
    return mq.quantize(mq.from_torch(net, x[:1]), x.numpy(), activations=activations, improve=False)


def written(folder: Path) -> Iterator[Path]:
    """Each of them as a .tflite in `folder`."""
    for name in NETWORKS:
        path = folder / f"{name}.tflite"
        path.write_bytes(to_tflite(quantized(name)))
        yield path
