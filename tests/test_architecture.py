"""Which module may import which: only downward, and heavy libraries only where they belong."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "mcuquant"

# From the ground up. A folder or module imports from the lines above its own; those of one line do not import each
# other.
LAYERS = (
    ("errors", "_assets", "version"),
    ("ir",),
    ("arithmetic", "boards"),
    ("tflite",),
    ("torch_import", "passes", "kernels", "quantization"),
    ("planner", "features"),
    ("codegen",),
    ("firmware_build",),
    ("device",),
    ("project",),
    ("reporting",),
    ("flow",),
    ("testing", "demo", "compression"),
    ("cli",),
    ("__main__",),
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
EXCEPTIONS = {("quantization", "passes")}

# The same inside the folders that have parts of their own.
PARTS = {
    "ir": (
        ("operation",),
        ("accumulations", "discrete", "functions", "palette", "names", "recurrent", "signal_ops"),
        ("ops",),
        ("row_ops",),
        ("graph", "running_sum"),
        ("named_functions", "real_functions"),
        ("elementwise_table",),
        ("metrics", "verify"),
        ("serialize",),
    ),
    "arithmetic": (("fixedpoint", "fft16", "logarithm"), ("front_end", "parameters"), ("interpreter",)),
    "tflite": (("schema",), ("reader", "writer")),
    "kernels": (
        ("variant",),
        ("shared",),
        ("plain", "scalar", "mve", "dsp"),
        ("sparse",),
        ("packed",),
        ("expanded", "strips"),
    ),
    "planner": (
        ("objective", "allocator"),
        ("state_layout", "products", "line_layout"),
        ("goal", "options"),
        ("ledger",),
        ("arena",),
        ("plan_search",),
        ("pairs",),
        ("row_plan",),
    ),
    "codegen": (
        ("program", "huffman", "sources", "node_settings", "decisions", "fixed_numbers", "sensor_files"),
        ("decision_rules",),
        ("rule_choice",),
        ("sensor_node",),
        ("lower", "application"),
        ("lower_rows",),
        ("weight_coding", "emit", "budget"),
    ),
    "project": (("folder", "seeded"), ("dut",), ("project", "row_stream")),
    "boards": (
        ("core",),
        ("generic_board", "soc", "new_profile", "pins"),
        ("chip_family",),
        ("chip_clocks",),
        ("chip_families",),
        ("board",),
    ),
    "firmware_build": (("linkmap", "manifest_file", "symbols", "step_calls"), ("build",)),
}

# Library: the modules that may import it, by the beginning of their path.
HOMES = {
    "torch": ("torch_import/", "demo/", "compression/", "features/micro_frontend.py"),
    "torchao": ("compression/",),
    "torch_pruning": ("compression/",),
    "optuna": ("compression/recipe_search.py", "compression/trial_sampler.py"),
    "tflite": ("tflite/",),
    "flatbuffers": ("tflite/",),
    "tflite_micro": ("demo/",),
    "sklearn": ("reporting/node_quality.py",),
    "jinja2": ("codegen/emit.py", "reporting/html/"),
    "elftools": ("firmware_build/", "device/"),
    "serial": ("device/", "cli/system_checks.py"),
    "click": ("cli/",),
    "pyocd": ("device/flash",),
    "pytest": ("testing/pytest_plugin.py",),
    "yaml": ("testing/board_selection.py",),
    "labgrid": ("testing/labgrid.py",),
    "attr": ("testing/labgrid.py",),
    "rich": ("cli/", "reporting/", "demo/"),
}

FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = {path.relative_to(PACKAGE).with_suffix("").as_posix(): path for path in FILES}
COMMANDS = {"compare", "flash", "quantizers"}
"""Commands bear the name of what they run."""


def own_imports(path: Path) -> Iterator[tuple[str, ...]]:
    """Path below mcuquant of every module of ours that a file imports, anywhere in it, lazily too."""
    package = ("mcuquant", *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text())):
        if not (isinstance(node, ast.ImportFrom) and node.level):
            continue
        base = (*package[: len(package) - node.level + 1], *(node.module.split(".") if node.module else ()))[1:]
        for alias in node.names:
            target = (*base, alias.name)
            is_module = "/".join(target) in MODULES or "/".join((*target, "__init__")) in MODULES
            yield target if is_module else base


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
    assert {("errors",), ("ir", "ops")} <= set(own_imports(PACKAGE / "ir" / "graph.py"))
    assert {("cli",)} == set(own_imports(PACKAGE / "__main__.py"))
    assert {("boards", "board"), ("reporting", "tables")} <= set(own_imports(PACKAGE / "cli" / "boards.py"))
    assert "jinja2" in set(libraries(PACKAGE / "codegen" / "emit.py"))


@pytest.mark.parametrize("name", sorted(LEVEL))
def test_imports_go_down(name: str) -> None:
    imported = {other[0] for path in FILES if unit(path) == name for other in own_imports(path) if other} - {name}
    upward = sorted(o for o in imported if LEVEL[o] >= LEVEL[name] and (name, o) not in EXCEPTIONS)
    assert upward == []


@pytest.mark.parametrize("folder", sorted(PARTS))
def test_imports_go_down_inside_folders(folder: str) -> None:
    level = {name: i for i, names in enumerate(PARTS[folder]) for name in names}
    parts = {p.relative_to(PACKAGE / folder).parts[0].removesuffix(".py") for p in (PACKAGE / folder).rglob("*.py")}
    assert parts - {"__init__"} == set(level)
    upward = [
        (part, other[1])
        for path in (PACKAGE / folder).rglob("*.py")
        for other in own_imports(path)
        if (part := path.relative_to(PACKAGE / folder).parts[0].removesuffix(".py")) in level
        and len(other) > 1
        and other[0] == folder
        and other[1] != part
        and level[other[1]] >= level[part]
    ]
    assert upward == []


def test_no_modules_import_each_other() -> None:
    """Not in a circle of any length, lazy imports included. A package stands for its `__init__`."""
    edges = {name: {"/".join(o) for o in own_imports(path)} for name, path in MODULES.items()}
    edges = {name: {o if o in MODULES else f"{o}/__init__" for o in others} for name, others in edges.items()}
    finished: set[str] = set()

    def circle(name: str, trail: tuple[str, ...]) -> tuple[str, ...] | None:
        if name in trail:
            return (*trail[trail.index(name) :], name)
        if name in finished or name not in edges:
            return None
        for other in sorted(edges[name] - {name}):
            if cycle := circle(other, (*trail, name)):
                return cycle
        finished.add(name)
        return None

    circles = [cycle for name in sorted(edges) if (cycle := circle(name, ()))]
    assert circles == []


def test_no_two_modules_share_a_name() -> None:
    names = Counter(path.stem for path in FILES if path.stem != "__init__")
    assert {name for name, count in names.items() if count > 1} == COMMANDS


@pytest.mark.parametrize("library", sorted(HOMES))
def test_libraries_stay_where_they_belong(library: str) -> None:
    users = [p.relative_to(PACKAGE).as_posix() for p in FILES if library in set(libraries(p))]
    assert [user for user in users if not user.startswith(HOMES[library])] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_files_are_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 400


WITHOUT_ASSERTIONS = ("ir", "arithmetic", "tflite", "torch_import", "passes", "quantization")
"""What reads or changes a user's network raises errors of `mcuquant.errors`."""


@pytest.mark.parametrize("folder", WITHOUT_ASSERTIONS)
def test_no_assertion_reaches_a_user(folder: str) -> None:
    places = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in sorted((PACKAGE / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Assert)
    ]
    assert not places, f"raise an error of mcuquant.errors instead of asserting: {', '.join(places)}"


def test_functions_are_short() -> None:
    """Lines without the docstring: the median at most 8, 95 of 100 at most 25, none above 40."""
    lengths = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                body = node.body[1:] if ast.get_docstring(node) is not None and len(node.body) > 1 else node.body
                lengths.append((body[-1].end_lineno or 0) - body[0].lineno + 1)
    lengths.sort()
    assert lengths[len(lengths) // 2] <= 8
    assert lengths[len(lengths) * 95 // 100] <= 25
    assert lengths[-1] <= 40
