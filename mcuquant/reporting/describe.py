"""Properties and costs of a network as plain values, for `inspect`, scripts and JSON."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from ..boards.board import Board
from ..codegen.budget import goal
from ..codegen.lower import lower
from ..errors import CalibrationWarning
from ..ir import DType, Graph, Op, Tensor
from ..ir.metrics import macs, parameters, total_macs
from ..planner import Goal, Option, Plan, Step, live_at, plan
from ..quantization import quantize

ARENA = "planned"
CONSTANTS = "planned, without code"


def describe(graph: Graph, board: Board, plan_goal: Goal | None = None) -> Mapping[str, Any]:
    """Layers and sizes of a network on a board.

    A float network is planned as its int8 form: sizes do not depend on the calibration. Without a goal, the plan is
    that of `compile` with default options.

    Keys: title, float, board, parameters, macs, arena_bytes and constant_bytes (each with a `_source` that names what
    it counts), arena_peak (step, op: the step with the most bytes alive, ignoring overlaps; tensors: the tensors alive,
    the largest first), layers (name, op, dtype, shape, macs, weights: elements of constants), quantization (of inputs
    and layers: layer, name, op, scale, zero_point, weight_bits, weight_scales as [least, largest], weight_channels:
    number of scales), optimize, estimate (cycles and network_flash_bytes of all layers, which select the kernels),
    kernels (layer, name, op, and options, the fastest first: kernel, note, is_chosen, cycles, constant_bytes,
    code_bytes, scratch_bytes), graph (its text).
    """
    integers = as_integers(graph)
    steps = plan(integers, board.core, plan_goal or goal(integers, board))
    as_int8 = ", as int8" if graph.is_float else ""
    return {
        "title": graph.name,
        "float": graph.is_float,
        "board": board.name,
        "parameters": parameters(graph),
        "macs": total_macs(graph),
        "arena_bytes": steps.arena_bytes,
        "arena_bytes_source": ARENA + as_int8,
        "arena_peak": _peak(integers, steps),
        "constant_bytes": lower(steps).constant_bytes,
        "constant_bytes_source": CONSTANTS + as_int8,
        "layers": [_layer(graph, op) for op in graph.ops],
        "quantization": [*_inputs(graph), *(_quantization(graph, i) for i in range(len(graph.ops)))],
        "optimize": steps.goal.objective.value,
        "estimate": {"cycles": steps.cycles, "network_flash_bytes": steps.network_flash_bytes},
        "kernels": [_kernels(integers, steps, step) for step in steps.steps],
        "graph": str(graph),
    }


def as_integers(graph: Graph) -> Graph:
    """A float network as an int8 network of equal sizes, calibrated with noise; an integer network unchanged."""
    if not graph.is_float:
        return graph
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CalibrationWarning)
        return quantize(graph, _stand_in(graph), improve=False)


def _layer(graph: Graph, op: Op) -> Mapping[str, Any]:
    y = graph.out(op)
    weights = sum(t.elements for t in graph.ins(op) if t.is_constant)
    return {
        "name": y.name,
        "op": op.kind,
        "dtype": y.dtype.value,
        "shape": list(y.shape),
        "macs": macs(graph, op),
        "weights": weights,
    }


def _kernels(graph: Graph, steps: Plan, step: Step) -> Mapping[str, Any]:
    op = steps.graph.ops[step.op_index]
    return {
        "layer": _layer_index(graph, op),
        "name": graph.out(op).name,
        "op": op.kind,
        "options": [_option(option, option is step.option) for option in step.options],
    }


def _layer_index(graph: Graph, op: Op) -> int:
    """The operation of the network that computes the output of `op`: the last one of a joined operation."""
    return next(i for i, layer in enumerate(graph.ops) if layer.output == op.output)


def _option(option: Option, is_chosen: bool) -> Mapping[str, Any]:
    return {
        "kernel": option.variant.name,
        "note": option.variant.note,
        "is_chosen": is_chosen,
        **asdict(option.cost),
    }


def _inputs(graph: Graph) -> Iterator[Mapping[str, Any]]:
    for x in (graph[i] for i in graph.inputs):
        yield {"layer": None, "name": x.name, "op": "", **_scale(x), **_no_weights()}


def _quantization(graph: Graph, index: int) -> Mapping[str, Any]:
    """The first constant operand is the weights; biases follow from it and from the input."""
    op = graph.ops[index]
    y, constants = graph.out(op), [t for t in graph.ins(op) if t.is_constant and t.q is not None]
    weights = _weights(constants[0]) if constants else _no_weights()
    return {"layer": index, "name": y.name, "op": op.kind, **_scale(y), **weights}


def _scale(t: Tensor) -> Mapping[str, Any]:
    return {"scale": t.scale, "zero_point": t.zero_point} if t.q is not None else {"scale": None, "zero_point": None}


def _weights(t: Tensor) -> Mapping[str, Any]:
    assert t.q is not None
    scales = t.q.scale
    return {"weight_bits": t.bits, "weight_scales": [min(scales), max(scales)], "weight_channels": len(scales)}


def _no_weights() -> Mapping[str, Any]:
    return {"weight_bits": None, "weight_scales": None, "weight_channels": 0}


def _peak(graph: Graph, steps: Plan) -> Mapping[str, Any]:
    """Before the first operation only the inputs are alive, and it stands for them."""
    index = max(steps.peak_step, 0)
    op, alive = steps.graph.ops[index], [graph[t] for t in live_at(steps.graph, index)]
    return {
        "step": _layer_index(graph, op),
        "op": op.kind,
        "tensors": [{"name": t.name, "shape": list(t.shape), "bytes": t.nbytes} for t in alive],
    }


def _stand_in(graph: Graph) -> list[np.ndarray[Any, Any]]:
    """Two samples of noise per input: a calibration for sizes only."""
    rng = np.random.default_rng(0)
    shapes = [graph[i].shape[1:] for i in graph.inputs]
    return [rng.standard_normal((2, *shape)).astype(DType.FLOAT32.numpy) for shape in shapes]
