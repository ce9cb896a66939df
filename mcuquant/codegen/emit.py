"""Program + Board → Sources: the C project as text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import jinja2

from .. import _assets
from ..boards.board import Board
from ..errors import ModelError
from ..version import __version__
from .application import Application, Wire
from .decision_rules import VALUE_BITS, ValueRule
from .program import Program
from .sensor_files import FOLDER as SENSOR_FOLDER
from .sources import Sources

_INCLUDE = re.compile(r'^#include "(mq_[a-z0-9_]+\.h)"$', re.MULTILINE)
_PORT_INCLUDE = re.compile(r'^#include "(port/[a-z0-9_/]+\.h)"$', re.MULTILINE)
_HOST = "src/host/main.c"
LIBRARY_FILES = {
    "README.md": "README.md.j2",
    "CMakeLists.txt": "CMakeLists.txt.j2",
    "cmake/arm-none-eabi.cmake": "arm-none-eabi.cmake.j2",
    "zephyr/module.yml": "module.yml.j2",
    "zephyr/CMakeLists.txt": "zephyr.cmake.j2",
    "zephyr/Kconfig": "Kconfig.j2",
    "library.properties": "library.properties.j2",
    "examples/{name}/{name}.ino": "example.ino.j2",
    "library.json": "library.json.j2",
}
"""Files for build systems, by the template of each."""


def emit(program: Program, board: Board, app: Application) -> Sources:
    """The whole project: model, its kernels, application, port, linker script and Makefile.

    `board` has the baud rate of the application (`Application.board`).
    """
    files = {
        **model_files(program),
        **_kernel_files(program),
        **_runtime_files(board, app.wire),
        **_extra_files(program, app),
        "src/board.h": render("board.h.j2", board=board, program=program, app=app),
        "src/linker.ld": render("linker.ld.j2", board=board),
    }
    _check_names(program, files)
    files["Makefile"] = render("Makefile.j2", program=program, board=board, **_makefile(files, board, program))
    return Sources(dict(sorted(files.items())))


def emit_library(program: Program, board: Board) -> Sources:
    """Model and kernels alone, for the user's own program, with files for CMake, Zephyr, Arduino and PlatformIO."""
    files = {**model_files(program), **_kernel_files(program), **_copy("", ("mq.h", "mq.c"))}
    _check_names(program, files)
    name = program.prefix.removeprefix("mq_")
    for path, template in LIBRARY_FILES.items():
        text = render(f"library/{template}", program=program, board=board, name=name)
        files[path.format(name=name)] = text.rstrip("\n") + "\n"
    return Sources(dict(sorted(files.items())))


def render(template: str, **values: object) -> str:
    """The text of one template of templates/. All names in it must be defined."""
    return _environment().get_template(template).render(version=__version__, **values)


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_assets.folder("templates")),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=False,
        autoescape=False,
    )


def model_files(program: Program) -> dict[str, str]:
    """The files of the network below src/, by path: its interface, its steps and its constants."""
    return {path: render(template, program=program) for path, template in _model_templates(program).items()}


def _model_templates(program: Program) -> dict[str, str]:
    constants = {f"src/{program.prefix}_weights.h": "model_weights.h.j2"} if program.arrays else {}
    return {f"src/{program.prefix}.h": "model.h.j2", f"src/{program.prefix}.c": "model.c.j2", **constants}


def kernel_headers() -> dict[str, Path]:
    """Every kernel header by name. A generated project has one folder for them, firmware/kernels/ several."""
    return {path.name: path for path in sorted((_assets.folder("firmware") / "kernels").rglob("*.h"))}


def _kernel_files(program: Program) -> dict[str, str]:
    """The headers of the used kernels, and the headers that they include."""
    headers = kernel_headers()
    files: dict[str, str] = {}
    pending = list(program.headers)
    while pending:
        name = pending.pop()
        if f"src/kernels/{name}" not in files:
            files[f"src/kernels/{name}"] = headers[name].read_text()
            pending += _INCLUDE.findall(files[f"src/kernels/{name}"])
    return files


def _runtime_files(board: Board, wire: Wire) -> dict[str, str]:
    files = {**_copy("", ("mq.h", "mq.c")), **_copy("wire", (f"mq_wire_{wire}.c",))}
    files |= {**_copy_folder("app"), **_copy_folder("host")}
    return {**files, **{f"src/{path}": (_assets.folder("firmware") / path).read_text() for path in port_files(board)}}


def _extra_files(program: Program, app: Application) -> dict[str, str]:
    """The options of the firmware in addition to inference."""
    if app.node is None:
        return _copy_folder("rows" if program.feed else "plain")
    rule = app.node.rule
    files = {**_copy_folder("node"), **_copy("decide", ("mq_decide.h", "mq_debounce.h", *rule.files))}
    unit_field = _c_string(f',"unit":{json.dumps(rule.unit)}' if isinstance(rule, ValueRule) and rule.unit else "")
    files["src/decide/decision_config.h"] = render(
        "decision_config.h.j2", program=program, rule=rule, value_bits=VALUE_BITS, unit_field=unit_field
    )
    files["src/node/node_config.h"] = render("node_config.h.j2", program=program, node=app.node)
    if app.sensor is None:
        return files
    del files["src/node/node_sensor.c"]
    return {**files, **{f"{SENSOR_FOLDER}/{name}": text for name, text in app.sensor.items()}}


def _c_string(text: str) -> str:
    """A C literal of printable ASCII."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def port_files(board: Board) -> tuple[str, ...]:
    """Paths below firmware/ of the board's port.

    These are the folder of its family, the headers that it shares with other families together with their .c files, and
    the files of port/cortexm that the family does not replace by a file of the same name.
    """
    root = _assets.folder("firmware")
    own = _names(f"port/{board.port}")
    files = {*own, *(path for path in _names("port/cortexm") if Path(path).name not in {Path(p).name for p in own})}
    pending = list(own)
    while pending:
        includes = _PORT_INCLUDE.findall((root / pending.pop()).read_text())
        beside = [path for name in includes for path in (name, f"{name[:-1]}c") if (root / path).is_file()]
        new = [path for path in beside if path not in files and not path.startswith("port/cortexm/")]
        files.update(new)
        pending += new
    return tuple(sorted(files))


def _copy(folder: str, names: tuple[str, ...]) -> dict[str, str]:
    root = _assets.folder("firmware")
    return {str(Path("src", folder, name)): (root / folder / name).read_text() for name in names}


def _names(folder: str) -> tuple[str, ...]:
    root = _assets.folder("firmware")
    return tuple(sorted(f"{folder}/{p.name}" for p in (root / folder).iterdir() if p.suffix in (".c", ".h")))


def _copy_folder(folder: str) -> dict[str, str]:
    return _copy(folder, tuple(Path(name).name for name in _names(folder)))


def _makefile(files: Mapping[str, str], board: Board, program: Program) -> dict[str, object]:
    sources = [f for f in sorted(files) if f.endswith(".c")]
    model = [f for f in sources if f.count("/") == 1]
    return {
        "arch_flags": " ".join(board.compiler_flags),
        "optimize_flags": "-Os" if program.is_small else "-O2",
        "firmware_sources": [f for f in sources if f != _HOST],
        "host_sources": [*model, _HOST],
        "has_sensor": any(f.startswith(f"{SENSOR_FOLDER}/") for f in files),
        "all_files": sorted(files),
    }


def _check_names(program: Program, files: Mapping[str, str]) -> None:
    """Raises ModelError for names that collide with names of the firmware (`--name input` would define a second
    mq_input).
    """
    own = {*_model_templates(program), "src/board.h"}
    reserved = re.compile(rf"\b{program.prefix}(_run|_feed|_restart|_step|_input|_output|_weights)?\b")
    clash = next((path for path, text in files.items() if path not in own and reserved.search(text)), None)
    if clash and program.prefix != "mq_model":
        raise ModelError(f"name {program.prefix[3:]!r} is taken: {clash} uses {program.prefix}; choose another name")
