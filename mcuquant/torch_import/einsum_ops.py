"""Einstein sums as products of matrices, and the other products of tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .. import ir
from .attention_ops import matrices, product
from .axis_order import Value
from .elementwise_ops import binary, unary
from .net_builder import Call, RefusalError
from .norm_ops import vector_norm_value
from .pool_ops import reduce_value
from .shape_ops import arranged, elements
from .weighted_ops import fully_connected

Item = Any
"""Value, or an array (constant)."""


def einsum(call: Call) -> Item:
    """Operands from the left, two at a time."""
    terms, output = _terms(call.get("equation"), [elements(t).ndim for t in call.get("tensors")])
    items = list(call.get("tensors"))
    while len(items) > 1:
        later = set(output).union(*terms[2:])
        (left, right), (a, b) = terms[:2], items[:2]
        kept = _common(left, right, later) if len(items) > 2 else output
        terms, items = [kept, *terms[2:]], [_pair(call, left, a, right, b, kept), *items[2:]]
    return _summed(call, terms[0], items[0], output)


def _terms(equation: str, ranks: Sequence[int]) -> tuple[list[str], str]:
    """Labels of each operand and of the result; the axes of an ellipsis get capital letters from Z down."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    spare = {r - len(term) + 3 for r, term in zip(ranks, terms, strict=True) if "..." in term}
    if len(spare) > 1:
        raise RefusalError("the ellipses of its equation stand for different numbers of axes; name the axes")
    dots = "ZYXWVU"[: max(spare, default=0)]
    terms = [term.replace("...", dots) for term in terms]
    if not arrow:
        once = [label for label in sorted(set("".join(terms)) - set(dots)) if "".join(terms).count(label) == 1]
        right = dots + "".join(once)
    if any(len(set(term)) < len(term) for term in terms):
        raise RefusalError("its equation names an axis twice in one operand; take the diagonal before it")
    return terms, right.replace("...", dots)


def _common(left: str, right: str, later: set[str]) -> str:
    return "".join(label for label in dict.fromkeys(left + right) if label in later)


def _summed(call: Call, labels: str, item: Item, output: str) -> Item:
    """Sum over labels that the result does not have, then permute."""
    axes = tuple(i for i, label in enumerate(labels) if label not in output)
    if axes:
        item = reduce_value(call, item, ir.Sum, axes, keep=False) if isinstance(item, Value) else item.sum(axes)
    kept = [label for label in labels if label in output]
    return arranged(item, lambda a: a.transpose([kept.index(label) for label in output]))


def _pair(call: Call, left: str, a: Item, right: str, b: Item, output: str) -> Item:
    if not isinstance(a, Value) and not isinstance(b, Value):
        return np.einsum(f"{left},{right}->{output}", a, b)
    left, a = _without_own(call, left, a, right + output)
    right, b = _without_own(call, right, b, left + output)
    shared = [label for label in left if label in right and label not in output]
    sizes = {label: n for labels, item in ((left, a), (right, b)) for label, n in _sizes(labels, item)}
    if not shared:
        return _broadcast(call, left, a, right, b, output)
    batch = [label for label in left if label in right and label in output]
    rows = [label for label in left if label not in right]
    columns = [label for label in right if label not in left]

    def group(*groups: list[str]) -> list[int]:
        return [math.prod(sizes[label] for label in g) for g in groups]

    x = _grouped(a, left, [*batch, *rows, *shared], [*group(batch, rows, shared)])
    y = _grouped(b, right, [*batch, *shared, *columns], [*group(batch, shared, columns)])
    product = _multiplied(call, x, y)
    order = [*batch, *rows, *columns]
    whole = arranged(product, lambda p: p.reshape([sizes[label] for label in order]))
    return arranged(whole, lambda p: p.transpose([order.index(label) for label in output]))


def _sizes(labels: str, item: Item) -> list[tuple[str, int]]:
    return list(zip(labels, elements(item).shape, strict=True))


def _without_own(call: Call, labels: str, item: Item, others: str) -> tuple[str, Item]:
    kept = "".join(label for label in labels if label in others)
    return kept, item if kept == labels else _summed(call, labels, item, kept)


def _grouped(item: Item, labels: str, order: list[str], shape: list[int]) -> Item:
    return arranged(item, lambda a: a.transpose([labels.index(label) for label in order]).reshape(shape))


def _multiplied(call: Call, x: Item, y: Item) -> Item:
    """(B, M, K) times (B, K, N); a constant matrix as the weights of a linear layer."""
    if elements(x).shape[0] == 1 and not isinstance(y, Value):
        return fully_connected(call, x, np.asarray(y[0].T, np.float32), "tensors.1")
    if elements(x).shape[0] == 1 and not isinstance(x, Value):
        turned = Value(y.tensor, y.where.swapaxes(1, 2))
        product = fully_connected(call, turned, np.asarray(x[0], np.float32), "tensors.0")
        return Value(product.tensor, product.where.swapaxes(1, 2))
    return matrices(call, call.as_value(x, "tensors.0"), call.as_value(y, "tensors.1"))


def _broadcast(call: Call, left: str, a: Item, right: str, b: Item, output: str) -> Item:
    def laid(labels: str, item: Item) -> Item:
        present = [label for label in output if label in labels]
        shape = [dict(_sizes(labels, item)).get(label, 1) for label in output]
        return arranged(item, lambda v: v.transpose([labels.index(label) for label in present]).reshape(shape))

    return binary(call, ir.Mul, laid(left, a), laid(right, b), "tensors")


def matrix_product(call: Call) -> Item:
    """A vector is a column on the right, a row on the left."""
    a, b = call.args["self"], call.args["other"]
    if elements(b).ndim == 1:
        return with_vector(call)
    if elements(a).ndim > 1:
        return product(call)
    rows = product(replace(call, args={**call.args, "self": arranged(a, lambda v: v[None])}))
    return arranged(rows, lambda v: v.squeeze(-2))


def with_vector(call: Call) -> Item:
    """A matrix or a vector times a vector."""
    a = call.args["self"]
    b = next(call.args[key] for key in ("vec", "tensor", "other") if key in call.args)
    column = arranged(b, lambda v: v[:, None])
    rows = arranged(a, lambda v: v.reshape(-1, v.shape[-1]))
    product = _multiplied(call, arranged(rows, lambda v: v[None]), arranged(column, lambda v: v[None]))
    return arranged(product, lambda v: v.reshape(elements(a).shape[:-1]))


def added_product(call: Call) -> Item:
    """beta * self + alpha * (a @ b) of computed matrices."""
    keys = ("batch1", "batch2") if "batch1" in call.args else ("mat1", "mat2")
    a, b = (arranged(call.args[key], lambda v: v if v.ndim == 3 else v[None]) for key in keys)
    product = _multiplied(call, a, b)
    if keys[0] == "mat1":
        product = arranged(product, lambda v: v[0])
    alpha, beta = call.get("alpha", 1), call.get("beta", 1)
    product = product if alpha == 1 else binary(call, ir.Mul, product, float(alpha), "alpha")
    if beta == 0:
        return product
    start = call.args["self"] if beta == 1 else binary(call, ir.Mul, call.args["self"], float(beta), "beta")
    return binary(call, ir.Add, product, start, "self")


def outer(call: Call) -> Item:
    a, b = call.args["self"], call.args["vec2"]
    return binary(call, ir.Mul, arranged(a, lambda v: v[:, None]), arranged(b, lambda v: v[None]), "vec2")


def bilinear(call: Call) -> Item:
    """x1 W_o x2 for each output o, as a linear layer of x1 and a sum of products."""
    x, y, weight, bias = call.value("input1"), call.value("input2"), call.constant("weight"), call.constant("bias")
    if weight is None or x.rank != 2:
        raise RefusalError("only rows of features are translated; flatten its inputs to 2 axes")
    outputs, first, second = weight.shape
    rows = fully_connected(call, x, weight.transpose(0, 2, 1).reshape(-1, first), "weight")
    rows = Value(rows.tensor, rows.where.reshape(x.shape[0], outputs, second))
    products = binary(call, ir.Mul, rows, Value(y.tensor, y.where[:, None, :]))
    total = reduce_value(call, products, ir.Sum, (2,), keep=False)
    return total if bias is None else binary(call, ir.Add, total, bias, "bias")


def cosine_similarity(call: Call) -> Item:
    a, b = call.args["x1"], call.args["x2"]
    axes = (call.get("dim", 1) % max(elements(a).ndim, elements(b).ndim),)
    product = reduce_value(call, binary(call, ir.Mul, a, b), ir.Sum, axes, keep=False)
    norms = [_norm(call, item, axes) for item in (a, b)]
    return binary(call, ir.Div, product, binary(call, ir.Mul, *norms))


def _norm(call: Call, item: Item, axes: tuple[int, ...]) -> Item:
    if isinstance(item, Value):
        return vector_norm_value(call, item, axes, 2.0, keep=False)
    return np.sqrt(np.square(item).sum(axes))


def pairwise_distance(call: Call) -> Item:
    difference = binary(call, ir.Sub, call.args["x1"], call.args["x2"])
    keep = bool(call.get("keepdim", False))
    return vector_norm_value(call, difference, (difference.rank - 1,), call.get("p", 2.0), keep=keep)


def lerp(call: Call) -> Item:
    """self + weight * (end - self)."""
    a, b = call.args["self"], call.args["end"]
    return binary(call, ir.Add, a, binary(call, ir.Mul, binary(call, ir.Sub, b, a), call.args["weight"], "weight"))


def added(kind: type[ir.Binary]) -> Callable[[Call], Item]:
    """self + value * (tensor1 op tensor2)."""

    def rule(call: Call) -> Item:
        a, b = call.args["tensor1"], call.args["tensor2"]
        if kind is ir.Div and not isinstance(b, Value):
            term = binary(call, ir.Mul, a, 1 / np.asarray(b, np.float64), "tensor2")
        else:
            term = binary(call, kind, a, b, "tensor2")
        value = call.get("value", 1)
        term = term if value == 1 else binary(call, ir.Mul, term, float(value), "value")
        return binary(call, ir.Add, call.args["self"], term, "self")

    return rule


def log_sum_exp(call: Call) -> Item:
    x, dims = call.value(), call.get("dim")
    axes = tuple(dim % x.rank for dim in (dims if isinstance(dims, tuple) else (dims,)))
    highest = reduce_value(call, x, ir.ReduceMax, axes, keep=True)
    powers = unary(call, ir.Exp, binary(call, ir.Sub, x, highest))
    total = binary(call, ir.Add, unary(call, ir.Log, reduce_value(call, powers, ir.Sum, axes, keep=True)), highest)
    return total if call.get("keepdim", False) else Value(total.tensor, total.where.squeeze(axes))


def running_sum(call: Call) -> Item:
    """A product with a triangle of ones."""
    x = call.value()
    axis = call.get("dim") % x.rank
    last = Value(x.tensor, np.moveaxis(x.where, axis, -1))
    triangle = np.tril(np.ones((x.shape[axis], x.shape[axis]), np.float32))
    y = fully_connected(call, last, triangle, "triangle")
    return Value(y.tensor, np.moveaxis(y.where, -1, axis))


RULES: Mapping[str, Callable[[Call], Any]] = {
    "aten.einsum": einsum,
    "aten.matmul": matrix_product,
    "aten.mv": with_vector,
    "aten.dot": with_vector,
    "aten.outer": outer,
    "aten.baddbmm": added_product,
    "aten.bilinear": bilinear,
    "aten.cosine_similarity": cosine_similarity,
    "aten.pairwise_distance": pairwise_distance,
    "aten.lerp": lerp,
    "aten.addcmul": added(ir.Mul),
    "aten.addcdiv": added(ir.Div),
    "aten.logsumexp": log_sum_exp,
    "aten.cumsum": running_sum,
}
