"""The Python files that a result of a recipe depends on are read for changes, also those that it does not name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from mcuquant.compression.inputs import Data
from mcuquant.compression.recipe import Recipe
from mcuquant.compression.recipe_sources import sources_of
from mcuquant.compression.steps import digest_of
from mcuquant.compression.training import Samples

FILES = {
    "net.py": "import json, numpy, mcuquant\nfrom own_pack.deep import part\nimport own_first\ndef build(): ...\n",
    "own_first.py": "def late():\n    import own_second\n",
    "own_second.py": "import own_first  # a cycle\n",
    "own_pack/__init__.py": "",
    "own_pack/side.py": "WIDTH = 8\n",
    "own_pack/deep/__init__.py": "from .. import side\n",
    "own_pack/deep/part.py": "from .inner import *\ntry:\n    import own_absent\nexcept ImportError:\n    pass\n",
    "own_pack/deep/inner.py": "",
    "own_score.py": "def score(outputs, y, x): ...\n",
    "vary.py": "def varied(batch, generator): ...\n",
}
UNUSED = {"own_unused.py": "", "own_pack/unused.py": ""}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in (FILES | UNUSED).items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    for name in [name for name in sys.modules if name.startswith("own_")]:
        monkeypatch.delitem(sys.modules, name)  # of another test's folder
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


RECIPE = Recipe(model="net.py:build", augment="vary.py:varied", metric="own_score:score")


def test_sources_are_the_named_files_and_the_users_own_that_they_import(folder: Path) -> None:
    sources = sources_of(RECIPE, folder / "recipe.toml")
    assert sorted(sources) == sorted(text.encode() for text in FILES.values())


def test_named_metrics_and_exported_models_have_no_files(folder: Path) -> None:
    assert sources_of(Recipe(model="net.pt2", metric="mae"), folder / "recipe.toml") == []


@pytest.mark.parametrize("name", [*FILES, *UNUSED])
def test_a_changed_file_changes_the_digest_when_it_is_used(folder: Path, name: str) -> None:
    data, net = Data(Samples(torch.zeros(1, 2), None), None, None), torch.nn.Linear(2, 1)

    def digest() -> str:
        return digest_of("", RECIPE, folder / "recipe.toml", data, net)

    before = digest()
    assert digest() == before
    (folder / name).write_text((FILES | UNUSED)[name] + "# changed\n")
    assert (digest() != before) == (name in FILES)
    with torch.no_grad():
        net.weight += 1
    assert digest() != before
