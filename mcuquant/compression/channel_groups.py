"""Channels that are one: the outputs of a layer, and all that is as long because of them in other layers.

torch-pruning's dependency graph finds them (G. Fang et al., "DepGraph: Towards Any Structural Pruning", CVPR 2023): a
residual sum, for instance, ties the outputs of every layer that is added.
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
    """Channels of several layers that go together or stay together."""

    layers: tuple[str, ...]
    """Whose outputs they are, as in `named_modules` and in that order."""
    channels: int
    blocks: int
    """Of consecutive channels that must stay as wide as each other: the groups of a grouped convolution."""
    group: Any
    """torch-pruning's group of all of them, begun at the first layer: for its importance functions."""

    @property
    def name(self) -> str:
        return self.layers[0]


def coupled(net: nn.Module, example: torch.Tensor, keep: Sequence[str] = ()) -> list[Coupled]:
    """Every set of channels that can be cut, in the order of the network.

    Left out are those that reach the network's outputs or come from its inputs, whose number is the user's, and those
    of the layers named in `keep`. ModelError for an unknown name.
    """
    layers = dict(net.named_modules())
    for name in keep:
        if name not in layers:
            raise ModelError(f"layer {name!r} is not one of the network's: {', '.join(filter(None, layers))}")
    groups = [c for c in _groups(net, example) if not set(c.layers) & set(keep) and _is_inside(net, example, c)]
    order = {name: i for i, name in enumerate(layers)}
    return sorted(groups, key=lambda c: order[c.name])


def cut(net: nn.Module, example: torch.Tensor, kept: Mapping[str, Sequence[int]]) -> nn.Module:
    """A copy of the network with only those channels of each named set; sets not named stay whole."""
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
    """Of the grouped convolutions among the layers; one by depth has a part for each channel, which may go alone."""
    layers = (dep.target.module for dep, _ in group)
    convolutions = [m for m in layers if isinstance(m, nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d)]
    return max((m.groups for m in convolutions if m.groups != m.out_channels), default=1)


def _is_inside(net: nn.Module, example: torch.Tensor, one: Coupled) -> bool:
    """Whether the network without some of the channels gives what it gives where nothing reads them: tried out.

    Without the first of each block, and with the last alone. A shuffle or a split that the dependency graph follows
    wrongly shows in other values, or in shapes that no longer fit each other.
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
        except (RuntimeError, ValueError, IndexError, TypeError):  # what PyTorch and forward methods raise over shapes
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
