"""Operators that write into the buffers of a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .axis_order import Value
from .net_builder import Call, RefusalError
from .shape_ops import Item, elements


def overwritten(call: Call) -> Item:
    """`copy`: the source, if it has the target's shape."""
    source, target = call.args.get("src"), elements(call.args["self"])
    if isinstance(source, Value | np.ndarray) and elements(source).shape == target.shape:
        return source
    raise RefusalError("it copies a tensor of another shape; expand it first")


RULES: Mapping[str, Callable[[Call], Any]] = {"aten.copy": overwritten}
