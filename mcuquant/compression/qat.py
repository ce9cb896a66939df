"""Quantization-aware training: trains a network with the device's rounding and imports it as an integer graph.

The flow is PyTorch's own (torchao's PT2E): export, `prepare_qat_pt2e`, training, `convert_pt2e`, and the importer of
networks that PT2E quantized.
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
    """The integer graph of the device."""
    module: GraphModule
    """The same network with PyTorch's floats between roundings; accepts batches."""


def qat(net: nn.Module, example: Any, train: Train, bits: int | Mapping[str, int] = 8) -> Trained:
    """Train `net` with simulated rounding and import it as integers.

    `example` is an input of any batch size, or a tuple of inputs. `train` is called with a module that accepts batches
    as `net` does, rounds as the device does, and is in training mode; it trains that module in place for any time
    (`train()` and `eval()` switch dropout and batch normalization). `bits` of the weights, 8, 4 or 2, apply to all
    layers or per module name (8 for the others). `net` itself does not change.

    Raises ModelError if PyTorch cannot export the network, UnsupportedOpError for operations that the device does not
    support.
    """
    prepared = prepare(net, example, bits)
    train(prepared)
    trained = convert(prepared, example)
    return Trained(trained.graph.with_(name=type(net).__name__), trained.module)


def prepare(net: nn.Module, example: Any, bits: int | Mapping[str, int] = 8) -> GraphModule:
    """`net` exported for training, with the device's rounding."""
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
    """The trained network as an integer graph."""
    prepared.eval()
    module = convert_pt2e(prepared)
    return Trained(flow.from_torch(module, example), module)
