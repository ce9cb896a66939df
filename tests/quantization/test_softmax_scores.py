"""Ranges of scores with a mask."""

from __future__ import annotations

import numpy as np
from nets import Net

from mcuquant.ir import DType, Graph, ops
from mcuquant.quantization import quantize
from mcuquant.quantization.softmax_scores import softmax_scores, with_masks_near


def _masked(softmax: bool = True) -> tuple[Graph, int]:
    """(x * 2 + mask) * 0.5, and the id of the sum."""
    net = Net(np.random.default_rng(0), DType.FLOAT32)
    x = net.input((1, 4, 4))
    mask = np.where(np.tril(np.ones((1, 4, 4))), 0, -1e4).astype(np.float32)
    masked = net.apply(ops.Add, (x, net.constant(mask, DType.FLOAT32)), (1, 4, 4))
    y = net.apply(ops.Mul, (masked, net.constant(np.full(1, 0.5, np.float32), DType.FLOAT32)), (1, 4, 4))
    y = net.apply(ops.Reshape, (y,), (1, 16))
    if softmax:
        y = net.apply(ops.Softmax, (net.apply(ops.Reshape, (y,), (1, 4, 4)),), (1, 4, 4), beta=3.0)
    return net.graph(y), masked


def test_the_beta_of_scores_includes_the_factors_on_the_way() -> None:
    graph, masked = _masked()
    assert softmax_scores(graph)[masked] == 1.5
    assert masked not in softmax_scores(_masked(softmax=False)[0])


def test_scores_that_are_an_output_keep_their_range() -> None:
    graph, masked = _masked()
    assert softmax_scores(graph.with_(outputs=(*graph.outputs, masked))).get(masked) is None


def test_a_mask_lies_just_below_all_others() -> None:
    scores = np.array([[1.0, -3.0, -1e4]], np.float32)
    assert with_masks_near(scores, 2.0).tolist() == [[1.0, -3.0, -7.0]]
    assert with_masks_near(scores[:, :2], 2.0) is not None
    assert with_masks_near(scores[:, :2], 2.0).tolist() == [[1.0, -3.0]]


def test_masked_scores_have_a_scale_of_the_others() -> None:
    graph, masked = _masked()
    samples = np.random.default_rng(1).standard_normal((16, 4, 4)).astype(np.float32)
    integer = quantize(graph, samples, method="minmax")
    assert integer[masked].scale < 20 / 255
