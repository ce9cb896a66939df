"""A tutorial as a program: its titled blocks are files, its console blocks are run and their output compared."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from documents import DOCS, ROOT, Block, blocks

TUTORIALS = DOCS / "tutorials"


@dataclass(frozen=True, slots=True)
class Command:
    """`output` holds the lines expected; "..." in a line is any text, alone in a line any lines."""

    line: str
    output: tuple[str, ...]


def titled(block: Block) -> str | None:
    found = re.search(r'title="([^"]+)"', block.info)
    return found[1] if found else None


def commands(block: Block) -> Iterator[Command]:
    line, output = "", []
    for text in block.text.splitlines():
        if not text.startswith("$ "):
            output.append(text)
            continue
        if line:
            yield Command(line, tuple(output))
        line, output = text.removeprefix("$ "), []
    yield Command(line, tuple(output))


def environment(folder: Path) -> Mapping[str, str]:
    """With `mcuquant`, `python` and `pytest` those of this checkout and this interpreter."""
    programs = folder / ".bin"
    programs.mkdir(exist_ok=True)
    for name, arguments in (("mcuquant", "-m mcuquant"), ("python", ""), ("pytest", "-m pytest -p no:cacheprovider")):
        path = programs / name
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        path.chmod(0o755)
    search = os.pathsep.join((str(programs), os.environ.get("PATH", "")))
    return {**os.environ, "PATH": search, "PYTHONPATH": str(ROOT), "COLUMNS": "100"}


def follow(page: str, folder: Path) -> None:
    """Does all that the tutorial says, in the folder. AssertionError shows command, output, and what was expected."""
    env = environment(folder)
    for block in blocks((TUTORIALS / f"{page}.md").read_text(encoding="utf-8")):
        if (name := titled(block)) is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(block.text, encoding="utf-8")
        elif block.language == "console":
            for command in commands(block):
                _check(command, folder, env)


def _check(command: Command, folder: Path, env: Mapping[str, str]) -> None:
    done = subprocess.run(
        command.line, shell=True, cwd=folder, env=env, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, f"{command.line}\n{done.stdout}{done.stderr}"
    assert matches(command.output, done.stdout), f"{command.line}\n{done.stdout}\nexpected:\n" + "\n".join(
        command.output
    )


def matches(expected: tuple[str, ...], text: str) -> bool:
    """Whether the lines stand in the text in this order; without a line "..." nothing stands between them."""
    pattern = "".join(
        r"(?:.*\n)*?" if line == "..." else re.escape(line.rstrip()).replace(r"\.\.\.", ".*") + r"[ \t]*\n"
        for line in expected
    )
    return re.fullmatch(pattern, text if text.endswith("\n") or not text else f"{text}\n") is not None
