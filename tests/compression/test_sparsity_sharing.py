"""Weights that become 0 and weights that become one another, and what training leaves of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_nets import clusters, perceptron, separable
from torch import nn

from mcuquant.compression.folding import folded
from mcuquant.compression.masks import Masks, Sparsity, hold, sparsify, zeros
from mcuquant.compression.training import Training, figure, fit
from mcuquant.compression.weight_sharing import Sharing, baked, share
from mcuquant.errors import CalibrationError, ModelError

WEIGHTED = ("0", "2", "4")


def trained() -> nn.Sequential:
    torch.manual_seed(0)
    net = perceptron()
    fit(net, clusters(seed=1), Training(epochs=6, learning_rate=0.01))
    return net


def weights(net: nn.Module) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    return {name: net.get_submodule(name).weight.detach().numpy() for name in WEIGHTED}  # type: ignore[operator,union-attr]


def test_the_smallest_weights_of_all_layers_go() -> None:
    net = trained()
    before = weights(trained())
    masks = sparsify(net, Sparsity(ratio=0.8))
    size = sum(mask.numel() for mask in masks.values())
    assert sum(int(mask.sum()) for mask in masks.values()) == size - round(0.8 * size)
    gone = np.concatenate([np.abs(before[n][~masks[n].numpy()]) for n in WEIGHTED])
    left = np.concatenate([np.abs(before[n][masks[n].numpy()]) for n in WEIGHTED])
    assert gone.max() <= left.min()
    for name, after in weights(net).items():
        assert np.array_equal(after, before[name] * masks[name].numpy())


def test_by_layer_each_loses_the_same_part() -> None:
    net = trained()
    masks = sparsify(net, Sparsity(ratio=0.75, together=False, keep=("4",)))
    assert {name: float(mask.float().mean()) for name, mask in masks.items()} == {"0": 0.25, "2": 0.25}
    assert (weights(net)["4"] != 0).all()


def test_two_of_four_along_the_input_channels() -> None:
    net = trained()
    before = weights(trained())
    sparsify(net, Sparsity(pattern=(2, 4)))
    for name, after in weights(net).items():
        blocks, had = after.reshape(-1, 4), np.abs(before[name].reshape(-1, 4))
        assert ((blocks != 0).sum(axis=1) == 2).all()
        assert np.array_equal(np.where(blocks != 0, had, 0).sum(axis=1), np.sort(had, axis=1)[:, 2:].sum(axis=1))


def test_a_pattern_in_a_convolution_and_at_its_ragged_end() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(6, 2, 3))
    mask = sparsify(net, Sparsity(pattern=(1, 4)))["0"]
    assert mask.shape == (2, 6, 3, 3)
    assert (mask[:, :4].sum(dim=1) == 1).all()
    assert (mask[:, 4:].sum(dim=1) == 1).all()


def test_training_holds_the_mask_and_steps_cut_more_each() -> None:
    net, train = trained(), clusters(seed=1)
    seen: list[int] = []

    def fine_tune(current: nn.Module, masks: Masks) -> None:
        seen.append(sum(int(mask.sum()) for mask in masks.values()))
        fit(current, train, Training(epochs=2, learning_rate=0.01), after_step=hold(current, masks))

    masks = sparsify(net, Sparsity(ratio=0.75, steps=2), fine_tune)
    size = sum(mask.numel() for mask in masks.values())
    assert seen == [size - round(0.5 * size), size - round(0.75 * size)]
    assert all(np.array_equal(w != 0, masks[n].numpy()) for n, w in weights(net).items())
    assert all(torch.equal(mask, masks[n]) for n, mask in zeros(net).items())
    assert figure(net, clusters(200, seed=2)) > 0.85


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 40), st.integers(1, 3), st.integers(0, 1000), st.booleans())
def test_shared_weights_are_few_and_near(entries: int, groups: int, seed: int, pruned: bool) -> None:
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(40, 6))
    if pruned:
        sparsify(net, Sparsity(ratio=0.6))
    before = net[0].weight.detach().numpy()
    after = baked(share(net, Sharing(entries=entries, groups=groups)))[0].weight.detach().numpy()  # type: ignore[index]
    parts = np.split(after, groups)
    assert all(len(np.unique(part)) <= entries for part in parts)
    assert np.array_equal(after == 0, before == 0) or not pruned
    for part, had in zip(parts, np.split(before, groups), strict=True):
        book = np.unique(part[had != 0])
        assert (np.abs(part - had)[had != 0] <= np.abs(book[:, None, None] - had).min(axis=0)[had != 0] + 1e-6).all()


def test_centroids_get_the_sum_of_their_members_gradients() -> None:
    net = nn.Sequential(nn.Linear(4, 1, bias=False))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0, 1.1, -3.0, -3.1]]))
    shared = share(net, Sharing(entries=2))
    (book,) = shared.parameters()
    assert torch.allclose(book, torch.tensor([[-3.05, 1.05]]))
    shared(torch.tensor([[1.0, 2.0, 3.0, 4.0]])).sum().backward()
    assert book.grad is not None
    assert book.grad.tolist() == [[7.0, 3.0]]


def test_training_moves_centroids_and_zeros_stay() -> None:
    net, train = trained(), clusters(seed=1)
    masks = sparsify(net, Sparsity(ratio=0.5))
    shared = share(net, Sharing(entries=4, by_layer={"4": 8}))
    start = weights(baked(shared))
    fit(shared, train, Training(epochs=4, learning_rate=0.01), teacher=net)
    end = weights(baked(shared))
    assert [len(np.unique(w)) for w in end.values()] == [4, 4, 8]
    for name in WEIGHTED:
        assert np.array_equal(end[name] == 0, ~masks[name].numpy())
        assert not np.array_equal(end[name], start[name])
    assert figure(shared, clusters(200, seed=2)) > 0.85
    assert figure(baked(shared), train) == figure(shared, train)


def test_batch_normalization_is_folded_where_nothing_else_reads() -> None:
    torch.manual_seed(0)
    net = separable()
    net(torch.randn(16, 1, 12, 12))
    whole = folded(net, torch.zeros(1, 1, 12, 12))
    x = torch.randn(4, 1, 12, 12)
    assert torch.allclose(whole(x), net.eval()(x), atol=1e-5)
    assert [type(layer) for layer in (whole[1], whole[4])] == [nn.Identity, nn.Identity]  # type: ignore[index]
    assert isinstance(net[1], nn.BatchNorm2d)


class Twice(nn.Module):
    """A convolution whose output another reads too: normalization must stay."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.convolution(x)
        return self.norm(y) + y  # type: ignore[no-any-return]


def test_batch_normalization_stays_where_the_convolution_is_read_twice() -> None:
    assert isinstance(folded(Twice().eval(), torch.zeros(1, 2, 4, 4)).norm, nn.BatchNorm2d)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Sparsity(), "sparsity takes either a ratio or a pattern, found none"),
        (lambda: Sparsity(ratio=0.5, pattern=(2, 4)), "sparsity takes either a ratio or a pattern, found both"),
        (lambda: Sparsity(ratio=1.0), "the ratio of sparsity must be between 0 and 1, found 1.0"),
        (lambda: Sparsity(pattern=(4, 4)), "a pattern keeps n of m weights with 0 < n < m, found 4 of 4"),
        (lambda: Sharing(entries=257), "a codebook has 2 to 256 entries, found 257"),
        (lambda: Sharing(groups=0), "a layer has at least 1 group of channels, found 0"),
    ],
)
def test_settings_say_what_they_take(make: object, message: str) -> None:
    with pytest.raises(CalibrationError) as error:
        make()  # type: ignore[operator]
    assert str(error.value) == message


def test_layers_are_known_by_name() -> None:
    with pytest.raises(ModelError) as error:
        share(perceptron(), Sharing(by_layer={"fc1": 4}))
    assert str(error.value) == "layer 'fc1' is not one of those with weights: 0, 2, 4"
