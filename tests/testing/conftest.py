"""Projects for tests of the pytest plugin."""

from __future__ import annotations

import pytest
from plugin_runs import compiled

from mcuquant.project.project import Project


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return compiled("qemu-mps2-an386", tmp_path_factory.mktemp("emulated"))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return compiled("nucleo-f411re", tmp_path_factory.mktemp("desk"))
