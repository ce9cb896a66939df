"""Replaces batch normalization that quantization-aware training cannot fold into the preceding convolution.

PT2E folds a batch normalization that is the only reader of a convolution's output. Any other one is replaced before
training by its evaluation-mode function, exactly: by changed weights of a linear layer, or by a depthwise convolution
with one tap.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Node
from torch.nn.modules.batchnorm import _BatchNorm

_MOMENTUM = 0.1
"""Momentum for a normalization whose running statistics were a cumulative average (momentum=None): PyTorch's default.
"""


def ready_for_integers(net: nn.Module, inputs: tuple[Tensor, ...]) -> nn.Module:
    """Changes `net` in place: batch normalizations do not count batches, and unfoldable ones are replaced if possible.

    The counters would remain in the exported program as in-place additions.
    """
    for norm in net.modules():
        if isinstance(norm, _BatchNorm):
            norm.num_batches_tracked = None
            norm.momentum = _MOMENTUM if norm.momentum is None else norm.momentum
    training = net.training
    program = torch.export.export(net.eval(), inputs)
    signature = program.graph_signature
    homes = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    for node in list(program.graph.nodes):
        if node.target == torch.ops.aten.batch_norm.default:
            _replace(net, node, homes)
    return net.train(training)


def _replace(net: nn.Module, node: Node, homes: dict[str, str]) -> None:
    """A normalization whose module is called once."""
    source, mean = node.args[0], node.args[3]
    if not (isinstance(source, Node) and isinstance(mean, Node)) or len(mean.users) != 1:
        return
    name = homes[mean.name].rpartition(".")[0]
    norm: Any = net.get_submodule(name)
    scale = (norm.running_var + norm.eps).rsqrt() * (1.0 if norm.weight is None else norm.weight.detach())
    offset = (0.0 if norm.bias is None else norm.bias.detach()) - norm.running_mean * scale
    rank = len(node.meta["val"].shape)
    before = _linear(net, source, homes) if len(source.users) == 1 else None
    users = list(node.users)
    after = _linear(net, users[0], homes) if len(users) == 1 else None
    if _kind(source) in ("conv1d", "conv2d", "conv_transpose2d") and len(source.users) == 1:
        return
    if rank == 2 and before is not None:
        _into_previous(before, scale, offset)
        net.set_submodule(name, nn.Identity())
    elif rank == 2 and after is not None:
        _into_next(after, scale, offset)
        net.set_submodule(name, nn.Identity())
    elif rank in (3, 4):
        net.set_submodule(name, _depthwise(scale, offset, rank))


def _kind(node: Node) -> str:
    return getattr(getattr(node.target, "overloadpacket", None), "__name__", "")


def _linear(net: nn.Module, node: Node, homes: dict[str, str]) -> nn.Linear | None:
    """The nn.Linear that a node calls, if nothing else calls it."""
    if _kind(node) != "linear" or not isinstance(weight := node.args[1], Node) or len(weight.users) != 1:
        return None
    module = net.get_submodule(homes[weight.name].rpartition(".")[0])
    return module if isinstance(module, nn.Linear) else None


def _into_previous(linear: nn.Linear, scale: Tensor, offset: Tensor) -> None:
    """scale * (W x + b) + offset."""
    bias = 0.0 if linear.bias is None else linear.bias.detach()
    linear.bias = nn.Parameter(bias * scale + offset)
    linear.weight = nn.Parameter(linear.weight.detach() * scale[:, None])


def _into_next(linear: nn.Linear, scale: Tensor, offset: Tensor) -> None:
    """W (scale * x + offset) + b."""
    weight = linear.weight.detach()
    bias = 0.0 if linear.bias is None else linear.bias.detach()
    linear.bias = nn.Parameter(bias + weight @ offset)
    linear.weight = nn.Parameter(weight * scale)


def _depthwise(scale: Tensor, offset: Tensor, rank: int) -> nn.Module:
    kind = nn.Conv1d if rank == 3 else nn.Conv2d
    layer = kind(len(scale), len(scale), 1, groups=len(scale))
    with torch.no_grad():
        layer.weight.copy_(scale.reshape(layer.weight.shape))
        assert layer.bias is not None
        layer.bias.copy_(offset)
    return layer
