"""What a recipe names: a Python function that makes the network, and files of samples."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import CalibrationError, ConfigError
from .recipe import Files, Recipe
from .training import Augment, Samples


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """Samples by what they are for. `test` falls back on `valid`, and that is None where nobody chooses."""

    train: Samples
    valid: Samples | None = None
    test: Samples | None = None

    @property
    def judge(self) -> Samples | None:
        """Those that accuracy is told of."""
        return self.test if self.test is not None else self.valid

    @property
    def example(self) -> Tensor:
        return self.train.x[:1]


def load_net(recipe: Recipe, path: Path) -> nn.Module:
    """The network of a recipe in the file `path`. ConfigError for a function that is not there or gives no network."""
    if recipe.model.endswith(".pt2"):
        raise ConfigError(
            f"{path}: 'model' is {recipe.model!r}: what torch.export saved cannot be trained; name the Python function "
            "that makes the network, model = \"net.py:build\", and its weights in 'weights'"
        )
    net = load_function(recipe.model, "model", path)()
    if not isinstance(net, nn.Module):
        raise ConfigError(f"{path}: 'model' {recipe.model!r} returned {type(net).__name__}, expected a torch.nn.Module")
    if recipe.weights:
        _load_weights(net, path.parent / recipe.weights, path)
    return net.eval()


def load_augment(recipe: Recipe, path: Path) -> Augment | None:
    return load_function(recipe.augment, "augment", path) if recipe.augment else None


def load_function(text: str, key: str, path: Path) -> Callable[..., Any]:
    """ "module:function" or "file.py:function"; files are beside `path`."""
    place, _, name = text.rpartition(":")
    if not place or not name.isidentifier():
        raise ConfigError(f'{path}: \'{key}\' must be "module:function" or "file.py:function", found {text!r}')
    module = _file(path.parent / place, key, path) if place.endswith(".py") else _module(place, key, path)
    function = getattr(module, name, None)
    if not callable(function):
        raise ConfigError(f"{path}: '{key}': {place} has no function {name!r}")
    return function  # type: ignore[no-any-return]


def _module(name: str, key: str, path: Path) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ConfigError(f"{path}: '{key}': {error}; is its folder on PYTHONPATH?") from error


def _file(file: Path, key: str, path: Path) -> Any:
    if not file.is_file():
        raise ConfigError(f"{path}: '{key}': there is no file {file}")
    name = f"mcuquant_recipe_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles in the file look their module up
    spec.loader.exec_module(module)
    return module


def _load_weights(net: nn.Module, file: Path, path: Path) -> None:
    """Nothing in the file is run. ConfigError where it does not fit the network."""
    try:
        net.load_state_dict(torch.load(file, weights_only=True))
    except OSError as error:
        raise ConfigError(f"{path}: 'weights': {file} cannot be read: {error.strerror}") from error
    except Exception as error:  # torch.load and load_state_dict raise several unrelated types
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConfigError(f"{path}: 'weights': {file} is no state dict of this network: {reason}") from error


def load_data(files: Files | None, path: Path) -> Data:
    """The samples of a recipe. ConfigError where none are named, CalibrationError for files that hold others."""
    if files is None:
        raise ConfigError(f"{path}: table 'data' is missing: name at least data.train, an .npz file with x and y")
    parts = {key: getattr(files, key) for key in ("train", "valid", "test")}
    return Data(**{key: load_samples(path.parent / name, key == "train") for key, name in parts.items() if name})


def load_samples(file: Path, labels_may_miss: bool) -> Samples:
    """`x`, `y` of an .npz file; pickles are never read."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            arrays_by_name = {name: arrays[name] for name in arrays.files}
    except OSError as error:
        raise CalibrationError(f"{file} cannot be read: {error.strerror or error}") from error
    except (ValueError, EOFError, AttributeError) as error:
        raise CalibrationError(f"{file} is not a file of plain arrays as numpy.savez writes them: {error}") from error
    names = ("x",) if labels_may_miss else ("x", "y")
    for name in names:
        if name not in arrays_by_name:
            contents = ", ".join(map(repr, arrays_by_name)) or "nothing"
            raise CalibrationError(f"{file} holds no array {name!r}, it holds {contents}")
    x, y = arrays_by_name["x"], arrays_by_name.get("y")
    if y is not None and (y.shape != (len(x),) or y.dtype.kind not in "iu"):
        raise CalibrationError(
            f"array 'y' of {file} is {y.dtype} of shape {y.shape}; expected {len(x)} class numbers, one a sample"
        )
    return Samples(torch.from_numpy(x.astype(np.float32)), None if y is None else torch.from_numpy(y.astype(np.int64)))
