"""Loads arrays from a user's files. Pickles are never read."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from ..errors import CalibrationError, CalibrationWarning
from ..ir import Array


def load_arrays(path: Path) -> dict[str, Array]:
    """Arrays of an .npz file by name; the array of an .npy file under the name "". Raises CalibrationError for other
    files.
    """
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            return {"": archive} if isinstance(archive, np.ndarray) else {name: archive[name] for name in archive.files}
    except OSError as error:
        raise CalibrationError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # numpy, zipfile, zlib and tokenize raise many unrelated types for damaged files
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CalibrationError(
            f"{path} is not a file of plain arrays as numpy.save or numpy.savez write them: {reason}"
        ) from error


def warn_of_unread(path: Path, arrays: Iterable[str], read: Sequence[str]) -> None:
    """A CalibrationWarning for arrays whose names are not in `read`, such as labels under another name."""
    unread = [name for name in arrays if name and name not in read]
    if unread:
        listed = ", ".join(map(repr, unread[:5])) + (", ..." if len(unread) > 5 else "")
        warnings.warn(
            f"{path} holds {listed}, which is not read; names that are: {', '.join(read)}",
            CalibrationWarning,
            stacklevel=3,
        )


def named(path: Path, *names: str) -> tuple[Array, ...]:
    """The arrays with these names. Raises CalibrationError with the names in the file."""
    arrays = load_arrays(path)
    missing = [name for name in names if name not in arrays]
    if missing:
        contents = "one array without a name" if "" in arrays else ", ".join(map(repr, arrays)) or "nothing"
        raise CalibrationError(
            f"{path} holds no array {missing[0]!r}, it holds {contents}; "
            f"write it with numpy.savez(file, {', '.join(f'{n}={n}' for n in names)})"
        )
    return tuple(arrays[name] for name in names)
