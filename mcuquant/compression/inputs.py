"""Loads what a recipe names: a Python function that returns the network, and files of samples."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import CalibrationError, ConfigError
from ..ir import Array
from ..quantization.array_files import load_arrays, named, warn_of_unread
from ..quantization.labels import check_class_numbers, check_values
from .recipe import Files, Recipe
from .recipe_metrics import Metric, Score, Task, named_metric
from .training import Augment, Samples


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """The sample sets by purpose. `test` falls back on `valid`, which is None if no epoch is selected by it."""

    train: Samples
    valid: Samples | None = None
    test: Samples | None = None

    @property
    def judge(self) -> Samples | None:
        """The samples for measuring accuracy."""
        return self.test if self.test is not None else self.valid

    @property
    def example(self) -> Tensor:
        return self.train.x[:1]


def load_net(recipe: Recipe, path: Path) -> nn.Module:
    """The network of the recipe in the file `path`. Raises ConfigError if the function is missing or returns no
    network.
    """
    if recipe.model.endswith(".pt2"):
        raise ConfigError(
            f"{path}: 'model' is {recipe.model!r}: what torch.export saved cannot be trained; name the Python function "
            "that makes the network, model = \"net.py:build\", and its weights in 'weights'"
        )
    function = load_function(recipe.model, "model", path)
    try:
        net = function()
    except Exception as error:  # user code may raise anything
        raise ConfigError(f"{path}: 'model': {recipe.model} {_raised(error)}") from error
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
    is_file = place.endswith(".py")
    if not name.isidentifier() or not (is_file or all(part.isidentifier() for part in place.split("."))):
        raise ConfigError(f'{path}: \'{key}\' must be "module:function" or "file.py:function", found {text!r}')
    module = _file(path.parent / place, key, path) if is_file else _module(place, key, path)
    function = getattr(module, name, None)
    if not callable(function):
        raise ConfigError(f"{path}: '{key}': {place} has no function {name!r}")
    return function  # type: ignore[no-any-return]


def _module(name: str, key: str, path: Path) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ConfigError(f"{path}: '{key}': {error}; is its folder on PYTHONPATH?") from error
    except Exception as error:  # user code may raise anything
        raise ConfigError(f"{path}: '{key}': {name} {_raised(error)}") from error


def _raised(error: Exception) -> str:
    """The last line of an exception in user code, with its place."""
    if isinstance(error, SyntaxError):
        return f"has a syntax error in line {error.lineno}: {error.msg}"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"raised {type(error).__name__}: {error} ({Path(frame.filename).name}, line {frame.lineno})"


def _file(file: Path, key: str, path: Path) -> Any:
    if not file.is_file():
        raise ConfigError(f"{path}: '{key}': there is no file {file}")
    name = f"mcuquant_recipe_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles in the file look up their module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # user code may raise anything
        raise ConfigError(f"{path}: '{key}': {file} {_raised(error)}") from error
    return module


def _load_weights(net: nn.Module, file: Path, path: Path) -> None:
    """Loads a state dict without executing code. Raises ConfigError if it does not fit the network."""
    try:
        state = torch.load(file, weights_only=True)
    except OSError as error:
        raise ConfigError(f"{path}: 'weights': {file} cannot be read: {error.strerror}") from error
    except Exception as error:  # torch.load raises several unrelated types
        raise ConfigError(
            f"{path}: 'weights': {file} holds no state dict; write it with torch.save(net.state_dict(), ...)"
        ) from error
    _check_state(net, state, file, path)
    net.load_state_dict(state)


def _check_state(net: nn.Module, state: object, file: Path, path: Path) -> None:
    """ConfigError unless a state dict has the names and shapes of the network's, and finite numbers."""
    where = f"{path}: 'weights': {file}"
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ConfigError(f"{where} holds no state dict; write it with torch.save(net.state_dict(), ...)")
    own = net.state_dict()
    for words, names in (("lacks", own.keys() - state.keys()), ("has another", state.keys() - own.keys())):
        if names:
            listed = ", ".join(map(repr, sorted(map(str, names))[:3]))
            raise ConfigError(f"{where} is of another network: it {words} {listed}")
    for name, value in own.items():
        if state[name].shape != value.shape:
            raise ConfigError(
                f"{where} is of another network: {name!r} has shape {tuple(state[name].shape)}, "
                f"the network's {tuple(value.shape)}"
            )
        if value.is_floating_point() and not state[name].is_floating_point():
            raise ConfigError(f"{where}: {name!r} is of {state[name].dtype}, the network's of {value.dtype}")
        if not torch.isfinite(state[name]).all():
            raise ConfigError(f"{where}: {name!r} holds NaN or infinity")
    weights = [state[name] for name, value in net.named_parameters() if value.dim() > 1 and value.numel() > 1]
    if weights and all(torch.equal(w, w.flatten()[0].expand(w.shape)) for w in weights):
        raise ConfigError(f"{where}: all weights of each layer are the same number, as in no trained network")


def load_metric(recipe: Recipe, path: Path) -> Metric:
    """The metric of a recipe: one of METRICS, or a function of the user, whose figure is larger for a better network.

    Raises ConfigError for an unknown name.
    """
    if ":" not in recipe.metric:
        metric = named_metric(recipe.metric)
        return metric if recipe.task is None else replace(metric, task=recipe.task)
    function = load_function(recipe.metric, "metric", path)
    return Metric(recipe.metric.rpartition(":")[2], recipe.task or Task.CLASSES, _score(function))


def _score(function: Callable[..., Any]) -> Score:
    def score(outputs: Array, y: Array, x: Array) -> float:
        try:
            return float(function(outputs, y, x))
        except Exception as error:  # user code may raise anything
            raise CalibrationError(f"'metric' {_raised(error)}") from error

    return score


def load_data(files: Files | None, path: Path, task: Task = Task.CLASSES) -> Data:
    """The samples of a recipe. Raises ConfigError if it names none, CalibrationError for files with other contents."""
    if files is None:
        raise ConfigError(f"{path}: table 'data' is missing: name at least data.train, an .npz file with x and y")
    parts = {key: getattr(files, key) for key in ("train", "valid", "test")}
    return Data(**{key: load_samples(path.parent / name, key == "train", task) for key, name in parts.items() if name})


def load_samples(file: Path, labels_may_miss: bool, task: Task = Task.CLASSES) -> Samples:
    """`x` (N, ...) numbers and `y` of an .npz file: (N,) class numbers or, for values, (N,) or (N, K) numbers."""
    arrays = load_arrays(file)
    warn_of_unread(file, arrays, ("x", "y"))
    if labels_may_miss and "y" not in arrays:
        (x,), y = named(file, "x"), None
    else:
        x, y = named(file, "x", "y")
    if x.dtype.kind not in "fiu" or x.ndim < 2:
        raise CalibrationError(f"array 'x' of {file} is {x.dtype} of shape {x.shape}; expected numbers (samples, ...)")
    inputs = torch.from_numpy(x.astype(np.float32))
    if y is None:
        return Samples(inputs)
    if task is Task.VALUES:
        check_values(file, y, len(x))
        return Samples(inputs, torch.from_numpy(y.astype(np.float32)))
    check_class_numbers(file, y, len(x))
    return Samples(inputs, torch.from_numpy(y.astype(np.int64)))
