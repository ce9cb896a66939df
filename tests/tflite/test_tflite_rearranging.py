"""Operators that rearrange values: the bytes of tflite-micro, by the interpreter and after all passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import tflm
from tflite_rows import Rows

from mcuquant.arithmetic import interpreter
from mcuquant.errors import ModelError
from mcuquant.passes import run_passes
from mcuquant.tflite.reader.from_tflite import load
from mcuquant.tflite.schema import Quantization
from mcuquant.tflite.writer.to_tflite import to_tflite

Case = Callable[[Rows], int]


def depth_to_space(rows: Rows) -> int:
    return rows.op("DEPTH_TO_SPACE", [rows.input((1, 3, 5, 12))], (1, 6, 10, 3), block_size=2)


def space_to_depth(rows: Rows) -> int:
    return rows.op("SPACE_TO_DEPTH", [rows.input((1, 6, 9, 2))], (1, 2, 3, 18), block_size=3)


def space_to_batch(rows: Rows) -> int:
    x, block, pads = rows.input((1, 6, 9, 3)), rows.constant([2, 3]), rows.constant([[0, 0], [0, 0]])
    return rows.op("SPACE_TO_BATCH_ND", [x, block, pads], (6, 3, 3, 3))


def padded_space_to_batch(rows: Rows) -> int:
    x, block, pads = rows.input((1, 5, 7, 3)), rows.constant([2, 3]), rows.constant([[1, 0], [2, 0]])
    return rows.op("SPACE_TO_BATCH_ND", [x, block, pads], (6, 3, 3, 3))


def batch_to_space(rows: Rows) -> int:
    x, block, crops = rows.input((6, 3, 3, 3)), rows.constant([2, 3]), rows.constant([[1, 0], [2, 1]])
    return rows.op("BATCH_TO_SPACE_ND", [x, block, crops], (1, 5, 6, 3))


def batch_to_space_whole(rows: Rows) -> int:
    x, block, crops = rows.input((4, 2, 3, 5)), rows.constant([2, 2]), rows.constant([[0, 0], [0, 0]])
    return rows.op("BATCH_TO_SPACE_ND", [x, block, crops], (1, 4, 6, 5))


def reflect(rows: Rows) -> int:
    x, pads = rows.input((1, 4, 5, 2)), rows.constant([[0, 0], [2, 3], [1, 0], [0, 1]])
    return rows.op("MIRROR_PAD", [x, pads], (1, 9, 6, 3), mode=0)


def symmetric(rows: Rows) -> int:
    x, pads = rows.input((1, 4, 5)), rows.constant([[0, 0], [4, 1], [0, 2]])
    return rows.op("MIRROR_PAD", [x, pads], (1, 9, 7), mode=1)


def reverse(rows: Rows) -> int:
    return rows.op("REVERSE_V2", [rows.input((1, 4, 5)), rows.constant([1])], (1, 4, 5))


def gather(rows: Rows) -> int:
    x, indices = rows.input((1, 9, 4)), rows.constant([8, 6, 4, 0, 0, 1, 2, 7])
    return rows.op("GATHER", [x, indices], (1, 8, 4), axis=1, batch_dims=0)


def gather_one(rows: Rows) -> int:
    return rows.op("GATHER", [rows.input((1, 9, 4)), rows.constant(5)], (1, 4), axis=1, batch_dims=0)


def arg_min(rows: Rows) -> int:
    """Of few values, so that several are the least."""
    x = rows.op("MAXIMUM", [rows.input((1, 9, 4)), rows.constant([20], "INT8", 0.5)], (1, 9, 4))
    return rows.op("ARG_MIN", [x, rows.constant(1)], (1, 4), type="INT32", output_type=2)


CASES: dict[str, Case] = {
    case.__name__: case
    for case in (
        *(depth_to_space, space_to_depth, space_to_batch, batch_to_space, batch_to_space_whole),
        *(reflect, symmetric, reverse, gather, gather_one, arg_min),
    )
}


@pytest.mark.parametrize("name", CASES)
def test_bytes_of_tflite_micro(name: str) -> None:
    rows = Rows()
    model = rows.bytes(CASES[name](rows))
    graph = load(model)
    tidy = run_passes(graph)
    for seed in range(3):
        x = np.random.default_rng(seed).integers(-128, 128, graph[graph.inputs[0]].shape).astype(np.int8)
        (expected,) = tflm.run(model, [x])
        for form in (graph, tidy, load(to_tflite(tidy))):
            (found,) = interpreter.run(form, [x])
            assert np.array_equal(found, expected)


def test_padding_before_blocks_is_real_zero() -> None:
    """The memory that tflite-micro takes the fill value from is not initialized."""
    rows = Rows()
    graph = load(rows.bytes(padded_space_to_batch(rows)))
    x = np.random.default_rng(0).integers(-128, 128, (1, 5, 7, 3)).astype(np.int8)
    padded = np.pad(x, ((0, 0), (1, 0), (2, 0), (0, 0)), constant_values=3)
    expected = padded.reshape(3, 2, 3, 3, 3).transpose(1, 3, 0, 2, 4).reshape(6, 3, 3, 3)
    assert np.array_equal(interpreter.run(graph, [x])[0], expected)


@pytest.mark.parametrize("type", ["INT8", "FLOAT32"])
def test_copies(type: str) -> None:
    """TILE and BROADCAST_TO, which tflite-micro does not have for these types."""
    rows = Rows(type)
    tiled = rows.op("TILE", [rows.input((1, 2, 3)), rows.constant([1, 3, 2])], (1, 6, 6))
    graph = load(rows.bytes(rows.op("BROADCAST_TO", [tiled, rows.constant([4, 6, 6])], (4, 6, 6))))
    x = np.arange(6).reshape(1, 2, 3).astype(graph[graph.inputs[0]].dtype.numpy)
    (found,) = interpreter.run(graph, [x])
    assert np.array_equal(found, np.broadcast_to(np.tile(x, (1, 3, 2)), (4, 6, 6)))


def zeros_and_fill(rows: Rows) -> int:
    x = rows.input((1, 4))
    zeros = rows.op("ZEROS_LIKE", [x], (1, 4))
    sevens = rows.op("FILL", [rows.constant([1, 4]), rows.constant(7, "INT8", 0.5)], (1, 4))
    rows.tensors[sevens] = replace(rows.tensors[sevens], quantization=Quantization((0.5,), (0,)))
    return rows.op("MAXIMUM", [rows.op("MAXIMUM", [x, zeros], (1, 4)), sevens], (1, 4))


def test_constants_that_operators_make() -> None:
    rows = Rows()
    graph = run_passes(load(rows.bytes(zeros_and_fill(rows))))
    (found,) = interpreter.run(graph, [np.array([[-9, 5, 9, 3]], np.int8)])
    assert found.tolist() == [[7, 7, 9, 7]]


def gather_outside(rows: Rows) -> int:
    return rows.op("GATHER", [rows.input((1, 3)), rows.constant([3])], (1, 1), axis=1, batch_dims=0)


def mirror_too_far(rows: Rows) -> int:
    return rows.op("MIRROR_PAD", [rows.input((1, 3)), rows.constant([[0, 0], [3, 0]])], (1, 6), mode=0)


def uneven_blocks(rows: Rows) -> int:
    return rows.op("SPACE_TO_DEPTH", [rows.input((1, 3, 4, 1))], (1, 1, 2, 4), block_size=2)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (gather_outside, "operator 0 (GATHER) gathers [3] of shape [1] from 3 along axis 1"),
        (mirror_too_far, "operator 0 (MIRROR_PAD) mirrors [1, 3] by [0, 0, 3, 0], expected less than each axis"),
        (uneven_blocks, "operator 0 (SPACE_TO_DEPTH) gathers blocks of 2 x 2 from 3 x 4 pixels, expected multiples"),
    ],
)
def test_wrong_files(case: Case, message: str) -> None:
    rows = Rows()
    with pytest.raises(ModelError) as caught:
        load(rows.bytes(case(rows)))
    assert str(caught.value) == f"the .tflite: {message}"
