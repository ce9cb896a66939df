"""Tutorials, followed as a reader would: files written, commands run, outputs compared."""

from __future__ import annotations

import ast
import shutil
import tomllib
from pathlib import Path

import pytest
from documents import DOCS, blocks, name_of
from tutorials import TUTORIALS, follow, matches, titled

PAGES = sorted(path.stem for path in TUTORIALS.glob("*.md"))
LATER = [page for page in PAGES if page != "torch"]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder after the first tutorial, which the others begin with."""
    folder = tmp_path_factory.mktemp("first")
    follow("torch", folder)
    return folder


@pytest.mark.slow
@pytest.mark.emulator
def test_the_first_tutorial(first: Path) -> None:
    assert (first / "build" / "net" / "report.html").is_file()


@pytest.mark.slow
@pytest.mark.emulator
@pytest.mark.parametrize("page", LATER)
def test_the_tutorials_after_it(page: str, first: Path, tmp_path: Path) -> None:
    folder = tmp_path / page
    shutil.copytree(first, folder)
    follow(page, folder)


@pytest.mark.parametrize("path", sorted(DOCS.rglob("*.md")), ids=name_of)
def test_code_blocks_are_of_their_language(path: Path) -> None:
    for block in blocks(path.read_text(encoding="utf-8")):
        match block.language:
            case "python":
                ast.parse(block.text)
            case "toml":
                tomllib.loads(block.text)


def test_the_network_of_the_tutorials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The small part that runs every time: net.py of the first tutorial makes samples and a network."""
    (net,) = (b for b in blocks((TUTORIALS / "torch.md").read_text()) if titled(b) == "net.py")
    namespace: dict[str, object] = {}
    exec(compile(net.text, "net.py", "exec"), namespace)
    x, y = namespace["samples"](4, seed=0)  # type: ignore[operator]
    assert (x.shape, x.dtype, y.shape) == ((4, 3, 64), "float32", (4,))
    assert sum(p.numel() for p in namespace["build"]().parameters()) == 3 * 8 * 5 + 8 + 8 * 16 * 5 + 16 + 16 * 3 + 3  # type: ignore[operator]


def test_expected_lines_are_compared() -> None:
    assert matches(("...", "a ... b", "..."), "x\na 12 b\nc\n")
    assert matches((), "")
    assert not matches(("a",), "a\nb\n")
    assert not matches(("a", "b"), "a\nc\nb\n")
