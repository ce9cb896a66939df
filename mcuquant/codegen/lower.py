"""Graph + Plan → Program: parameters, packed constants, and the names of everything in C."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..errors import ModelError
from ..ir import Array, DType, Graph, Op, Tensor
from ..ir.metrics import macs, total_macs
from ..ir.running_sum import RunningSum
from ..kernels import Blob, In, Ins, Number, Out, Parts, Record, Scratch, Site, Struct
from ..kernels.variant import Arg, Value
from ..planner import ARENA_ALIGNMENT, Move, Plan, Step
from ..planner.objective import Objective
from .program import Call, CArray, CParts, CState, CStrips, CStruct, CTensor, Program, SharedKernel

_C_TYPE = {
    DType.FLOAT32: "float",
    DType.BOOL: "uint8_t",
    DType.INT8: "int8_t",
    DType.INT16: "int16_t",
    DType.INT32: "int32_t",
    DType.INT64: "int64_t",
    DType.UINT32: "uint32_t",
    DType.UINT64: "uint64_t",
}
_ROW_WIDTH = 110


def lower(plan: Plan, name: str = "model") -> Program:
    """Lower a plan to a program. `name` is a part of all C identifiers; raises ModelError if it is not valid in C."""
    graph, arrays = plan.graph, _Arrays()
    calls = tuple(_call(graph, plan, step, i, arrays) for i, step in enumerate(plan.steps))
    is_small = plan.goal.objective is Objective.SIZE
    shared = shared_kernels(calls) if is_small else ()
    names = {(kernel.function, kernel.parameters): kernel.name for kernel in shared}
    calls = tuple(replace(call, function=names.get(_signature(call), call.function)) for call in calls)
    state = _state(plan, arrays) if graph.updates else None
    return Program(
        title=printable(graph.name, 60) or name,
        prefix=f"mq_{identifier(name)}",
        arrays=tuple(arrays.all),
        calls=calls,
        inputs=tuple(_tensor(graph, plan, t, "input", i) for i, t in enumerate(graph.inputs)),
        outputs=tuple(_tensor(graph, plan, t, "output", i) for i, t in enumerate(graph.outputs)),
        arena_bytes=plan.arena_bytes,
        arena_alignment=ARENA_ALIGNMENT,
        macs=total_macs(graph),
        is_small=is_small,
        shared=shared,
        state=state,
    )


def shared_kernels(calls: Sequence[Call]) -> tuple[SharedKernel, ...]:
    """Kernels that several calls share, in the order of their first call. Kernels of strips are not shared."""
    users: dict[tuple[str, tuple[str, ...]], list[Call]] = {}
    for call in (call for call in calls if call.strips is None):
        users.setdefault(_signature(call), []).append(call)
    several = [calls_of_kernel for calls_of_kernel in users.values() if len(calls_of_kernel) > 1]
    # A kernel of untyped elements is shared once for each type of them.
    number = Counter[str]()
    kernels = []
    for calls_of_kernel in several:
        function = calls_of_kernel[0].function
        number[function] += 1
        suffix = f"_{number[function]}" if number[function] > 1 else ""
        kernels.append(_shared_kernel(calls_of_kernel, f"shared_{function.removeprefix('mq_')}{suffix}"))
    return tuple(kernels)


def _signature(call: Call) -> tuple[str, tuple[str, ...]]:
    """The function and the types of its arguments; other ones for strips, whose kernels are not shared."""
    return call.function, (*call.parameters, *(("strips",) if call.strips else ()))


def _shared_kernel(calls: Sequence[Call], name: str) -> SharedKernel:
    first = calls[0]
    fields = [set(call.struct.fields) for call in calls if call.struct is not None]
    common = set.intersection(*fields) if fields else set()
    return SharedKernel(
        name=name,
        function=first.function,
        parameters=first.parameters,
        struct=first.arguments.index("&p") if first.struct else None,
        constants=tuple(f for f in (first.struct.fields if first.struct else ()) if f in common and f[1][0] not in "{"),
    )


def identifier(name: str) -> str:
    """`name`, if it may follow `mq_` in C."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,31}", name):
        raise ModelError(
            f"name {name!r} cannot be used in C: expected a lower-case letter, then up to 31 of a-z, 0-9 and _"
        )
    return name


def printable(text: str, limit: int) -> str:
    """Text of a model file, reduced to [A-Za-z0-9_.:-], which is safe in C comments, strings, paths and Makefiles."""
    clean = re.sub(r"[^A-Za-z0-9_.:-]+", "_", text).strip("_")
    return clean if len(clean) <= limit else clean[: limit - 8] + clean[-8:]


@dataclass(slots=True)
class _Arrays:
    """The constant arrays so far. Equal arrays are stored once."""

    all: list[CArray] = field(default_factory=list)
    _names: dict[tuple[str, bytes], str] = field(default_factory=dict)

    def add(self, name: str, data: Array, comment: str) -> str:
        data = data.view(np.uint8) if data.dtype == np.bool_ else data
        c_type = _array_type(data)
        key = (c_type, np.ascontiguousarray(data).tobytes())
        if key not in self._names:
            self._names[key] = name
            flat = np.ascontiguousarray(data).reshape(-1)
            self.all.append(CArray(name, c_type, flat.size, flat, comment, rows(flat)))
        return self._names[key]


def _array_type(data: Array) -> str:
    return "float" if data.dtype == np.float32 else f"{data.dtype.name}_t"


def rows(flat: Array) -> tuple[str, ...]:
    """The values of an array as lines of C."""
    texts = [c_float(v) for v in flat] if flat.dtype.kind == "f" else _integers(flat)
    width = max(map(len, texts), default=1) + 2
    per_row = max(1, _ROW_WIDTH // width)
    return tuple(", ".join(texts[i : i + per_row]) + "," for i in range(0, len(texts), per_row))


_BYTE_TEXTS = {v: str(v) for v in range(-128, 256)}
"""There are many weights: sharing equal texts takes a seventh of the memory."""


def _integers(flat: Array) -> list[str]:
    low = int(np.iinfo(flat.dtype).min)
    if flat.dtype.itemsize == 1:
        return [_BYTE_TEXTS[v] for v in flat.tolist()]
    if flat.dtype.itemsize < 4 or (flat != low).all():
        return [str(v) for v in flat.tolist()]
    return [f"({low + 1} - 1)" if v == low else str(v) for v in flat.tolist()]


def _call(graph: Graph, plan: Plan, step: Step, index: int, arrays: _Arrays) -> Call:
    op = graph.ops[step.op_index]
    args = step.variant.args(Site(graph, op, plan.core))
    structs = [a for a in args if isinstance(a, Struct)]
    return Call(
        index=index,
        title=_title(graph, op),
        name=printable(graph.out(op).name, 40) or f"step_{index}",
        op=op.kind,
        macs=macs(graph, op),
        function=f"mq_{step.variant.name}",
        kernel=f"mq_{step.variant.name}",
        header=step.variant.header,
        struct=CStruct(structs[0].ctype, _fields(structs[0].fields)) if structs else None,
        parts=next((CParts(a.ctype, tuple(map(_value, a.rows))) for a in args if isinstance(a, Parts)), None),
        arguments=tuple(_argument(graph, plan, step, index, a, arrays) for a in args),
        parameters=tuple(_parameter(graph, op, a) for a in args),
        outputs=tuple(_tensor(graph, plan, t, f"step_{index}_output", i) for i, t in enumerate(_results(op))),
        tensor_ids=_results(op),
        strips=_strips(graph, plan, step, index, arrays),
    )


def _results(op: Op) -> tuple[int, ...]:
    """The outputs that the network has too, without sums that only the plan has."""
    return op.outputs[:1] if isinstance(op, RunningSum) else op.outputs


def _strips(graph: Graph, plan: Plan, step: Step, index: int, arrays: _Arrays) -> CStrips | None:
    op = graph.ops[step.op_index]
    if step.variant.pooling is None:
        return None
    pooling, y = step.variant.pooling(Site(graph, op, plan.core)), graph.out(op)
    struct = next(arg for arg in pooling.args if isinstance(arg, Struct))

    def argument(arg: Arg) -> str:
        if isinstance(arg, Struct):
            return "&strip.pool"
        text = _argument(graph, plan, step, index, arg, arrays)
        return f"{text} + row * {y.elements // y.shape[1]}" if isinstance(arg, Out) else text

    return CStrips(
        pooled_h=y.shape[1],
        rows=pooling.rows,
        stride_h=pooling.stride_h,
        function=f"mq_{pooling.kernel.name}",
        header=pooling.kernel.header,
        struct=CStruct(struct.ctype, _fields(struct.fields)),
        arguments=tuple(argument(arg) for arg in pooling.args),
    )


def _title(graph: Graph, op: Op) -> str:
    shapes = ", ".join("x".join(map(str, t.shape[1:])) or "1" for t in graph.activations(op))
    work = macs(graph, op)
    out = "x".join(map(str, graph.out(op).shape[1:])) or "1"
    return f"{op.kind} {shapes} to {out}" + (f", {work:,} MACs" if work else "")


def _fields(fields: Mapping[str, Value]) -> tuple[tuple[str, str], ...]:
    return tuple((name, _value(value)) for name, value in fields.items())


def _value(value: Value) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f".{k} = {_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, tuple):
        return "{" + ", ".join(_value(v) for v in value) + "}"
    return c_float(value) if isinstance(value, float) else c_int(int(value))


def c_float(value: float) -> str:
    """The exact decimal text of the single-precision number nearest to `value`."""
    return float(np.float32(value)).hex() + "f"


def c_int(value: int) -> str:
    """An integer literal that causes no compiler warning for its type."""
    return "INT32_MIN" if value == -(2**31) else str(value)


def _argument(graph: Graph, plan: Plan, step: Step, index: int, arg: Arg, arrays: _Arrays) -> str:
    op = graph.ops[step.op_index]
    match arg:
        case Struct():
            return "&p"
        case Parts():
            return "parts"
        case Ins(first):
            addresses = [_argument(graph, plan, step, index, In(i), arrays) for i in range(first, len(op.inputs))]
            return "(const void *const[]){" + ", ".join(addresses) + "}"
        case Number(value):
            return c_int(value)
        case Blob():
            return _blob(arg, index, arrays)
        case Record(ctype, fields):
            return f"&(const {ctype}){{{_record(fields, index, arrays)}}}"
        case Scratch(ctype, offset):
            assert step.scratch_offset is not None
            return f"({ctype} *)(arena + {step.scratch_offset + offset})"
        case In(i) if graph[op.inputs[i]].is_constant:
            return _constant(graph[op.inputs[i]], index, i, arrays)
        case In(i):
            return _pointer(graph, plan, op.inputs[i], "const ")
        case Out(i, offset):
            return _pointer(graph, plan, op.outputs[i], "", offset)


def _blob(blob: Blob, index: int, arrays: _Arrays) -> str:
    text = f"step {index}, {blob.role}: {blob.layout or 'one per output channel'}"
    return arrays.add(f"{blob.role}_{index}", blob.data, text)


def _record(fields: Mapping[str, int | Blob], index: int, arrays: _Arrays) -> str:
    texts = {k: _blob(v, index, arrays) if isinstance(v, Blob) else c_int(v) for k, v in fields.items()}
    return ", ".join(f".{k} = {text}" for k, text in texts.items())


def _state(plan: Plan, arrays: _Arrays) -> CState:
    graph, layout = plan.graph, plan.states
    fills, copies = [], []
    for t in graph.states:
        data = np.frombuffer(t.value.tobytes(), np.uint8)
        if (data == data[0]).all():
            fills.append((layout.offsets[t.id], int(data[0]), t.nbytes))
        else:
            name = arrays.add(f"state_{t.id}", t.value, "a state before the first inference")
            copies.append((layout.offsets[t.id], name, t.nbytes))
    moves = [(m.target, _place(plan, m), m.nbytes) for m in layout.moves]
    return CState(layout.nbytes, tuple(fills), tuple(copies), tuple(moves))


def _place(plan: Plan, move: Move) -> str:
    return f"state + {move.source}" if move.tensor is None else f"arena + {plan.offsets[move.tensor]}"


def _parameter(graph: Graph, op: Op, arg: Arg) -> str:
    """C type of an argument."""
    match arg:
        case Struct(ctype) | Parts(ctype) | Record(ctype):
            return f"const {ctype} *"
        case Ins():
            return "const void *const *"
        case Number():
            return "int32_t "
        case Blob(_, data):
            return f"const {_array_type(data)} *"
        case Scratch(ctype):
            return f"{ctype} *"
        case In(i):
            return f"const {_C_TYPE[graph[op.inputs[i]].dtype]} *"
    assert isinstance(arg, Out)
    return f"{_C_TYPE[graph[op.outputs[arg.index]].dtype]} *"


def _constant(tensor: Tensor, index: int, position: int, arrays: _Arrays) -> str:
    assert tensor.data is not None
    return arrays.add(f"operand_{index}_{position}", tensor.data, f"step {index}, operand {position}")


def _pointer(graph: Graph, plan: Plan, tensor: int, const: str, offset_bytes: int = 0) -> str:
    offset = plan.states.offsets.get(tensor)
    place = f"arena + {plan.offsets[tensor] + offset_bytes}" if offset is None else f"state + {offset + offset_bytes}"
    return f"({const}{_C_TYPE[graph[tensor].dtype]} *)({place})"


def _tensor(graph: Graph, plan: Plan, tensor: int, table: str, position: int) -> CTensor:
    t = graph[tensor]
    offset = plan.states.offsets.get(tensor)
    scale = c_float(t.scale) if t.q is not None and len(t.q.scale) == 1 else "0"
    return CTensor(
        name=printable(t.name, 40) or f"{table}_{position}",
        c_type=_C_TYPE[t.dtype],
        type=f"MQ_{t.dtype.name}",
        offset=plan.offsets[tensor] if offset is None else offset,
        nbytes=t.nbytes,
        shape=t.shape,
        shape_name="shape_" + ("x".join(map(str, t.shape)) or "1"),
        scale=scale,
        zero_point=t.zero_point,
        is_state=offset is not None,
    )
