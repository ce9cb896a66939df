"""Functions that passes share: counting readers, adding constants, renaming tensors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from ..ir import Array, Dequantize, DType, Graph, Op, Role, Shape, Tensor


@dataclass(slots=True)
class Draft:
    """The operations and tensors of the new graph. A pass appends in order, and may replace what it appended."""

    graph: Graph
    ops: list[Op | None] = field(default_factory=list)
    tensors: dict[int, Tensor] = field(default_factory=dict)
    _position: dict[int, int] = field(default_factory=dict)
    _readers: Counter[int] = field(default_factory=Counter)

    @classmethod
    def of(cls, graph: Graph) -> Draft:
        readers = Counter(i for op in graph.ops for i in op.inputs)
        readers.update(graph.ends)
        return cls(graph, tensors=dict(graph.tensors), _readers=readers)

    def append(self, op: Op) -> None:
        for output in op.outputs:
            self._position[output] = len(self.ops)
        self.ops.append(op)

    def producer(self, tensor: int) -> Op | None:
        """The operation that writes `tensor`, among those appended so far."""
        position = self._position.get(tensor)
        return None if position is None else self.ops[position]

    def only_reader(self, tensor: int) -> bool:
        """Whether one operation reads `tensor`, once, and it is no output of the graph."""
        return self._readers[tensor] == 1

    def replace(self, old: Op, new: Op) -> None:
        """Replace `old` by `new`, which may write another tensor."""
        position = self._position.pop(old.output)
        self.ops[position] = new
        self._position[new.output] = position

    def remove(self, op: Op) -> None:
        self.ops[self._position.pop(op.output)] = None

    def constant(self, data: Array, name: str) -> int:
        """A new float32 constant."""
        array = np.array(data, np.float32, order="C")
        return self._add(Tensor(0, array.shape, DType.FLOAT32, Role.CONSTANT, data=array, name=name))

    def activation(self, like: Tensor, shape: Shape) -> int:
        """A new activation with another tensor's type and name."""
        return self._add(replace(like, shape=shape, role=Role.ACTIVATION))

    def _add(self, tensor: Tensor) -> int:
        new = max(self.tensors, default=-1) + 1
        self.tensors[new] = replace(tensor, id=new)
        return new

    def finish(self) -> Graph:
        """The graph with these operations; the very same object when nothing changed."""
        ops = tuple(op for op in self.ops if op is not None)
        return self.graph if ops == self.graph.ops else self.graph.with_(ops=ops, tensors=self.tensors)


def renamed(op: Op, names: Mapping[int, int]) -> Op:
    """`op` with tensor ids replaced by their entries in `names`."""
    inputs, outputs = (tuple(names.get(i, i) for i in ids) for ids in (op.inputs, op.outputs))
    return op if (inputs, outputs) == (op.inputs, op.outputs) else replace(op, inputs=inputs, outputs=outputs)


def same_type(a: Tensor, b: Tensor) -> bool:
    """Whether equal stored values mean equal numbers."""
    return (a.dtype, a.bits, a.q) == (b.dtype, b.bits, b.q)


def is_quantised(graph: Graph) -> bool:
    """Whether the graph computes with integers: some activation has a scale, and only Dequantize gives floats.

    A network that was trained with rounding to integers has scales too, but computes with floats between them.
    """
    computed = (graph.out(op) for op in graph.ops if not isinstance(op, Dequantize))
    scaled = any(t.q is not None for t in graph.tensors.values() if not t.is_constant)
    return scaled and all(t.dtype is not DType.FLOAT32 for t in computed)
