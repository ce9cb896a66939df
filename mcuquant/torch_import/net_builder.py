"""The graph under construction, and its interface for one translated call."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import ir
from .axis_order import (
    Order,
    Positions,
    Value,
    canonical_order,
    compact,
    lies_in,
    natural_order,
    physical_axis,
    physical_shape,
    pieces,
    spread,
    strided,
    transposition,
)

Array = npt.NDArray[Any]
Shape = tuple[int, ...]


MOST_AXES = 6
_MOST_COPIES = 4096
_MAX_CONCAT_INPUTS = 10
_MOST_TRANSPOSED_AXES = 5
"""Maximum number of axes that TensorFlow Lite Micro transposes."""


class RefusalError(Exception):
    """A call that is not supported; the text names an alternative. Refusals are collected, so that a user sees all of
    them.
    """


class OnGrid(np.ndarray[Any, np.dtype[Any]]):
    """Weights that training put on a grid: multiples of `scales`, one or one per output channel, in `bits` bits.

    Views and permutations keep the grid; results of arithmetic are plain arrays.
    """

    scales: Array
    bits: int

    @classmethod
    def of(cls, values: Array, scales: Array, bits: int) -> OnGrid:
        grid_values = values.view(cls)
        grid_values.scales, grid_values.bits = scales, bits
        return grid_values

    def __array_finalize__(self, source: Any) -> None:
        if isinstance(source, OnGrid) and "scales" in source.__dict__:
            self.scales, self.bits = source.scales, source.bits

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        plain = [x.view(np.ndarray) if isinstance(x, OnGrid) else x for x in inputs]
        return getattr(ufunc, method)(*plain, **options)


_MOVES = (ir.Concat, ir.Reshape, ir.Slice, ir.Transpose)


@dataclass(frozen=True, slots=True)
class Laid:
    """A value as a graph tensor with one axis per torch axis (and the 1 of a signal)."""

    tensor: int
    shape: Shape
    order: Order

    def axis(self, torch_axis: int) -> int:
        return physical_axis(torch_axis, self.order)

    def value(self, tensor: int, shape: Sequence[int]) -> Value:
        """The torch value of `shape` whose graph tensor has the same memory order as this one."""
        return Value(tensor, spread(shape, self.order))


class Net:
    """Tensors and operations so far. Layout helpers emit Reshape and Transpose only if memory must change."""

    def __init__(self) -> None:
        self.tensors: dict[int, ir.Tensor] = {}
        self.ops: list[ir.Op] = []
        self.spreads: dict[int, Array] = {}
        self._made: dict[tuple[Any, ...], int] = {}

    def _add(self, shape: Sequence[int], role: ir.Role, name: str, data: Array | None = None) -> int:
        if len(shape) > MOST_AXES or 0 in shape:
            sizes = " x ".join(map(str, shape))
            raise RefusalError(
                f"it makes a tensor of {sizes} elements; expected at most {MOST_AXES} axes, none of them empty"
            )
        tensor = len(self.tensors)
        self.tensors[tensor] = ir.Tensor(tensor, tuple(shape), ir.DType.FLOAT32, role, data=data, name=name)
        return tensor

    def input(self, shape: Sequence[int], name: str, dtype: ir.DType = ir.DType.FLOAT32) -> Value:
        order = canonical_order(len(shape))
        tensor = self._typed(self._add(physical_shape(shape, order), ir.Role.INPUT, name), dtype)
        return Value(tensor, spread(shape))

    def _typed(self, tensor: int, dtype: ir.DType) -> int:
        self.tensors[tensor] = replace(self.tensors[tensor], dtype=dtype, bits=dtype.bits)
        return tensor

    def state(self, data: Array, name: str) -> Value:
        """A state, canonical, with initial value `data`."""
        order = canonical_order(data.ndim)
        physical = np.array(data.transpose(order).reshape(physical_shape(data.shape, order)), np.float32, order="C")
        return Value(self._add(physical.shape, ir.Role.STATE, name, physical), spread(data.shape))

    def next_state(self, value: Value, state: int, name: str) -> int:
        """The tensor of a state's next value, which an operation computes in the state's shape."""
        tensor = self.canonical(value).tensor
        if self.tensors[tensor].role is ir.Role.STATE:
            shape = self.shape(tensor)
            zeros, ones = (0,) * len(shape), (1,) * len(shape)
            tensor = self.emit(ir.Slice, [tensor], shape, name, begin=zeros, step=ones)
        return self.reshape(tensor, self.shape(state))

    def constant(self, data: Array, name: str, axis: int = 0) -> int:
        """A new constant tensor of `data`, which is in memory order; its output channels are along `axis`."""
        array = np.array(data, dtype=np.float32, order="C")
        tensor = self._add(array.shape, ir.Role.CONSTANT, name, array)
        if isinstance(data, OnGrid):
            q = ir.QParams.of(data.scales, axis=axis if data.scales.size > 1 else None)
            self.tensors[tensor] = replace(self.tensors[tensor], q=q, bits=data.bits)
        return tensor

    def whole_number(self, value: int, name: str) -> int:
        """A new constant tensor of one int32."""
        tensor = self._typed(self._add((1,), ir.Role.CONSTANT, name), ir.DType.INT32)
        self.tensors[tensor] = replace(self.tensors[tensor], data=np.array([value], np.int32))
        return tensor

    def quantize(self, tensor: int, dtype: ir.DType, q: ir.QParams) -> int:
        """Append a Quantize to stored integers, which keep the name."""
        output = self.emit(ir.Quantize, [tensor], self.shape(tensor), self.tensors[tensor].name)
        self.tensors[output] = replace(self.tensors[output], dtype=dtype, bits=dtype.bits, q=q)
        return output

    def emit_all(
        self, kind: type[ir.Op], inputs: Sequence[int], shapes: Sequence[Sequence[int]], name: str, **attributes: Any
    ) -> tuple[int, ...]:
        """Append an operation with several outputs; returns their ids."""
        outputs = tuple(self._add(shape, ir.Role.ACTIVATION, name) for shape in shapes)
        self.ops.append(kind(inputs=tuple(inputs), outputs=outputs, **attributes))
        return outputs

    def emit(self, kind: type[ir.Op], inputs: Sequence[int], shape: Sequence[int], name: str, **attributes: Any) -> int:
        """Append an operation; returns the id of its output."""
        dtype = self._result_type(kind, inputs)
        output = self._typed(self._add(shape, ir.Role.ACTIVATION, name), dtype)
        self.ops.append(kind(inputs=tuple(inputs), outputs=(output,), **attributes))
        return output

    def _result_type(self, kind: type[ir.Op], inputs: Sequence[int]) -> ir.DType:
        """float32; int32 where whole numbers are moved. Raises RefusalError for other operations on them."""
        if issubclass(kind, ir.Compare | ir.Cast):
            return ir.DType.BOOL if issubclass(kind, ir.Compare) else ir.DType.FLOAT32
        values = inputs[:1] if issubclass(kind, ir.Gather) else inputs
        plain = [self.tensors[i] for i in values if self.tensors[i].is_plain]
        if not plain:
            return ir.DType.FLOAT32
        if not issubclass(kind, _MOVES):
            raise RefusalError(
                f"it computes with the whole numbers of {plain[0].name!r}, which only embedding, index_select and "
                "comparisons with a number read"
            )
        return plain[0].dtype

    def index(self, kind: type[ir.Op], tensor: int, shape: Sequence[int], name: str, **attributes: Any) -> int:
        """Append an operation whose output are indices, which are integers."""
        return self._typed(self.emit(kind, [tensor], shape, name, **attributes), ir.DType.INT32)

    def shape(self, tensor: int) -> Shape:
        return self.tensors[tensor].shape

    def reshape(self, tensor: int, shape: Sequence[int]) -> int:
        if self.shape(tensor) == tuple(shape):
            return tensor
        return self._once(ir.Reshape, tensor, tuple(shape))

    def _once(self, kind: type[ir.Op], tensor: int, shape: Shape, **attributes: Any) -> int:
        key = (kind, tensor, shape, *attributes.items())
        if key not in self._made:
            self._made[key] = self.emit(kind, [tensor], shape, self.tensors[tensor].name, **attributes)
        return self._made[key]

    def reorder(self, tensor: int, positions: Positions) -> int | None:
        """A tensor (1, n) whose memory contains the elements of `tensor` at `positions` in turn (each of its n once).

        None if neither one Transpose nor one per piece does this.
        """
        flat = (1, positions.size)
        if np.array_equal(positions, np.arange(positions.size)):
            return self.reshape(tensor, flat)
        if permutation := transposition(positions):
            sizes, perm = permutation
            many = len(sizes) > _MOST_TRANSPOSED_AXES
            moved = self._moved_blocks(tensor, sizes, perm) if many else self._transposed(tensor, sizes, perm)
            return self.reshape(moved, flat)
        ranges = pieces(positions)
        return None if ranges is None else self._reorder_pieces(tensor, positions, ranges)

    def _transposed(self, tensor: int, sizes: Shape, perm: Order) -> int:
        lead = (1,) if len(sizes) < _MOST_TRANSPOSED_AXES else ()  # the batch, if an axis is left for it
        perm = (*range(len(lead)), *(axis + len(lead) for axis in perm))
        source = self.reshape(tensor, (*lead, *sizes))
        shape = tuple(self.shape(source)[axis] for axis in perm)
        return self._once(ir.Transpose, source, shape, perm=perm)

    def _moved_blocks(self, tensor: int, sizes: Shape, perm: Order) -> int:
        """More axes than one Transpose supports: blocks of neighbors move one after the other."""
        axes = list(range(len(sizes)))
        for place, axis in enumerate(perm):
            start = axes.index(axis)
            if start == place:
                continue
            end = start + 1
            while end < len(axes) and axes[end] == perm[place + end - start]:
                end += 1
            parts = axes[:place], axes[place:start], axes[start:end], axes[end:]
            before, between, block, after = (elements([sizes[a] for a in part]) for part in parts)
            tensor = self._transposed(tensor, (before, between, block, after), (0, 2, 1, 3))
            axes = [*parts[0], *parts[2], *parts[1], *parts[3]]
        return tensor

    def _reorder_pieces(self, tensor: int, positions: Positions, ranges: list[slice]) -> int:
        flat = self.reshape(tensor, (1, positions.size))
        reorderings = [self.reorder(self._piece(flat, part), positions[part] - part.start) for part in ranges]
        parts = [part for part in reorderings if part is not None]
        return self.emit(ir.Concat, parts, (1, positions.size), self.tensors[tensor].name, axis=1)

    def _piece(self, flat: int, part: slice) -> int:
        shape = (1, part.stop - part.start)
        return self._once(ir.Slice, flat, shape, begin=(0, part.start), step=(1, 1))

    def lay(self, value: Value, order: Order | None = None) -> Laid:
        """`value` with whole axes in `order`; by default its present order or else the canonical one."""
        value = self.dense(value)
        order = order or natural_order(value.where) or canonical_order(value.rank)
        shape = physical_shape(value.shape, order)
        positions = value.where.transpose(order).ravel()
        if np.array_equal(positions, np.arange(positions.size)):
            return Laid(self.reshape(value.tensor, shape), shape, order)
        moved = self.reorder(value.tensor, positions)
        if moved is None:  # through torch's own order
            plain = self.reorder(value.tensor, value.where.ravel())
            axes = spread(value.shape, tuple(range(value.rank))).transpose(order).ravel()
            moved = None if plain is None else self.reorder(plain, axes)
        if moved is None:
            raise RefusalError("the order of its elements is too intricate; reshape or permute less, or earlier")
        return Laid(self.reshape(moved, shape), shape, order)

    def dense(self, value: Value) -> Value:
        """`value` with a separate position per element, where `expand` gave several elements one position."""
        if value.where.size == elements(self.shape(value.tensor)):
            return value
        single = compact(value)
        if single.where.size != elements(self.shape(value.tensor)):  # copies within an axis: one axis per loop
            loops = strided(value.where.ravel())
            if loops is None or len(loops) > MOST_AXES or all(step for _, step in loops):
                raise RefusalError("the order of its copies is too intricate; expand or repeat it less, or later")
            copied = self.dense(Value(value.tensor, value.where.reshape([size for size, _ in loops])))
            return Value(copied.tensor, copied.where.reshape(value.shape))
        laid = self.lay(single)
        tensor = laid.tensor
        for axis, (size, old) in enumerate(zip(value.shape, single.shape, strict=True)):
            if size != old:
                tensor = self._repeated(tensor, laid.axis(axis), size)
        return laid.value(tensor, value.shape)

    def _repeated(self, tensor: int, axis: int, count: int) -> int:
        """`count` copies along an axis, at most ten inputs per operation, the limit of TensorFlow Lite Micro."""
        if count > _MOST_COPIES:
            raise RefusalError(f"it repeats a value {count} times along an axis; expected at most {_MOST_COPIES}")
        shape = list(self.shape(tensor))
        if count > _MAX_CONCAT_INPUTS:
            inner = next((d for d in range(_MAX_CONCAT_INPUTS, 1, -1) if count % d == 0), 1)
            if inner > 1:
                return self._repeated(self._repeated(tensor, axis, inner), axis, count // inner)
        shape[axis] *= count
        return self.emit(ir.Concat, [tensor] * count, shape, self.tensors[tensor].name, axis=axis)

    def canonical(self, value: Value) -> Laid:
        return self.lay(value, canonical_order(value.rank))

    def output(self, value: Value) -> int:
        """The tensor of an output: canonical; integers, which are not transposed, in torch's own order."""
        if not self.tensors[value.tensor].dtype.is_integer:
            return self.canonical(value).tensor
        if not lies_in(value.where, tuple(range(value.rank))):
            raise RefusalError("places in another order are not translated; permute before the argmax")
        return value.tensor

    def constant_value(self, data: Array, name: str) -> Value:
        """A constant as a canonical operand."""
        order = canonical_order(data.ndim)
        physical = data.transpose(order).reshape(physical_shape(data.shape, order))
        return Value(self.constant(physical, name), spread(data.shape))

    def result(self, tensor: int, shape: Sequence[int]) -> Value:
        """The torch value of `shape` in `tensor`, which is canonical."""
        return Value(tensor, spread(shape))


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One call of an operator. An argument is a Value, an array (constant), number, text, None, or a tuple of these."""

    net: Net
    op: str
    name: str
    args: Mapping[str, Any]
    constant_names: Mapping[str, str]

    def get(self, key: str, default: Any = None) -> Any:
        value = self.args.get(key, default)
        return default if value is None else value

    def value(self, key: str = "self") -> Value:
        return self.as_value(self.args.get(key), key)

    def as_value(self, item: Any, key: str) -> Value:
        if isinstance(item, Value):
            return item
        if isinstance(item, np.ndarray):
            return self.net.constant_value(item, self.label(key))
        raise RefusalError(f"argument {key!r} is not a tensor; give it one")

    def constant(self, key: str) -> Array | None:
        """A parameter's value; None if it is omitted."""
        item = self.args.get(key)
        if item is None or isinstance(item, np.ndarray):
            return None if item is None else item.astype(np.float32)
        raise RefusalError(f"argument {key!r} is computed by the network; make it a parameter or a buffer")

    def label(self, key: str) -> str:
        return self.constant_names.get(key, f"{self.name}.{key}")

    def numbers(self, key: str, count: int, default: int | None = None) -> tuple[int, ...]:
        """`count` integers; a single one is repeated, none gives the default."""
        values = self.get(key, ())
        values = values if isinstance(values, tuple) else (values,)
        values = values or ((default,) if default is not None else ())
        if not values or not all(isinstance(n, int) for n in values):
            raise RefusalError(f"argument {key!r} is {values}; expected whole numbers that are known before running")
        return values * count if len(values) == 1 else values

    def emit(self, kind: type[ir.Op], inputs: Sequence[int], shape: Sequence[int], **attributes: Any) -> int:
        return self.net.emit(kind, inputs, shape, self.name, **attributes)


def axis_of(dim: int, rank: int) -> int:
    """A torch dimension counted from 0; torch counts negative ones from the end."""
    return dim % max(rank, 1)


def elements(shape: Sequence[int]) -> int:
    return math.prod(shape)
