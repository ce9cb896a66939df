"""The Python files that the result of a recipe depends on: those that it names, and the user's own that they import."""

from __future__ import annotations

import ast
import importlib.util
import sysconfig
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from .inputs import load_function
from .recipe import Recipe

_PYTHON = tuple(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib"))
_INSTALLED = {"site-packages", "dist-packages"}
"""Names of folders of installed packages, whose files are not the user's."""
_PACKAGE = __name__.partition(".")[0]


def sources_of(recipe: Recipe, file: Path) -> list[bytes]:
    """The Python files of the functions in the recipe `file`, each before the files that it imports, and each once.

    Raises ConfigError as `load_function` does.
    """
    named = {"model": recipe.model, "augment": recipe.augment, "metric": recipe.metric if ":" in recipe.metric else ""}
    sources: dict[Path, bytes] = {}
    for key, text in named.items():
        if text and not text.endswith(".pt2"):
            load_function(text, key, file)
            place = text.rpartition(":")[0]
            if place.endswith(".py"):
                _add(file.parent / place, "", sources)
            else:
                _add_module(place, sources)
    return list(sources.values())


def _add(file: Path, package: str, sources: dict[Path, bytes]) -> None:
    """Add a Python file of `package`, and the files that it imports."""
    path = file.resolve()
    if path in sources or path.suffix != ".py" or not _INSTALLED.isdisjoint(path.parts):
        return
    if any(path.is_relative_to(folder) for folder in _PYTHON):
        return
    sources[path] = path.read_bytes()
    for name in _imports(sources[path], package):
        _add_module(name, sources)


def _add_module(name: str, sources: dict[Path, bytes]) -> None:
    """Add the files of a module and of the packages around it, without importing them."""
    parts = name.split(".")
    spec = None if parts[0] == _PACKAGE else _top_level(parts[0])
    for end in range(2, len(parts) + 2):
        if spec is None:
            return
        if spec.has_location and spec.origin is not None:
            _add(Path(spec.origin), spec.parent or "", sources)
        inner = spec.submodule_search_locations
        is_last = end > len(parts)
        spec = None if is_last or inner is None else PathFinder.find_spec(".".join(parts[:end]), inner)


def _top_level(name: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except ValueError:  # a module without a specification, such as __main__
        return None


def _imports(source: bytes, package: str) -> Iterator[str]:
    """Full names of the modules that a file of `package` imports anywhere. A name after `from` may be a module too."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # only in files that are never imported, because the functions were loaded
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            outer = package.split(".")
            around = outer[: len(outer) - node.level + 1] if node.level else []
            base = ".".join([*around, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names if base)
