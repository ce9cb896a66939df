"""What is checked before the first epoch: samples, labels, weights, targets, and every step on one batch."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from small_nets import clusters, perceptron, separable
from torch import Tensor, nn

from mcuquant.cli import main
from mcuquant.compression import pipeline, training
from mcuquant.compression.checks import first_batch
from mcuquant.compression.inputs import Data, load_net, load_samples
from mcuquant.compression.pipeline import compress
from mcuquant.compression.recipe import Prune, Quantize, Recipe, Share, load_recipe
from mcuquant.compression.training import Samples, Training
from mcuquant.errors import BudgetError, CalibrationError, CalibrationWarning, ConfigError, McuquantError

X = clusters(40)


@pytest.fixture(autouse=True)
def no_epoch(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Training on all samples is what must not be reached."""

    def fit(net: nn.Module, samples: Samples, *_: object, **__: object) -> None:
        assert len(samples) <= 4, "an epoch began"

    if "trains" not in request.keywords:
        monkeypatch.setattr(pipeline, "fit", fit)


def message(action: Callable[[], object], kind: type[McuquantError] = CalibrationError) -> str:
    with pytest.raises(kind) as caught:
        action()
    return str(caught.value)


def damaged(value: float) -> Tensor:
    x = X.x.clone()
    x[3, 5] = x[7, 0] = value
    return x


def labels(value: int) -> Tensor:
    assert X.y is not None
    y = X.y.clone()
    y[0] = value
    return y


def test_an_augmentation_returns_a_batch_like_the_one_it_is_given() -> None:
    for augment, text in (
        (lambda x, _: None, "'augment' returned NoneType, expected torch.float32 of shape (4, 12)"),
        (lambda x, _: x[9], "'augment' raised IndexError: index 9 is out of bounds for dimension 0 with size 4"),
        (
            lambda x, _: x[:, :6].int(),
            "'augment' returned torch.int32 of shape (4, 6), expected torch.float32 of shape (4, 12)",
        ),
    ):
        with pytest.raises(CalibrationError) as error:
            training.fit(perceptron(), Samples(X.x[:4], X.y), Training(epochs=1), augment=augment)  # type: ignore[arg-type]
        assert str(error.value) == text


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (Data(Samples(X.x[:0], labels(0)[:0])), "there are no train samples: array 'x' is of shape (0, 12)"),
        (
            Data(Samples(damaged(float("nan")), X.y)),
            "2 of 40 train samples hold NaN or infinity, the first is sample 3; leave them out",
        ),
        (
            Data(X, Samples(damaged(float("inf")), X.y)),
            "2 of 40 valid samples hold NaN or infinity, the first is sample 3; leave them out",
        ),
        (
            Data(X, test=Samples(X.x[:, :6], X.y)),
            "test samples are of shape (6,), the train samples of (12,); all sets must have the same",
        ),
        (
            Data(Samples(X.x, labels(99))),
            "labels of the train samples are from 0 to 99, but the network has 4 outputs: expected 0 to 3",
        ),
        (
            Data(X, Samples(X.x, labels(-1))),
            "labels of the valid samples are from -1 to 3, but the network has 4 outputs: expected 0 to 3",
        ),
        (
            Data(Samples(X.x, None if X.y is None else X.y + 1)),
            "labels of the train samples are from 1 to 4, but the network has 4 outputs: expected 0 to 3; labels that "
            "begin at 1 need 1 subtracted",
        ),
    ],
)
def test_samples(data: Data, text: str) -> None:
    assert message(lambda: compress(perceptron(), data, Recipe(train=Training()))) == text


def test_samples_of_another_shape_than_the_networks() -> None:
    wide = Data(Samples(torch.zeros(8, 13), torch.zeros(8, dtype=torch.int64)))
    assert message(lambda: compress(perceptron(), wide, Recipe())).startswith(
        "the network does not take samples of shape (13,): "
    )
    last = Data(Samples(torch.zeros(8, 16, 12, 1), torch.zeros(8, dtype=torch.int64)))
    assert message(lambda: compress(separable(), last, Recipe())).startswith(
        "the network does not take samples of shape (16, 12, 1); PyTorch's layout is channels first: "
        "x.transpose(0, 3, 1, 2): "
    )


def test_outputs_that_are_no_classes() -> None:
    net = nn.Sequential(nn.Linear(12, 8), nn.Unflatten(1, (2, 4)))
    assert message(lambda: compress(net, Data(X), Recipe())) == (
        "the network's output is of shape (4, 2, 4) for 4 samples, expected (samples, classes)"
    )


def test_targets_out_of_reach() -> None:
    recipe = Recipe(train=Training(), prune=Prune(target={"macs": 10}))
    assert message(lambda: compress(perceptron(), Data(X), recipe), BudgetError).startswith(
        "pruning cannot reach at most 10 MACs on "
    )


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ({"bits": 3}, "bits must be one of 8, 4, 2, found 3"),
        ({"quantizer": "round"}, "quantizer must be one of nearest, "),
        ({"method": "best"}, "method must be one of auto, minmax, percentile, mse, found 'best'"),
        ({"activations": "int7"}, "activations must be one of "),
        ({"samples": 0}, "samples must be at least 1 and epochs at least 0, found 0, 0"),
    ],
)
def test_settings_of_quantization(setting: dict[str, Any], text: str, tmp_path: Path) -> None:
    assert message(lambda: Quantize(**setting)).startswith(text)
    file = tmp_path / "recipe.toml"
    ((key, value),) = setting.items()
    file.write_text(f"[quantize]\n{key} = {value!r}\n")
    assert message(lambda: load_recipe(file), ConfigError).startswith(f"{file}: [quantize]: {text}")


class Doubled(nn.Module):
    """Its steps work one by one; longer training is what a step cannot do."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        return torch.erfinv(torch.tanh(self.first(x)))


def test_every_step_runs_on_one_batch_first() -> None:
    recipe = Recipe(train=Training(epochs=50), quantize=Quantize(method="minmax"))
    with pytest.raises(McuquantError) as caught:
        compress(Doubled(), Data(X), recipe)
    assert "aten.erfinv" in str(caught.value)


NET = """
from torch import nn

def build():
    return nn.Sequential(nn.Linear(12, 96), nn.ReLU(), nn.Linear(96, 96), nn.ReLU(), nn.Linear(96, 4))
"""
RECIPE = """
model = "net.py:build"
output = "{output}"
[data]
train = "train.npz"
valid = "train.npz"
[train]
epochs = 2
[prune]
target = {{ cycles = "60 %" }}
epochs = 1
[share]
entries = 16
epochs = 1
"""


def recipe_in(folder: Path, text: str = RECIPE) -> Path:
    (folder / "net.py").write_text(NET)
    assert X.y is not None
    np.savez(folder / "train.npz", x=X.x.numpy(), y=X.y.numpy())
    path = folder / "recipe.toml"
    path.write_text(text.format(output=folder / "out"))
    return path


@pytest.mark.parametrize("seed", ["", "    torch.manual_seed(0)\n"])
def test_random_weights_are_no_teacher(tmp_path: Path, seed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those of a function that sets a seed of its own."""
    net = NET.replace("from torch import nn", "import torch\nfrom torch import nn")
    monkeypatch.setattr(sys.modules[__name__], "NET", net.replace("build():\n", f"build():\n{seed}"))
    path = recipe_in(tmp_path, RECIPE.replace("[train]\nepochs = 2\n", ""))
    text = (
        f"{path}: the network's weights are random: name those of a trained one in 'weights', or train it here with a "
        "table [train]"
    )
    for command in ("compress", "search"):
        path.write_text(path.read_text() + '[search]\n[search.space]\n"share.entries" = { choices = [4, 8] }\n')
        result = CliRunner().invoke(main, [command, str(path)])
        assert (result.exit_code, result.stderr) == (1, f"Error: {text}\n"), command
        path = recipe_in(tmp_path, RECIPE.replace("[train]\nepochs = 2\n", ""))


@pytest.mark.trains
@pytest.mark.emulator
def test_a_missed_target_is_an_error(tmp_path: Path) -> None:
    """Shared weights are looked up in a codebook, which takes more cycles than pruning left."""
    path = recipe_in(tmp_path)
    result = CliRunner().invoke(main, ["compress", str(path)])
    assert result.exit_code == 1
    assert (tmp_path / "out" / "firmware.elf").is_file()
    (line,) = result.stderr.splitlines()
    pattern = (
        r"Error: the compressed network takes ([\d,]+) cycles on qemu-mps2-an386, "
        r"the recipe's target is at most ([\d,]+) cycles; "
        r"the table shows what each step costs \(--best-effort accepts it\)"
    )
    match = re.fullmatch(pattern, line)
    assert match is not None, line
    taken, target = (int(number.replace(",", "")) for number in match.groups())
    assert taken > target
    accepted = CliRunner().invoke(main, ["compress", str(path), "--best-effort"])
    assert accepted.exit_code == 0, accepted.output
    assert "\nMissed: the compressed network takes " in accepted.output


@pytest.mark.trains
def test_a_target_that_is_met_is_not_missed() -> None:
    recipe = Recipe(prune=Prune(target={"macs": "50 %"}, epochs=1), quantize=Quantize(method="minmax"))
    assert compress(perceptron(), Data(X, X), recipe).missed == ()
    shared = replace(recipe, prune=None, share=Share(entries=4, epochs=1))
    assert compress(perceptron(), Data(X, X), shared).missed == ()


def test_weights_that_are_all_the_same_are_no_teacher(tmp_path: Path) -> None:
    plain = RECIPE.replace("[train]\nepochs = 2\n", "")
    path = recipe_in(tmp_path, plain.replace("[data]", 'weights = "net.pt"\n[data]'))
    net = load_net(replace(load_recipe(path), weights=""), path)
    torch.save({name: torch.zeros_like(value) for name, value in net.state_dict().items()}, tmp_path / "net.pt")
    with pytest.raises(ConfigError) as caught:
        load_net(load_recipe(path), path)
    assert str(caught.value) == (
        f"{path}: 'weights': {tmp_path / 'net.pt'}: all weights of each layer are the same number, as in no trained "
        "network"
    )


def test_labels_of_another_name_are_not_ignored_without_a_word(tmp_path: Path) -> None:
    file = tmp_path / "train.npz"
    np.savez(file, x=np.zeros((4, 3)), labels=np.zeros(4))
    with pytest.warns(CalibrationWarning, match="holds 'labels', which is not read; names that are: x, y$"):
        assert load_samples(file, labels_may_miss=True).y is None


def test_weights_of_integers_are_of_another_network(tmp_path: Path) -> None:
    path = recipe_in(
        tmp_path, RECIPE.replace("[train]\nepochs = 2\n", "").replace("[data]", 'weights = "net.pt"\n[data]')
    )
    state = load_net(replace(load_recipe(path), weights=""), path).state_dict()
    for kind in (torch.int8, torch.complex64):
        torch.save({name: value.to(kind) for name, value in state.items()}, tmp_path / "net.pt")
        with pytest.raises(ConfigError) as caught:
            load_net(load_recipe(path), path)
        assert str(caught.value) == (
            f"{path}: 'weights': {tmp_path / 'net.pt'}: '0.weight' is of {kind}, the network's of torch.float32"
        )


def test_the_dry_run_has_each_class_and_few_samples() -> None:
    x = torch.arange(400_000.0)[:, None]
    classes = (torch.arange(400_000) >= 399_000).long()
    batch = first_batch(Data(Samples(x, classes), Samples(x, x), Samples(x[:2], classes[:2])))
    assert batch.train.x.flatten().tolist() == [0, 1, 2, 399_000]
    assert batch.valid is not None
    assert batch.valid.x.flatten().tolist() == [0, 1, 2, 3]
    assert batch.test is not None
    assert len(batch.test) == 2
