"""A manifest that was changed is refused, whatever was changed in it and whoever reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_runs import check_fails, mcuquant
from nets import Net

from mcuquant import flow
from mcuquant.codegen.node_settings import NodeSettings
from mcuquant.errors import OutputError
from mcuquant.firmware_build.manifest_file import DIGEST, MANIFEST, manifest_text, read_manifest
from mcuquant.ir import Graph, ops
from mcuquant.project.project import Project

APPS: Mapping[str, Mapping[str, Any]] = {
    "dut": {},
    "rows": {"feed": "rows"},
    "library": {"app": "library"},
    "node": {"app": "node", "node": NodeSettings(mean=0, std=1, lsb=0.01, rate_hz=50)},
}
COMMANDS: tuple[tuple[object, ...], ...] = (
    ("bench",),
    ("run", "--inputs", "x.npy", "--outputs", "y.npy"),
    ("run", "--host", "--inputs", "x.npy", "--outputs", "y.npy"),
    ("validate", "--data", "x.npz"),
    ("validate", "--layers"),
    ("node", "--data", "x.npz"),
    ("flash",),
    ("serve",),
    ("report", "-o", "report.html"),
)


def image() -> Graph:
    net = Net(np.random.default_rng(0))
    x = net.input((1, 8, 6, 4))
    y = net.apply(ops.MaxPool2D, (x,), (1, 4, 3, 4), net.tensors[x].q, window=(2, 2), stride=(2, 2))
    return net.graph(y)


def series() -> Graph:
    net = Net(np.random.default_rng(0))
    x = net.input((1, 1, 8, 3))
    return net.graph(net.apply(ops.ReduceMax, (x,), (1, 3), net.tensors[x].q, axes=(1, 2)))


def changes(value: Any) -> Iterator[Any]:
    """Values like `value`, each with one other leaf."""
    match value:
        case dict():
            for name in value:
                yield from ({**value, name: other} for other in changes(value[name]))
                yield {n: v for n, v in value.items() if n != name}
        case list():
            for i, each in enumerate(value):
                yield from ([*value[:i], other, *value[i + 1 :]] for other in changes(each))
            yield [*value, 1]
        case str():
            yield f"{value}x"
        case bool():
            yield not value
        case None:
            yield 0
        case _:
            yield value * 2 + 1


def refusal(folder: Path) -> str:
    return (
        f"{folder / MANIFEST} is not as `mcuquant compile` wrote it: a value was changed, or the version of mcuquant "
        f"was older; compile the network again: mcuquant compile MODEL -o {folder}"
    )


@pytest.fixture(scope="module")
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    graph = series() if request.param == "node" else image()
    output = tmp_path_factory.mktemp("manifest") / request.param
    return flow.compile(graph, output=output, build_firmware=False, **APPS[request.param]).directory


@pytest.mark.parametrize("folder", APPS, indirect=True)
def test_a_change_of_any_value_is_refused(folder: Path) -> None:
    path = folder / MANIFEST
    text = path.read_text()
    manifest = json.loads(text)
    assert read_manifest(folder) == {name: value for name, value in manifest.items() if name != DIGEST}
    changed = [other for other in changes(manifest) if other != manifest]
    assert len(changed) > 100
    try:
        for other in changed:
            path.write_text(json.dumps(other))
            with pytest.raises(OutputError) as caught:
                Project.open(folder)
            assert str(caught.value) == refusal(folder)
    finally:
        path.write_text(text)


@pytest.mark.parametrize("folder", ["dut"], indirect=True)
def test_the_layout_of_the_file_has_no_effect(folder: Path) -> None:
    path = folder / MANIFEST
    text = path.read_text()
    try:
        path.write_text(json.dumps(dict(reversed(json.loads(text).items()))))
        assert manifest_text(Project.open(folder).manifest) == manifest_text(read_manifest(folder))
    finally:
        path.write_text(text)


@pytest.mark.parametrize("folder", APPS, indirect=True)
def test_every_command_refuses_it(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.zeros((1, 1), np.int8))
    np.savez("x.npz", x=np.zeros((1, 1), np.float32), y=np.zeros(1, np.int64))
    path = folder / MANIFEST
    text = path.read_text()
    manifest = json.loads(text)
    manifest["inputs"][0]["scale"] *= 2
    path.write_text(json.dumps(manifest))
    try:
        for name, *options in COMMANDS:
            check_fails(mcuquant(name, folder, *options), 1, refusal(folder))
        with pytest.raises(OutputError) as caught:
            flow.network_of(folder)
        assert str(caught.value) == refusal(folder)
    finally:
        path.write_text(text)
