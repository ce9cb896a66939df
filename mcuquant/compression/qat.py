"""Quantization-aware training: a network learns with the device's rounding in it, then becomes the integer graph.

The flow is PyTorch's own (torchao's PT2E): export, `prepare_qat_pt2e`, training, `convert_pt2e`, and the import that
takes any network so quantized.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.fx import GraphModule
from torchao.quantization.pt2e import allow_exported_model_train_eval
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_qat_pt2e

from .. import flow
from ..errors import ModelError
from ..ir import Graph
from .device_quantizer import DeviceQuantizer
from .loose_norms import ready_for_integers

Train = Callable[[GraphModule], Any]


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    graph: Graph
    """Integers, as the device computes."""
    module: GraphModule
    """The same with PyTorch's floats between roundings; takes batches."""


def qat(net: nn.Module, example: Any, train: Train, bits: int | Mapping[str, int] = 8) -> Trained:
    """Train `net` for integers and import it.

    `example` is an input of any batch size, or a tuple of them. `train` is given a module that takes batches as `net`
    does, rounds as the device will, and is in training mode; it trains that module in place (`train()` and `eval()`
    switch dropout and batch normalization) for as long as it likes. `bits` are those of the weights, 8, 4 or 2, for
    all layers or by module name, those not named having 8. `net` itself stays as it is.
    Raises ModelError when PyTorch cannot export the network, UnsupportedOpError for what the device cannot do.
    """
    prepared = prepare(net, example, bits)
    train(prepared)
    trained = convert(prepared, example)
    return Trained(trained.graph.with_(name=type(net).__name__), trained.module)


def prepare(net: nn.Module, example: Any, bits: int | Mapping[str, int] = 8) -> GraphModule:
    """`net` exported for training, with the device's rounding in it."""
    inputs = tuple(torch.as_tensor(x)[:1] for x in (example if isinstance(example, tuple | list) else (example,)))
    twice = tuple(torch.cat([x, x]) for x in inputs)
    batch = tuple({0: torch.export.Dim.AUTO} for _ in inputs)
    try:
        ready = ready_for_integers(copy.deepcopy(net), twice)
        program = torch.export.export(ready.train(), twice, dynamic_shapes=batch)
    except Exception as error:  # torch.export raises many unrelated types
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(f"{type(net).__name__}: torch.export cannot trace it for training: {reason}") from error
    prepared: GraphModule = prepare_qat_pt2e(program.module(), DeviceQuantizer(bits))
    allow_exported_model_train_eval(prepared)
    prepared.train()
    return prepared


def convert(prepared: GraphModule, example: Any) -> Trained:
    """What was trained, as integers."""
    prepared.eval()
    module = convert_pt2e(prepared)
    return Trained(flow.from_torch(module, example), module)
