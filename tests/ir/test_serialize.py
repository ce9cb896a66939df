"""Graphs as files of their own: back as they went, damaged ones refused, and what of a project reads them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import graphs
import more_graphs
import numpy as np
import pytest
from breaches import conv
from compressed import shared, two_level
from hypothesis import given, settings
from hypothesis import strategies as st

import mcuquant as mq
from mcuquant import flow
from mcuquant.errors import ModelError, OutputError
from mcuquant.ir import Graph, serialize
from mcuquant.testing.differ import Oracle

_PACKED = ("_shared", "_asymmetric", "_two_level", "_int2")
FORMS = {
    **graphs.GENERATORS,
    **{name: form for name, form in more_graphs.GENERATORS.items() if any(word in name for word in _PACKED)},
    **{f"{name}_float": form for name, form in graphs.FLOAT_GENERATORS.items()},
}


@pytest.mark.parametrize("name", list(FORMS)[::3])
def test_every_form_comes_back_as_it_went(name: str) -> None:
    graph = FORMS[name](np.random.default_rng(3))
    data = serialize.to_bytes(graph)
    back = serialize.from_bytes(data, "it")
    assert str(back) == str(graph)
    assert back.ops == graph.ops
    assert serialize.to_bytes(back) == data
    for i, t in graph.tensors.items():
        assert (back[i].q, back[i].name) == (t.q, t.name)


def changed(change: Callable[[dict[str, Any]], None]) -> bytes:
    """The file of conv() with its text changed."""
    with np.load(io.BytesIO(serialize.to_bytes(conv()))) as file:
        arrays = {name: file[name] for name in file.files}
    text = json.loads(arrays["graph"].tobytes())
    change(text)
    buffer = io.BytesIO()
    np.savez(buffer, **{**arrays, "graph": np.frombuffer(json.dumps(text).encode(), np.uint8)})
    return buffer.getvalue()


DAMAGED: list[tuple[bytes, str]] = [
    (b"no zip", "x.mq: no graph file of mcuquant, or a damaged one (File is not a zip file)"),
    (changed(lambda t: t.update(format=3)), "x.mq: format 3 of a graph file, expected 1 or 2"),
    (changed(lambda t: t.pop("ops")), "x.mq: no graph file of mcuquant, or a damaged one ('ops')"),
    (
        changed(lambda t: t["ops"][0].update(kind="__import__")),
        "x.mq: no graph file of mcuquant, or a damaged one (operation '__import__' is not known)",
    ),
    (
        changed(lambda t: t["tensors"][1].update(shape=[4, 2, 3, 9])),
        "x.mq: graph 'g': tensor 1 ('w') has a value of int8 (4, 2, 3, 2), expected int8 (4, 2, 3, 9)",
    ),
]


@pytest.mark.parametrize(("data", "message"), DAMAGED)
def test_damaged_files_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(ModelError) as caught:
        serialize.from_bytes(data, "x.mq")
    assert str(caught.value) == message


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32))
def test_flipped_bytes_give_a_graph_or_a_model_error(seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = bytearray(serialize.to_bytes(conv()))
    for _ in range(int(rng.integers(1, 6))):
        data[int(rng.integers(len(data)))] = int(rng.integers(256))
    with suppress(ModelError):
        assert serialize.from_bytes(bytes(data), "x.mq").ops


def test_too_large_a_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serialize, "MOST_BYTES", 100)
    with pytest.raises(ModelError, match="bytes unpacked, expected at most 100"):
        serialize.from_bytes(serialize.to_bytes(conv()), "x.mq")


def compressed_conv() -> Graph:
    rng = np.random.default_rng(0)
    return two_level(shared(conv(), rng, 7), rng)


def test_saved_and_loaded(tmp_path: Path) -> None:
    graph = compressed_conv()
    mq.save(graph, tmp_path / "net.mq")
    assert str(mq.load(tmp_path / "net.mq")) == str(graph)
    with pytest.raises(ModelError) as caught:
        mq.save(graph, tmp_path / "net.bin")
    assert str(caught.value) == f"{tmp_path / 'net.bin'}: a saved graph ends in .mq"


def test_a_project_of_packed_weights_has_it(tmp_path: Path) -> None:
    graph = compressed_conv()
    project = mq.compile(graph, output=tmp_path / "net", build_firmware=False)
    assert str(flow.network_of(project.directory)).splitlines()[1:] == str(graph).splitlines()[1:]
    assert Oracle.of(project).tensors == (3,)
    plain = mq.compile(conv(), output=tmp_path / "plain", build_firmware=False)
    assert not (plain.directory / "network.mq").exists()
    assert flow.network_of(plain.directory).ops
    (plain.directory / "network.mq").write_bytes((project.directory / "network.mq").read_bytes())
    with pytest.raises(OutputError) as caught:
        flow.network_of(plain.directory)
    assert str(caught.value) == (
        f"{plain.directory / 'network.mq'} is not the network of {plain.directory}/manifest.json: one of the two was "
        "changed or replaced; compile again"
    )
    (plain.directory / "network.mq").unlink()
    (plain.directory / "model.tflite").unlink()
    with pytest.raises(OutputError) as caught:
        flow.network_of(plain.directory)
    assert str(caught.value) == f"{plain.directory} has neither network.mq nor model.tflite: compile it again"
