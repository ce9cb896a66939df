"""The recipes of CONTRIBUTING.md, applied to a copy of the project."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from documents import ROOT, Block, blocks

FOLDERS = ("mcuquant", "firmware", "templates", "boards", "tests", "docs", "benchmarks")
FILES = ("pyproject.toml", "README.md", "CHANGELOG.md", "CONTRIBUTING.md")


def recipe(heading: str) -> list[Block]:
    """The code blocks of one section, in order."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return list(blocks(text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]))


def copy_project(to: Path) -> Path:
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, to / folder, ignore=shutil.ignore_patterns("__pycache__", "results.md"))
    for name in FILES:
        shutil.copy(ROOT / name, to / name)
    return to


def apply(steps: list[Block], project: Path) -> list[str]:
    """Writes the files and changes that the blocks show; paths of those, in order and once."""
    touched = []
    for block in steps:
        if (name := titled(block)) is None:
            continue
        path = project / name
        touched.append(name)
        if block.language == "diff":
            path.write_text(_changed(path.read_text(encoding="utf-8"), block, name), encoding="utf-8")
        else:
            assert not path.exists(), f"{name} exists already: a recipe shows changes to it as a diff"
            path.write_text(block.text, encoding="utf-8")
    return list(dict.fromkeys(touched))


def titled(block: Block) -> str | None:
    words = dict(w.split("=", 1) for w in shlex.split(block.info) if "=" in w)
    return words.get("title")


def _changed(text: str, block: Block, name: str) -> str:
    lines = block.text.splitlines()
    old = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("+"))
    new = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("-"))
    assert text.count(old) == 1, f"{name} holds the lines of the diff {text.count(old)} times, expected once:\n{old}"
    return text.replace(old, new)


def commands(steps: list[Block]) -> Iterator[list[str]]:
    """What the console blocks run, with this interpreter."""
    for block in steps:
        for line in block.text.splitlines():
            if block.language == "console" and line.startswith("$ "):
                words = shlex.split(line.removeprefix("$ "))
                yield [sys.executable, *words[1:]] if words[0] == "python" else words


def run(command: list[str], project: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(project)}
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
