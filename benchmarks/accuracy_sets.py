"""MLPerf Tiny's accuracy sets: samples, labels, splits for calibration, and measures."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

import mcuquant as mq
from mcuquant.ir import Array, Graph

FOLDER = Path(os.environ.get("MCUQUANT_MLPERF_TINY") or Path(__file__).parents[2] / "shared" / "mlperf-tiny")
CALIBRATION = 100
"""Number of calibration samples."""
FRAMES, BANDS = 5, 128
"""Of a window of AD."""
Run = Callable[[Array], Array]
"""Real inputs (N, ...) to real outputs (N, ...)."""


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Indices of the samples (AD: files) that calibrate, and of those that are judged."""

    calibrating: Array
    judged: Array


@dataclass(frozen=True)
class Network(ABC):
    """One of MLPerf Tiny's networks with its accuracy set."""

    name: str
    data: str
    float_file: str
    int8_file: str

    @cached_property
    def arrays(self) -> Mapping[str, Any]:
        return dict(np.load(FOLDER / self.data))

    @property
    def labels(self) -> Array:
        labels: Array = self.arrays["y"]
        return labels

    @property
    def count(self) -> int:
        return len(self.labels)

    def real(self) -> Graph:
        return mq.from_tflite(FOLDER / self.float_file)

    def official(self) -> Graph:
        return mq.from_tflite(FOLDER / self.int8_file)

    @abstractmethod
    def splits(self) -> list[Split]: ...

    @abstractmethod
    def inputs(self, indices: Array) -> Array:
        """Real inputs of the float network, (N, ...)."""

    def calibration(self, split: Split) -> Array:
        return self.inputs(split.calibrating)

    @abstractmethod
    def scores(self, split: Split, run: Run) -> Array:
        """Class, or anomaly score, of each judged sample."""

    @abstractmethod
    def judge(self, splits: Sequence[Split], scores: Sequence[Array]) -> tuple[int, float]:
        """Number of judged samples and accuracy."""


@dataclass(frozen=True)
class Classifier(Network):
    """`scaling` (factor, offset) makes real inputs of the stored ones."""

    factor: float
    offset: float
    folds: int = 1

    def splits(self) -> list[Split]:
        """Of several folds, each calibrates the network that is judged on the others."""
        order = np.random.default_rng(0).permutation(self.count)
        parts = [np.sort(order[i * CALIBRATION : (i + 1) * CALIBRATION]) for i in range(self.folds)]
        return [Split(part, np.setdiff1d(np.arange(self.count), part)) for part in parts]

    def inputs(self, indices: Array) -> Array:
        x = (self.arrays["x"][indices].astype(np.float32) + np.float32(self.offset)) * np.float32(self.factor)
        real: Array = x.reshape(len(x), 49, 10, 1) if x.ndim == 2 else x
        return real

    def scores(self, split: Split, run: Run) -> Array:
        outputs = run(self.inputs(split.judged))
        classes: Array = outputs.reshape(len(split.judged), -1).argmax(axis=1)
        return classes

    def judge(self, splits: Sequence[Split], scores: Sequence[Array]) -> tuple[int, float]:
        right = [y == self.labels[split.judged] for split, y in zip(splits, scores, strict=True)]
        joined = np.concatenate(right)
        return len(joined), float(joined.mean())


@dataclass(frozen=True)
class Autoencoder(Network):
    """AD: the score of a file is the mean squared error over its windows."""

    calibration_files: int = 10

    def splits(self) -> list[Split]:
        order = np.random.default_rng(0).permutation(np.flatnonzero(self.labels == 0))
        files = np.sort(order[: self.calibration_files])
        return [Split(files, np.setdiff1d(np.arange(self.count), files))]

    def inputs(self, indices: Array) -> Array:
        return np.concatenate([self._windows(i) for i in indices])

    def calibration(self, split: Split) -> Array:
        step = self._windows(0).shape[0] * self.calibration_files // CALIBRATION + 1
        return self.inputs(split.calibrating)[::step]

    def scores(self, split: Split, run: Run) -> Array:
        x = self.inputs(split.judged)
        errors = np.square(x - run(x).reshape(x.shape)).mean(axis=1)
        scores: Array = errors.reshape(len(split.judged), -1).mean(axis=1)
        return scores

    def judge(self, splits: Sequence[Split], scores: Sequence[Array]) -> tuple[int, float]:
        return len(splits[0].judged), area_under_curve(self.labels[splits[0].judged] == 1, scores[0])

    def _windows(self, file: int) -> Array:
        frames = self.arrays["x"][file].astype(np.float32)
        views = np.lib.stride_tricks.sliding_window_view(frames, FRAMES, axis=0)
        return views.transpose(0, 2, 1).reshape(-1, FRAMES * BANDS)


def area_under_curve(is_anomaly: Array, scores: Array) -> float:
    """Probability that an anomaly has a higher score than a normal sample; equal scores count half."""
    bad, good = scores[is_anomaly][:, None], scores[~is_anomaly][None, :]
    return float((bad > good).mean() + 0.5 * (bad == good).mean())


_KWS_SCALE, _KWS_ZERO_POINT = 0.5847029089927673, 83
"""Input of the official int8 network, whose stored values the set holds."""

NETWORKS: Mapping[str, Network] = {
    "ad": Autoencoder("AD", "ad01.npz", "ad_float.tflite", "ad_int8.tflite"),
    "ic": Classifier("IC", "ic01.npz", "ic_float.tflite", "ic_int8.tflite", 1.0, 0.0, folds=2),
    "kws": Classifier("KWS", "kws01.npz", "kws_float_hybrid.tflite", "kws_int8.tflite", _KWS_SCALE, -_KWS_ZERO_POINT),
    "vww": Classifier("VWW", "vww01.npz", "vww_float.tflite", "vww_int8.tflite", 1 / 255, 0.0),
}
