"""The program in a .pt2 archive as plain values: nodes with named arguments, constants as arrays.

The format is torch/_export/serde/schema.py, major version 8, as written by torch 2.9 to 2.13. Every name and number is
data; nothing is evaluated.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ModelError
from .archive import MAX_BYTES
from .subgraphs import inlined

Array = npt.NDArray[Any]
Json = Any

SCHEMA_MAJOR = 8
_RESAVE = "Load it with the torch that wrote it and save it again with torch.export.save of torch 2.13."
_MODEL = "models/model.json"
_CONFIGS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")

_DTYPES = {
    1: "uint8",
    2: "int8",
    3: "int16",
    4: "int32",
    5: "int64",
    6: "float16",
    7: "float32",
    8: "float64",
    12: "bool",
    13: "bfloat16",
}
"""ScalarType of the schema to numpy's name (bfloat16 has none, and is rejected where it is used)."""


@dataclass(frozen=True, slots=True)
class Ref:
    """Names a value: an input, a constant or a node's output."""

    name: str


@dataclass(frozen=True, slots=True)
class Opaque:
    """An argument of a kind without support: a subgraph, an object, a device."""

    kind: str


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One call. `op` is like 'aten.conv2d'; `args` are by the operator's argument names, without defaults."""

    op: str
    args: Mapping[str, Any]
    outputs: tuple[str, ...]
    place: str
    """The location in the user's model, in words."""


@dataclass(frozen=True, slots=True)
class Input:
    """One input of the network. A size exported as dynamic is None."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str


@dataclass(frozen=True, slots=True, eq=False)
class Exported:
    name: str
    inputs: tuple[Input, ...]
    constants: Mapping[str, Array]
    constant_names: Mapping[str, str]
    """Name of a value to the user's name of it: 'p_fc_weight' to 'fc.weight'."""
    nodes: tuple[Node, ...]
    outputs: tuple[Any, ...]
    mutations: Mapping[str, Any]
    """Buffers that a run changes: name of the value to the name of its new value."""
    others: tuple[str, ...] = ()
    """User names of other objects that a run would change."""


def parse(members: Mapping[str, bytes], source: str) -> Exported:
    """The exported program from an archive's members; `source` is for messages."""
    _check_members(members, source)
    try:
        model = json.loads(members[_MODEL])
        _check_version(model, source)
        stored = _stored_constants(members, source)
        return _program(model["graph_module"], stored)
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ModelError(f"{source}: its program is not what torch.export.save writes ({reason}). {_RESAVE}") from None


def _check_members(members: Mapping[str, bytes], source: str) -> None:
    if "serialized_exported_program.json" in members or "data/weights/model.pt" in members:
        raise ModelError(f"{source}: was saved by an older torch, with pickled weights. {_RESAVE}")
    for member in (_MODEL, *_CONFIGS):
        if member not in members:
            raise ModelError(f"{source}: holds no {member}, so it is not a file of torch.export.save")
    if members.get("byteorder", b"little") != b"little":
        raise ModelError(f"{source}: was saved on a big-endian machine. Save it on a little-endian one.")


def _check_version(model: Json, source: str) -> None:
    major = model["schema_version"]["major"]
    if major != SCHEMA_MAJOR:
        raise ModelError(
            f"{source}: has schema version {major} (torch {model.get('torch_version')}), "
            f"expected {SCHEMA_MAJOR}. {_RESAVE}"
        )


def _stored_constants(members: Mapping[str, bytes], source: str) -> dict[str, Array]:
    """Parameters, buffers and constants by the user's names."""
    constants: dict[str, Array] = {}
    for config in _CONFIGS:
        folder = config.rpartition("/")[0]
        for name, payload in json.loads(members[config])["config"].items():
            file = payload["path_name"]
            if payload["use_pickle"] or not file.startswith(("weight_", "tensor_")):
                raise ModelError(
                    f"{source}: {folder}/{file} ({name!r}) is a pickled object, which could run code when loaded. "
                    "Use plain tensors as parameters, buffers and constants."
                )
            constants[name] = _array(
                members.get(f"{folder}/{file}"), payload["tensor_meta"], f"{source}: {folder}/{file}"
            )
    return constants


def _array(content: bytes | None, meta: Json, what: str) -> Array:
    """A tensor from its sizes and strides (in elements) in the bytes of its storage."""
    if content is None:
        raise ModelError(f"{what}: is missing from the archive")
    shape, strides = ([int(s["as_int"]) for s in meta[key]] for key in ("sizes", "strides"))
    name = _DTYPES.get(meta["dtype"], f"type {meta['dtype']}")
    dtype = np.dtype("uint16" if name == "bfloat16" else name)
    first = int(meta["storage_offset"]["as_int"])
    if min([first, *shape, *strides]) < 0:
        raise ModelError(f"{what}: has a negative size, stride or offset")
    elements = math.prod(shape)
    if elements * dtype.itemsize > MAX_BYTES:
        raise ModelError(f"{what}: has shape {shape}, more than the {MAX_BYTES} bytes allowed")
    if not elements:
        return np.zeros(shape, dtype)
    needed_bytes = dtype.itemsize * (first + 1 + sum((n - 1) * s for n, s in zip(shape, strides, strict=True)))
    if needed_bytes > len(content):
        raise ModelError(f"{what}: has {len(content)} bytes, its shape {shape} needs {needed_bytes}")
    storage = np.frombuffer(content, dtype, count=len(content) // dtype.itemsize)
    view = np.lib.stride_tricks.as_strided(
        storage[first:], shape, [s * dtype.itemsize for s in strides], writeable=False
    )
    return (view.astype("uint32") << 16).view("float32") if name == "bfloat16" else view.copy()


def _program(module: Json, stored: Mapping[str, Array]) -> Exported:
    graph, signature = module["graph"], module["signature"]
    names = dict(_constant_names(signature["input_specs"]))
    nodes = tuple(_node(node) for node in inlined(graph["nodes"]))
    return Exported(
        name=_root_name(graph["nodes"]),
        inputs=tuple(_inputs(signature["input_specs"], graph["tensor_values"])),
        constants={value: stored[name] for value, name in names.items()},
        constant_names=names,
        nodes=nodes,
        outputs=tuple(_argument(s["user_output"]["arg"]) for s in signature["output_specs"] if "user_output" in s),
        mutations=dict(_buffer_mutations(signature["output_specs"], names)),
        others=tuple(_other_mutations(signature["output_specs"])),
    )


def _constant_names(specs: Json) -> Iterator[tuple[str, str]]:
    keys = {"parameter": "parameter_name", "buffer": "buffer_name", "tensor_constant": "tensor_constant_name"}
    for spec in specs:
        for kind, key in keys.items():
            if kind in spec:
                yield spec[kind]["arg"]["name"], spec[kind][key]


def _inputs(specs: Json, tensors: Json) -> Iterator[Input]:
    for spec in specs:
        argument = spec["user_input"]["arg"] if "user_input" in spec else {}
        if "as_tensor" in argument:
            name = argument["as_tensor"]["name"]
            sizes = tuple(size.get("as_int") for size in tensors[name]["sizes"])
            yield Input(name, sizes, _DTYPES.get(tensors[name]["dtype"], "an unknown type"))


def _buffer_mutations(specs: Json, names: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    values = {name: value for value, name in names.items()}
    for spec in specs:
        if "buffer_mutation" in spec:
            mutation = spec["buffer_mutation"]
            yield values[mutation["buffer_name"]], Ref(mutation["arg"]["name"])


def _other_mutations(specs: Json) -> Iterator[str]:
    for spec in specs:
        for kind, value in spec.items():
            if kind.endswith("_mutation") and kind not in ("user_input_mutation", "buffer_mutation"):
                yield next(str(v) for k, v in value.items() if k != "arg")


def _node(node: Json) -> Node:
    metadata = node["metadata"]
    return Node(
        op=_operator(node["target"]),
        args={i["name"]: _argument(i["arg"]) for i in node["inputs"]},
        outputs=tuple(_output_names(node["outputs"])),
        place=_place(metadata.get("nn_module_stack", ""), metadata.get("stack_trace", "")),
    )


def _operator(target: str) -> str:
    """'torch.ops.aten.conv2d.padding' is aten.conv2d: argument names distinguish overloads."""
    parts = target.removeprefix("torch.ops.").split(".")
    return ".".join(parts[:2]) if parts[0] == "aten" else ".".join(parts)


def _place(stack: str, trace: str) -> str:
    """Path and class of the innermost module, and the user's line if that module is the user's.

    stack: 'L__self__,,nets.Net;L__self___fc,fc,torch.nn.modules.linear.Linear', outermost first.
    """
    _, _, innermost = stack.rpartition(";")[2].partition(",")
    path, _, kind = innermost.partition(",")
    module = f"module {path or 'at the top'} ({kind.rpartition('.')[2]})"
    line = trace.rpartition("\n")[2].strip()
    return module if kind.startswith("torch.nn.") or not line else f"{module}, line `{line}`"


def _root_name(nodes: Json) -> str:
    """Class of the exported module. Operations that torch added have stacks that begin with something else."""
    stacks = (node["metadata"].get("nn_module_stack", "") for node in nodes)
    root = next((stack.partition(";")[0] for stack in stacks if stack.startswith("L__self__,,")), "")
    exported_before = root.startswith("L__self__,,torch.export.")  # a class of torch, not of the user
    return "model" if exported_before else root.rpartition(".")[2] or "model"


def _output_names(outputs: Json) -> Iterator[str]:
    for argument in outputs:
        value = _argument(argument)
        for ref in value if isinstance(value, tuple) else (value,):
            yield ref.name if isinstance(ref, Ref) else ""


def _argument(argument: Json) -> Any:
    """The value of the single key of a schema `Argument`: a tensor or symbol becomes a Ref, a list a tuple."""
    ((kind, value),) = argument.items()
    match kind:
        case "as_none":
            return None
        case "as_tensor" | "as_token":
            return Ref(value["name"])
        case "as_tensors":
            return tuple(Ref(v["name"]) for v in value)
        case "as_name":
            return Ref(value)
        case "as_sym_int" | "as_sym_float" | "as_sym_bool" | "as_optional_tensor":
            return _argument(value)
        case "as_sym_ints" | "as_sym_floats" | "as_sym_bools" | "as_optional_tensors":
            return tuple(_argument(v) for v in value)
        case "as_scalar_type":
            return _DTYPES.get(value, "an unknown type")
        case "as_float":
            return float(value)  # JSON stores infinity as text
        case "as_floats":
            return tuple(map(float, value))
        case "as_int" | "as_bool" | "as_string":
            return value
        case "as_ints" | "as_bools" | "as_strings":
            return tuple(value)
        case _:
            return Opaque(kind.removeprefix("as_"))
