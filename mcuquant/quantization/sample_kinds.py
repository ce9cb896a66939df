"""Converts samples of all usual forms to one array (N, ...) per input: tensors of PyTorch, lists of samples or batches,
a DataLoader, a generator, a mapping of input names to any of these, one sample.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from ..errors import CalibrationError
from ..ir import Array, Shape
from .sample_layout import own_shapes

MOST_DRAWN = 10_000
"""Maximum number of samples or batches from a data set or a generator."""


def arrays_of(data: Any, names: Sequence[str], shapes: Sequence[Shape]) -> list[Array]:
    """One array of samples per input, or fewer; `names` and `shapes` are those of the graph's inputs."""
    if isinstance(data, Mapping):
        _check_names(data, names)
        return [_samples(data[name], shape) for name, shape in zip(names, shapes, strict=True)]
    if len(names) == 1:
        return [_samples(data, shapes[0])]
    if _is_array(data):
        return [_with_batch(_array(data), shapes[0])]
    parts = _drawn(data)
    if any(map(_nests, parts)):
        return _by_sample(parts, names, shapes)
    return [_samples(part, shape) for part, shape in zip(parts, shapes, strict=False)]


def _check_names(data: Mapping[Any, Any], names: Sequence[str]) -> None:
    missing = [name for name in names if name not in data]
    if missing:
        keys = ", ".join(map(repr, data)) or "nothing"
        raise CalibrationError(f"calibration data: no samples for input {missing[0]!r}, found {keys}")


def _is_array(x: Any) -> bool:
    """Arrays, tensors and images; also a single number."""
    return hasattr(x, "__array__") or np.isscalar(x)


def _array(x: Any) -> Array:
    detached = x.detach().cpu() if hasattr(x, "detach") else x
    if str(getattr(detached, "dtype", "")) == "torch.bfloat16":
        detached = detached.float()
    try:
        return np.asarray(detached)
    except ValueError as error:
        raise CalibrationError(f"calibration data: samples of different shapes ({error})") from error


def _nests(part: Any) -> bool:
    """Whether its elements are arrays."""
    if not isinstance(part, tuple | list):
        return isinstance(part, Mapping)
    return any((_is_array(x) and not np.isscalar(x)) or _nests(x) for x in part)


def _drawn(data: Any) -> list[Any]:
    if not isinstance(data, Iterable) and hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        return [data[i] for i in range(min(len(data), MOST_DRAWN))]
    if not isinstance(data, Iterable):
        raise CalibrationError(
            f"calibration data is a {type(data).__name__}; expected an array, a tensor, a list of samples or batches, "
            "a DataLoader, a generator, or a mapping of input names to these"
        )
    return list(data) if isinstance(data, list | tuple) else list(islice(data, MOST_DRAWN))


def _samples(data: Any, shape: Shape) -> Array:
    """(N, ...) of one input."""
    if _is_array(data):
        return _with_batch(_array(data), shape)
    parts = [_first(part) for part in _drawn(data)]
    if not parts or any(np.isscalar(part) or not _is_array(part) for part in parts):
        return _with_batch(_array(data if isinstance(data, list | tuple) else parts), shape)
    return _joined([_with_batch(_array(part), shape) for part in parts])


def _first(part: Any) -> Any:
    """The input of a batch with labels, as a DataLoader returns it."""
    if isinstance(part, tuple | list) and part and _is_array(part[0]) and not np.isscalar(part[0]):
        return part[0]
    if isinstance(part, Mapping) and part:
        return next(iter(part.values()))
    return part


def _by_sample(parts: Sequence[Any], names: Sequence[str], shapes: Sequence[Shape]) -> list[Array]:
    """Samples of several inputs: each part contains them all, by name or in order; labels may follow."""
    columns = [list(_inputs(part, names)) for part in parts]
    if not columns:
        return [np.zeros(0, np.float32) for _ in shapes]
    return [_joined([_with_batch(_array(row[k]), shape) for row in columns]) for k, shape in enumerate(shapes)]


def _inputs(part: Any, names: Sequence[str]) -> Iterator[Any]:
    if isinstance(part, Mapping):
        _check_names(part, names)
        yield from (part[name] for name in names)
        return
    if isinstance(part, tuple | list) and part and isinstance(part[0], tuple | list):
        part = part[0]  # (inputs, labels)
    if not isinstance(part, tuple | list) or len(part) < len(names):
        count = len(part) if isinstance(part, tuple | list) else 1
        raise CalibrationError(
            f"calibration data: a sample or batch of {count} arrays, expected {len(names)}: {', '.join(names)}"
        )
    yield from part[: len(names)]


def _with_batch(x: Array, shape: Shape) -> Array:
    """`x`, with an additional first axis if it is one sample."""
    return x[None] if x.shape in [shape[1:], *own_shapes(shape)] else x


def _joined(arrays: Sequence[Array]) -> Array:
    if len({x.shape[1:] for x in arrays}) > 1:
        shapes = sorted({str(x.shape[1:]) for x in arrays})
        raise CalibrationError(f"calibration data: samples of different shapes, {' and '.join(shapes[:4])}")
    return np.concatenate(arrays)
