"""Stores completed steps of compression beside the output folder, so that an interrupted run continues.

The key of a step is a hash of everything that its result depends on: the network, the code that builds it, the samples,
the seed and board, its settings, and every step before it. A file contains tensors and plain values, no code: the
network is rebuilt from the one before the step, and a step is stored only if that gives the same network.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import pickle
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..boards.board import Board
from ..reporting.record import Record
from ..version import __version__
from .inputs import Data
from .recipe import Recipe
from .recipe_sources import sources_of

SUFFIX = ".steps"
"""The suffix of the folder beside the output folder."""
_DIGEST_SAMPLES = 16
"""Number of training samples that verify a restored network."""
_READ_ERRORS = (
    *(OSError, EOFError, RuntimeError, KeyError, TypeError, ValueError, AttributeError),
    pickle.UnpicklingError,
)
"""Exceptions of torch.load for damaged files, and of PyTorch for a state that does not fit a network."""


def folder_of(output: str | Path) -> Path:
    return Path(f"{output}{SUFFIX}")


@dataclass(slots=True)
class Steps:
    """The steps of one run. Without a folder nothing is stored."""

    folder: Path | None = None
    key: str = ""
    """Hash of all steps so far, and of their start."""
    probe: Tensor | None = None
    is_fresh: bool = False
    """Whether steps of an earlier run are ignored."""
    reused: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, folder: Path, recipe: Recipe, file: Path, net: nn.Module, data: Data, board: Board) -> Steps:
        """The store for the network, samples and recipe in `file`."""
        parts = (__version__, torch.__version__, repr(net), repr(board), str(recipe.seed))
        tensors = (*net.state_dict().values(), *_samples(data))
        return cls(
            folder,
            _hash(*(part.encode() for part in parts), *sources_of(recipe, file), *map(_bytes, tensors)),
            data.train.x[:_DIGEST_SAMPLES],
        )

    def run(
        self,
        label: str,
        settings: object,
        net: nn.Module,
        make: Callable[[nn.Module], nn.Module],
        records: list[Record],
    ) -> nn.Module:
        """The result of `make(net)`, or the stored result of an earlier run, with the records that it adds."""
        self.key = _hash(self.key.encode(), label.encode(), repr(settings).encode())
        if self.folder is None:
            return make(net)
        file = self.folder / f"{label}-{self.key[:16]}.pt"
        stored = None if self.is_fresh else _load(file, net)
        if stored is not None:
            self.reused.append(label)
            records += stored[1]
            return stored[0]
        before, count = copy.deepcopy(net), len(records)
        result = make(net)
        self._keep(file, label, before, result, records[count:])
        return result

    def _keep(self, file: Path, label: str, before: nn.Module, result: nn.Module, records: Iterable[Record]) -> None:
        """Remove stored results with this label, which belong to earlier versions of the recipe, and store this one."""
        assert self.probe is not None
        state = _state(result, self.probe)
        if _restored(before, state) is None:
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        for old in file.parent.glob(f"{label}-*"):
            old.unlink()
        rows = json.dumps([record.to_json() for record in records])
        partial = file.with_suffix(f".{os.getpid()}")
        torch.save({"state": state, "records": rows}, partial)
        partial.replace(file)


def digest_of(table: str, recipe: Recipe, file: Path, data: Data, net: nn.Module) -> str:
    """Digest of the text of the recipe `file`, the code that it names, its samples, and its network with weights, which
    the code may read from any file.
    """
    tensors = (*_samples(data), *net.state_dict().values())
    return _hash(table.encode(), repr(net).encode(), *sources_of(recipe, file), *map(_bytes, tensors))


def _hash(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()


def _bytes(tensor: Tensor) -> bytes:
    return f"{tensor.dtype} {tuple(tensor.shape)} ".encode() + tensor.detach().contiguous().numpy().tobytes()


def _samples(data: Data) -> Iterable[Tensor]:
    """The tensors of the samples; an empty tensor for absent samples, so that different sets have different digests."""
    for part in (data.train, data.valid, data.test):
        for tensor in (None, None) if part is None else (part.x, part.y):
            yield torch.zeros(0) if tensor is None else tensor


State = dict[str, Any]
"""State of a network: `parameters` and `buffers` by name, `numbers` of modules, names of `identities`, outputs for
`probe`.
"""


def _state(net: nn.Module, probe: Tensor) -> State:
    modules = dict(net.named_modules())
    return {
        "parameters": {name: p.detach().clone() for name, p in net.named_parameters(remove_duplicate=False)},
        "buffers": {name: b.clone() for name, b in net.named_buffers(remove_duplicate=False)},
        "numbers": {name: _numbers(module) for name, module in modules.items()},
        "identities": [name for name, module in modules.items() if isinstance(module, nn.Identity)],
        "probe": probe.clone(),
        "answers": _answers(net, probe),
    }


def _numbers(module: nn.Module) -> dict[str, int | tuple[int, ...]]:
    """Public attributes that are integers or tuples of integers: channels, strides, groups."""

    def is_number(value: object) -> bool:
        return isinstance(value, int) or (isinstance(value, tuple) and all(isinstance(v, int) for v in value))

    return {k: v for k, v in vars(module).items() if not k.startswith("_") and k != "training" and is_number(v)}


def _answers(net: nn.Module, probe: Tensor) -> Tensor:
    with torch.no_grad():
        answers: Tensor = net.eval()(probe)
    return answers


def _load(file: Path, net: nn.Module) -> tuple[nn.Module, list[Record]] | None:
    """The stored result; None if the file is missing or unusable, so that the step runs again."""
    if not file.is_file():
        return None
    try:
        stored = torch.load(file, weights_only=True)
        records = [Record(**row) for row in json.loads(stored["records"])]
        result = _restored(net, stored["state"])
    except _READ_ERRORS:
        return None
    return None if result is None else (result, records)


def _restored(net: nn.Module, state: State) -> nn.Module | None:
    """A copy of `net` with the state; None if its outputs differ from those that the state recorded."""
    result = copy.deepcopy(net)
    try:
        _fill(result, state)
        answers = _answers(result, state["probe"])
    except _READ_ERRORS:
        return None
    return result if torch.equal(answers, state["answers"]) else None


def _fill(net: nn.Module, state: State) -> None:
    for name in state["identities"]:
        if not isinstance(net.get_submodule(name), nn.Identity):
            net.set_submodule(name, nn.Identity())
    for name, numbers in state["numbers"].items():
        for key, value in numbers.items():
            setattr(net.get_submodule(name), key, value)
    once: dict[int, nn.Parameter] = {}
    before = dict(net.named_parameters(remove_duplicate=False))
    for name, value in state["parameters"].items():
        owner, _, leaf = name.rpartition(".")
        shared = id(before.get(name, value))  # a parameter that several modules share stays shared
        module = net.get_submodule(owner)
        module.register_parameter(leaf, once.setdefault(shared, nn.Parameter(value.clone())))
    for name, value in state["buffers"].items():
        owner, _, leaf = name.rpartition(".")
        net.get_submodule(owner).register_buffer(leaf, value.clone())
