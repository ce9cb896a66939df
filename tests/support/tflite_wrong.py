"""A small .tflite with something wrong in it, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tflite_rows import Rows

from mcuquant.errors import ModelError
from mcuquant.tflite.reader.from_tflite import load
from mcuquant.tflite.schema import ModelFile, write


def small(**changes: Any) -> ModelFile:
    """x0 (1,4,4,2) -> CONV_2D with x1 (2,1,1,2), x2 (2) -> x3; one field of the file changed."""
    rows = Rows()
    x = rows.input((1, 4, 4, 2))
    w = rows.constant([[[[1, 2]]], [[[3, 4]]]], "INT8", scale=[0.5, 0.25])
    b = rows.constant([5, 6], scale=[0.25, 0.125])
    return replace(rows.file(rows.op("CONV_2D", [x, w, b], (1, 4, 4, 2))), **changes)


def with_tensor(index: int, **changes: Any) -> ModelFile:
    file = small()
    row = replace(file.tensors[index], **changes)
    return replace(file, tensors=(*file.tensors[:index], row, *file.tensors[index + 1 :]))


def with_operator(**changes: Any) -> ModelFile:
    file = small()
    return replace(file, operators=(replace(file.operators[0], **changes),))


def with_option(**options: Any) -> ModelFile:
    return with_operator(options={**small().operators[0].options, **options})


def message(file: ModelFile | bytes, kind: type[ModelError] = ModelError) -> str:
    with pytest.raises(ModelError) as caught:
        load(file if isinstance(file, bytes) else write(file))
    assert type(caught.value) is kind
    return str(caught.value)
