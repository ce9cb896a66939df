"""Combines the int8 and the int16 form of a network, with int16 only for layers that need it.

A layer in int16 has int16 inputs and outputs, with a Quantize at each border to an int8 layer. Inputs and outputs of
the network stay int8.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..ir import Array, Graph, Op, Quantize, Role, Tensor
from .snr import layer_effects, output_snr

ENOUGH_DB = 30.0
"""Target of the output SNR in dB: an error of 3 % of the root mean square."""


def mixed(
    real: Graph, narrow: Graph, wide: Graph, inputs: Sequence[Sequence[Array]], exact: Sequence[Sequence[Array]]
) -> tuple[Graph, str]:
    """The int8 form `narrow` of the float graph `real`, with some layers of the int16 form `wide`.

    The layer whose noise affects the outputs most becomes int16 first, then the next, until the output SNR is at least
    `ENOUGH_DB` on the samples `inputs`, whose float outputs are `exact`. Also returns a note about the result.
    """
    worst_first = sorted(layer_effects(real, narrow, inputs).items(), key=lambda pair: pair[1])
    best, best_db, count = narrow, output_snr(narrow, inputs, exact), 0
    for n in range(1, len(worst_first) + 1):
        if best_db >= ENOUGH_DB:
            break
        candidate = merged(real, narrow, wide, {output for output, _ in worst_first[:n]})
        db = output_snr(candidate, inputs, exact)
        if db > best_db:
            best, best_db, count = candidate, db, n
    layers = "layer" if count == 1 else "layers"
    return best, f"{count} {layers} of {len(worst_first)} in int16, so that the outputs have {best_db:.1f} dB"


def merged(real: Graph, narrow: Graph, wide: Graph, wide_ops: Collection[int]) -> Graph:
    """`narrow`, with the operations of `wide` for outputs in `chosen` (ids of the float graph `real`)."""
    return _Merge(real, (narrow, wide)).run(wide_ops)


_Place = tuple[int, bool]
"""(tensor of the float graph, whether it is int16)."""


@dataclass(slots=True)
class _Merge:
    real: Graph
    forms: tuple[Graph, Graph]
    """The int8 and the int16 form, indexed by whether int16 is requested."""
    tensors: dict[int, Tensor] = field(default_factory=dict)
    ops: list[Op] = field(default_factory=list)
    twins: dict[_Place, int] = field(default_factory=dict)
    next_id: int = 0

    def run(self, places: Collection[int]) -> Graph:
        narrow = self.forms[False]
        self.next_id = 1 + max(max(form.tensors) for form in self.forms)
        for i in narrow.inputs:
            self.tensors[i], self.twins[i, False] = narrow[i], i
        parts = [dict(_parts(self.real, form)) for form in self.forms]
        for op in self.real.ops:
            wide = op.output in places
            self._add(parts[wide][op.output], wide)
        outputs = tuple(self._input(i, False) for i in self.real.outputs)
        return narrow.with_(tensors=self.tensors, ops=tuple(self.ops), outputs=outputs)

    def _add(self, part: Sequence[Op], wide: bool) -> None:
        """The operations that compute one tensor of the float graph; the last one computes the tensor itself."""
        form, own = self.forms[wide], dict[int, int]()
        for op in part:
            last = op is part[-1]
            inputs = tuple(own[i] if i in own else self._operand(form[i], wide) for i in op.inputs)
            y = form.out(op) if last else replace(form.out(op), id=self._new_id())
            own[op.output] = y.id
            self.tensors[y.id] = y
            self.ops.append(replace(op, inputs=inputs, outputs=(y.id,)))
        self.twins[part[-1].output, wide] = part[-1].output

    def _operand(self, t: Tensor, wide: bool) -> int:
        return self._keep(replace(t, id=self._new_id())) if t.is_constant else self._input(t.id, wide)

    def _input(self, i: int, wide: bool) -> int:
        """The tensor in the requested type, converted if necessary; indices have only one type."""
        if (i, wide) in self.twins:
            return self.twins[i, wide]
        source, target = self.twins[i, not wide], self.forms[wide][i]
        if target.q is None:
            return source
        twin = replace(target, id=self._new_id(), role=Role.ACTIVATION, name=f"{target.name}/{target.dtype}")
        self.ops.append(Quantize(inputs=(source,), outputs=(self._keep(twin),)))
        self.twins[i, wide] = twin.id
        return twin.id

    def _keep(self, t: Tensor) -> int:
        self.tensors[t.id] = t
        return t.id

    def _new_id(self) -> int:
        self.next_id += 1
        return self.next_id - 1


def _parts(real: Graph, form: Graph) -> Iterator[tuple[int, Sequence[Op]]]:
    """Tensor of the float graph -> the operations of an integer form that compute it: rescales, then the operation."""
    outputs: Mapping[int, Op] = {op.output: op for op in real.ops}
    part: list[Op] = []
    for op in form.ops:
        part.append(op)
        if op.output in outputs:
            yield op.output, tuple(part)
            part = []
