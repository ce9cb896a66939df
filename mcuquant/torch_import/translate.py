"""An exported program to a graph: each call by its rule; one error names all calls without a rule."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from .. import ir
from ..errors import GraphError, ModelError, UnsupportedOpError
from ..ir.verify import verify
from . import (
    attention_ops,
    constant_ops,
    einsum_ops,
    elementwise_ops,
    function_ops,
    norm_ops,
    pool_ops,
    pt2e_ops,
    recurrent_layers,
    sampling_ops,
    shape_ops,
    spectrum_ops,
    state_ops,
    weighted_ops,
)
from .axis_order import MAX_ELEMENTS, Value
from .exported_program import Exported, Input, Node, Opaque, Ref
from .net_builder import Call, Net, RefusalError

RULES: Mapping[str, Callable[[Call], Any]] = {
    **weighted_ops.RULES,
    **pool_ops.RULES,
    **elementwise_ops.RULES,
    **shape_ops.RULES,
    **sampling_ops.RULES,
    **norm_ops.RULES,
    **attention_ops.RULES,
    **function_ops.RULES,
    **einsum_ops.RULES,
    **constant_ops.RULES,
    **spectrum_ops.RULES,
    **pt2e_ops.RULES,
    **recurrent_layers.RULES,
    **state_ops.RULES,
}

_SIZES: Mapping[str, Callable[[Any, Any], Any]] = {
    "_operator.add": operator.add,
    "_operator.sub": operator.sub,
    "_operator.mul": operator.mul,
    "_operator.floordiv": operator.floordiv,
}
"""Arithmetic on sizes, as in programs with a dynamic batch."""

_NO_EFFECT = ("aten._assert", "aten.sym_constrain_range")

_INSTEAD: Mapping[str, str] = {
    "aten.topk": "use amax for the largest, or sort where the result is read",
    "aten.sort": "sort where the result is read",
    "aten.conv3d": "use 1-D or 2-D convolutions",
    **pt2e_ops.INSTEAD,
}
_ELSE = "express it with convolutions, linear layers, pooling, ReLU-like activations and element-wise arithmetic"


_INPUT_TYPES: Mapping[str, ir.DType] = {
    "float32": ir.DType.FLOAT32,
    **dict.fromkeys(("int32", "int64"), ir.DType.INT32),
}
"""Element type of an input in the graph. Whole numbers are indices, which fit 32 bits."""
_MISSING = object()
"""Result of a call that is not supported; calls that use it are not reported."""


def translate(program: Exported) -> ir.Graph:
    """A FLOAT graph. Raises UnsupportedOpError with every call without a rule, ModelError for other problems."""
    if program.others:
        raise UnsupportedOpError(
            f"{program.name} changes {program.others[0]!r} while it runs, which is no buffer; register it as one"
        )
    translator = _Translator(program)
    translator.bind_states()
    inputs = tuple(translator.bind_input(spec) for spec in program.inputs)
    for position, node in enumerate(program.nodes):
        translator.translate(node, position)
    translator.raise_problems()
    outputs = tuple(translator.outputs())
    updates = tuple(translator.updates())
    net = translator.net
    graph = ir.Graph(
        program.name,
        net.tensors,
        tuple(net.ops),
        inputs,
        outputs,
        updates=updates,
        channels_first=True,
        spreads=net.spreads,
    ).with_()
    try:
        return verify(graph, ir.Level.FLOAT)
    except GraphError as error:  # torch rejects such programs, so only a manipulated file contains one
        raise ModelError(f"{program.name} is not a valid network: {error}") from error


class _Translator:
    def __init__(self, program: Exported) -> None:
        self.program = program
        self.net = Net()
        self.problems: list[str] = []
        self.values: dict[str, Any] = dict(program.constants)
        self.owner = {name: name for name in self.values}
        """Value name to the name of the value whose memory it may share, by torch's rules."""
        self.last_use = _last_uses(program)
        self.states: dict[str, Value] = {}
        """Buffers that a run changes, by the names of their values."""
        self.written: dict[str, Any] = {}
        """The last value written into each of them in place."""

    def bind_states(self) -> None:
        for name in dict.fromkeys((*self.program.mutations, *_written_buffers(self.program))):
            data, label = self.program.constants[name], self.program.constant_names[name]
            if data.dtype.name not in ("float32", "float64"):
                raise UnsupportedOpError(
                    f"{self.program.name} changes its buffer {label!r} of {data.dtype} while it runs; state is float32"
                )
            if not 0 < data.size <= MAX_ELEMENTS:
                raise ModelError(f"buffer {label!r} of {self.program.name} has {data.size:,} elements")
            self.states[name] = self.values[name] = self.net.state(data, label)

    def bind_input(self, spec: Input) -> int:
        """The graph tensor of an input; a dynamic batch becomes 1."""
        sizes = [1 if axis == 0 and size is None else size for axis, size in enumerate(spec.shape)]
        if spec.dtype not in _INPUT_TYPES:
            raise ModelError(
                f"input {spec.name!r} of {self.program.name} is {spec.dtype}; "
                "expected float32 (convert with module.float()), or int64 or int32 for indices"
            )
        if None in sizes or (len(sizes) > 1 and sizes[0] != 1):
            text = ", ".join("dynamic" if size is None else str(size) for size in spec.shape)
            raise ModelError(
                f"input {spec.name!r} of {self.program.name} has shape ({text}); "
                "expected a batch of 1 and fixed sizes (export with an example of one sample)"
            )
        shape = [int(size or 0) for size in sizes]
        if 0 in shape or math.prod(shape) > MAX_ELEMENTS:
            text = " x ".join(map(str, shape))
            raise ModelError(
                f"input {spec.name!r} of {self.program.name} has {text} elements; expected 1 to {MAX_ELEMENTS:,}"
            )
        value = self.net.input(shape, spec.name, _INPUT_TYPES[spec.dtype])
        self.values[spec.name], self.owner[spec.name] = value, spec.name
        return value.tensor

    def translate(self, node: Node, position: int) -> None:
        """Bind the outputs of `node`; a refusal is stored for `raise_problems`."""
        if node.op.startswith(_NO_EFFECT):
            return
        try:
            args = {key: self._look_up(argument) for key, argument in node.args.items()}
            result = self._result(node, args, position)
        except RefusalError as refusal:
            self.problems.append(f"{node.op} in {node.place}: {refusal}")
            result = _MISSING
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
            raise ModelError(
                f"{self.program.name}: the arguments of {node.op} in {node.place} do not fit each other ({error})"
            ) from error
        self._bind(node, result)

    def _look_up(self, argument: Any) -> Any:
        if isinstance(argument, tuple):
            return tuple(self._look_up(part) for part in argument)
        return self.values[argument.name] if isinstance(argument, Ref) else argument

    def _result(self, node: Node, args: Mapping[str, Any], position: int) -> Any:
        if node.op in _SIZES:  # values computed from shapes are always present
            return _SIZES[node.op](*args.values())
        plain = node.op if node.op.endswith("__") else node.op.removesuffix("_")
        if _has_missing(args.values()):
            if plain not in RULES and plain not in constant_ops.CONSTANT_RULES:
                raise RefusalError(_INSTEAD.get(plain, _ELSE))
            return _MISSING
        names = self.program.constant_names
        labels = {k: names[ref.name] for k, ref in node.args.items() if isinstance(ref, Ref) and ref.name in names}
        arguments = {key: value for key, value in args.items() if not isinstance(value, Opaque)}
        call = Call(self.net, plain, node.outputs[0], arguments, labels)
        result = constant_ops.on_constants(call)
        if result is None:
            rule = RULES.get(plain)
            if rule is None:
                raise RefusalError(_INSTEAD.get(plain, _ELSE))
            on_parts = isinstance(arguments.get("self"), spectrum_ops.Complex) and plain not in spectrum_ops.RULES
            result = spectrum_ops.on_parts(call, rule) if on_parts else rule(call)
        if plain != node.op:
            self._write_in_place(node, result, position)
        return result

    def _write_in_place(self, node: Node, result: Any, position: int) -> None:
        """Later uses of the overwritten value read the result. Other views of it would be outdated,
        and are rejected.
        """
        target = node.args["self"].name
        before = self.values[target]
        if isinstance(before, Value) and isinstance(result, Value) and before.tensor == result.tensor:
            return
        owner = self.owner[target]
        stale = [n for n, o in self.owner.items() if o == owner and n != target and self.last_use.get(n, -1) > position]
        if owner in self.states and not stale:
            self.written[owner] = result
        elif stale or owner in self.program.constants:
            raise RefusalError(
                "it overwrites in place what is used elsewhere; use the form without the final underscore"
            )
        self.values[target] = result

    def _bind(self, node: Node, result: Any) -> None:
        results = result if isinstance(result, tuple) else (result,) * len(node.outputs)
        shares = node.op in shape_ops.VIEWS or node.op.endswith("_")
        source = node.args.get("self", node.args.get("input"))
        for name, value in zip(node.outputs, results, strict=True):
            self.values[name] = _MISSING if value is None else value
            self.owner[name] = self.owner.get(source.name, name) if shares and isinstance(source, Ref) else name

    def raise_problems(self) -> None:
        count = len(self.problems)
        if count:
            head = (
                f"{self.program.name} holds {count} operation{'s' if count > 1 else ''} that mcuquant cannot translate:"
            )
            raise UnsupportedOpError("\n  ".join([head, *self.problems]))

    def outputs(self) -> Iterator[int]:
        """Graph tensors of the outputs, canonical, each the output of an operation and without duplicates."""
        taken_tensors = {self.values[spec.name].tensor for spec in self.program.inputs}
        for position, ref in enumerate(self.program.outputs):
            value = self._look_up(ref)
            if value is None:
                continue
            if not isinstance(value, Value):
                raise ModelError(f"output {position} of {self.program.name} does not depend on its input; leave it out")
            try:
                tensor = self.net.output(value)
            except RefusalError as refusal:
                raise UnsupportedOpError(f"output {position} of {self.program.name}: {refusal}") from None
            if tensor in taken_tensors:
                tensor = self.net.emit(ir.Reshape, [tensor], self.net.shape(tensor), f"output_{position}")
            taken_tensors.add(tensor)
            yield tensor

    def updates(self) -> Iterator[ir.Update]:
        """The next value of each state: a tensor of its own layout that an operation computes."""
        read = {i for op in self.net.ops for i in op.inputs}
        for name, before in self.states.items():
            if before.tensor not in read:
                continue
            mutation = self.program.mutations.get(name)
            after = self.written.get(name) if mutation is None else self._look_up(mutation)
            label = self.program.constant_names[name]
            if not isinstance(after, Value) or after.shape != before.shape:
                raise UnsupportedOpError(f"{self.program.name} overwrites its buffer {label!r} with a constant")
            yield ir.Update(before.tensor, self.net.next_state(after, before.tensor, label))


def _written_buffers(program: Exported) -> Iterator[str]:
    """Constants that a call overwrites in place, directly or through a view."""
    owner = {name: name for name in program.constants}
    for node in program.nodes:
        source = node.args.get("self")
        target = owner.get(source.name) if isinstance(source, Ref) else None
        if target is not None and (node.op.endswith("_") and not node.op.endswith("__")):
            yield target
            owner |= dict.fromkeys(node.outputs, target)


def _has_missing(values: Iterable[Any]) -> bool:
    return any(value is _MISSING or (isinstance(value, tuple) and _has_missing(value)) for value in values)


def _last_uses(program: Exported) -> dict[str, int]:
    """Value name to the position of its last reader; outputs count as a node after all others."""
    uses = [(ref, i) for i, node in enumerate(program.nodes) for ref in node.args.values()]
    uses += [(ref, len(program.nodes)) for ref in program.outputs]
    positions: dict[str, int] = {}
    for argument, position in uses:
        for ref in argument if isinstance(argument, tuple) else (argument,):
            if isinstance(ref, Ref):
                positions[ref.name] = position
    return positions
