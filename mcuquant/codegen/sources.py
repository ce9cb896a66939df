"""The text of a whole C project, before anything is written to disk."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sources:
    """`files` maps a path relative to the folder of the project, with /, to its text."""

    files: Mapping[str, str]

    @property
    def digest(self) -> str:
        """SHA-256 over paths and texts in path order, as 64 hex digits."""
        total = hashlib.sha256()
        for path in sorted(self.files):
            total.update(f"{path}\0{self.files[path]}\0".encode())
        return total.hexdigest()
