"""Longer strides of convolutions, which leave fewer positions for all later layers.

Weights do not change. A layer before a mean over all positions loses little, because the mean over every second
position is close to the mean over all. Earlier in the network, later layers see a coarser image and must be trained
(see `training.Training.match`).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..errors import ModelError

Convolution = nn.Conv1d | nn.Conv2d
_POOLS = (nn.AvgPool1d, nn.AvgPool2d, nn.MaxPool1d, nn.MaxPool2d)


def strided(net: nn.Module, example: Tensor, strides: Mapping[str, tuple[int, ...]]) -> nn.Module:
    """A copy of the network in evaluation mode, with these strides of the named convolutions.

    One number for Conv1d, two for Conv2d (down, across), each a multiple of the present stride, so that the remaining
    positions are a subset of the present ones. Pools over the whole image still cover it; other pools do not change.
    `example` is an input batch of one. Raises ModelError for a name without such a layer, an invalid stride, and a
    network that does not support smaller images.
    """
    result = copy.deepcopy(net).eval()
    whole = _whole_pools(result, example)
    original_shape = _answer(result, example).shape
    for name, stride in strides.items():
        layer = _convolution(result, name)
        _check(name, layer, stride)
        layer.stride = stride
    handles = [pool.register_forward_pre_hook(_cover) for pool in whole]
    try:
        shape = _answer(result, example).shape
    except RuntimeError as error:  # exception of PyTorch for shapes that do not fit
        raise ModelError(f"{_steps(strides)}: the layers behind cannot take fewer positions: {error}") from error
    finally:
        for handle in handles:
            handle.remove()
    if shape != original_shape:
        raise ModelError(
            f"{_steps(strides)}: the network would answer in shape {list(shape)}, not {list(original_shape)}; longer "
            "steps need a mean or a pool over all positions behind them"
        )
    return result


def _answer(net: nn.Module, example: Tensor) -> Tensor:
    with torch.no_grad():
        answer: Tensor = net(example)
    return answer


def _whole_pools(net: nn.Module, example: Tensor) -> list[nn.Module]:
    """Pools whose single window is the whole image."""
    modules: list[nn.Module] = []

    def note(pool: nn.Module, inputs: tuple[Tensor, ...], _: Tensor) -> None:
        image = tuple(inputs[0].shape[2:])
        if _tuple(pool.kernel_size, len(image)) == image and not any(_tuple(pool.padding, len(image))):
            modules.append(pool)

    handles = [m.register_forward_hook(note) for m in net.modules() if isinstance(m, _POOLS)]
    _answer(net, example)
    for handle in handles:
        handle.remove()
    return modules


def _cover(pool: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    for key in ("kernel_size", "stride"):
        setattr(pool, key, tuple(inputs[0].shape[2:]))


def _convolution(net: nn.Module, name: str) -> Convolution:
    layers = {n: layer for n, layer in net.named_modules() if isinstance(layer, Convolution)}
    if name not in layers:
        raise ModelError(
            f"layer {name!r} is not a convolution of the network; its convolutions: {', '.join(layers) or 'none'}"
        )
    return layers[name]


def _check(name: str, layer: Convolution, stride: tuple[int, ...]) -> None:
    had = _tuple(layer.stride, len(layer.kernel_size))
    if len(stride) != len(had) or any(new < 1 or new % old for new, old in zip(stride, had, strict=True)):
        raise ModelError(f"layer {name!r} has stride {list(had)}; expected a multiple of each, found {list(stride)}")


def _tuple(value: object, length: int) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (int(str(value)),) * length


def _steps(strides: Mapping[str, tuple[int, ...]]) -> str:
    return ", ".join(f"stride {list(stride)} in {name!r}" for name, stride in strides.items())
