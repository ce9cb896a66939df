"""Inlines calls of a subgraph, which `torch.no_grad` and `torch.autocast` leave in a program."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

Json = Any
_WRAPPERS = ("torch.ops.higher_order.wrap_with_autocast", "torch.ops.higher_order.wrap_with_set_grad_enabled")


def inlined(nodes: Json, scope: str = "") -> Iterator[Json]:
    """The nodes without such calls. Names in a subgraph get its own name as prefix, so that all names are unique."""
    for position, node in enumerate(nodes):
        graphs = [i["arg"]["as_graph"] for i in node["inputs"] if "as_graph" in i["arg"]]
        if node["target"] not in _WRAPPERS or len(graphs) != 1:
            yield node
            continue
        inner, name = graphs[0]["graph"], f"{scope}{position}.{graphs[0]['name']}"
        after = [i["arg"] for i in node["inputs"]]
        operands = after[next(n for n, arg in enumerate(after) if "as_graph" in arg) + 1 :]
        names = dict(zip(_names(inner["inputs"]), _names(operands), strict=True))
        rename = partial(_new_name, names, name)
        yield from inlined(_renamed(inner["nodes"], rename), f"{name}.")
        results = [rename(old) for old in _names(inner["outputs"])]
        for result, output in zip(results, _outputs(node["outputs"]), strict=True):
            yield _alias(node, result, output)


def _new_name(names: Mapping[str, str], scope: str, old: str) -> str:
    return names.get(old, f"{scope}.{old}")


def _names(arguments: Json) -> list[str]:
    return [next(iter(argument.values())).get("name", "") for argument in arguments]


def _outputs(outputs: Json) -> list[str]:
    """Outputs of a node: tensors, or one list of tensors."""
    return [t["name"] for output in outputs for t in output.get("as_tensors", [output.get("as_tensor")])]


def _alias(node: Json, source: str, output: str) -> Json:
    return {
        **node,
        "target": "torch.ops.aten.alias.default",
        "inputs": [{"name": "self", "arg": {"as_tensor": {"name": source}}, "kind": 1}],
        "outputs": [{"as_tensor": {"name": output}}],
    }


def _renamed(part: Json, name: Callable[[str], str]) -> Json:
    """`part` of a subgraph with renamed tensors."""
    if isinstance(part, list):
        return [_renamed(item, name) for item in part]
    if not isinstance(part, Mapping):
        return part
    return {key: _renamed_value(key, value, name) for key, value in part.items()}


def _renamed_value(key: str, value: Json, name: Callable[[str], str]) -> Json:
    if key in ("as_tensor", "as_optional_tensor") and isinstance(value, Mapping) and "name" in value:
        return {**value, "name": name(value["name"])}
    if key == "as_tensors":
        return [{**tensor, "name": name(tensor["name"])} for tensor in value]
    return value if key in ("metadata", "as_graph") else _renamed(value, name)
