"""mkdocs hooks: pages from outside of docs/, links to them, and the reference of commands from their help.

Nothing here runs in tests or on a user's machine: `make docs` builds the site with it.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

import click
from mkdocs.structure.files import File, Files

from mcuquant.cli import main

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = ("CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/results.md", "benchmarks/compression.md")
COMMANDS = "reference/commands.md"


def on_files(files: Files, config: Any) -> Files:
    for name in OUTSIDE:
        files.append(File.generated(config, name, content=(ROOT / name).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    uri = page.file.src_uri
    if uri == COMMANDS:
        markdown = _commands()
    source = uri if uri in OUTSIDE else f"docs/{uri}"
    return re.sub(r"(\]\()([^)\s:#]+)(#[^)]*)?(\))", lambda m: _link(m, source, uri), markdown)


def _link(found: re.Match[str], source: str, uri: str) -> str:
    """A link between files of the repository as one between pages of the site."""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(source), found[2]))
    page = target.removeprefix("docs/")
    if target not in OUTSIDE and page == target:
        return found[0]
    link = posixpath.relpath(page, posixpath.dirname(uri) or ".")
    return f"{found[1]}{link}{found[3] or ''}{found[4]}"


def _commands() -> str:
    assert isinstance(main, click.Group)
    top = _help(main, "mcuquant")
    parts = [f"# Commands\n\nGenerated from `--help`.\n\n```text\n{top}\n```\n"]
    for name, command in main.commands.items():
        parts.append(f"## mcuquant {name}\n\n```text\n{_help(command, f'mcuquant {name}')}\n```\n")
    return "\n".join(parts)


def _help(command: click.Command, name: str) -> str:
    context = click.Context(command, info_name=name, terminal_width=100, help_option_names=["-h", "--help"])
    return command.get_help(context).replace("\b", "")
