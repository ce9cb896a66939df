"""PyTorch networks as graphs: equal to torch on every operator, and no transposes left where layout can be tracked."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch_functions as functions
import torch_modules as modules
from torch import Tensor, nn
from torch_outputs import assert_same_as_torch

from mcuquant.passes import run_passes
from mcuquant.torch_import.from_torch import from_torch, load_pt2

CASES = {
    **modules.NETS,
    **modules.WEIGHTED,
    **modules.POOLED,
    **modules.ARITHMETIC,
    **modules.MOVED,
    **modules.STATISTICS,
    **modules.PRODUCTS,
    **modules.SAMPLED,
    **functions.FUNCTIONS,
    **functions.CONDITIONS,
    **functions.MASKS,
    **functions.SUMS,
    **functions.WINDOWS,
    **functions.CONSTANTS,
}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def randomised(module: nn.Module) -> nn.Module:
    """In eval mode, with statistics and factors that show whether batch normalisation is right."""
    generator = torch.Generator().manual_seed(7)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            for tensor, low, high in ((part.running_mean, -1, 1), (part.running_var, 0.3, 2), (part.weight, -2, 2)):
                if tensor is not None:
                    tensor.data.uniform_(low, high, generator=generator)
    return module.eval()


def examples(shapes: modules.Sequence[modules.Shape]) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(11)
    return tuple(torch.randn(shape, generator=generator) for shape in shapes)


@pytest.mark.parametrize("name", CASES)
def test_equals_torch(name: str) -> None:
    module, shapes = CASES[name]
    inputs = examples(shapes)
    graph = from_torch(randomised(module), inputs)
    assert_same_as_torch(module, graph, inputs)
    assert_same_as_torch(module, run_passes(graph), inputs)


@pytest.mark.parametrize("name", modules.NETS)
def test_standard_networks_need_no_transpose(name: str) -> None:
    module, shapes = modules.NETS[name]
    kinds = {op.kind for op in run_passes(from_torch(randomised(module), examples(shapes))).ops}
    assert not kinds & {"Transpose", "Pad", "Slice", "BatchNorm"}


@pytest.mark.parametrize("name", ["signal_net", "flat_net"])
def test_text_of_the_graph(name: str, golden: Callable[[str, str], None]) -> None:
    shared, shapes = modules.NETS[name]
    module = copy.deepcopy(shared)
    for key, tensor in module.state_dict().items():  # the random start may differ from one torch to the next
        numbers = torch.arange(tensor.numel()) * 5 % 13
        tensor.copy_((numbers / 8 + 1 if key.endswith("running_var") else (numbers - 6) / 8).reshape(tensor.shape))
    graph = from_torch(module, examples(shapes))
    golden(f"torch_{name}.txt", str(graph))
    golden(f"torch_{name}_tidy.txt", str(run_passes(graph)))


def test_a_file_gives_the_same_graph_as_the_module(tmp_path: Path) -> None:
    module, shapes = modules.NETS["resnet"]
    path = save(randomised(module), examples(shapes), tmp_path)
    assert str(load_pt2(path)) == str(from_torch(module, examples(shapes)))


def save(module: nn.Module, inputs: tuple[Tensor, ...], folder: Path, **options: object) -> Path:
    path = folder / "net.pt2"
    torch.export.save(torch.export.export(module.eval(), inputs, **options), path)  # type: ignore[arg-type]
    return path


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # torch warns of itself
def test_a_decomposed_program(tmp_path: Path) -> None:
    module, shapes = modules.NETS["mobilenet"]
    inputs = examples(shapes)
    program = torch.export.export(randomised(module), inputs).run_decompositions()
    torch.export.save(program, tmp_path / "net.pt2")
    assert_same_as_torch(module, load_pt2(tmp_path / "net.pt2"), inputs)


def test_a_dynamic_batch_becomes_one(tmp_path: Path) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4 * 36, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.conv(x).view(x.shape[0], -1))

    net = Net().eval()
    dynamic = ({0: torch.export.Dim("batch")},)
    path = save(net, examples([(4, 3, 8, 8)]), tmp_path, dynamic_shapes=dynamic)
    assert_same_as_torch(net, load_pt2(path), examples([(1, 3, 8, 8)]))


def test_an_example_of_many_samples_is_cut_to_one() -> None:
    graph = from_torch(nn.Conv1d(6, 4, 3), np.zeros((32, 6, 20)))
    assert graph[graph.inputs[0]].shape == (1, 1, 20, 6)


def test_the_module_is_left_in_its_mode() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.Dropout()).train()
    net[0].eval()
    from_torch(net, torch.zeros(1, 4))
    assert [part.training for part in net.modules()] == [True, False, True]


def test_constants_are_never_shared() -> None:
    conv = nn.Conv2d(6, 6, 3, padding=1, groups=6)
    graph = from_torch(nn.Sequential(conv, conv), examples([modules.IMAGE]))
    inputs = [i for op in graph.ops for i in op.inputs if graph[i].is_constant]
    assert len(inputs) == len(set(inputs)) == 4


def test_constants_carry_the_users_names() -> None:
    graph = from_torch(modules.signal_net(), examples([(1, 6, 64)]))
    names = {t.name for t in graph.tensors.values() if t.is_constant}
    assert {"0.weight", "0.bias", "1.weight", "14.weight"} <= names
