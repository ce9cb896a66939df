"""The recipes of CONTRIBUTING.md, followed word for word in a copy of the project."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from contributing import apply, commands, copy_project, recipe, run, titled
from documents import ROOT

import mcuquant as mq
from mcuquant.boards.board import load_board
from mcuquant.codegen.emit import port_files

RECIPES = ("Add an operation", "Add a board", "Add a kernel variant")


@pytest.mark.parametrize("heading", RECIPES)
def test_the_blocks_apply_and_the_project_still_imports(heading: str, tmp_path: Path) -> None:
    project = copy_project(tmp_path / "project")
    touched = apply(recipe(heading), project)
    assert touched
    done = run([sys.executable, "-c", "import mcuquant.cli, mcuquant.flow; print(mcuquant.__file__)"], project)
    assert (done.stdout.strip(), done.stderr) == (str(project / "mcuquant" / "__init__.py"), "")


def test_an_operation_has_five_places_and_its_document_and_tests() -> None:
    """The table of element-wise operations is what keeps this short; without a chain of operators it is four."""
    names = dict.fromkeys(titled(block) for block in recipe("Add an operation"))
    places = [name for name in names if name is not None and name.startswith("mcuquant/")]
    assert places == [
        "mcuquant/ir/functions.py",
        "mcuquant/ir/ops.py",
        "mcuquant/ir/real_functions.py",
        "mcuquant/ir/elementwise_table.py",
        "mcuquant/tflite/writer/elementwise_writer.py",
    ]


@pytest.mark.parametrize("name", ["feather-stm32f405", "nucleo-f410rb"])
def test_the_boards_of_the_recipe_are_boards(name: str, tmp_path: Path) -> None:
    (block,) = (b for b in recipe("Add a board") if titled(b) == f"boards/{name}.toml")
    path = tmp_path / f"{name}.toml"
    path.write_text(block.text)
    board = load_board(path)
    assert (board.name, board.core.cpu, board.port) == (name, "cortex-m4", "stm32f4")
    assert "port/stm32f4/mq_chip.c" in port_files(board)
    assert board.name not in mq.board_names()


@pytest.mark.slow
@pytest.mark.emulator
@pytest.mark.parametrize("heading", RECIPES)
def test_the_commands_of_a_recipe_succeed(heading: str, tmp_path: Path) -> None:
    project = copy_project(tmp_path / "project")
    steps = recipe(heading)
    apply(steps, project)
    for command in commands(steps):
        done = run(command, project)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


def test_failures_that_the_recipes_name_are_tests_that_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    sources = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", text))
    assert {name for name in named if f"def {name}(" not in sources} == set()
