"""The demo's network as integers, and its accuracy on this computer."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from .. import flow
from ..arithmetic import interpreter
from ..ir import Array, Graph
from ..quantization.sample_layout import to_graph_layout
from ..quantization.snr import quantized_inputs
from .data import DemoData, Windows

CALIBRATE_EVERY = 8
"""Step of the calibration samples in the training windows; about 300 remain."""


def to_graph(net: nn.Module) -> Graph:
    """The float graph of a net over windows (N, 6, 128)."""
    return flow.from_torch(net, torch.zeros(1, 6, 128))


def to_integers(graph: Graph, data: DemoData) -> Graph:
    """The int8 form, calibrated on a part of the training windows."""
    return flow.quantize(graph, data.train.x[::CALIBRATE_EVERY])


def stored_windows(graph: Graph, windows: Windows) -> Array:
    """int8 inputs (N, 1, 128, 6) of a quantised graph, as the device takes them."""
    x = to_graph_layout(windows.x, graph[graph.inputs[0]].shape)
    return np.concatenate([quantized_inputs(graph, [x[i : i + 1]])[0] for i in range(len(x))])


def host_outputs(graph: Graph, stored: Array) -> Array:
    """(N, 7) int8: the interpreter's outputs for stored inputs."""
    return np.concatenate([interpreter.run(graph, [stored[i : i + 1]])[0] for i in range(len(stored))])


def accuracy(outputs: Array, windows: Windows) -> float:
    """Accuracy, 0 to 1, where the first largest output counts."""
    return float((outputs.argmax(axis=1) == windows.y[: len(outputs)]).mean())
