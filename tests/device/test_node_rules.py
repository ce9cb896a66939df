"""Alarms, values and forecasts under emulation: the same lines and the same scores as this machine's."""

from __future__ import annotations

from pathlib import Path

import layers
import numpy as np
import pytest
from nets import Net

from mcuquant import flow
from mcuquant.arithmetic import interpreter
from mcuquant.codegen.decisions import AnomalyDecision, ForecastDecision, ValueDecision, WakeDecision
from mcuquant.codegen.node_settings import NodeSettings
from mcuquant.codegen.sensor_node import difference
from mcuquant.ir import Array, DType, Graph
from mcuquant.project.project import Project

pytestmark = pytest.mark.emulator

MAIN = "qemu-mps2-an386"
OTHERS = ("qemu-microbit", "qemu-stm32vldiscovery", "qemu-mps3-an547")
WINDOW, CHANNELS = 10, 3
UNITS = {"mean": [0.1, 0.0, -0.2], "std": 0.8, "lsb": 0.001}


def network(outputs: int, dtype: DType = DType.INT8, seed: int = 11) -> Graph:
    net = Net(np.random.default_rng(seed), dtype)
    x = net.input((1, 1, WINDOW, CHANNELS), scale=0.02 if dtype is DType.INT8 else 0.0001)
    return net.graph(layers.fully_connected(net, x, outputs=outputs))


def movements(count: int) -> Array:
    rng = np.random.default_rng(9)
    levels = np.repeat(rng.normal(0, 900, (count // 25 + 1, CHANNELS)), 25, axis=0)[:count]
    return (levels + rng.normal(0, 300, (count, CHANNELS))).astype(np.int16)


NORMAL = {"normal": [movements(300)[:120]], "quantile": 0.6}
RULES = {
    "reconstruction": (30, DType.INT8, {**NORMAL, "smooth": 0.4, "hysteresis": 0.05, "debounce": 2}),
    "absolute": (30, DType.INT16, {**NORMAL, "error": "absolute"}),
    "score": (1, DType.INT8, {**NORMAL, "decision": "anomaly", "smooth": 0.6}),
    "wake": (1, DType.INT8, {"decision": "wake", "average": 3, "debounce": 2, "cool_down": 4}),
    "forecast error": (12, DType.INT8, {**NORMAL, "decision": "anomaly"}),
    "values": (3, DType.INT16, {"decision": "value", "output_scale": 3.5, "output_unit": "°C", "smooth": 0.5}),
    "value": (1, DType.INT8, {"output_scale": 20.0, "output_offset": 60.0, "debounce": 2}),
    "forecast": (6, DType.INT8, {"decision": "forecast"}),
}
KINDS = {
    **dict.fromkeys(("reconstruction", "absolute", "score", "forecast error"), AnomalyDecision),
    **dict.fromkeys(("values", "value"), ValueDecision),
    "forecast": ForecastDecision,
    "wake": WakeDecision,
}


def settings_of(name: str, graph: Graph) -> NodeSettings:
    """With limits that the recording exceeds at some inferences and not at others."""
    more = dict(RULES[name][2])
    if name == "value":
        x = graph[graph.inputs[0]]
        y = graph[graph.outputs[0]]
        stored = int(interpreter.run(graph, [np.zeros(x.shape, x.dtype.numpy)])[0].ravel()[0])
        middle = 60.0 + 20.0 * (stored - y.zero_point) * y.scale
        more |= {"low": middle - 8, "high": middle + 8, "hysteresis": 2.0}
    if name == "wake":
        more |= {"threshold": 0.0}
    return NodeSettings(**UNITS, stride=4, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("board", [MAIN, *(pytest.param(b, marks=pytest.mark.slow) for b in OTHERS)])
@pytest.mark.parametrize("name", RULES)
def test_the_board_s_lines_are_this_machine_s(tmp_path: Path, name: str, board: str) -> None:
    outputs, dtype, _ = RULES[name]
    graph = network(outputs, dtype)
    project = flow.compile(graph, board, tmp_path / "net", app="node", node=settings_of(name, graph))
    raw = movements(300)
    expected = project.run_node(raw)
    with project.connect() as dut:
        node_run = dut.run_node(raw)
        assert difference(node_run, expected) == ""
        assert node_run == expected
        assert [d.line for d in node_run.decisions] == [d.line for d in expected.decisions]
        assert dut.run_node(raw[50:90]) == project.run_node(raw[50:90])
    assert {type(d) for d in expected.decisions} == {KINDS[name]}
    assert len(expected.decisions) >= 3
    check_scores(project, graph, raw)


def check_scores(project: Project, graph: Graph, raw: Array) -> None:
    """The C on this machine has the interpreter's outputs."""
    windows = project.node.windows(raw).reshape(-1, 1, WINDOW, CHANNELS)
    outputs = np.concatenate([interpreter.run(graph, [w[None]])[0] for w in windows])
    assert project.run_node(raw) == project.node.run(raw, outputs)
