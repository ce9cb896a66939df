"""Projects whose network is fed by rows: compiled, run, measured, refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from nets import random_inputs
from row_graphs import network
from stream_graphs import valid_network

import mcuquant as mq
from mcuquant.arithmetic import interpreter
from mcuquant.cli import main
from mcuquant.errors import CalibrationError, DeviceError, ModelError, OutputError, UnsupportedOpError
from mcuquant.flow import compile as compile_network
from mcuquant.project.project import Project
from mcuquant.reporting.row_picture import row_table
from mcuquant.testing.differ import Oracle

GRAPH = network(3)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return compile_network(GRAPH, "qemu-mps2-an386", tmp_path_factory.mktemp("fed") / "fed", feed="rows")


def test_a_board_and_this_computer_compute_the_same(project: Project) -> None:
    x = np.concatenate([random_inputs(np.random.default_rng(i), GRAPH)[0] for i in range(3)])
    expected = interpreter.first_outputs(GRAPH, x)
    (on_host,) = project.run_host(x, sanitize=True)
    np.testing.assert_array_equal(on_host, expected)
    with project.connect() as dut:
        np.testing.assert_array_equal(dut.run(x), expected)
        measured = dut.bench()
    assert [layer.count > 0 for layer in measured.layers] == [True] * len(project.manifest["layers"])
    assert sum(layer.layer.macs for layer in measured.layers) == project.manifest["macs"]


def test_rows_are_fed_in_any_portions(project: Project) -> None:
    images = [random_inputs(np.random.default_rng(i), GRAPH)[0] for i in range(3)]
    with project.connect() as dut:
        for x, portions in zip(images, ((1, 2, 3), (0, 5), ()), strict=True):
            rows = x[0]
            for n in portions:
                assert dut.feed(rows[:n]) is None
                rows = rows[n:]
            np.testing.assert_array_equal(dut.feed(rows), interpreter.run(GRAPH, [x])[0])


def test_an_image_can_begin_again(project: Project) -> None:
    x = random_inputs(np.random.default_rng(7), GRAPH)[0]
    with project.connect() as dut:
        assert dut.feed(x[0, :3]) is None
        dut.begin_image()
        np.testing.assert_array_equal(dut.feed(x[0]), interpreter.run(GRAPH, [x])[0])
        assert dut.feed(x[0, :3]) is None
        dut.run(x)  # ends the image of the three rows
        with pytest.raises(DeviceError, match="feed the image again from its first row"):
            dut.feed(x[0, 3:5])
        np.testing.assert_array_equal(dut.feed(x[0]), interpreter.run(GRAPH, [x])[0])


def test_wrong_rows_are_refused(project: Project) -> None:
    x = random_inputs(np.random.default_rng(7), GRAPH)[0]
    with project.connect() as dut:
        with pytest.raises(CalibrationError, match="rows of input"):
            dut.feed(x[0].astype(np.float32))
        with pytest.raises(DeviceError, match="bytes of the image"):
            dut.feed(np.concatenate([x[0], x[0]]))


def test_the_manifest_counts_every_row(project: Project) -> None:
    x = GRAPH[GRAPH.inputs[0]]
    feed = project.manifest["feed"]
    assert (feed["rows"], feed["row_bytes"]) == (x.shape[1], x.nbytes // x.shape[1])
    assert feed["sweeps"] >= feed["rows"]
    whole = compile_network(GRAPH, "qemu-mps2-an386", project.directory.parent / "whole", build_firmware=False)
    assert project.manifest["macs"] == whole.manifest["macs"]
    assert project.manifest["inputs"] == whole.manifest["inputs"]


def test_layers_cannot_be_compared(project: Project) -> None:
    with pytest.raises(OutputError, match="compile the network without --feed"):
        Oracle.of(project)


@pytest.mark.parametrize("app", ["mlperf"])
def test_applications_of_whole_inputs_are_refused(app: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="takes whole inputs"):
        compile_network(GRAPH, output=tmp_path / "app", feed="rows", app=app)
    with pytest.raises(ModelError, match="fed by 'rows', found 'columns'"):
        compile_network(GRAPH, output=tmp_path / "columns", feed="columns")


def test_a_library_has_the_function(tmp_path: Path) -> None:
    library = compile_network(GRAPH, output=tmp_path / "lib", feed="rows", app="library", name="eye")
    header = (library.directory / "src/mq_eye.h").read_text()
    assert "int mq_eye_feed(void *arena, const int8_t *rows, int n);" in header
    assert "mq_eye_run" not in header
    for path in library.directory.rglob("*"):
        if path.is_file() and path.suffix in (".md", ".ino", ""):
            assert "mq_eye_run" not in path.read_text(), path


def test_a_network_without_rows_is_refused(tmp_path: Path) -> None:
    streamed = mq.stream(valid_network(), axis=1, hop=1).graph
    with pytest.raises(UnsupportedOpError, match="keeps state between inferences; --stream feeds it by rows"):
        compile_network(streamed, output=tmp_path / "x", feed="rows")


def test_inspect_shows_when_rows_come(project: Project) -> None:
    text = CliRunner().invoke(main, ["inspect", str(project.directory)], catch_exceptions=False).output
    feed = project.manifest["feed"]
    assert f"{feed['sweeps']} sweeps" in text
    image = next(line for line in text.splitlines() if line.startswith(feed["lines"][0]["name"]))
    assert "####" in image
    assert f"arena: {project.manifest['arena_bytes']:,} B" in text


def test_the_picture_marks_the_sweeps_of_rows() -> None:
    line = {"name": "a", "rows": 3, "row_bytes": 8, "kept": 2, "first": 1, "every": 2}
    table = row_table({"sweeps": 8, "lines": [line]})
    assert [next(iter(column.cells)) for column in table.columns] == ["a", "3", "2", "16 B", "1", "2", ".#.#.#.."]
