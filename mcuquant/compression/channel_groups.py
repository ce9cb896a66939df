"""Sets of coupled channels: the outputs of a layer, with everything in other layers that has the same length.

torch-pruning's dependency graph determines them (G. Fang et al., "DepGraph: Towards Any Structural Pruning", CVPR
2023). A residual sum, for example, couples the outputs of all layers that it adds.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch_pruning as tp
from torch import nn

from ..errors import ModelError


@dataclass(frozen=True, slots=True, eq=False)
class Coupled:
    """Channels of several layers that can only be cut together."""

    layers: tuple[str, ...]
    """Names of the layers that compute these channels, as in `named_modules` and in that order."""
    channels: int
    blocks: int
    """Number of blocks of consecutive channels that must keep equal widths: the groups of a grouped convolution."""
    group: Any
    """torch-pruning's group, which starts at the first layer; its importance functions need it."""

    @property
    def name(self) -> str:
        return self.layers[0]


def coupled(net: nn.Module, example: torch.Tensor, keep: Sequence[str] = ()) -> list[Coupled]:
    """Every set of channels that can be cut, in network order.

    Excluded are channels of the network's inputs and outputs, whose number the user defines, and those of the layers
    named in `keep`. Raises ModelError for an unknown name.
    """
    layers = dict(net.named_modules())
    for name in keep:
        if name not in layers:
            raise ModelError(f"layer {name!r} is not one of the network's: {', '.join(filter(None, layers))}")
    groups = [c for c in _groups(net, example) if not set(c.layers) & set(keep) and _is_inside(net, example, c)]
    order = {name: i for i, name in enumerate(layers)}
    return sorted(groups, key=lambda c: order[c.name])


def cut(net: nn.Module, example: torch.Tensor, kept: Mapping[str, Sequence[int]]) -> nn.Module:
    """A copy of the network with only the given channels of each named set. Sets without a name keep all channels."""
    copied = copy.deepcopy(net)
    graph = _graph(copied, example)
    layers = dict(copied.named_modules())
    for name, channels in kept.items():
        dropped = sorted(set(range(graph.get_out_channels(layers[name]))) - set(channels))
        if dropped:
            _begun_at(graph, layers[name], dropped).prune()
    return copied


def _graph(net: nn.Module, example: torch.Tensor) -> Any:
    return tp.DependencyGraph().build_dependency(net, example_inputs=example)


def _groups(net: nn.Module, example: torch.Tensor) -> Iterator[Coupled]:
    graph = _graph(net, example)
    names = {module: name for name, module in net.named_modules()}
    order = {name: i for i, name in enumerate(names.values())}
    for group in graph.get_all_groups(root_module_types=[nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.Linear]):
        writers = [names[dep.target.module] for dep, _ in group if _is_output(graph, dep)]
        layers = tuple(sorted(set(writers), key=order.__getitem__))
        first = net.get_submodule(layers[0])
        channels = graph.get_out_channels(first)
        yield Coupled(layers, channels, _blocks(group), _begun_at(graph, first, range(channels)))


def _is_output(graph: Any, dep: Any) -> bool:
    weighted = isinstance(dep.target.module, nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
    return weighted and bool(graph.is_out_channel_pruning_fn(dep.handler))


def _begun_at(graph: Any, layer: nn.Module, channels: Sequence[int]) -> Any:
    handler = graph.get_pruner_of_module(layer).prune_out_channels
    return graph.get_pruning_group(layer, handler, idxs=list(channels))


def _blocks(group: Any) -> int:
    """The number of groups of the grouped convolutions in a set. A depthwise channel may be cut alone."""
    layers = (dep.target.module for dep, _ in group)
    convolutions = [m for m in layers if isinstance(m, nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d)]
    return max((m.groups for m in convolutions if m.groups != m.out_channels), default=1)


def _is_inside(net: nn.Module, example: torch.Tensor, one: Coupled) -> bool:
    """Whether cutting channels of the set gives the outputs of the network that ignores these channels; determined by a
    trial.

    The trials cut the first channel of each block, and all channels but the last. Where the dependency graph follows a
    shuffle or split incorrectly, values differ or shapes do not fit.
    """
    part = one.channels // one.blocks
    if part < 2:
        return False
    x = torch.randn(example.shape, generator=torch.Generator().manual_seed(0)).to(example.dtype)
    for dropped in (
        [i for i in range(one.channels) if not i % part],
        [i for i in range(one.channels) if (i + 1) % part],
    ):
        try:
            thinner = cut(net, example, {one.name: [i for i in range(one.channels) if i not in dropped]})
            actual, expected = _outputs(thinner, x), _outputs(_muted(net, example, one.name, dropped), x)
        except (
            RuntimeError,
            ValueError,
            IndexError,
            TypeError,
        ):  # exceptions of PyTorch and of forward methods for wrong shapes
            return False
        if [y.shape for y in actual] != [y.shape for y in expected]:
            return False
        if not all(torch.allclose(y, z, rtol=1e-3, atol=1e-4) for y, z in zip(actual, expected, strict=True)):
            return False
    return True


def _muted(net: nn.Module, example: torch.Tensor, name: str, channels: Sequence[int]) -> nn.Module:
    """A copy of the network in which the layers that read these channels ignore them."""
    copied = copy.deepcopy(net)
    graph = _graph(copied, example)
    for dep, indices in _begun_at(graph, copied.get_submodule(name), channels):
        module = dep.target.module
        if not graph.is_in_channel_pruning_fn(dep.handler):
            continue
        if isinstance(module, nn.Linear):
            module.weight.data[:, indices] = 0
        elif isinstance(module, nn.ConvTranspose1d | nn.ConvTranspose2d):
            module.weight.data[indices] = 0
        elif isinstance(module, nn.Conv1d | nn.Conv2d):
            by_group = module.weight.data.view(module.groups, -1, *module.weight.shape[1:])
            width = module.weight.shape[1]
            for i in indices:
                by_group[i // width, :, i % width] = 0
    return copied


def _outputs(net: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    training = net.training
    net.eval()
    with torch.no_grad():
        outputs = net(x)
    net.train(training)
    return list(outputs) if isinstance(outputs, tuple | list) else [outputs]
