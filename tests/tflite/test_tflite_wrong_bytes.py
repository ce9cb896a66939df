"""Bytes that are no .tflite, and files that describe more than any network needs."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from tflite_rows import Rows
from tflite_wrong import message, small, with_operator

from mcuquant.errors import ModelError
from mcuquant.tflite.reader.from_tflite import load
from mcuquant.tflite.schema import read, write


def test_not_a_tflite() -> None:
    assert (
        message(b"PK\3\4 some zip file")
        == "the .tflite is not a .tflite: bytes 4 to 7 should read b'TFL3', found b' som'"
    )
    assert message(b"") == "the .tflite is not a .tflite: bytes 4 to 7 should read b'TFL3', found 'only 0 bytes'"


def test_cut_short() -> None:
    data = write(small())
    assert message(data[: len(data) // 2]).startswith(
        "the .tflite is not a readable .tflite, it is damaged or cut short: "
    )


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        load(tmp_path / "none.tflite")
    assert str(caught.value) == f"cannot read {tmp_path / 'none.tflite'}: No such file or directory"


def test_the_graph_is_called_like_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[1mb.tflite"
    path.write_bytes(write(small()))
    assert load(path).name == "a?[1mb"
    path.write_bytes(b"nothing")
    with pytest.raises(ModelError) as caught:
        load(path)
    assert str(caught.value) == (
        "a?[1mb.tflite is not a .tflite: bytes 4 to 7 should read b'TFL3', found 'only 7 bytes'"
    )


def test_too_long() -> None:
    assert message(bytes((1 << 26) + 1)) == "the .tflite has more than the 67,108,864 bytes that mcuquant reads"


def _vector_of_tables(data: bytes, count: int) -> bytes:
    """The file with its vector of tensors replaced by one of `count` entries, all of which point to tensor 0."""
    import tflite

    graph = tflite.Model.GetRootAs(data).Subgraphs(0)
    field = graph._tab.Offset(4) + graph._tab.Pos
    tensor = graph.Tensors(0)._tab.Pos
    start = (len(data) + 3) // 4 * 4
    changed = bytearray(data.ljust(start, b"\0"))
    struct.pack_into("<I", changed, field, start - field)
    # Offsets are unsigned: entries can only point forward, so a copy of the tensor's table goes to the end.
    end = start + 4 + 4 * count
    vtable = tensor - struct.unpack_from("<i", data, tensor)[0]
    size = struct.unpack_from("<H", data, vtable)[0]
    entries = [end + size - (start + 4 + 4 * i) for i in range(count)]
    return (
        bytes(changed)
        + struct.pack(f"<I{count}I", count, *entries)
        + data[vtable : vtable + size]
        + struct.pack("<i", size)
    )


def test_a_small_file_that_describes_a_huge_one() -> None:
    assert message(_vector_of_tables(write(small()), 100_000)) == (
        "the .tflite describes more tensors, operators and parameters than mcuquant reads (1,048,576 numbers): not a "
        "model for a microcontroller"
    )


def test_a_long_operand_list() -> None:
    assert message(with_operator(inputs=(0,) * 5000)) == (
        "the .tflite has a list of 5,000 numbers (Inputs), expected at most 1,024"
    )


def test_a_long_network() -> None:
    rows = Rows()
    y = rows.input((1, 2))
    for _ in range(1025):
        y = rows.op("RELU", [y], (1, 2))
    assert message(rows.bytes(y)) == (
        "the .tflite: operator 1024 (RELU) makes the network longer than the 1,024 operations that mcuquant takes"
    )


def test_constants_beyond_any_flash() -> None:
    rows = Rows()
    weights = rows.constant(np.zeros((2048, 2049), np.int8), "INT8", scale=0.5)
    more = rows.constant(np.zeros((2049, 2048), np.int8), "INT8", scale=0.5)
    y = rows.op("FULLY_CONNECTED", [rows.input((1, 2049)), weights, -1], (1, 2048))
    y = rows.op("FULLY_CONNECTED", [y, more, -1], (1, 2049))
    assert message(rows.file(y)) == (
        "the .tflite: tensor 1 ('x1'): with it weights and channels exceed 8,388,608 elements"
    )


def test_channels_beyond_any_network() -> None:
    rows = Rows()
    w = rows.constant(np.zeros((200_000, 1), np.int8), "INT8", scale=0.5)
    y = rows.op("FULLY_CONNECTED", [rows.input((1, 1)), w, -1], (1, 200_000))
    assert message(rows.file(y)) == (
        "the .tflite: tensor 0 ('x0'): with it weights and channels exceed 8,388,608 elements"
    )


def test_activations_beyond_any_network() -> None:
    rows = Rows()
    y = rows.input((1, 1 << 21))
    for _ in range(9):
        y = rows.op("RELU", [y], (1, 1 << 21))
    assert message(rows.file(y)) == (
        "the .tflite: activations of shape [1, 2097152] and before exceed 16,777,216 elements"
    )


def test_outputs_beyond_any_network() -> None:
    rows = Rows()
    x = rows.input((1, 2))
    outputs = [rows.op("RELU", [x], (1, 2)) for _ in range(257)]
    assert message(rows.bytes(*outputs)) == ("the .tflite has 1 inputs and 257 outputs, expected at most 256 of each")


def test_padding_beyond_any_image() -> None:
    rows = Rows()
    x, w = rows.input((1, 9, 9, 1)), rows.constant(np.ones((1, 3, 3, 1)), "INT8", scale=0.01)
    wide = {"dilation_w_factor": 9000, "dilation_h_factor": 9000}
    assert message(rows.bytes(rows.op("CONV_2D", [x, w], (1, 9, 9, 1), padding=0, **wide))) == (
        "the .tflite: operator 0 (CONV_2D) pads its input to shape [1, 18009, 18009, 1], 324,324,081 elements; the "
        "most taken are 8,388,608"
    )


def test_spreading_beyond_any_image() -> None:
    rows = Rows()
    x, w = rows.input((1, 9, 9, 1)), rows.constant(np.ones((1, 3, 3, 1)), "INT8", scale=0.01)
    inputs = [rows.constant([1, 4, 4, 1]), w, x]
    assert message(rows.bytes(rows.op("TRANSPOSE_CONV", inputs, (1, 4, 4, 1), stride_w=900, stride_h=900))) == (
        "the .tflite: operator 0 (TRANSPOSE_CONV) spreads its input over shape [1, 8103, 8103, 1], 65,658,609 "
        "elements; the most taken are 8,388,608"
    )


def test_work_beyond_any_network() -> None:
    rows = Rows()
    wide = {"filter_width": 999, "filter_height": 999}
    y = rows.op("MAX_POOL_2D", [rows.input((1, 999, 999, 1))], (1, 999, 999, 1), padding=0, **wide)
    assert message(rows.bytes(y)) == (
        "the .tflite goes through 999,005,983,012 products and elements for one inference, more than 8,589,934,592"
    )


def test_reading_gives_back_what_was_written() -> None:
    file = small(description="a file")
    assert read(write(file), "x") == file
