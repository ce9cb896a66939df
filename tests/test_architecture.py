"""Which module may import which: only downward, and heavy libraries only where they belong."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "mcuquant"

# From the ground up. A module imports from the lines above its own; modules of one line know nothing of each other,
# but for a project and its device under test, which are two files of one thing.
LAYERS = (
    (
        "errors",
        "_assets",
        "version",
        "ops",
        "fixedpoint",
        "huffman",
        "memory",
        "names",
        "objective",
        "palette",
        "sources",
    ),
    ("ir", "core", "symbols", "tflite_file", "record", "linkmap"),
    ("layout", "metrics", "program", "node", "integer", "verify", "board", "exporters"),
    ("application", "graph_file"),
    ("interp", "frontends", "build", "emit", "device"),
    ("kernels", "passes", "quantization"),
    ("plan", "report", "doctor", "compare", "projection", "selection"),
    ("lower", "budget"),
    ("describe", "details", "image", "project", "dut"),
    ("flow",),
    ("demo", "differ", "hil", "compression", "html"),
    ("labgrid", "search"),
    ("cli", "pytest_plugin"),
    ("__main__",),
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
ONE_THING = {("project", "dut"), ("dut", "project")}

# Library: the modules that may import it, by the beginning of their path.
HOMES = {
    "torch": ("frontends/torch", "demo/", "compression/"),
    "torchao": ("compression/",),
    "torch_pruning": ("compression/",),
    "optuna": ("search.py",),
    "tflite": ("tflite_file/", "frontends/tflite", "exporters/tflite"),
    "flatbuffers": ("tflite_file/", "frontends/tflite", "exporters/tflite"),
    "tflite_micro": ("demo/",),
    "jinja2": ("emit.py", "html/"),
    "elftools": ("build.py", "symbols.py", "device/"),
    "serial": ("device/", "doctor.py"),
    "click": ("cli/",),
    "pyocd": ("device/flash",),
    "pytest": ("pytest_plugin.py",),
    "yaml": ("selection.py",),
    "labgrid": ("labgrid.py",),
    "attr": ("labgrid.py",),
    "rich": ("cli/", "report.py", "demo/"),
}

FILES = sorted(PACKAGE.rglob("*.py"))


def own_imports(path: Path) -> Iterator[str]:
    """First part below mcuquant of everything of ours that a file imports, anywhere in it."""
    package = ("mcuquant", *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = [*package[: len(package) - node.level + 1], *(node.module or "").split(".")]
            targets = [base] if node.module else [[*base[:-1], alias.name] for alias in node.names]
            yield from (target[1] for target in targets)


def libraries(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0]


def unit(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_every_module_has_its_place_in_the_table() -> None:
    assert {unit(path) for path in FILES} - {"__init__"} == set(LEVEL)


def test_imports_are_found() -> None:
    assert {"errors", "ops"} <= set(own_imports(PACKAGE / "ir.py"))
    assert {"cli"} == set(own_imports(PACKAGE / "__main__.py"))
    assert {"report", "board", "cli"} <= set(own_imports(PACKAGE / "cli" / "boards.py"))
    assert "jinja2" in set(libraries(PACKAGE / "emit.py"))


@pytest.mark.parametrize("name", sorted(LEVEL))
def test_imports_go_down(name: str) -> None:
    imported = {other for path in FILES if unit(path) == name for other in own_imports(path)} - {name, "__version__"}
    upward = sorted(o for o in imported if LEVEL[o] >= LEVEL[name] and (name, o) not in ONE_THING)
    assert upward == []


@pytest.mark.parametrize("library", sorted(HOMES))
def test_libraries_stay_where_they_belong(library: str) -> None:
    users = [p.relative_to(PACKAGE).as_posix() for p in FILES if library in set(libraries(p))]
    assert [user for user in users if not user.startswith(HOMES[library])] == []
