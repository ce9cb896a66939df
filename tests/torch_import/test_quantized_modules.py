"""PyTorch modules quantized to int8: interpreter, tflite-micro, and C on this machine and emulated cores agree."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import tflm
import torch
import torch_modules as modules
from harness import Runner, assert_equal, build_device, build_host

from mcuquant.arithmetic import interpreter
from mcuquant.ir import Array, Graph
from mcuquant.passes import run_passes
from mcuquant.quantization import quantize
from mcuquant.tflite.writer.to_tflite import to_tflite
from mcuquant.torch_import.from_torch import from_torch

CASES = {**modules.STATISTICS, **modules.PRODUCTS, **modules.SAMPLED}
SAMPLES = 16


@cache
def quantized(name: str) -> Graph:
    torch.manual_seed(0)
    module, shapes = CASES[name]
    graph = run_passes(from_torch(module.eval(), tuple(torch.zeros(shape) for shape in shapes)))
    rng = np.random.default_rng(1)
    calibration = [rng.normal(0, 1, (SAMPLES, *graph[i].shape[1:])).astype(np.float32) for i in graph.inputs]
    return quantize(graph, calibration, channels_first=False)


def inputs(graph: Graph) -> list[Array]:
    rng = np.random.default_rng(2)
    return [rng.integers(-128, 128, graph[i].shape).astype(np.int8) for i in graph.inputs]


@pytest.mark.parametrize("name", CASES)
def test_bytes_of_tflite_micro(name: str) -> None:
    graph = quantized(name)
    x = inputs(graph)
    for ours, theirs in zip(interpreter.run(graph, x), tflm.run(to_tflite(graph), x, len(graph.outputs)), strict=True):
        assert np.array_equal(ours, theirs)


def _check(program: Runner) -> None:
    for index, (name, graph) in enumerate(zip(CASES, program.graphs, strict=True)):
        x = inputs(graph)
        (outcome,) = program.run(index, x)
        assert_equal(name, graph, outcome, x)


def test_bytes_on_this_machine(tmp_path: Path) -> None:
    _check(build_host([quantized(name) for name in CASES], tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("cpu", ["cortex-m0plus", "cortex-m4", "cortex-m55"])
def test_bytes_on_an_emulated_core(cpu: str, tmp_path: Path) -> None:
    _check(build_device([quantized(name) for name in CASES], tmp_path, cpu))
