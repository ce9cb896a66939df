"""Structured pruning: what is cut is what was asked for, and the compiler's plan of the rest meets the target."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_nets import Residual, clusters, perceptron, separable
from torch import nn

from mcuquant.arithmetic import interpreter
from mcuquant.boards.board import load_board
from mcuquant.compression.channel_groups import coupled, cut
from mcuquant.compression.costs import Target, cost
from mcuquant.compression.importance import Importance, scores
from mcuquant.compression.prune import Pruning, batches_of, prune, shares
from mcuquant.compression.training import Samples, Training, figure, fit
from mcuquant.compression.widths import kept, widths
from mcuquant.errors import BudgetError, CalibrationError, ModelError
from mcuquant.flow import from_torch

BOARD = load_board("qemu-mps2-an386")
IMAGE = torch.zeros(1, 3, 8, 8)
PATCH = torch.zeros(1, 1, 12, 12)


def seeded(build: type[nn.Module] | object, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    net = build()  # type: ignore[operator]
    assert isinstance(net, nn.Module)
    return net.eval()


def test_channels_that_are_added_are_one_set() -> None:
    (one,) = coupled(seeded(Residual), IMAGE)
    assert (one.layers, one.channels, one.blocks) == (("stem", "body"), 16, 1)


def test_inputs_and_outputs_are_never_cut() -> None:
    found = coupled(seeded(separable), PATCH)
    assert [(one.name, one.channels) for one in found] == [("0", 16), ("6", 24)]


def test_layers_to_keep_are_kept() -> None:
    assert [one.name for one in coupled(seeded(separable), PATCH, keep=("6",))] == ["0"]
    assert coupled(seeded(separable), PATCH, keep=("3", "6")) == []
    with pytest.raises(ModelError) as error:
        coupled(seeded(perceptron), torch.zeros(1, 12), keep=("fc",))
    assert str(error.value) == "layer 'fc' is not one of the network's: 0, 1, 2, 3, 4"


def test_a_grouped_convolution_loses_as_much_of_every_part() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 16, 1), nn.Conv2d(16, 8, 3, groups=2), nn.Flatten(), nn.Linear(8 * 36, 3)).eval()
    found = {one.name: one for one in coupled(net, IMAGE)}
    assert found["0"].blocks == 2
    score = scores(net, list(found.values()), Importance.L2)["0"]
    channels = kept(found["0"], score, 4)
    assert len(channels) == 8
    assert [c + 8 for c in channels[:4]] == channels[4:]
    thinner = cut(net, IMAGE, {"0": channels})
    assert thinner[1].weight.shape == (8, 4, 3, 3)  # type: ignore[index]
    assert thinner(IMAGE).shape == (1, 3)


@pytest.mark.parametrize("importance", ["l1", "l2", "batch-norm", "taylor", "loss"])
def test_channels_that_do_nothing_go_first(importance: str) -> None:
    """Dead channels leave and take nothing along: the network answers as before."""
    net = seeded(separable)
    dead = [1, 4, 5, 11]
    with torch.no_grad():
        for layer in (net[0], net[1], net[3], net[4]):  # type: ignore[index]
            layer.weight[dead] = 0.0
        for layer in (net[1], net[4]):  # type: ignore[index]
            layer.bias[dead] = 0.0
        net[6].weight[:, dead] = 0.0  # type: ignore[index]
    x, y = torch.randn(8, 1, 12, 12), torch.arange(8) % 5
    sets = coupled(net, PATCH, keep=("6",))
    (score,) = scores(net, sets, Importance(importance), [(x, y)]).values()
    assert score.min() == 0
    assert sorted(kept(sets[0], score, 12)) == [i for i in range(16) if i not in dead]
    thinner = cut(net, PATCH, {"0": kept(sets[0], score, 12)})
    assert torch.allclose(thinner(x), net(x), atol=1e-6)


def test_first_order_measures_are_what_they_say() -> None:
    net = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0, -2.0], [3.0, 0.5]]))
        net[1].weight.copy_(torch.tensor([[1.0, 2.0], [-1.0, 4.0]]))
    batch = (torch.tensor([[1.0, 2.0]]), torch.tensor([[0.5, -0.5]]))
    sets = coupled(net, torch.zeros(1, 2))

    def loss(y: torch.Tensor, goal: torch.Tensor) -> torch.Tensor:
        return (y * goal).sum()

    found = {i: scores(net, sets, i, [batch], loss)["0"] for i in (Importance.TAYLOR, Importance.LOSS)}
    # dL/dw2 = goal x hidden, hidden = (-3, 4); dL/dw1 = (w2' goal) x, w2' goal = (1, -1)
    enter, leave = np.array([[1.0, -4.0], [-3.0, -1.0]]), np.array([[-1.5, -1.5], [4.0, -8.0]])
    taylor = (np.abs(enter).sum(axis=1) + np.abs(leave).sum(axis=1)) / 2
    loss_change = (np.abs(enter.sum(axis=1)) + np.abs(leave.sum(axis=1))) / 2
    assert np.allclose(found[Importance.TAYLOR], taylor / taylor.mean())
    assert np.allclose(found[Importance.LOSS], loss_change / loss_change.mean())
    assert all(p.grad is None for p in net.parameters())


def test_measures_say_what_they_lack() -> None:
    net = seeded(perceptron)
    sets = coupled(net, torch.zeros(1, 12))
    with pytest.raises(CalibrationError) as error:
        scores(net, sets, Importance.TAYLOR)
    assert str(error.value) == "importance 'taylor' needs training samples, found none; 'l2' needs none"
    with pytest.raises(ModelError) as other:
        scores(net, sets, Importance.BATCH_NORM)
    assert str(other.value) == "importance 'batch-norm' judges no layer of this network; 'l2' judges any"


def test_widths_are_multiples_and_never_nothing() -> None:
    ranked = {"a": torch.arange(16.0), "b": torch.arange(16.0) / 100, "c": torch.ones(3)}
    assert widths(ranked, 0.5, together=False, multiple=4) == {"a": 8, "b": 8, "c": 3}
    assert widths(ranked, 0.5, together=True, multiple=1) == {"a": 15, "b": 2, "c": 3}
    assert widths(ranked, 0.5, together=True, multiple=4) == {"a": 16, "b": 4, "c": 3}
    assert widths(ranked, 0.98, together=False, multiple=4) == {"a": 4, "b": 4, "c": 3}


@pytest.mark.parametrize("metric", ["macs", "constant_bytes", "arena_bytes", "cycles"])
def test_a_target_is_met_and_hardly_more(metric: str) -> None:
    net = seeded(separable)
    before = cost(net, PATCH, BOARD)
    target = Target(metric, int(getattr(before, metric) * 0.6))
    pruned = prune(net, PATCH, BOARD, Pruning(targets=(target,), multiple=None if metric == "macs" else 4))
    assert pruned.before == before
    assert target.is_met(pruned.after)
    assert pruned.after == cost(pruned.net, PATCH, BOARD)
    assert shares(pruned)[metric] > 0.25
    assert all(0 < after <= had for had, after in pruned.widths.values())
    assert net[0].weight.shape[0] == 16  # type: ignore[index]


def test_several_targets_are_all_met() -> None:
    net = seeded(separable)
    before = cost(net, PATCH, BOARD)
    targets = (Target("macs", before.macs // 2), Target("arena_bytes", before.arena_bytes * 3 // 4))
    pruned = prune(net, PATCH, BOARD, Pruning(targets=targets, multiple=4))
    assert all(target.is_met(pruned.after) for target in targets)


def test_a_target_out_of_reach_is_said_so() -> None:
    net = seeded(perceptron)
    example = torch.zeros(1, 12)
    with pytest.raises(BudgetError) as error:
        prune(net, example, BOARD, Pruning(targets=(Target("macs", 10),)))
    assert str(error.value) == (
        "pruning cannot reach at most 10 MACs on qemu-mps2-an386: with as few channels as every layer may have it is "
        "still 80; aim higher, keep fewer layers, or start from a network with fewer or smaller layers"
    )


def test_pruning_takes_targets_or_a_ratio() -> None:
    with pytest.raises(CalibrationError) as error:
        Pruning()
    assert str(error.value) == "pruning takes one of targets, a ratio and widths, found none of them"
    with pytest.raises(CalibrationError) as both:
        Pruning(targets=(Target("macs", 1),), ratio=0.5)
    assert str(both.value) == "pruning takes one of targets, a ratio and widths, found targets and a ratio"
    with pytest.raises(CalibrationError) as far:
        Pruning(ratio=1.5)
    assert str(far.value) == "the pruning ratio must be between 0 and 1, found 1.5"
    with pytest.raises(BudgetError) as unknown:
        Target("watts", 1)
    known = "macs, weight_bytes, constant_bytes, arena_bytes, cycles"
    assert str(unknown.value) == f"target 'watts' is not known, expected one of: {known}"


def test_gradual_pruning_trains_between_its_steps() -> None:
    net = seeded(separable)
    seen: list[int] = []

    def note(current: nn.Module) -> None:
        seen.append(cost(current, PATCH, BOARD).macs)

    target = Target("macs", cost(net, PATCH, BOARD).macs // 4)
    pruned = prune(net, PATCH, BOARD, Pruning(targets=(target,), steps=2, multiple=4), fine_tune=note)
    assert len(seen) == 2
    assert pruned.before.macs / 2 >= seen[0] > seen[1] == pruned.after.macs
    half = prune(net, PATCH, BOARD, Pruning(ratio=0.75, steps=2, together=False, multiple=4))
    assert half.widths == {"0": (16, 4), "6": (24, 8)}  # 24, 12, 6: halfway between 4 and 8


def test_what_was_pruned_learns_again_and_becomes_integers() -> None:
    train, valid = clusters(seed=1), clusters(200, seed=2)
    assert train.y is not None
    net = seeded(perceptron)
    fit(net, train, Training(epochs=8, learning_rate=0.01))
    how = Training(epochs=4, learning_rate=0.01)
    pruning = Pruning(ratio=0.75, importance=Importance.TAYLOR, steps=2)

    def fine_tune(current: nn.Module) -> None:
        fit(current, train, how, teacher=net, valid=valid)

    pruned = prune(net, train.x[:1], BOARD, pruning, batches_of(train.x, train.y), fine_tune=fine_tune)
    before, after = figure(net, valid), figure(pruned.net, valid)
    assert before > 0.9
    assert after >= before - 0.05
    assert shares(pruned)["macs"] < 0.3
    graph = from_torch(pruned.net, train.x[:1])
    with torch.no_grad():
        assert np.allclose(interpreter.run(graph, [train.x[:1].numpy()])[0], pruned.net(train.x[:1]).numpy(), atol=1e-5)


def test_training_is_the_same_for_the_same_seed() -> None:
    nets = [seeded(perceptron) for _ in range(3)]
    for net, seed in zip(nets, (1, 1, 2), strict=True):
        torch.manual_seed(seed * 7)  # the caller's own random state changes nothing
        fit(net, clusters(), Training(epochs=1, seed=seed))
    first, again, other = ([p.detach().numpy() for p in net.parameters()] for net in nets)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_an_average_of_the_weights_is_kept() -> None:
    nets = [seeded(perceptron) for _ in range(2)]
    start = [p.detach().clone() for p in nets[0].parameters()]
    for net, average in zip(nets, (0.0, 0.5), strict=True):
        fit(net, clusters(64), Training(epochs=1, batch=64, average=average))  # one step
    for before, after, halfway in zip(start, *(net.parameters() for net in nets), strict=True):
        assert torch.allclose(halfway, (before + after) / 2, atol=1e-7)


def test_a_teacher_does_for_labels() -> None:
    train, valid = clusters(seed=1), clusters(200, seed=2)
    teacher, pupil = seeded(perceptron), seeded(perceptron, 5)
    fit(teacher, train, Training(epochs=8, learning_rate=0.01))
    start = figure(pupil, valid)
    fit(pupil, Samples(train.x), Training(epochs=8, learning_rate=0.01), teacher=teacher)
    assert figure(pupil, valid) > max(0.85, start)
    with pytest.raises(CalibrationError) as error:
        fit(pupil, Samples(train.x), Training())
    assert str(error.value) == "training needs labels (y) or a teacher to learn from, found neither"


def test_the_best_epoch_on_validation_samples_stays() -> None:
    train, valid = clusters(seed=1), clusters(100, seed=3)
    net, other = seeded(perceptron), seeded(perceptron)
    seen: list[float] = []
    fit(net, train, Training(epochs=4, learning_rate=0.02), valid=valid)
    fit(other, train, Training(epochs=4, learning_rate=0.02), progress=lambda _: seen.append(figure(other, valid)))
    assert figure(net, valid) == max(seen)
    assert not net.training


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("epochs", 0, "epochs must be more than 0, found 0"),
        ("temperature", -1.0, "temperature must be more than 0, found -1.0"),
        ("average", 1.0, "average must be from 0 to below 1, found 1.0"),
        ("distill", 1.5, "distill must be from 0 to 1, found 1.5"),
    ],
)
def test_training_settings_have_ranges(key: str, value: float, message: str) -> None:
    with pytest.raises(CalibrationError) as error:
        Training(**{key: value})  # type: ignore[arg-type]
    assert str(error.value) == message
