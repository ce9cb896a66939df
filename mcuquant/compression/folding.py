"""Folds batch normalization into the preceding convolution in PyTorch, as the compiler does in the graph."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

_CONVOLUTIONS = (torch.ops.aten.conv1d, torch.ops.aten.conv2d)


def folded(net: nn.Module, example: Tensor) -> nn.Module:
    """A copy in evaluation mode, without each batch normalization that is the only reader of a convolution's output.

    A folded normalization becomes nn.Identity, so that names of layers do not change. A layer with several calls is
    unchanged.
    """
    result = copy.deepcopy(net).eval()
    for before, after in list(_pairs(result, example)):
        _fold(result.get_submodule(before), result.get_submodule(after))
        result.set_submodule(after, nn.Identity())
    return result


def _fold(convolution: Any, norm: Any) -> None:
    statistics = (norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias)
    convolution.weight, convolution.bias = fuse_conv_bn_weights(convolution.weight, convolution.bias, *statistics)


def _pairs(net: nn.Module, example: Tensor) -> Iterator[tuple[str, str]]:
    """Names of (convolution, batch normalization) pairs."""
    program = torch.export.export(net, (example,))
    signature = program.graph_signature
    homes = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    for node in program.graph.nodes:
        before: Any = node.args[0] if node.args else None
        if node.target != torch.ops.aten.batch_norm.default or not _is_convolution(before):
            continue
        weight, mean = before.args[1], node.args[3]
        if len(before.users) == len(weight.users) == len(mean.users) == 1:
            yield _module(homes[weight.name]), _module(homes[mean.name])


def _is_convolution(node: Any) -> bool:
    return isinstance(node, torch.fx.Node) and getattr(node.target, "overloadpacket", None) in _CONVOLUTIONS


def _module(parameter: str) -> str:
    return parameter.rpartition(".")[0]
