"""Samples of a network that PyTorch quantized, as the graph stores them."""

from __future__ import annotations

from torch import Tensor

from mcuquant.ir import Array, Graph
from mcuquant.quantization.sample_layout import to_graph_layout
from mcuquant.quantization.snr import quantized_inputs


def stored(graph: Graph, x: Tensor) -> list[Array]:
    return quantized_inputs(graph, [to_graph_layout(x.numpy(), graph[graph.inputs[0]].shape)])
