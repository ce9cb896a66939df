"""What the torch front end says, word for word, about networks it cannot translate."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor, nn
from torch_modules import IMAGE, ROW, SIGNAL, Call, Shape

from mcuquant.errors import ModelError, UnsupportedOpError
from mcuquant.torch_import.from_torch import from_torch, load_pt2

ELSE = "express it with convolutions, linear layers, pooling, ReLU-like activations and element-wise arithmetic"
LINE = "module at the top (Call), line `return self.function(*inputs)`"


def refusal(module: nn.Module, *shapes: Shape) -> str:
    with pytest.raises(UnsupportedOpError) as caught:
        from_torch(module, tuple(torch.zeros(shape) for shape in shapes))
    return str(caught.value)


class Transformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Linear(12, 12), Call(lambda x: x.sort().values))
        self.norm = nn.LayerNorm(12)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x) + self.block(x)
        return torch.cummax(y, 1)[0] * torch.lgamma(y)


def test_every_unsupported_operation_is_named_at_once() -> None:
    line = "module at the top (Transformer), line `return torch.cummax(y, 1)[0] * torch.lgamma(y)`"
    assert refusal(Transformer(), ROW) == (
        "Transformer holds 3 operations that mcuquant cannot translate:\n"
        "  aten.sort in module block.1 (Call), line `return self.function(*inputs)`: sort where the result is read\n"
        f"  aten.cummax in {line}: {ELSE}\n"
        f"  aten.lgamma in {line}: {ELSE}"
    )


REFUSALS: dict[str, tuple[nn.Module, Shape, str]] = {
    "uneven factor": (
        nn.Upsample(scale_factor=1.3),
        IMAGE,
        "aten.upsample_nearest2d in module at the top (Upsample): it resizes [8, 10] by [1.3, 1.3], which gives no "
        "whole sizes; give the size",
    ),
    "uneven adaptive pooling": (
        nn.AdaptiveMaxPool2d((3, 40)),
        (1, 2, 4, 60),
        "aten.adaptive_max_pool2d in module at the top (AdaptiveMaxPool2d): its windows differ, 40 along an axis; "
        "expected at most 32",
    ),
    "batch statistics": (
        nn.BatchNorm2d(6, track_running_stats=False),
        IMAGE,
        "aten.batch_norm in module at the top (BatchNorm2d): it uses the statistics of the batch; "
        "train it with track_running_stats=True and export in eval mode",
    ),
    "computed weight": (
        Call(lambda x: F.conv1d(x, x[:, :, :3])),
        SIGNAL,
        f"aten.conv1d in {LINE}: argument 'weight' is computed by the network; make it a parameter or a buffer",
    ),
    "three dimensions": (
        nn.Conv3d(6, 4, 1),
        (1, 6, 4, 4, 4),
        "aten.conv3d in module at the top (Conv3d): use 1-D or 2-D convolutions",
    ),
    "recurrent": (
        nn.LSTM(6, 4, batch_first=True, proj_size=2),
        (1, 10, 6),
        "aten.lstm in module at the top (LSTM): it projects its hidden state (proj_size); use a linear layer behind it",
    ),
    "conversion": (
        Call(lambda x: x.to(torch.int32) * 2),
        ROW,
        f"aten.to in {LINE}: it converts to int32; keep activations float32",
    ),
    "a stale view": (
        Call(lambda x: (x[:, :3].relu_(), x)),
        ROW,
        f"aten.relu_ in {LINE}: it overwrites in place what is used elsewhere; "
        "use the form without the final underscore",
    ),
    "dropout that is always on": (
        Call(lambda x: F.dropout(x, training=True)),
        ROW,
        f"aten.dropout in {LINE}: it drops at random; export the module in eval mode",
    ),
}


@pytest.mark.filterwarnings("ignore:The tensor attributes self._flat_weights")  # torch, of its own GRU
@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_says_what_where_and_what_instead(name: str) -> None:
    module, shape, expected = REFUSALS[name]
    said = refusal(module, shape).splitlines()
    assert said[0].endswith("that mcuquant cannot translate:")
    assert said[1].strip() == expected


def failure(module: nn.Module, *inputs: object) -> str:
    with pytest.raises(ModelError) as caught:
        from_torch(module, inputs)
    return str(caught.value)


def test_inputs_that_are_not_float32() -> None:
    expected = "expected float32 (convert with module.float()), or int64 or int32 for indices"
    assert failure(nn.Linear(4, 2).double(), torch.zeros(1, 4, dtype=torch.float64)) == (
        f"input 'input' of Linear is float64; {expected}"
    )
    assert failure(nn.ReLU(), torch.zeros(1, 4, dtype=torch.uint8)) == f"input 'input' of ReLU is uint8; {expected}"
    assert failure(nn.ReLU(), torch.zeros(1, 4, dtype=torch.int64)).endswith(
        "it computes with the whole numbers of 'input', which only embedding, index_select and comparisons "
        "with a number read"
    )


def test_an_example_that_is_no_tensor() -> None:
    assert failure(nn.ReLU(), "x") == "the example holds a str; expected a tensor or an array of floats"


def test_an_output_that_is_constant() -> None:
    assert failure(Call(lambda x: (x, torch.ones(3))), torch.zeros(1, 4)) == (
        "output 1 of Call does not depend on its input; leave it out"
    )
    assert failure(Call(lambda x: x[:, 4:] * 2), torch.zeros(1, 4)) == (
        "output 0 of Call does not depend on its input; leave it out"
    )


def test_an_output_of_too_many_axes() -> None:
    assert failure(Call(lambda x: x.reshape(1, 1, 1, 3, 1, 2, 2) + 1), torch.zeros(1, 12)) == (
        "output 0 of Call: it makes a tensor of 1 x 1 x 1 x 3 x 1 x 2 x 2 elements; "
        "expected at most 6 axes, none of them empty"
    )


def test_a_tensor_too_large_to_be_true() -> None:
    assert failure(Call(lambda x: F.pad(x, (0, 10**9))), torch.zeros(1, 4)) == (
        f"Call: the arguments of aten.pad in {LINE} do not fit each other "
        "(a tensor of 1 x 1000000004 elements; expected at most 67,108,864)"
    )


def test_a_module_that_cannot_be_traced() -> None:
    assert failure(nn.Linear(4, 2), torch.zeros(1, 5)) == (
        "Linear: torch.export cannot trace it: a and b must have same reduction dim, but got [1, 5] X [4, 2]."
    )


def test_a_file_exported_for_a_larger_batch(tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    torch.export.save(torch.export.export(nn.ReLU(), (torch.zeros(8, 4),)), path)
    with pytest.raises(ModelError) as caught:
        load_pt2(path)
    assert str(caught.value) == (
        "input 'input' of ReLU has shape (8, 4); expected a batch of 1 and fixed sizes "
        "(export with an example of one sample)"
    )


def test_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ModelError) as caught:
        from_torch(nn.ReLU(), np.zeros((1, 4)))
    assert str(caught.value) == "PyTorch is not installed; get it with: pip install 'mcuquant[torch]'"
