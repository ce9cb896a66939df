"""The choice of kernels: what each objective promises, limits kept or refused, and always the same."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import layers
import mlperf
import numpy as np
import pytest
import torch
from fast_graphs import GENERATORS, dense
from graphs import random_inputs, random_network
from harness import assert_equal, compile_host, lowered
from hypothesis import example, given, settings
from hypothesis import strategies as st
from nets import Net
from plan_replay import replay

from mcuquant import flow
from mcuquant.arithmetic import interpreter
from mcuquant.boards.core import CORES
from mcuquant.codegen.emit import render
from mcuquant.codegen.lower import lower
from mcuquant.demo.train import build
from mcuquant.errors import BudgetError
from mcuquant.ir import DType, Graph, ops
from mcuquant.passes.shrink import shrink
from mcuquant.planner import Goal, Limits, Plan, plan
from mcuquant.planner.ledger import Ledger
from mcuquant.planner.objective import Objective
from mcuquant.planner.plan_search import _Search

M4 = CORES["cortex-m4"]
SEEDS = st.integers(0, 10_000)
NETWORKS = settings(deadline=None, max_examples=15)


def planned(graph: Graph, objective: Objective, ram: int | None = None, flash: int | None = None) -> Plan:
    return plan(graph, M4, Goal(objective, Limits(ram, flash)))


def flash_when_shared(found: Plan) -> int:
    return Ledger(True, {s.op_index: s.option for s in found.steps}).network_flash_bytes


def weight(found: Plan) -> int:
    """What `balanced` keeps small."""
    return int((found.arena_bytes + 4096) ** 10 * found.cycles**5 * found.network_flash_bytes)


def chosen(found: Plan) -> list[str]:
    return [f"{s.variant.name} {s.variant.note}" for s in found.steps]


@NETWORKS
@given(SEEDS)
def test_objectives_keep_what_they_promise(seed: int) -> None:
    graph = random_network(np.random.default_rng(seed))
    speed, balanced, size = (planned(graph, objective) for objective in Objective)
    assert speed.cycles == sum(s.options[0].cost.cycles for s in speed.steps)
    assert speed.cycles <= balanced.cycles <= 1.25 * speed.cycles
    assert size.cycles <= 2.5 * speed.cycles
    assert weight(balanced) <= weight(speed)
    assert size.network_flash_bytes <= flash_when_shared(speed)


@NETWORKS
@given(SEEDS, st.sampled_from(Objective), st.floats(0.6, 1.1), st.floats(0.6, 1.1))
def test_a_plan_is_within_its_limits_or_there_is_none(seed: int, aim: Objective, ram: float, flash: float) -> None:
    graph = random_network(np.random.default_rng(seed))
    free = planned(graph, aim)
    limits = int(free.arena_bytes * ram), int(free.network_flash_bytes * flash)
    try:
        found = planned(graph, aim, *limits)
    except BudgetError:
        assert min(ram, flash) < 1
        return
    assert (found.arena_bytes <= limits[0], found.network_flash_bytes <= limits[1]) == (True, True)


@NETWORKS
@example(216, Objective.SIZE)
@given(SEEDS, st.sampled_from(Objective))
def test_what_a_plan_takes_is_enough_of_a_limit(seed: int, objective: Objective) -> None:
    graph = random_network(np.random.default_rng(seed))
    free = planned(graph, objective)
    again = planned(graph, objective, free.arena_bytes, free.network_flash_bytes)
    assert (again.arena_bytes <= free.arena_bytes, again.network_flash_bytes <= free.network_flash_bytes) == (
        True,
        True,
    )
    if objective is Objective.SPEED:
        assert again.cycles == free.cycles


@NETWORKS
@given(SEEDS, st.sampled_from(Objective))
def test_the_same_plan_every_time(seed: int, objective: Objective) -> None:
    first, second = (planned(random_network(np.random.default_rng(seed)), objective) for _ in range(2))
    assert chosen(first) == chosen(second)
    assert first.offsets == second.offsets


@pytest.mark.parametrize("name", list(GENERATORS)[::3])
@pytest.mark.parametrize("objective", [Objective.BALANCED, Objective.SIZE])
def test_nothing_alive_is_overwritten(name: str, objective: Objective) -> None:
    rng = np.random.default_rng(7)
    graph = GENERATORS[name](rng)
    inputs = [rng.integers(-128, 128, graph[i].shape).astype(graph[i].dtype.numpy) for i in graph.inputs]
    found, expected = replay(graph, planned(graph, objective), inputs), interpreter.run(graph, inputs)
    assert [y.tobytes() for y in found] == [y.tobytes() for y in expected]


def test_programs_made_small_equal_the_interpreter(tmp_path: Path) -> None:
    """Kernels that several layers share, with parameters in variables, under the sanitizers."""
    networks = [random_network(np.random.default_rng(seed)) for seed in range(40, 46)]
    programs = tuple(lowered(graph, i, M4, goal=Goal(Objective.SIZE)) for i, graph in enumerate(networks))
    assert any(program.shared for program in programs)
    runner = compile_host(networks, programs, tmp_path)
    for i, graph in enumerate(networks):
        sample = random_inputs(np.random.default_rng(i), graph)
        assert_equal(f"network {i}", graph, runner.run(i, sample)[0], sample)


def test_a_kernel_of_any_type_is_shared_once_for_each(tmp_path: Path) -> None:
    """Copies of int8, int16 and a single one of int32 in one program."""
    net = Net(np.random.default_rng(6))
    outputs = []
    for dtype, count in ((DType.INT8, 2), (DType.INT16, 2), (DType.INT32, 1)):
        x = net.input((1, 4, 6), dtype)
        form = {"begin": (0, 1, 2), "step": (1, 2, 2), "dtype": dtype}
        outputs += [net.apply(ops.Slice, (x,), (1, 2, 2), net.tensors[x].q, **form) for _ in range(count)]
    graph = net.graph(*outputs)
    program = lowered(graph, 0, M4, goal=Goal(Objective.SIZE))
    assert [kernel.name for kernel in program.shared] == ["shared_copy", "shared_copy_2"]
    sample = random_inputs(np.random.default_rng(1), graph)
    assert_equal("copies", graph, compile_host([graph], (program,), tmp_path).run(0, sample)[0], sample)


@pytest.mark.emulator
def test_a_program_made_small_answers_the_same_on_a_core(tmp_path: Path) -> None:
    """Compiled for size, where sums and exponentials call functions of their own."""
    net = Net(np.random.default_rng(4))
    x = net.input((1, 24))
    y = dense(net, x, 24)
    graph = net.graph(layers.softmax(net, layers.binary(net, x, ops.Add, y)))
    project = flow.compile(graph, output=tmp_path / "small", optimize=Objective.SIZE)
    samples = np.random.default_rng(5).integers(-128, 128, (5, 24), np.int8)
    with project.connect() as dut:
        found = dut.run(samples)
    assert [row.tobytes() for row in found] == [interpreter.run(graph, [x[None]])[0].tobytes() for x in samples]


def test_a_program_made_small_shares_what_layers_have_in_common() -> None:
    net = Net(np.random.default_rng(2))
    x = net.input((1, 24))
    for outputs in (24, 24, 24, 16):
        x = dense(net, x, outputs)
    small, other = (lower(planned(net.graph(x), o)) for o in (Objective.SIZE, Objective.SPEED))
    assert (other.shared, other.is_small) == ((), False)
    (kernel,) = small.shared
    assert [call.function for call in small.calls] == [kernel.name] * 4
    assert kernel.struct == 0
    assert dict(kernel.constants)["depth"] == "24"
    assert "outputs" not in dict(kernel.constants)
    text = render("model.c.j2", program=small)
    assert f"static MQ_SHARED void {kernel.name}(const mq_fully_connected_" in text
    assert "MQ_KNOWN(p->depth == 24);" in text
    assert '{"", "", 576, 1, step_0_outputs},' in text


def refusal(graph: Graph, ram: int | None = None, flash: int | None = None) -> str:
    with pytest.raises(BudgetError) as caught:
        planned(graph, Objective.BALANCED, ram, flash)
    return str(caught.value)


def test_what_fits_nowhere_says_by_how_much_and_because_of_what() -> None:
    net = Net(np.random.default_rng(1))
    graph = net.graph(dense(net, net.input((1, 40)), 12))
    takes = planned(graph, Objective.BALANCED)
    assert takes.arena_bytes == 64
    y = graph.out(graph.ops[0])
    ram = (
        "an arena of 64 bytes, 32 more than the 32 allowed (most is alive at operation 0, FullyConnected: "
        f"input_0 [1, 40] 40 bytes, {y.name} [1, 12] 12 bytes)"
    )
    begin = f"{graph.name}: the kernels that come nearest to the limits take "
    assert refusal(graph, ram=32) == begin + ram
    flash = (
        f"808 bytes of flash, 708 more than the 100 allowed "
        f"(most are the 588 of operation 0, fully_connected_s8 {y.name})"
    )
    assert refusal(graph, flash=100) == begin + flash
    assert refusal(graph, ram=32, flash=100) == f"{begin}{ram} and {flash}"


def demo_network() -> Graph:
    """With weights as they are before training."""
    rng = np.random.default_rng(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = build().eval()
    x = rng.standard_normal((8, 6, 128)).astype(np.float32)
    return shrink(flow.quantize(flow.from_torch(net, (torch.from_numpy(x[:1]),)), x, channels_first=True))


def test_a_few_bytes_of_arena_are_not_bought_with_many_cycles() -> None:
    graph = demo_network()
    speed, balanced = (planned(graph, objective) for objective in (Objective.SPEED, Objective.BALANCED))
    assert balanced.arena_bytes <= speed.arena_bytes
    assert balanced.cycles <= 1.03 * speed.cycles


@NETWORKS
@given(SEEDS, st.sampled_from(Objective))
def test_a_ceiling_that_is_not_tried_has_nothing_better(seed: int, objective: Objective) -> None:
    """With promises that no plan is as good as, none is left out."""
    graph = random_network(np.random.default_rng(seed))
    found = planned(graph, objective)
    promised = _Search._promised
    with patch.object(_Search, "_promised", lambda search, height: ((-1.0,), promised(search, height)[1])):
        every = planned(graph, objective)
    assert (every.arena_bytes, every.cycles, every.network_flash_bytes) == (
        found.arena_bytes,
        found.cycles,
        found.network_flash_bytes,
    )


@pytest.mark.parametrize(
    ("name", "arena"), [("ad_int8", 1024), ("ic_int8", 34 * 1024), ("kws_int8", 8908), ("vww_int8", 38 * 1024)]
)
def test_mlperf_tiny_s_networks_in_little_ram(name: str, arena: int) -> None:
    graph = shrink(flow.from_tflite(mlperf.path(f"{name}.tflite")))
    speed, balanced = (planned(graph, objective) for objective in (Objective.SPEED, Objective.BALANCED))
    assert balanced.arena_bytes <= arena
    assert balanced.cycles <= 1.25 * speed.cycles
