"""A graph beside the PyTorch module that it was translated from."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from mcuquant import ir
from mcuquant.arithmetic import interpreter
from mcuquant.quantization.sample_layout import to_graph_layout, to_model_layout


def outputs(graph: ir.Graph, inputs: tuple[Tensor, ...]) -> list[np.ndarray]:
    arrays = [to_graph_layout(x.numpy(), graph[i].shape) for x, i in zip(inputs, graph.inputs, strict=True)]
    return interpreter.run(graph, arrays)


def assert_same_as_torch(module: nn.Module, graph: ir.Graph, inputs: tuple[Tensor, ...]) -> None:
    with torch.no_grad():
        expected = module(*(x.clone() for x in inputs))
    expected = list(expected) if isinstance(expected, tuple | list) else [expected]
    found = outputs(graph, inputs)
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert theirs.numel() == 1 or theirs.double().std() > 0
        np.testing.assert_allclose(to_model_layout(ours, theirs.ndim).reshape(theirs.shape), theirs, 2e-5, 2e-5)
