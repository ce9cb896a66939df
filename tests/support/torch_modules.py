"""PyTorch modules by name, each with the shapes of its inputs: what the front end is compared with torch on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor, nn

Shape = tuple[int, ...]
Case = tuple[nn.Module, Sequence[Shape]]

IMAGE, SIGNAL, ROW = (1, 6, 8, 10), (1, 6, 20), (1, 12)


class Call(nn.Module):
    """A module of one function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(*inputs)


class SqueezeExcite(nn.Module):
    """Hu et al. (2018); with convolutions as MobileNetV3 has it, or linear layers as the paper."""

    def __init__(self, channels: int, *, linear: bool) -> None:
        super().__init__()
        self.linear = linear
        self.down = nn.Linear(channels, 2) if linear else nn.Conv2d(channels, 2, 1)
        self.up = nn.Linear(2, channels) if linear else nn.Conv2d(2, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        pooled = x.mean((2, 3)) if self.linear else F.adaptive_avg_pool2d(x, 1)
        scale = F.hardsigmoid(self.up(F.relu(self.down(pooled))))
        return x * (scale[:, :, None, None] if self.linear else scale)


class Residual(nn.Module):
    """A basic block of ResNet with a projection where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x))


class Fusion(nn.Module):
    """An image and a signal that meet, flattened, before a linear layer."""

    def __init__(self, *, head: bool) -> None:
        super().__init__()
        self.image, self.signal = nn.Conv2d(6, 4, 3), nn.Conv1d(6, 4, 3)
        self.head = nn.Linear(4 * 6 * 8 + 4 * 18, 5) if head else nn.Identity()

    def forward(self, image: Tensor, signal: Tensor) -> Tensor:
        parts = [self.image(image).flatten(1), self.signal(signal).flatten(1)]
        return self.head(torch.cat(parts, 1).relu())


def separable(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False),
        nn.BatchNorm2d(inputs),
        nn.ReLU6(),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(),
    )


def mobilenet() -> nn.Module:
    stem = (nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6())
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(16, 4), nn.Softmax(1))
    return nn.Sequential(*stem, separable(8, 16, 1), separable(16, 16, 2), *head)


def resnet() -> nn.Module:
    stem = (nn.Conv2d(3, 8, 3, padding="same"), nn.BatchNorm2d(8), nn.ReLU())
    head = (nn.AvgPool2d(4), nn.Flatten(), nn.Linear(16 * 2 * 2, 4))
    return nn.Sequential(*stem, Residual(8, 8, 1), Residual(8, 16, 2), *head)


def signal_net() -> nn.Module:
    blocks = [(6, 16), (16, 32), (32, 32)]
    layers = [
        layer
        for inputs, outputs in blocks
        for layer in (nn.Conv1d(inputs, outputs, 5, padding=2), nn.BatchNorm1d(outputs), nn.ReLU(), nn.MaxPool1d(2))
    ]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(32, 7))


def flat_net() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, 2, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.BatchNorm1d(64),
        nn.Linear(64, 8),
        nn.ReLU(),
        nn.Linear(8, 3),
    )


def autoencoder() -> nn.Module:
    sizes = [12, 8, 3, 8, 12]
    return nn.Sequential(
        *(layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), nn.BatchNorm1d(b), nn.ReLU()))
    )


NETS: dict[str, Case] = {
    "mobilenet": (mobilenet(), [(1, 3, 16, 16)]),
    "resnet": (resnet(), [(1, 3, 16, 16)]),
    "signal_net": (signal_net(), [(1, 6, 64)]),
    "flat_net": (flat_net(), [(1, 1, 8, 8)]),
    "autoencoder": (autoencoder(), [ROW]),
    "squeeze_excite": (SqueezeExcite(6, linear=False), [IMAGE]),
    "squeeze_excite_linear": (SqueezeExcite(6, linear=True), [IMAGE]),
    "fusion": (Fusion(head=True), [IMAGE, SIGNAL]),
}
"""Standard networks: no Transpose may be left in these."""

WEIGHTED: dict[str, Case] = {
    "conv2d": (nn.Conv2d(6, 4, 3), [IMAGE]),
    "conv2d_no_bias": (nn.Conv2d(6, 4, (3, 2), bias=False), [IMAGE]),
    "conv2d_same": (nn.Conv2d(6, 4, 3, padding="same"), [IMAGE]),
    "conv2d_same_dilated": (nn.Conv2d(6, 4, (3, 5), padding="same", dilation=(2, 1)), [IMAGE]),
    "conv2d_valid": (nn.Conv2d(6, 4, 3, padding="valid"), [IMAGE]),
    "conv2d_stride_2_even": (nn.Conv2d(6, 4, 3, 2, 1), [IMAGE]),
    "conv2d_stride_pair": (nn.Conv2d(6, 4, 3, (2, 3), (0, 2)), [IMAGE]),
    "conv2d_groups": (nn.Conv2d(6, 9, 3, groups=3), [IMAGE]),
    "conv2d_one_channel": (nn.Conv2d(1, 4, 3), [(1, 1, 8, 8)]),
    "depthwise": (nn.Conv2d(6, 6, 3, padding=1, groups=6), [IMAGE]),
    "depthwise_multiplier": (nn.Conv2d(6, 12, 3, stride=2, padding=(2, 1), groups=6), [IMAGE]),
    "conv1d": (nn.Conv1d(6, 4, 3, padding=1), [SIGNAL]),
    "conv1d_same": (nn.Conv1d(6, 4, 5, padding="same", dilation=2), [SIGNAL]),
    "conv1d_stride": (nn.Conv1d(6, 4, 3, 2, 1), [SIGNAL]),
    "conv1d_depthwise": (nn.Conv1d(6, 6, 5, 2, 2, dilation=2, groups=6), [SIGNAL]),
    "linear": (nn.Linear(12, 5), [ROW]),
    "linear_no_bias": (nn.Linear(12, 5, bias=False), [ROW]),
    "linear_rows": (nn.Linear(20, 5), [SIGNAL]),
    "linear_after_flatten": (nn.Sequential(nn.Conv2d(6, 4, 3), nn.Flatten(), nn.Linear(4 * 6 * 8, 5)), [IMAGE]),
    "linear_after_flat_signal": (nn.Sequential(nn.Conv1d(6, 4, 3), nn.Flatten(), nn.Linear(4 * 18, 5)), [SIGNAL]),
    "linear_over_channels": (nn.Sequential(Call(lambda x: x.transpose(1, 2)), nn.Linear(6, 4)), [SIGNAL]),
    "matmul": (Call(lambda x: x @ torch.arange(24.0).reshape(12, 2)), [ROW]),
    "batch_norm_image": (nn.BatchNorm2d(6), [IMAGE]),
    "batch_norm_signal": (nn.BatchNorm1d(6), [SIGNAL]),
    "batch_norm_row": (nn.BatchNorm1d(12, affine=False), [ROW]),
    "batch_norm_flattened": (nn.Sequential(nn.Flatten(), nn.BatchNorm1d(480), nn.Linear(480, 3)), [IMAGE]),
}

POOLED: dict[str, Case] = {
    "max_pool": (nn.MaxPool2d(2), [IMAGE]),
    "max_pool_padded": (nn.MaxPool2d(3, 2, 1), [IMAGE]),
    "max_pool_ceil": (nn.MaxPool2d(3, 2, 1, ceil_mode=True), [IMAGE]),
    "max_pool_signal": (nn.MaxPool1d(3, 2, 1), [SIGNAL]),
    "avg_pool": (nn.AvgPool2d(2), [IMAGE]),
    "avg_pool_padded": (nn.AvgPool2d(3, 2, 1), [IMAGE]),
    "avg_pool_not_counting": (nn.AvgPool2d(3, 2, 1, count_include_pad=False), [IMAGE]),
    "avg_pool_ceil": (nn.AvgPool2d(3, 2, 1, ceil_mode=True), [IMAGE]),
    "avg_pool_ceil_drops_a_window": (nn.AvgPool2d(2, 3, 1, ceil_mode=True), [(1, 6, 7, 10)]),
    "avg_pool_ceil_not_counting": (nn.AvgPool2d((3, 4), 3, (1, 2), True, count_include_pad=False), [IMAGE]),
    "avg_pool_divisor": (nn.AvgPool2d(3, 2, 1, divisor_override=5), [IMAGE]),
    "avg_pool_divisor_ceil": (nn.AvgPool2d(3, 2, 1, True, divisor_override=9), [IMAGE]),
    "avg_pool_signal": (nn.AvgPool1d(3, 2, 1), [SIGNAL]),
    "avg_pool_signal_ceil": (nn.AvgPool1d(4, 3, 2, ceil_mode=True), [SIGNAL]),
    "adaptive_to_1": (nn.AdaptiveAvgPool2d(1), [IMAGE]),
    "adaptive_to_4_5": (nn.AdaptiveAvgPool2d((4, 5)), [IMAGE]),
    "adaptive_uneven": (nn.AdaptiveAvgPool2d((3, 7)), [IMAGE]),
    "adaptive_max_uneven": (nn.AdaptiveMaxPool1d(7), [SIGNAL]),
    "adaptive_larger": (nn.AdaptiveAvgPool1d(23), [SIGNAL]),
    "adaptive_signal": (nn.AdaptiveAvgPool1d(5), [SIGNAL]),
    "adaptive_signal_to_1": (nn.Sequential(nn.AdaptiveAvgPool1d(1), nn.Flatten()), [SIGNAL]),
    "adaptive_max": (nn.AdaptiveMaxPool2d(1), [IMAGE]),
    "adaptive_max_signal": (nn.AdaptiveMaxPool1d(4), [SIGNAL]),
    "mean": (Call(lambda x: x.mean((2, 3))), [IMAGE]),
    "mean_kept": (Call(lambda x: x.mean((-2, -1), keepdim=True)), [IMAGE]),
    "mean_signal": (Call(lambda x: x.mean(-1)), [SIGNAL]),
    "mean_after_flatten": (Call(lambda x: x.flatten(2).mean(2)), [IMAGE]),
    "mean_over_channels": (Call(lambda x: x.mean(1)), [IMAGE]),
    "mean_over_width": (Call(lambda x: x.mean(3)), [IMAGE]),
    "mean_of_all": (Call(lambda x: x.mean()), [IMAGE]),
    "mean_of_one": (nn.Sequential(nn.AdaptiveAvgPool2d(1), Call(lambda x: x.mean((2, 3)))), [IMAGE]),
    "amax": (Call(lambda x: x.amax((2, 3))), [IMAGE]),
}

ARITHMETIC: dict[str, Case] = {
    "scalars": (Call(lambda x: -(1 - (x + x * 2 - 0.5) / 3)), [IMAGE]),
    "alpha": (Call(lambda x: torch.add(x, x.relu(), alpha=0.3)), [IMAGE]),
    "constants_first": (Call(lambda x: torch.ones(10) * 2 - x), [IMAGE]),
    "channel_mean_added": (Call(lambda x: x + x.mean((2, 3), keepdim=True)), [IMAGE]),
    "pixel_mean_multiplied": (Call(lambda x: x * x.mean(1, keepdim=True)), [IMAGE]),
    "outer_sum": (Call(lambda x: x.mean(2, keepdim=True) + x.mean(3, keepdim=True)), [IMAGE]),
    "row_constant": (Call(lambda x: x + torch.arange(10.0)), [IMAGE]),
    "larger_constant": (Call(lambda x: x.mean((2, 3), True) + torch.arange(60.0).reshape(6, 1, 10)), [IMAGE]),
    "flat_constant": (Call(lambda x: x.flatten(1) + torch.arange(480.0)), [IMAGE]),
    "two_orders": (Call(lambda x: x.flatten(1) * x.permute(0, 2, 3, 1).flatten(1)), [IMAGE]),
    "two_inputs": (Call(lambda x, y: torch.maximum(x, y) - torch.minimum(x, y)), [IMAGE, IMAGE]),
    "relu": (nn.ReLU(), [IMAGE]),
    "relu6": (nn.ReLU6(), [IMAGE]),
    "hardtanh": (nn.Hardtanh(), [IMAGE]),
    "hardtanh_0_1": (nn.Hardtanh(0, 1), [IMAGE]),
    "hardtanh_other": (nn.Hardtanh(-0.5, 0.7), [SIGNAL]),
    "clamp_min": (Call(lambda x: x.clamp(min=0.1)), [SIGNAL]),
    "leaky_relu": (nn.LeakyReLU(0.2), [IMAGE]),
    "prelu": (nn.PReLU(), [IMAGE]),
    "sigmoid": (nn.Sigmoid(), [IMAGE]),
    "tanh": (nn.Tanh(), [SIGNAL]),
    "hardswish": (nn.Hardswish(), [IMAGE]),
    "hardsigmoid": (nn.Hardsigmoid(), [IMAGE]),
    "silu": (nn.SiLU(), [IMAGE]),
    "elu": (nn.ELU(), [IMAGE]),
    "elu_alpha": (nn.ELU(0.7), [IMAGE]),
    "selu": (nn.SELU(), [SIGNAL]),
    "celu": (nn.CELU(1.5), [IMAGE]),
    "gelu": (nn.GELU(), [IMAGE]),
    "gelu_tanh": (nn.GELU(approximate="tanh"), [SIGNAL]),
    "mish": (nn.Mish(), [IMAGE]),
    "softplus": (nn.Softplus(2.0), [IMAGE]),
    "abs": (Call(lambda x: x.abs()), [IMAGE]),
    "roots": (Call(lambda x: x.square().sqrt() + (x.abs() + 0.1).rsqrt()), [IMAGE]),
    "exp_and_log": (Call(lambda x: (x.exp() + 1).log()), [SIGNAL]),
    "waves": (Call(lambda x: x.sin() + x.cos()), [IMAGE]),
    "rounded": (Call(lambda x: x.floor() - x.ceil() + x.round()), [IMAGE]),
    "reciprocal": (Call(lambda x: (x.abs() + 1).reciprocal()), [IMAGE]),
    "functions_of_constants": (Call(lambda x: x + torch.ones(10).exp().log().cos()), [IMAGE]),
    "prelu_channels": (nn.PReLU(6, 0.3), [IMAGE]),
    "powers": (Call(lambda x: x**2 + x**3 + (x.abs() + 1) ** 0.5 + (x.abs() + 1) ** -0.5), [IMAGE]),
    "quotient": (Call(lambda x: x / (x.abs() + 1) + 1 / (x * x + 1)), [IMAGE]),
    "softsign": (nn.Softsign(), [IMAGE]),
    "log_sigmoid": (nn.LogSigmoid(), [IMAGE]),
    "log1p": (Call(lambda x: x.abs().log1p()), [IMAGE]),
    "softmax": (nn.Softmax(-1), [ROW]),
    "softmax_channels": (nn.Softmax(1), [IMAGE]),
    "softmax_width": (nn.Softmax(3), [IMAGE]),
    "softmax_flattened": (nn.Sequential(nn.Flatten(), nn.Softmax(1)), [IMAGE]),
    "dropout": (nn.Sequential(nn.Dropout(), nn.Dropout2d(inplace=True), nn.ReLU()), [IMAGE]),
    "in_place": (nn.Sequential(nn.Conv2d(6, 4, 3), nn.ReLU(inplace=True), nn.Hardswish(inplace=True)), [IMAGE]),
    "in_place_name_reused": (Call(lambda x: (y := x * 2).relu_() + y), [IMAGE]),
}

TOKENS = (1, 7, 12)
STATISTICS: dict[str, Case] = {
    "layer_norm": (nn.LayerNorm(12), [TOKENS]),
    "layer_norm_plain": (nn.LayerNorm(12, elementwise_affine=False), [TOKENS]),
    "layer_norm_image": (nn.LayerNorm([6, 8, 10]), [IMAGE]),
    "layer_norm_channels": (
        Call(lambda x: F.layer_norm(x.permute(0, 2, 3, 1), [6]).permute(0, 3, 1, 2)),
        [IMAGE],
    ),
    "rms_norm": (nn.RMSNorm(12), [TOKENS]),
    "group_norm": (nn.GroupNorm(3, 6), [IMAGE]),
    "group_norm_of_one": (nn.Sequential(nn.Conv2d(6, 8, 3), nn.GroupNorm(1, 8)), [IMAGE]),
    "instance_norm": (nn.InstanceNorm2d(6, affine=True), [IMAGE]),
    "instance_norm_signal": (nn.InstanceNorm1d(6), [SIGNAL]),
    "instance_norm_tracked": (nn.InstanceNorm2d(6, affine=True, track_running_stats=True), [IMAGE]),
    "normalize": (Call(lambda x: F.normalize(x, dim=1)), [IMAGE]),
    "standard_deviation": (Call(lambda x: x.std((2, 3)).sum(1) + x.var(1, unbiased=False).mean((1, 2))), [IMAGE]),
    "log_softmax": (nn.LogSoftmax(1), [IMAGE]),
    "sums": (Call(lambda x: x.sum((2, 3)) - x.sum(1).amin((1, 2)) + x.amax((2, 3))), [IMAGE]),
    "extremes": (Call(lambda x: x.max(2)[0] - x.min(2).values + torch.max(x[:, :, 0], x[:, :, 1])), [IMAGE]),
    "weight_norm": (torch.nn.utils.parametrizations.weight_norm(nn.Conv1d(6, 4, 3)), [SIGNAL]),
}


class Attention(nn.Module):
    """Four heads by hand, as many networks write it."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(12, 36)
        self.out = nn.Linear(12, 12)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        q, k, v = self.qkv(x).reshape(batch, length, 3, 4, 3).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-2, -1) * 3**-0.5).softmax(-1)
        return self.out((weights @ v).transpose(1, 2).reshape(batch, length, width))


PRODUCTS: dict[str, Case] = {
    "matmul": (Call(lambda x: x @ x.transpose(1, 2)), [TOKENS]),
    "bmm": (Call(lambda x, y: torch.bmm(x, y)), [TOKENS, (1, 12, 5)]),
    "matmul_of_images": (Call(lambda x: x @ x.transpose(2, 3)), [IMAGE]),
    "attention_by_hand": (Attention(), [TOKENS]),
    "scaled_dot_product": (Call(lambda x: F.scaled_dot_product_attention(x, x * 2, x + 1)), [TOKENS]),
    "encoder_layer": (nn.TransformerEncoderLayer(12, 4, 24, 0.0, "gelu", batch_first=True), [TOKENS]),
    "transposed": (nn.ConvTranspose2d(6, 4, 3, stride=2, padding=1, output_padding=1), [IMAGE]),
    "transposed_signal": (nn.ConvTranspose1d(6, 4, 4, stride=2, padding=1), [SIGNAL]),
    "transposed_groups": (nn.ConvTranspose2d(6, 4, (3, 2), stride=2, groups=2, dilation=(2, 1)), [IMAGE]),
}

SAMPLED: dict[str, Case] = {
    "nearest": (nn.Upsample(scale_factor=2), [IMAGE]),
    "nearest_size": (nn.Upsample(size=(5, 13)), [IMAGE]),
    "nearest_signal": (nn.Upsample(scale_factor=3), [SIGNAL]),
    "nearest_exact": (nn.Upsample(size=(5, 13), mode="nearest-exact"), [IMAGE]),
    "bilinear": (nn.Upsample(scale_factor=2, mode="bilinear"), [IMAGE]),
    "bilinear_corners": (nn.Upsample(size=(5, 13), mode="bilinear", align_corners=True), [IMAGE]),
    "linear": (nn.Upsample(scale_factor=2, mode="linear"), [SIGNAL]),
    "reflect": (nn.ReflectionPad2d((1, 2, 3, 0)), [IMAGE]),
    "replicate": (nn.ReplicationPad1d((2, 1)), [SIGNAL]),
    "circular": (nn.CircularPad2d((1, 2, 0, 1)), [IMAGE]),
    "circular_conv": (nn.Conv1d(6, 4, 3, padding=1, padding_mode="circular"), [SIGNAL]),
    "negative_pad": (Call(lambda x: F.pad(x, (-1, -2, 0, -3))), [IMAGE]),
    "repeat": (Call(lambda x: x.mean((2, 3), keepdim=True).repeat(1, 2, 3, 1)), [IMAGE]),
    "expand": (Call(lambda x: torch.cat([x, x.mean((2, 3), keepdim=True).expand_as(x)], 1)), [IMAGE]),
    "flip": (Call(lambda x: x.flip(-1, 1)), [IMAGE]),
    "roll": (Call(lambda x: x.roll(3, 2)), [IMAGE]),
    "index_select": (Call(lambda x: x.index_select(1, torch.tensor([5, 3, 1, 0]))), [IMAGE]),
    "index": (Call(lambda x: x[:, torch.tensor([0, 0, 4])]), [SIGNAL]),
    "pixel_unshuffle": (nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(24, 4, 3)), [IMAGE]),
    "glu": (nn.GLU(1), [IMAGE]),
}

MOVED: dict[str, Case] = {
    "cat_channels": (Call(lambda x: torch.cat([x, x * 2], 1)), [IMAGE]),
    "cat_width": (Call(lambda x: torch.cat([x, x * 2], -1)), [IMAGE]),
    "cat_signal": (Call(lambda x: torch.cat([x, x * 2], 1)), [SIGNAL]),
    "cat_constant": (Call(lambda x: torch.cat([x, torch.ones(1, 2, 8, 10)], 1)), [IMAGE]),
    "cat_flattened": (Fusion(head=False), [IMAGE, SIGNAL]),
    "stack": (Call(lambda x: torch.stack([x, x * 2], 1)), [SIGNAL]),
    "view": (Call(lambda x: x.view(1, 3, 16, 10)), [IMAGE]),
    "unflatten": (nn.Sequential(nn.Flatten(), nn.Unflatten(1, (6, 8, 10))), [IMAGE]),
    "permute": (Call(lambda x: x.permute(0, 2, 3, 1)), [IMAGE]),
    "permute_and_flatten": (Call(lambda x: x.permute(0, 2, 3, 1).reshape(1, -1)), [IMAGE]),
    "unsqueeze": (nn.Sequential(Call(lambda x: x.unsqueeze(1)), nn.Conv2d(1, 4, 3)), [SIGNAL]),
    "squeeze": (nn.Sequential(nn.Conv2d(6, 4, (8, 1)), Call(lambda x: x.squeeze(2)), nn.Conv1d(4, 3, 3)), [IMAGE]),
    "channel_shuffle": (nn.Sequential(nn.ChannelShuffle(2), nn.Conv2d(6, 4, 3)), [IMAGE]),
    "pixel_shuffle": (nn.Sequential(nn.Conv2d(6, 8, 3), nn.PixelShuffle(2)), [IMAGE]),
    "zero_pad": (nn.ZeroPad2d((1, 2, 3, 0)), [IMAGE]),
    "constant_pad": (nn.ConstantPad2d(1, 0.5), [IMAGE]),
    "constant_pad_signal": (nn.ConstantPad1d((2, 1), 0.0), [SIGNAL]),
    "pad_channels": (Call(lambda x: F.pad(x, (0, 0, 0, 0, 1, 2))), [IMAGE]),
    "chunk": (Call(lambda x: x.chunk(4, 1)), [IMAGE]),
    "split": (Call(lambda x: x.split([1, 5], 1)), [IMAGE]),
    "slices": (Call(lambda x: x[:, 1:5:2, 2:, -3:]), [IMAGE]),
    "select": (Call(lambda x: x[:, :, -1]), [SIGNAL]),
    "unbind": (Call(lambda x: x.unbind(1)[1]), [SIGNAL]),
    "slice_of_flattened": (Call(lambda x: x.flatten(1)[:, 3:100]), [IMAGE]),
    "input_as_output": (Call(lambda x: (x, x.flatten(1), x)), [IMAGE]),
}
