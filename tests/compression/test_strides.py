"""Longer strides: fewer positions, the same weights; layers that learn what the teacher says at those left."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from small_nets import clusters, perceptron, separable
from torch import nn

from mcuquant.arithmetic import interpreter
from mcuquant.boards.board import load_board
from mcuquant.compression.costs import Target, cost
from mcuquant.compression.inputs import Data
from mcuquant.compression.matching import distance, watched
from mcuquant.compression.pipeline import compress
from mcuquant.compression.recipe import Quantize, Recipe, Stride
from mcuquant.compression.settings import Reader
from mcuquant.compression.stride_search import strides_for
from mcuquant.compression.strides import strided
from mcuquant.compression.training import Samples, Training, answers, fit
from mcuquant.errors import BudgetError, CalibrationError, ConfigError, ModelError
from mcuquant.flow import from_torch

BOARD = load_board("qemu-mps2-an386")
PATCH = torch.zeros(1, 1, 12, 12)


def spotter(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return separable().eval()


def patches(n: int, seed: int) -> torch.Tensor:
    """Smooth images: noise, blurred."""
    noise = torch.randn(n, 1, 16, 16, generator=torch.Generator().manual_seed(seed))
    return nn.functional.avg_pool2d(noise, 5, stride=1) * 5


def test_what_is_left_are_some_of_the_positions_there_were() -> None:
    net = spotter()
    x = patches(2, seed=1)
    made = strided(net, PATCH, {"3": (2, 1)})
    with watched(net, ["5"]) as whole, watched(made, ["5"]) as part:
        net(x)
        made(x)
    assert part["5"].shape == (2, 16, 3, 6)
    assert torch.allclose(part["5"], whole["5"][:, :, ::2], atol=1e-6)
    assert net[3].stride == (1, 1)
    assert cost(made, PATCH, BOARD).cycles < cost(net, PATCH, BOARD).cycles


def test_one_dimension_and_a_stride_that_there_was() -> None:
    net = nn.Sequential(nn.Conv1d(2, 3, 3, stride=2, padding=1), nn.ReLU(), nn.Conv1d(3, 4, 1), nn.AvgPool1d(8))
    made = strided(net, torch.zeros(1, 2, 16), {"0": (4,)})
    assert made(torch.zeros(5, 2, 16)).shape == (5, 4, 1)
    assert made[3].kernel_size == (4,)  # type: ignore[index]


def test_a_pool_over_all_positions_goes_on_covering_them() -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.MaxPool2d(2), nn.AvgPool2d((6, 6)), nn.Flatten())
    made = strided(net, PATCH, {"0": (2, 2)})
    assert [made[i].kernel_size for i in (1, 2)] == [2, (3, 3)]  # type: ignore[index]
    x = patches(3, seed=2)
    assert torch.allclose(made(x), made[1](made[0](x)).mean(dim=(2, 3)), atol=1e-6)  # type: ignore[index]
    graph = from_torch(made, PATCH)
    (y,) = interpreter.run(graph, [x[:1].numpy().transpose(0, 2, 3, 1)])
    assert np.allclose(y.reshape(-1), made(x[:1]).detach().numpy().reshape(-1), atol=1e-5)


@pytest.mark.parametrize(
    ("strides", "message"),
    [
        ({"5": (2, 2)}, "layer '5' is not a convolution of the network; its convolutions: 0, 3, 6"),
        ({"0": (3, 2)}, "layer '0' has stride [2, 2]; expected a multiple of each, found [3, 2]"),
        ({"3": (2,)}, "layer '3' has stride [1, 1]; expected a multiple of each, found [2]"),
        ({"3": (0, 1)}, "layer '3' has stride [1, 1]; expected a multiple of each, found [0, 1]"),
    ],
)
def test_strides_that_no_layer_can_have(strides: dict[str, tuple[int, ...]], message: str) -> None:
    with pytest.raises(ModelError) as error:
        strided(spotter(), PATCH, strides)
    assert str(error.value) == message


def test_layers_behind_that_need_every_position() -> None:
    flat = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(200, 3))
    with pytest.raises(ModelError) as error:
        strided(flat, PATCH, {"0": (2, 1)})
    said = "stride [2, 1] in '0': the layers behind cannot take fewer positions: "
    assert str(error.value).startswith(said)
    with pytest.raises(ModelError) as other:
        strided(nn.Conv2d(1, 2, 3), PATCH, {"": (2, 2)})
    assert str(other.value) == (
        "stride [2, 2] in '': the network would answer in shape [1, 2, 5, 5], not [1, 2, 10, 10]; longer steps need a "
        "mean or a pool over all positions behind them"
    )


def test_distance_is_in_variances_and_at_the_same_places() -> None:
    goal = torch.arange(24.0).view(2, 2, 6)
    few = goal[:, :, ::2]
    assert distance({"a": few}, {"a": goal}) == 0
    assert distance({"a": few + 3}, {"a": goal}) == pytest.approx(9 / float(few.var()))
    assert distance({}, {}) == 0
    for own in (torch.zeros(2, 3, 6), torch.zeros(2, 2, 4)):
        with pytest.raises(CalibrationError) as error:
            distance({"a": own}, {"a": goal})
        assert str(error.value) == (
            f"layer 'a' cannot be matched: it gives {list(own.shape[1:])}, the teacher's [2, 6]; "
            "expected as many channels, and every position or every n-th"
        )


def test_matched_layers_come_nearer_to_the_teachers() -> None:
    """By their outputs alone: the loss of the answers is next to nothing at a temperature so high."""
    net, x = spotter(), patches(64, seed=3)
    away: dict[bool, float] = {}
    for match in (False, True):
        pupil = strided(net, PATCH, {"0": (4, 4)})
        how = Training(epochs=12, batch=16, learning_rate=0.01, match=("7",) if match else ())
        fit(pupil, Samples(x), how, teacher=net)
        with watched(net, ["7"]) as goals, watched(pupil, ["7"]) as seen:
            answers(net, x)
            answers(pupil, x)
        away[match] = float(distance(seen, goals))
    assert away[True] < away[False] / 2


def test_matching_needs_a_teacher_and_layers_that_there_are() -> None:
    train = clusters(32)
    with pytest.raises(CalibrationError) as error:
        fit(perceptron(), train, Training(epochs=1, match=("1", "3")))
    assert str(error.value) == "there is no teacher whose layers 1, 3 could match"
    with pytest.raises(ModelError) as unknown:
        fit(perceptron(), train, Training(epochs=1, match=("fc",)), teacher=perceptron())
    assert str(unknown.value) == "layer 'fc' is not one of the network's: 0, 1, 2, 3, 4"
    with pytest.raises(CalibrationError) as weight:
        Training(match_weight=0)
    assert str(weight.value) == "match_weight must be more than 0, found 0"


def test_a_recipe_with_longer_strides() -> None:
    x = patches(32, seed=4)
    recipe = Recipe(
        stride=Stride(layers={"3": (2, 2)}, match=("5",)),
        quantize=Quantize(method="minmax", samples=16),
        fine_tune=Training(epochs=1, distill=1.0),
    )
    made = compress(spotter(), Data(Samples(x)), recipe)
    assert [r.label for r in made.records] == ["float", "int8", "strided", "compressed"]
    macs = [r.macs for r in made.records if r.macs is not None]
    assert macs[0] == macs[1] > macs[2] == macs[3]
    assert made.graph[made.graph.ops[1].output].shape[1:3] == (3, 3)


def test_training_for_integers_matches_no_layers() -> None:
    """They are the device's there, none of them the teacher's."""
    recipe = Recipe(quantize=Quantize(method="minmax", epochs=1), fine_tune=Training(epochs=1, match=("1",)))
    made = compress(perceptron(), Data(clusters(64)), recipe)
    assert [r.label for r in made.records] == ["float", "int8", "compressed"]


def test_strides_in_a_recipes_file() -> None:
    reader = Reader(Path("r.toml"))
    found = reader.record(Recipe, {"stride": {"layers": {"a.b": [2, 1]}, "epochs": 3}})
    assert found.stride == Stride(layers={"a.b": (2, 1)}, epochs=3)
    for table, said in (
        ({}, "longer strides take either layers or a target, found none"),
        ({"layers": {"a": [2]}, "target": {"macs": 1}}, "longer strides take either layers or a target, found both"),
        ({"target": {"macs": "half"}}, "target 'macs' must be a number or a part like \"25 %\", found 'half'"),
        ({"target": {"macs": "140 %"}}, "target 'macs' is '140 %', which asks for no reduction: expected below 100 %"),
    ):
        with pytest.raises(ConfigError) as error:
            reader.record(Recipe, {"stride": table})
        assert str(error.value) == f"r.toml: [stride]: {said}"


Strides = dict[str, tuple[int, ...]]


def factors(net: nn.Module, strides: Strides) -> dict[tuple[str, int], int]:
    """How often longer each stride is in each direction, where it is longer."""
    had = {name: net.get_submodule(name).stride for name in strides}
    pairs = {(n, i): s[i] // had[n][i] for n, s in strides.items() for i in range(2)}  # type: ignore[index, operator]
    return {key: factor for key, factor in pairs.items() if factor > 1}


def with_factors(net: nn.Module, times: dict[tuple[str, int], int]) -> Strides:
    had = {name: net.get_submodule(name).stride for name, _ in times}
    return {n: tuple(s * times.get((n, i), 1) for i, s in enumerate(had[n])) for n in had}  # type: ignore[arg-type]


def moved(net: nn.Module, strides: Strides, x: torch.Tensor) -> float:
    return float(distance({"": answers(strided(net, PATCH, strides), x)}, {"": answers(net, x)}))


def two_convolutions() -> nn.Sequential:
    torch.manual_seed(0)
    first, second = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()


def test_a_search_moves_the_answers_least() -> None:
    """Where any saving will do, the least of all that there are."""
    net, x = two_convolutions(), patches(16, seed=5)
    before = cost(net, PATCH, BOARD).macs
    found = strides_for(net, x, BOARD, [Target("macs", before - 1)])
    single = [with_factors(net, {(name, axis): 2}) for name in ("0", "2") for axis in (0, 1)]
    assert dict(found) == min(single, key=lambda strides: moved(net, strides, x))
    assert strides_for(net, x, BOARD, [Target("macs", before)]) == {}


def test_a_search_of_several_rounds_leaves_nothing_needless() -> None:
    net, x = two_convolutions(), patches(16, seed=5)
    before = cost(net, PATCH, BOARD)
    targets = [Target("macs", before.macs // 3), Target("cycles", before.cycles)]
    found = dict(strides_for(net, x, BOARD, targets))
    times = factors(net, found)
    assert len(times) > 1
    assert with_factors(net, times) == found
    assert all(target.is_met(cost(strided(net, PATCH, found), PATCH, BOARD)) for target in targets)
    for key, factor in times.items():
        less = with_factors(net, {**times, key: factor // 2})
        misses = cost(strided(net, PATCH, less), PATCH, BOARD).macs > before.macs // 3
        assert misses or moved(net, less, x) >= moved(net, found, x)


def test_a_search_without_end_is_none() -> None:
    flat = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(200, 3)).eval()
    with pytest.raises(BudgetError) as error:
        strides_for(flat, patches(4, seed=5), BOARD, [Target("macs", 100)])
    assert str(error.value) == (
        "longer strides cannot reach at most 100 MACs on qemu-mps2-an386: where no other convolution can take longer "
        "steps and save by it, it is still 2,400; aim higher, or prune channels as well"
    )
