"""Networks that take whole numbers: embeddings, and selection at computed indices."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import mcuquant as mq
from mcuquant.arithmetic.interpreter import run
from mcuquant.errors import CalibrationError, McuquantError
from mcuquant.ir import DType, Level, ops
from mcuquant.ir.verify import verify
from mcuquant.tflite.reader.from_tflite import load
from mcuquant.tflite.writer.to_tflite import to_tflite


class Words(nn.Module):
    """A small classifier of words: a table, a convolution over the sentence, a mean."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(50, 16)
        self.places = nn.Parameter(torch.randn(1, 12, 16) * 0.1)
        self.mix = nn.Conv1d(16, 24, 3, padding=1)
        self.answer = nn.Linear(24, 5)

    def forward(self, words: Tensor) -> Tensor:
        x = (self.table(words) + self.places).transpose(1, 2)
        return self.answer(self.mix(x).relu().mean(-1))  # type: ignore[no-any-return]


class Choice(nn.Module):
    """Frames at the places that are asked for."""

    def forward(self, x: Tensor, places: Tensor) -> Tensor:
        return x.index_select(2, places).relu()


class Arithmetic(nn.Module):
    def forward(self, words: Tensor) -> Tensor:
        return (words * 2).float()


WORDS = torch.arange(12)[None]


def test_an_embedding_of_integers_is_a_gather_of_its_table() -> None:
    torch.manual_seed(0)
    net = Words().eval()
    graph = mq.from_torch(net, WORDS)
    assert graph[graph.inputs[0]].dtype is DType.INT32
    assert isinstance(graph.ops[0], ops.Gather)
    x = np.random.default_rng(0).integers(0, 50, (3, 12))
    for sample in x:
        y = run(graph, [sample[None].astype(np.int32)])[0]
        np.testing.assert_allclose(y, net(torch.tensor(sample[None])).detach().numpy(), atol=1e-5)


def test_it_is_quantized_by_samples_of_integers() -> None:
    torch.manual_seed(0)
    net = Words().eval()
    x = np.random.default_rng(1).integers(0, 50, (64, 12))
    integers = mq.quantize(mq.from_torch(net, WORDS), calibration=x)
    verify(integers, Level.LOWERABLE)
    assert integers[integers.ops[0].inputs[0]].dtype is DType.INT8
    assert integers[integers.inputs[0]].q is None
    scale, zero = integers[integers.outputs[0]].scale, integers[integers.outputs[0]].zero_point
    real = np.concatenate([run(integers, [s[None].astype(np.int32)])[0] for s in x]).astype(float) - zero
    exact = net(torch.tensor(x)).detach().numpy()
    noise = np.square(real * scale - exact).sum() / np.square(exact).sum()
    assert 10 * np.log10(1 / noise) > 30
    again = load(to_tflite(integers))
    sample = x[:1].astype(np.int32)
    np.testing.assert_array_equal(run(again, [sample])[0], run(integers, [sample])[0])


def test_samples_of_real_numbers_are_no_indices() -> None:
    graph = mq.from_torch(Words().eval(), WORDS)
    with pytest.raises(CalibrationError) as caught:
        mq.quantize(graph, calibration=np.zeros((8, 12), np.float32))
    assert str(caught.value) == (
        "calibration data 'words' is float32 of shape (8, 12); expected whole numbers, such as int64"
    )


class Masked(nn.Module):
    """The mean of the words that are no padding."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(30, 12)
        self.answer = nn.Linear(12, 2)

    def forward(self, words: Tensor) -> Tensor:
        mask = (words != 0).unsqueeze(-1).float()
        return self.answer((self.table(words) * mask).sum(1) / mask.sum(1).clamp(min=1))  # type: ignore[no-any-return]


class Bag(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bag = nn.EmbeddingBag(30, 12, mode="mean")

    def forward(self, words: Tensor) -> Tensor:
        return self.bag(words)  # type: ignore[no-any-return]


class Distances(nn.Module):
    """To prototypes, and differences of neighbors."""

    def __init__(self) -> None:
        super().__init__()
        self.prototypes = nn.Parameter(torch.randn(5, 16))

    def forward(self, words: Tensor) -> tuple[Tensor, Tensor]:
        return torch.cdist(words, self.prototypes), torch.diff(words, dim=1)


@pytest.mark.parametrize("kind", [Masked, Bag])
def test_masks_and_bags_of_words(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    net = kind().eval()
    x = np.random.default_rng(0).integers(0, 30, (40, 12))
    x[:, 8:] *= np.random.default_rng(1).integers(0, 2, (40, 4))
    graph = mq.from_torch(net, torch.tensor(x[:1]))
    for sample in x[:4]:
        y = run(graph, [sample[None].astype(np.int32)])[0]
        np.testing.assert_allclose(y, net(torch.tensor(sample[None])).detach().numpy(), atol=1e-5)
    integers = mq.quantize(graph, calibration=x)
    t = integers[integers.outputs[0]]
    real = np.concatenate([run(integers, [s[None].astype(np.int32)])[0] for s in x]).astype(float) - t.zero_point
    exact = net(torch.tensor(x)).detach().numpy()
    assert np.square(real * t.scale - exact).sum() < 1e-3 * np.square(exact).sum()


def test_distances_to_prototypes_and_differences() -> None:
    torch.manual_seed(0)
    net, x = Distances().eval(), torch.randn(1, 16)
    for y, expected in zip(run(mq.from_torch(net, x), [x.numpy()]), net(x), strict=True):
        np.testing.assert_allclose(y, expected.detach().numpy(), atol=1e-5)


def test_an_axis_is_selected_from_at_computed_places() -> None:
    x, places = torch.randn(1, 3, 7), torch.tensor([6, 0, 2])
    graph = mq.from_torch(Choice().eval(), (x, places[None, :].squeeze(0)))
    y = run(graph, [x.numpy().transpose(0, 2, 1)[:, None], places.numpy().astype(np.int32)])[0]
    expected = x[:, :, places].relu().numpy()
    np.testing.assert_array_equal(y.reshape(1, 3, 3).transpose(0, 2, 1), expected)


def test_arithmetic_of_whole_numbers_is_refused_by_name() -> None:
    with pytest.raises(McuquantError, match=r"computes with the whole numbers of 'words', which only embedding, "):
        mq.from_torch(Arithmetic().eval(), WORDS)


class Neighbors(nn.Module):
    """Attention between the nodes of a graph whose edges are an input."""

    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Linear(24, 8)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        h = self.value(x)
        scores = (h @ h.transpose(1, 2)).masked_fill(edges <= 0, -1e9)
        return torch.softmax(scores, -1) @ h


def test_scores_that_a_computed_mask_excludes_do_not_make_the_others_coarse() -> None:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (24, 20, 24)).astype(np.float32)
    edges = (rng.random((24, 20, 20)) < 0.3).astype(np.float32)
    edges[:, range(20), range(20)] = 1
    graph = mq.from_torch(Neighbors().eval(), (torch.tensor(x[:1]), torch.tensor(edges[:1])))
    integers = mq.quantize(graph, [x, edges], method="minmax", improve=False)
    scores = next(op.inputs[0] for op in integers.ops if isinstance(op, ops.Softmax))
    assert integers[scores].scale < 0.2
