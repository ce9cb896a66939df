"""A user's sensor driver: source files and headers, which become src/sensor/ of a node's project."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ..errors import ModelError

FOLDER = "src/sensor"
MOST_HEADERS = 1000
_NAME = re.compile(r"[A-Za-z0-9_.+-]+")


def sensor_files(sources: Sequence[Path], include_folders: Iterable[Path] = ()) -> Mapping[str, str]:
    """Texts by path below src/sensor/: `sources` (.c and .h) by name, every .h file of a folder by its path there.

    Raises ModelError for another kind of file, a missing .c file, text that is not UTF-8, and two files with one path.
    """
    if not any(path.suffix == ".c" for path in sources):
        names = ", ".join(map(str, sources)) or "no file"
        raise ModelError(f"the sensor needs at least one .c file, found {names}")
    files: dict[str, str] = {}
    origins: dict[str, Path] = {}
    for name, path in _named(sources, include_folders):
        text = _text(path)
        if files.setdefault(name, text) != text:
            raise ModelError(f"{origins[name]} and {path} would both be {FOLDER}/{name}; rename one of them")
        origins.setdefault(name, path)
    return files


def _named(sources: Sequence[Path], include_folders: Iterable[Path]) -> Iterator[tuple[str, Path]]:
    for path in sources:
        if path.suffix not in (".c", ".h"):
            raise ModelError(f"{path} is not a file of a sensor driver: expected .c and .h files")
        yield _checked(path.name, path), path
    for folder in include_folders:
        headers = sorted(path for path in folder.rglob("*.h") if path.is_file())
        if not 0 < len(headers) <= MOST_HEADERS:
            raise ModelError(f"{folder} has {len(headers):,} .h files, expected 1 to {MOST_HEADERS:,}")
        yield from ((_checked(path.relative_to(folder).as_posix(), path), path) for path in headers)


def _checked(name: str, path: Path) -> str:
    """`make` splits names at spaces and expands $ and %."""
    if not all(map(_NAME.fullmatch, name.split("/"))):
        raise ModelError(f"{path}: names of sensor files may have letters, digits, '_', '.', '+' and '-'")
    return name


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ModelError(
            f"{path} is not UTF-8 at byte {error.start:,}; convert it: iconv -f latin1 -t utf-8 {path.name}"
        ) from error
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
