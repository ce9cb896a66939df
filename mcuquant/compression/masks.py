"""Unstructured and N:M pruning: the smallest weights become 0 and stay 0.

Source of the method (rank, cut, train on with the mask): S. Han et al., "Learning both Weights and Connections for
Efficient Neural Networks" (NIPS 2015); N:M: A. Mishra et al., "Accelerating Sparse Deep Neural Networks" (2021).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..errors import CalibrationError, ModelError

Masks = Mapping[str, Tensor]
"""Layer -> mask with the shape of its weight; True where the weight stays."""
LAYERS = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sparsity:
    """Which weights to remove: either `ratio` or `pattern`."""

    ratio: float | None = None
    """Fraction of the weights to set to 0, 0 to 1."""
    pattern: tuple[int, int] | None = None
    """(n, m): n of every m weights along the input channels stay."""
    together: bool = True
    """With a ratio: rank the weights of all layers in one list. Otherwise every layer loses the same fraction."""
    steps: int = 1
    """With a ratio: number of cuts. The number of remaining weights shrinks by equal factors."""
    keep: tuple[str, ...] = ()
    """Layers that stay dense."""

    def __post_init__(self) -> None:
        if (self.ratio is None) == (self.pattern is None):
            raise CalibrationError(
                "sparsity takes either a ratio or a pattern, found " + ("none", "both")[bool(self.ratio)]
            )
        if self.ratio is not None and not 0 < self.ratio < 1:
            raise CalibrationError(f"the ratio of sparsity must be between 0 and 1, found {self.ratio}")
        if self.pattern is not None and not 0 < self.pattern[0] < self.pattern[1]:
            n, m = self.pattern
            raise CalibrationError(f"a pattern keeps n of m weights with 0 < n < m, found {n} of {m}")


def layers_of(net: nn.Module, keep: tuple[str, ...] = ()) -> dict[str, nn.Module]:
    """Every convolution and linear layer by name, except those to keep. Raises ModelError for an unknown name."""
    layers = {name: layer for name, layer in net.named_modules() if isinstance(layer, LAYERS)}
    for name in keep:
        if name not in layers:
            raise ModelError(f"layer {name!r} is not one of those with weights: {', '.join(layers)}")
    return {name: layer for name, layer in layers.items() if name not in keep}


def sparsify(net: nn.Module, how: Sparsity, fine_tune: Callable[[nn.Module, Masks], None] | None = None) -> Masks:
    """Set weights of `net` to 0, in place, and return masks of the remaining weights.

    `fine_tune` is called after each step and must apply the masks (see `hold`). Weights that are already 0 are removed
    first.
    """
    masks: Masks = {}
    for step in range(1, how.steps + 1):
        masks = _masks(layers_of(net, how.keep), how, step / how.steps)
        hold(net, masks)()
        if fine_tune is not None:
            fine_tune(net, masks)
    return masks


def hold(net: nn.Module, masks: Masks) -> Callable[[], None]:
    """A function to call after every optimizer step: it sets the weights outside the masks to 0 again."""
    pairs = [(_weight(net.get_submodule(name)), mask) for name, mask in masks.items()]

    def again() -> None:
        with torch.no_grad():
            for weight, mask in pairs:
                weight.mul_(mask)

    return again


def zeros(net: nn.Module, keep: tuple[str, ...] = ()) -> Masks:
    """The masks of the weights that are 0 already."""
    return {name: _weight(layer) != 0 for name, layer in layers_of(net, keep).items()}


def _weight(layer: nn.Module) -> Tensor:
    weight = layer.weight
    assert isinstance(weight, Tensor)
    return weight


def _masks(layers: Mapping[str, nn.Module], how: Sparsity, part: float) -> Masks:
    sizes = {name: _weight(layer).detach().abs() for name, layer in layers.items()}
    if how.pattern is not None:
        return {name: _n_of_m(size, *how.pattern) for name, size in sizes.items()}
    assert how.ratio is not None
    ratio = 1 - (1 - how.ratio) ** part
    if not how.together:
        return {name: _largest(size.flatten(), ratio).view_as(size) for name, size in sizes.items()}
    every = _largest(torch.cat([size.flatten() for size in sizes.values()]), ratio)
    flat = every.split([size.numel() for size in sizes.values()])  # type: ignore[no-untyped-call]
    return {name: own.view_as(size) for own, (name, size) in zip(flat, sizes.items(), strict=True)}


def _largest(sizes: Tensor, ratio: float) -> Tensor:
    """(n,) False for the `ratio` smallest values, True for the others. Of equal values the first are removed first."""
    mask = torch.ones(len(sizes), dtype=torch.bool)
    mask[torch.argsort(sizes, stable=True)[: round(len(sizes) * ratio)]] = False
    return mask


def _n_of_m(sizes: Tensor, n: int, m: int) -> Tensor:
    """The n largest of every m along the input channels. A rest of fewer than m values keeps n too."""
    rows = sizes.movedim(1, -1)
    mask = torch.zeros_like(rows, dtype=torch.bool)
    for start in range(0, rows.shape[-1], m):
        block = rows[..., start : start + m]
        best = block.argsort(dim=-1, descending=True, stable=True)[..., :n]
        mask[..., start : start + m].scatter_(-1, best, True)
    return mask.movedim(-1, 1)
