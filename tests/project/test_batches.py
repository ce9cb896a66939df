"""Networks whose first dimension is not 1, or their only one: an inference takes all of it."""

from __future__ import annotations

from pathlib import Path

import layers
import numpy as np
import pytest
from click.testing import CliRunner
from nets import Net, random_inputs

from mcuquant import flow
from mcuquant.arithmetic import interpreter
from mcuquant.cli import main
from mcuquant.errors import CalibrationError
from mcuquant.ir import Graph, ops


def dense(batch: int) -> Graph:
    net = Net(np.random.default_rng(0))
    return net.graph(layers.fully_connected(net, net.input((batch, 6)), outputs=5), name="dense")


def row() -> Graph:
    net = Net(np.random.default_rng(1))
    return net.graph(layers.curve(net, net.input((9,)), ops.Logistic), name="row")


@pytest.mark.parametrize(("graph", "sample"), [(dense(4), (4, 6)), (row(), (9,)), (dense(1), (6,))])
def test_an_inference_takes_the_whole_input(graph: Graph, sample: tuple[int, ...], tmp_path: Path) -> None:
    project = flow.compile(graph, output=tmp_path / "net", build_firmware=False)
    x = np.stack([random_inputs(np.random.default_rng(i), graph)[0].reshape(sample) for i in range(3)])
    (y,) = project.run_host(x)
    assert project.inputs[0].sample == sample
    for found, one in zip(y, x, strict=True):
        expected = interpreter.run(graph, [one.reshape(graph[graph.inputs[0]].shape)])[0]
        assert found.tobytes() == expected.tobytes()


def test_data_of_another_shape_are_rejected(tmp_path: Path) -> None:
    project = flow.compile(dense(4), output=tmp_path / "net", build_firmware=False)
    with pytest.raises(CalibrationError) as caught:
        project.run_host(np.zeros((4, 6), np.int8))
    assert str(caught.value) == "input 'input_0' takes int8 of shape (N, 4, 6), found int8 of shape (4, 6)"


@pytest.mark.emulator
def test_a_batch_on_the_board(tmp_path: Path) -> None:
    project = flow.compile(dense(4), output=tmp_path / "net")
    done = CliRunner().invoke(main, ["validate", str(tmp_path / "net"), "--layers"])
    assert done.exit_code == 0, done.output
    x = np.random.default_rng(0).integers(-128, 128, (2, 4, 6), np.int8)
    with project.connect() as dut:
        assert np.array_equal(dut.run(x), project.run_host(x)[0])
        assert dut.bench().count > 0
