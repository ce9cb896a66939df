"""Networks with new random weights: the same shape, with the initial weights that PyTorch gives new layers.

A pruned network often learns better from random weights than from the remaining ones: Z. Liu et al., "Rethinking the
Value of Network Pruning" (ICLR 2019). Networks that differ only in their initial weights are together a better teacher
than one of them: Z. Allen-Zhu, Y. Li, "Towards Understanding Ensemble, Knowledge Distillation and Self-Distillation in
Deep Learning" (ICLR 2023).
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from ..errors import ModelError


def reinitialized(net: nn.Module) -> nn.Module:
    """A copy with new random weights from PyTorch's random state. Raises ModelError for a layer without
    `reset_parameters`.
    """
    result = copy.deepcopy(net)
    for name, layer in result.named_modules():
        reset = getattr(layer, "reset_parameters", None)
        if callable(reset):
            reset()
        elif next(layer.parameters(recurse=False), None) is not None:
            where = f"layer {name!r}" if name else "the network"
            raise ModelError(
                f"{where} ({type(layer).__name__}) has weights of its own but no method reset_parameters() that "
                "begins them anew; give it one"
            )
    return result


class Together(nn.ModuleList):
    """Several networks as one: the mean of their outputs."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([net(x) for net in self]).mean(dim=0)
