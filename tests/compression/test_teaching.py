"""Several teachers, mixed inputs, smoothed labels; networks pruned to a shape that begins anew."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_nets import clusters, perceptron
from torch import Tensor, nn

from mcuquant.boards.board import load_board
from mcuquant.compression.inputs import Data
from mcuquant.compression.pipeline import compress
from mcuquant.compression.prune import Pruning, prune
from mcuquant.compression.recipe import Prune, Quantize, Recipe, Teach, load_recipe
from mcuquant.compression.reinitialize import Together, reinitialized
from mcuquant.compression.steps import Steps
from mcuquant.compression.training import Samples, Training, class_loss, figure, fit
from mcuquant.errors import CalibrationError, ConfigError, ModelError

BOARD = load_board("qemu-mps2-an386")


class Noted(nn.Module):
    """Keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Tensor] = []
        self.by = nn.Linear(64, 2)

    def forward(self, x: Tensor) -> Tensor:
        self.asked.append(x.detach().clone())
        return self.by(x)  # type: ignore[no-any-return]


@pytest.mark.parametrize(("mixup", "least"), [(0.0, 1.0), (0.5, 0.5), (1.0, 0.0)])
def test_inputs_are_mixed_in_pairs(mixup: float, least: float) -> None:
    """They are rows of the unit matrix: what the network is asked shows who was mixed, and how much of whom."""
    net = Noted()
    fit(net, Samples(torch.eye(64), torch.arange(64) % 2), Training(epochs=3, batch=64, mixup=mixup))
    asked = torch.cat(net.asked)
    assert torch.allclose(asked.sum(dim=1), torch.ones(3 * 64))
    assert asked.max(dim=1).values.min() >= least
    assert bool((asked.max(dim=1).values < 1).any()) == bool(mixup)
    assert ((asked > 0).sum(dim=1) <= 2).all()


def test_what_the_teacher_answers_is_mixed() -> None:
    """A teacher sure of one class for each half of the samples, and what a network learns of one and of both halves."""
    teacher = nn.Linear(2, 2)
    teacher.load_state_dict({"weight": 40 * torch.eye(2), "bias": torch.zeros(2)})
    x = torch.eye(2).repeat(100, 1)
    net = nn.Linear(2, 2)
    how = Training(epochs=40, batch=50, learning_rate=0.1, distill=1.0, temperature=1.0, mixup=1.0)
    fit(net, Samples(x), how, teacher=teacher)
    told = nn.functional.softmax(net(torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.2, 0.8]])), dim=1)[:, 0]
    assert torch.allclose(told, torch.tensor([1.0, 0.5, 0.2]), atol=0.1)
    assert teacher(torch.tensor([[0.2, 0.8]])).softmax(dim=1)[0, 0] < 1e-6


def test_labels_are_mixed_as_inputs_are() -> None:
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    first, second, part = torch.tensor([0, 1, 2, 3, 0]), torch.tensor([1, 1, 0, 2, 3]), torch.rand(5)
    of_each = [nn.functional.cross_entropy(logits, y, reduction="none") for y in (first, second)]
    expected = ((1 - part) * of_each[0] + part * of_each[1]).mean()
    assert torch.allclose(class_loss(logits, (first, second, part), None, Training()), expected)


def test_smoothing_spreads_a_label_over_all_classes() -> None:
    logits = torch.tensor([[2.0, 0.0, -1.0, 1.0]])
    of_class = -nn.functional.log_softmax(logits, dim=1)[0]
    found = class_loss(logits, torch.tensor([0]), None, Training(smoothing=0.2))
    assert torch.allclose(found, 0.8 * of_class[0] + 0.2 * of_class.mean())


def test_dropout_as_told_while_training() -> None:
    """The network has its own again afterwards."""
    seen = []
    net = nn.Sequential(nn.Linear(12, 4), nn.Dropout(0.9))
    net[1].register_forward_hook(lambda layer, _x, y: seen.append((layer.p, float((y == 0).float().mean()))))
    for part in (None, 0.0):
        fit(net, clusters(seed=1), Training(epochs=1, dropout=part))
    half = len(seen) // 2
    assert {p for p, _ in seen[:half]} == {0.9}
    assert min(zeros for _, zeros in seen[:half]) > 0.7
    assert set(seen[half:]) == {(0.0, 0.0)}
    assert net[1].p == 0.9


def test_together_they_answer_their_mean() -> None:
    nets = [nn.Linear(3, 2) for _ in range(3)]
    x = torch.randn(4, 3)
    assert torch.allclose(Together(nets)(x), sum((net(x) for net in nets), torch.zeros(4, 2)) / 3)


def test_anew_is_the_shape_with_other_weights() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Flatten(), nn.Linear(18, 2))
    fit(net, Samples(torch.randn(8, 2, 8), torch.arange(8) % 2), Training(epochs=3, learning_rate=0.01))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    torch.manual_seed(1)
    made = reinitialized(net)
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert not any(torch.equal(before[name], value) for name, value in made.state_dict().items())
    assert torch.equal(made.state_dict()["1.running_mean"], torch.zeros(3))
    torch.manual_seed(1)
    assert all(torch.equal(a, b) for a, b in zip(made.parameters(), reinitialized(net).parameters(), strict=True))


def test_a_layer_that_cannot_begin_anew() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.PReLU())
    net.add_module("own", Scale())
    with pytest.raises(ModelError) as error:
        reinitialized(net)
    assert str(error.value) == (
        "layer 'own' (Scale) has weights of its own but no method reset_parameters() that begins them anew; give it one"
    )


class Scale(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.by = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.by


@pytest.mark.parametrize(("steps", "seen"), [(1, [(8, 32)]), (2, [(16, 32), (8, 32)])])
def test_pruned_to_the_widths_told(steps: int, seen: list[tuple[int, int]]) -> None:
    """In equal factors; a layer that is not named keeps its channels."""
    shapes = []
    pruning = Pruning(widths={"0": 8}, steps=steps)
    net = perceptron()
    made = prune(
        net,
        torch.zeros(1, 12),
        BOARD,
        pruning,
        fine_tune=lambda now: shapes.append((len(now[0].bias), len(now[2].bias))),
    )
    assert shapes == seen
    assert made.widths == {"0": (32, 8), "2": (32, 32)}
    rows = {tuple(row) for row in net[0].weight.tolist()}
    assert {tuple(row) for row in made.net[0].weight.tolist()} <= rows


def test_pruned_and_begun_anew() -> None:
    net = perceptron()
    made = prune(net, torch.zeros(1, 12), BOARD, Pruning(widths={"0": 8}, reinitialize=True))
    rows = {tuple(row) for row in net[0].weight.tolist()}
    assert made.net[0].weight.shape == (8, 12)
    assert not {tuple(row) for row in made.net[0].weight.tolist()} & rows


@pytest.mark.parametrize(("name", "width"), [("0", 33), ("0", 0), ("4", 2)])
def test_widths_that_cannot_be(name: str, width: int) -> None:
    with pytest.raises(CalibrationError) as error:
        prune(perceptron(), torch.zeros(1, 12), BOARD, Pruning(widths={name: width}))
    assert str(error.value) == (
        f"layer '{name}' cannot be left with {width} channels; layers that can be pruned, and their channels: "
        "0 (32), 2 (32)"
    )


def test_a_recipe_with_teachers(tmp_path: Path) -> None:
    """They are trained before anything is cut, each from its own beginning, and the thin network learns from them.

    A second run finds them trained.
    """
    train, valid = clusters(seed=1), clusters(100, seed=2)
    done = []
    recipe = Recipe(
        train=Training(epochs=1),
        teach=Teach(networks=2, epochs=6, learning_rate=0.01),
        prune=Prune(widths={"0": 8, "2": 8}, reinitialize=True),
        quantize=Quantize(method="minmax"),
        fine_tune=Training(epochs=20, learning_rate=0.01, distill=1.0, mixup=0.5),
    )
    torch.manual_seed(0)
    made = compress(
        perceptron(),
        Data(train, valid),
        recipe,
        None,
        lambda what, *_: done.append(what),
        Steps(tmp_path, "", train.x[:16]),
    )
    assert [what for what in dict.fromkeys(done) if what.startswith(("training", "fine"))] == [
        "training the float network",
        "training teacher 1 of 2",
        "training teacher 2 of 2",
        "fine-tuning the pruned network",
    ]
    whole, small = made.records[0].accuracy, made.records[-1].accuracy
    assert whole is not None
    assert small is not None
    assert whole < 0.8 < small
    assert figure(made.net, valid) > 0.8
    torch.manual_seed(0)
    again = compress(perceptron(), Data(train, valid), recipe, steps=Steps(tmp_path, "", train.x[:16]))
    assert again.reused == ("trained", "int8", "teachers", "pruned")
    assert str(again.graph) == str(made.graph)


def test_teachers_need_labels() -> None:
    train = clusters(seed=1)
    with pytest.raises(CalibrationError) as error:
        compress(perceptron(), Data(Samples(train.x)), Recipe(teach=Teach()))
    assert str(error.value) == "training needs labels (y) or a teacher to learn from, found neither"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[teach]\n[fine_tune]\nmatch = ['0']",
            "layers can match those of one teacher alone: leave out either match or [teach]",
        ),
        (
            "[fine_tune]\nmatch = ['0']\nmixup = 0.5",
            "[fine_tune]: layers cannot match where inputs are mixed: leave out either match or mixup",
        ),
        ("[teach]\nnetworks = 0", "[teach]: there must be at least 1 network to teach, found 0"),
        ("[fine_tune]\nmixup = 1.5", "[fine_tune]: mixup must be from 0 to 1, found 1.5"),
        ("[fine_tune]\ndropout = 2", "[fine_tune]: dropout must be from 0 to 1, found 2.0"),
        ("[fine_tune]\nsmoothing = -0.5", "[fine_tune]: smoothing must be from 0 to 1, found -0.5"),
        (
            "[prune]\nratio = 0.5\nwidths = {fc = 8}",
            "[prune]: pruning takes one of a target, a ratio and widths, found a ratio and widths",
        ),
    ],
)
def test_what_a_recipe_may_not_say(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        load_recipe(path)
    assert str(error.value) == f"{path}: {message}"
