"""details.json: the arena over time as the plan has it, weights as the network means them, losses by layer."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from graphs import random_network
from small_nets import separable

from mcuquant import flow
from mcuquant.boards.board import load_board
from mcuquant.errors import OutputError
from mcuquant.ir import Array, DType, Graph, QParams, Role, Tensor
from mcuquant.passes.shrink import shrink
from mcuquant.planner import plan
from mcuquant.quantization import LayerSnr, snr_report
from mcuquant.reporting.details import BINS, LEAST_DB, details_of, load_details, real_values

CORE = load_board("qemu-mps2-an386").core


@pytest.fixture(scope="module")
def pair() -> tuple[Graph, Graph, Array]:
    """A float network with a Reshape in it, its int8 form, and samples."""
    torch.manual_seed(0)
    x = torch.randn(8, 1, 9, 7)
    graph = flow.from_torch(separable().eval(), x[:1])
    return graph, flow.quantize(graph, x.numpy(), channels_first=True), x.numpy()


@pytest.mark.parametrize("seed", range(12))
def test_every_tensor_is_in_its_place_while_a_step_uses_it(seed: int) -> None:
    graph = random_network(np.random.default_rng(seed))
    made = plan(graph, CORE)
    places = details_of(graph, made).places
    graph = made.graph  # a convolution and its pooling may be one operation there
    for i, step in enumerate(made.steps):
        op = graph.ops[step.op_index]
        alive = {(p.offset_bytes, p.size_bytes) for p in places if p.first_step <= i <= p.last_step}
        used = [t for t in (*op.inputs, *op.outputs) if t in made.offsets]
        assert {(made.offsets[t], graph[t].nbytes) for t in used} <= alive
        if step.scratch_offset is not None:
            assert (step.scratch_offset, step.scratch_bytes) in alive
    top = max(p.offset_bytes + p.size_bytes for p in places)
    assert made.arena_bytes - 16 < top <= made.arena_bytes
    assert [p.first_step for p in places if p.kind == "input"] == [-1]
    assert {p.last_step for p in places if p.kind == "output"} == {len(made.steps)}


def test_a_reshaped_tensor_is_one_place(pair: tuple[Graph, Graph, Array]) -> None:
    _, graph, _ = pair
    made = plan(graph, CORE)
    assert len(made.steps) == len(graph.ops) - 1
    places = details_of(graph, made).places
    before, after = made.steps[-2], made.steps[-1]
    flat = graph[graph.ops[before.op_index].output]
    (found,) = [p for p in places if p.name == flat.name]
    assert (found.first_step, found.last_step) == (len(made.steps) - 2, len(made.steps) - 1)
    assert graph.ops[after.op_index].inputs[0] != flat.id


def test_weights_before_and_after(pair: tuple[Graph, Graph, Array]) -> None:
    source, graph, _ = pair
    rows = details_of(graph, plan(graph, CORE), source).weights
    assert [row.op for row in rows] == ["Conv2D", "DepthwiseConv2D", "Conv2D", "FullyConnected"]
    assert [row.elements for row in rows] == [144, 144, 384, 120]
    for row in rows:
        assert row.source is not None
        assert len(row.stored) == len(row.source) == BINS
        assert sum(row.stored) == sum(row.source) == row.elements
        assert row.stored != (row.elements, *[0] * (BINS - 1))
        assert row.distinct > 30
    alone = details_of(graph, plan(graph, CORE)).weights
    assert [row.source for row in alone] == [None] * 4
    assert [row.elements for row in alone] == [144, 144, 384, 120]


def test_a_layer_that_lost_channels_has_no_counterpart(pair: tuple[Graph, Graph, Array]) -> None:
    source, graph, _ = pair
    w = graph[graph.ops[0].inputs[1]]
    assert w.data is not None
    data = w.data.copy()
    data[3] = 0
    tensors = {**graph.tensors, w.id: Tensor(w.id, w.shape, w.dtype, w.role, w.bits, w.q, data, w.name)}
    small = shrink(graph.with_(tensors=tensors), bounds=False)
    rows = details_of(small, plan(small, CORE), source).weights
    assert [row.elements for row in rows] == [135, 135, 360, 120]
    assert [row.source is None for row in rows] == [True, True, True, False]


def test_real_values_take_scales_by_channel_and_zero_points() -> None:
    data = np.array([[1, -2], [3, 0]], np.int8)
    by_channel = Tensor(0, (2, 2), DType.INT8, Role.CONSTANT, q=QParams((0.5, 2.0), 0, 0), data=data)
    assert real_values(by_channel).tolist() == [0.5, -1.0, 6.0, 0.0]
    whole = Tensor(0, (2, 2), DType.INT8, Role.CONSTANT, q=QParams((0.5,), 3), data=data)
    assert real_values(whole).tolist() == [-1.0, -2.5, 0.0, -1.5]


def test_losses_are_numbered_like_steps(pair: tuple[Graph, Graph, Array]) -> None:
    source, graph, x = pair
    made = plan(graph, CORE)
    rows = details_of(graph, made, source, snr_report(source, graph, x[:2], channels_first=True)).sensitivity
    assert [row.step for row in rows] == [-1, *range(len(made.steps))]
    assert all(row.op == graph.ops[made.steps[row.step].op_index].kind for row in rows if row.step >= 0)


def test_no_loss_and_no_signal_are_numbers_of_json(pair: tuple[Graph, Graph, Array]) -> None:
    _, graph, _ = pair
    snr = LayerSnr(-1, "x", "Input", (1, 2), math.inf, 30.004, -math.inf)
    text = details_of(graph, plan(graph, CORE), snr=[snr]).to_text()
    (row,) = json.loads(text, parse_constant=pytest.fail)["sensitivity"]
    assert (row["cumulative_db"], row["own_db"], row["effect_db"]) == (None, 30.0, LEAST_DB)


def test_what_compile_writes_is_read_back(pair: tuple[Graph, Graph, Array], tmp_path: Path) -> None:
    source, graph, x = pair
    snr = snr_report(source, graph, x[:1], channels_first=True)
    project = flow.compile(graph, output=tmp_path / "net", build_firmware=False, source=source, snr=snr)
    path = project.directory / "details.json"
    found = load_details(path)
    assert found.to_text() == path.read_text()
    assert len(found.sensitivity) == len(project.manifest["layers"]) + 1
    for text in ("{}", "[", '{"places": [{}], "weights": [], "sensitivity": []}'):
        path.write_text(text)
        with pytest.raises(OutputError) as error:
            load_details(path)
        assert str(error.value) == f"{path} cannot be read as what compile writes: compile the project again"
