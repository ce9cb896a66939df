"""manifest.json of a project: its text, and the digest that shows whether it is as `compile` wrote it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import OutputError

MANIFEST = "manifest.json"
DIGEST = "manifest_digest"


def manifest_text(manifest: Mapping[str, Any]) -> str:
    """The text of the file: the entries of `manifest`, and the digest of all others as its last entry."""
    entries = _without_digest(manifest)
    return json.dumps({**entries, DIGEST: _digest(entries)}, indent=2) + "\n"


def read_manifest(directory: Path) -> dict[str, Any]:
    """The entries of the project's manifest, without the digest.

    Raises OutputError if there is no manifest in `directory`, or if it has other entries than `compile` wrote.
    """
    path = directory / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        entries, digest = _without_digest(manifest), manifest.get(DIGEST)
    except (OSError, ValueError, AttributeError) as error:
        raise no_project(directory) from error
    if digest != _digest(entries):
        raise OutputError(
            f"{path} is not as `mcuquant compile` wrote it: a value was changed, or the version of mcuquant was older; "
            f"compile the network again: mcuquant compile MODEL -o {directory}"
        )
    return entries


def no_project(directory: Path) -> OutputError:
    return OutputError(
        f"{directory} is not a compiled project (no readable {MANIFEST}); "
        f"make one: mcuquant compile MODEL -o {directory}"
    )


def _without_digest(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in manifest.items() if name != DIGEST}


def _digest(entries: Mapping[str, Any]) -> str:
    """SHA-256 of names and values. White space and the order of entries have no effect."""
    return hashlib.sha256(json.dumps(entries, sort_keys=True).encode()).hexdigest()
