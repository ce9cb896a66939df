"""The first layer and element that differ: a kernel is broken on purpose in an emitted folder."""

from __future__ import annotations

import json
import re
from pathlib import Path

import graphs
import numpy as np
import pytest
from click.testing import CliRunner, Result

import mcuquant as mq
from mcuquant import flow
from mcuquant.cli import main
from mcuquant.errors import OutputError
from mcuquant.firmware_build import build
from mcuquant.firmware_build.manifest_file import MANIFEST, manifest_text
from mcuquant.ir import Graph
from mcuquant.project.project import Project
from mcuquant.testing.differ import Oracle, first_difference, seeded_samples

NAMES = [name for name in sorted(graphs.GENERATORS) if not name.startswith("dequantize")]
"""Networks to real numbers are not compiled."""


def network(name: str) -> Graph:
    return flow.run_passes(graphs.GENERATORS[name](np.random.default_rng(3)))


def validated(directory: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["validate", str(directory), "--layers", *arguments])


@pytest.mark.parametrize("name", NAMES)
def test_the_steps_of_the_file_are_those_of_the_project(name: str, tmp_path: Path) -> None:
    project = mq.compile(network(name), output=tmp_path / "net", build_firmware=False)
    oracle = Oracle.of(project)
    (sample,) = seeded_samples(project, 1)
    found = oracle.steps(sample)
    assert [list(y.shape) for y in found] == [layer["shape"] for layer in project.manifest["layers"]]
    assert first_difference(project, [y.reshape(-1) for y in found], found) is None


@pytest.mark.parametrize("seed", range(8))
def test_the_steps_of_whole_networks_correspond(seed: int, tmp_path: Path) -> None:
    graph = flow.run_passes(graphs.random_network(np.random.default_rng(seed)))
    project = mq.compile(graph, output=tmp_path / "net", build_firmware=False, shrink=seed % 2 == 0)
    (sample,) = seeded_samples(project, 1)
    made = [y.tobytes() for y in Oracle.of(project).steps(sample)]
    outputs = [y.tobytes() for y in mq.run(graph, sample)]
    assert len(made) == len(project.manifest["layers"])
    assert all(y in made for y in outputs)


def test_the_first_difference_is_named(tmp_path: Path) -> None:
    project = mq.compile(network("conv2d"), output=tmp_path / "net", build_firmware=False)
    (sample,) = seeded_samples(project, 1)
    expected = Oracle.of(project).steps(sample)
    found = [y.copy().reshape(-1) for y in expected]
    found[0][-1] ^= 1
    found[0][-2] ^= 1
    difference = first_difference(project, found, expected)
    assert difference is not None
    layer, shape = project.manifest["layers"][0], expected[0].shape
    assert difference.index == tuple(int(i) for i in np.unravel_index(found[0].size - 2, shape))[1:]
    assert str(difference) == (
        f"step 0, {layer['name']} (Conv2D, {layer['kernel']}), is the first that differs: element "
        f"[{', '.join(map(str, difference.index))}] is {found[0][-2]} on the board, {found[0][-2] ^ 1} in the "
        f"interpreter; 2 of {found[0].size:,} differ"
    )


def test_a_manifest_of_another_network_is_refused(tmp_path: Path) -> None:
    project = mq.compile(network("conv2d"), output=tmp_path / "net", build_firmware=False)
    path = tmp_path / "net" / MANIFEST
    manifest = json.loads(path.read_text())
    (layer,) = manifest["layers"]
    shape, layer["op"] = "x".join(map(str, layer["shape"])), "Softmax"
    path.write_text(manifest_text(manifest))
    with pytest.raises(OutputError) as caught:
        Oracle.of(Project.open(tmp_path / "net"))
    assert str(caught.value) == (
        f"{tmp_path / 'net'}: manifest.json has step 0 as Softmax to int8 {shape}, model.tflite Conv2D to int8 {shape}"
        ": they are not of one compilation; compile it again"
    )
    path.write_text(manifest_text({**manifest, "layers": []}))
    with pytest.raises(OutputError) as caught:
        Oracle.of(Project.open(tmp_path / "net"))
    assert str(caught.value) == (
        f"{tmp_path / 'net'}: manifest.json has 0 operations, model.tflite 1: they are not of one compilation; "
        "compile it again"
    )
    assert project.board.is_emulated


@pytest.mark.emulator
def test_a_broken_kernel_is_found(tmp_path: Path) -> None:
    """Max pooling forgets a column in the emitted C: the step before is right, those after only inherit it."""
    folder = tmp_path / "net"
    graph = flow.run_passes(graphs.random_network(np.random.default_rng(3)))
    project = mq.compile(graph, output=folder, optimize="speed")
    layers = project.manifest["layers"]
    assert [layer["op"] for layer in layers[:3]] == ["Conv2D", "MaxPool2D", "Conv2D"]
    result = validated(folder)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("All 8 steps on qemu-mps2-an386 equal the interpreter's, over 3 samples.\n")
    kernel = folder / "src" / "kernels" / "mq_pool.h"
    right = kernel.read_text()
    kernel.write_text(right.replace("ix = box.left;", "ix = box.left + 1;", 1))
    build.make(folder)
    result = validated(folder)
    assert (result.exit_code, result.stdout) == (1, "")
    assert re.fullmatch(
        rf"Error: qemu-mps2-an386, sample 0: step 1, {layers[1]['name']} \(MaxPool2D, mq_max_pool_s8\), is the first "
        r"that differs: element \[\d+, \d+, \d+\] is -?\d+ on the board, -?\d+ in the interpreter; \d+ of \d+ differ\n",
        result.stderr,
    )


@pytest.mark.emulator
def test_recorded_inputs_are_compared_too(tmp_path: Path) -> None:
    project = mq.compile(network("conv2d"), output=tmp_path / "net")
    samples = [x for (x,) in seeded_samples(project, 2)]
    np.savez(tmp_path / "x.npz", x=np.concatenate(samples))
    result = validated(tmp_path / "net", "--data", str(tmp_path / "x.npz"))
    assert result.stdout.splitlines()[0] == ("All 1 steps on qemu-mps2-an386 equal the interpreter's, over 2 samples.")


def test_validate_wants_data_or_layers(tmp_path: Path) -> None:
    mq.compile(network("conv2d"), output=tmp_path / "net", build_firmware=False)
    result = CliRunner().invoke(main, ["validate", str(tmp_path / "net")])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.endswith("Error: add --data X.npz, or --layers\n")
