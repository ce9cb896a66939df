"""Weight sharing: the weights of a layer are values of a small codebook, and training changes these values.

Source: S. Han, H. Mao, W. Dally, "Deep Compression" (ICLR 2016), section 3: k-means within a layer from evenly spaced
values; the gradient of a centroid is the sum of its members' gradients.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ..errors import CalibrationError
from ..ir import Array
from .masks import layers_of

_ROUNDS = 100
"""Maximum number of iterations of k-means; in one dimension it converges much earlier."""
WEIGHT = "weight"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """Settings of weight sharing."""

    entries: int = 16
    """Entries of a codebook, 2 to 256. 0 is one of them if the weights are pruned."""
    groups: int = 1
    """Number of codebooks of a layer: one per group of consecutive output channels, if it divides their number."""
    by_layer: Mapping[str, int] | None = None
    """Layer -> entries, for layers that differ from `entries`."""
    keep: tuple[str, ...] = ()
    """Layers whose weights are not shared."""

    def __post_init__(self) -> None:
        for entries in (self.entries, *(self.by_layer or {}).values()):
            if not 2 <= entries <= 256:
                raise CalibrationError(f"a codebook has 2 to 256 entries, found {entries}")
        if self.groups < 1:
            raise CalibrationError(f"a layer has at least 1 group of channels, found {self.groups}")


class Codebook(nn.Module):
    """A weight as `book[group of its output channel, index]`, so that PyTorch sums the gradients of members.

    For a layer with zeros, entry 0 is the constant 0 and `book` contains the other entries.
    """

    indices: Tensor
    groups: Tensor

    def __init__(self, weight: Tensor, entries: int, groups: int) -> None:
        super().__init__()
        self.with_zero = bool((weight == 0).any())
        parts = weight.detach().double().chunk(groups)
        codebooks = [_clustered(part.flatten().numpy(), entries, self.with_zero) for part in parts]
        indices = [torch.from_numpy(i).view_as(part) for (_, i), part in zip(codebooks, parts, strict=True)]
        self._start = torch.from_numpy(np.stack([book for book, _ in codebooks])).to(weight.dtype)
        self.register_buffer("indices", torch.cat(indices))
        along = torch.arange(len(weight)) // (len(weight) // groups)
        self.register_buffer("groups", along.view(-1, *[1] * (weight.dim() - 1)))

    def forward(self, book: Tensor) -> Tensor:
        whole = torch.cat([book.new_zeros(len(book), 1), book], dim=1) if self.with_zero else book
        return whole[self.groups, self.indices]

    def right_inverse(self, _: Tensor) -> Tensor:
        """The initial codebook, from k-means."""
        return self._start


def share(net: nn.Module, how: Sharing) -> nn.Module:
    """A copy whose convolutions and linear layers have codebooks as parameters in place of weights.

    Weights that are 0 stay 0. Fold batch normalization first (`folding.folded`), because it scales channels
    differently. Training the copy trains the centroids; `baked` returns the network with plain weights.
    """
    result = copy.deepcopy(net)
    by_layer = how.by_layer or {}
    layers_of(result, tuple(by_layer))  # raises for unknown names
    for name, layer in layers_of(result, how.keep).items():
        weight = layer.weight
        assert isinstance(weight, Tensor)
        groups = how.groups if len(weight) % how.groups == 0 else 1
        parametrize.register_parametrization(layer, WEIGHT, Codebook(weight, by_layer.get(name, how.entries), groups))
    return result


def baked(net: nn.Module) -> nn.Module:
    """A copy with plain weights; each weight is an entry of its codebook."""
    result = copy.deepcopy(net)
    for layer in result.modules():
        if parametrize.is_parametrized(layer, WEIGHT):
            _bake(layer)
    return result


def _bake(layer: nn.Module) -> None:
    """Removes the parametrization of this copy alone. PyTorch's remove_parametrizations would change the class that all
    copies share.
    """
    weight = layer.weight
    assert isinstance(weight, Tensor)
    layer.__class__ = parametrize.type_before_parametrizations(layer)
    del layer.parametrizations
    layer.register_parameter(WEIGHT, nn.Parameter(weight.detach().clone()))


def _clustered(values: Array, entries: int, with_zero: bool) -> tuple[Array, Array]:
    """(centroids, index of each value): the better of k-means from evenly spaced values and from quantiles.

    With zeros, index 0 stands for them and centroids are those of the other values; there are always `entries` entries
    with it.
    """
    rest = values[values != 0] if with_zero else values
    count = entries - with_zero
    rest = rest if rest.size else np.zeros(1)
    starts = (np.linspace(rest.min(), rest.max(), count), np.quantile(rest, (np.arange(count) + 0.5) / count))
    books = [_k_means(np.sort(rest), np.sort(start)) for start in starts]
    book = min(books, key=lambda b: float(np.square(rest - b[_nearest(rest, b)]).sum()))
    if not with_zero:
        return book, _nearest(values, book)
    return book, np.where(values == 0, 0, _nearest(values, book) + 1)


def _k_means(ordered: Array, book: Array) -> Array:
    """Lloyd's algorithm on ascending values. Members of a centroid lie between two borders, so that sums are
    differences of prefix sums.
    """
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    for _ in range(_ROUNDS):
        borders = np.searchsorted(ordered, (book[1:] + book[:-1]) / 2)
        edges = np.concatenate([[0], borders, [len(ordered)]])
        counts, totals = np.diff(edges), np.diff(sums[edges])
        moved = np.where(counts > 0, totals / np.maximum(counts, 1), book)
        if np.array_equal(moved, book):
            break
        book = moved
    return book


def _nearest(values: Array, book: Array) -> Array:
    return np.asarray(np.searchsorted((book[1:] + book[:-1]) / 2, values), np.int64)
